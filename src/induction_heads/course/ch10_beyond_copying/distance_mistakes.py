"""Known mistakes of `attention_by_distance`, each with its hint."""

import torch

from induction_heads.course.exercise import Mistake


def by_distance(
    *,
    shift: int = 1,
    turned: bool = False,
    per_query: bool = False,
    per_row: bool = False,
    empty: float = torch.nan,
    exact_left_out: bool = False,
    nearest: bool = False,
    neighbor_left_out: bool = False,
    seen_only: bool = False,
    of_key: bool = False,
    sums_alone: bool = False,
    of_keys: bool = False,
):
    """A version of `attention_by_distance` with one thing changed."""

    def answer(pattern, tokens, distance):
        heads = pattern if pattern.ndim == 4 else pattern[:, None]
        if of_keys:
            heads = heads.mT
        n_pos, steps = tokens.shape[1], distance[tokens[:, :, None], tokens[:, None, :]]
        steps = steps.mT if turned else steps
        earlier = torch.ones(n_pos, n_pos, dtype=torch.bool).tril(-2 if neighbor_left_out else -1)
        if of_key:
            steps = steps.roll(-1, dims=-1)
        if nearest:
            steps = torch.where(earlier, steps, 99)
            earlier = earlier & (steps == steps.amin(dim=-1, keepdim=True))
        columns = []
        largest = steps[:, earlier].max() if seen_only else distance.max()
        for apart in range(int(largest) + 1):
            mask = (steps == apart) & earlier
            if exact_left_out:
                mask = mask & (tokens[:, :, None] != tokens[:, None, :])
            key = torch.nn.functional.pad(mask, (1, 0))[..., :-1] if shift else mask
            sums = torch.einsum("rhqk,rqk->rh", heads, key.float())
            number = mask.any(dim=-1).sum(dim=-1) if per_query else mask.sum(dim=(1, 2))
            if per_row:
                column = (sums / number[:, None]).nanmean(dim=0)
            else:
                column = sums.sum(dim=0) / number.sum()
            if sums_alone:
                column = column * number.sum()
            columns.append(column.nan_to_num(nan=empty))
        found = torch.stack(columns, dim=-1)
        return found if pattern.ndim == 4 else found[0]

    return answer


DISTANCE_MISTAKES = (
    Mistake(
        "attention to the earlier token itself",
        by_distance(shift=0),
        "A head that attends to similar tokens would do well in your version. Which key does "
        "induction need?",
    ),
    Mistake(
        "the distance is read in the wrong direction",
        by_distance(turned=True),
        "`distance[a, b]` need not be symmetric. Which of the two is the query's id?",
    ),
    Mistake(
        "a sum for each query, not a mean over pairs",
        by_distance(per_query=True),
        "A query may have several earlier tokens at the same distance. How many pairs is that?",
    ),
    Mistake(
        "each row is averaged first",
        by_distance(per_row=True),
        "One row may have many pairs at a distance and another few. Over what does the mean run?",
    ),
    Mistake(
        "zero where there is no pair",
        by_distance(empty=0.0),
        "A curve that touches zero says that the head does not attend there. What do you know "
        "about a distance that never occurs?",
    ),
    Mistake(
        "equal tokens are left out",
        by_distance(exact_left_out=True),
        "Entry 0 is exact matching, with which the rest of the curve is compared. Does it have its "
        "pairs?",
    ),
    Mistake(
        "only the nearest earlier token of each query counts",
        by_distance(nearest=True),
        "A query has a pair with every earlier token, even if a nearer one exists. Are all in your "
        "mean?",
    ),
    Mistake(
        "the curve ends at the largest distance in the rows",
        by_distance(seen_only=True),
        "Curves of two texts should have the same length. Which distance decides it?",
    ),
    Mistake(
        "the token right before the query is left out",
        by_distance(neighbor_left_out=True),
        "The token before the query is an earlier token. Which key comes right after it?",
    ),
    Mistake(
        "the distance of the token at the key",
        by_distance(of_key=True),
        "Three tokens play a part: the query's, an earlier one, and the one after that. Which two "
        "are compared?",
    ),
    Mistake(
        "the sum over the pairs, not their mean",
        by_distance(sums_alone=True),
        "Twice as many rows double your curve. How many pairs have this distance?",
    ),
    Mistake(
        "queries and keys are swapped",
        by_distance(of_keys=True),
        "Most of what you read lies above the diagonal. Which axis of the pattern is the query?",
    ),
)
