"""Known mistakes of the second page of chapter 10, relations and look-ups, each with its hint."""

import torch
from torch import Tensor

from induction_heads.course.exercise import Mistake

# relation_index


def index(
    *,
    centered: bool = True,
    clipped: bool = True,
    turned: bool = False,
    literal: bool = False,
    key_shift: int = 0,
    at_query: bool = False,
    attention: bool = True,
    share: bool = True,
    over_all: bool = False,
    by_row: bool = False,
    of_means: bool = False,
    summed: bool = False,
    raw: bool = False,
    of_keys: bool = False,
):
    """A version of `relation_index` with one thing changed."""

    def answer(pattern, raised, tokens, subjects, tail_of):
        looks, writes, rows = [], [], []
        if of_keys:
            pattern = pattern.mT
        for row, places in enumerate(subjects.tolist()):
            for query, place in enumerate(places):
                if place < 0:
                    continue
                source = query if at_query else place
                subject = int(tokens[row, source])
                tail = subject if literal else int(tail_of[subject])
                written = raised[:, :, subject] if turned else raised[:, subject]
                middle = written.mean(dim=-1, keepdim=True) if centered else 0.0
                above = written - middle
                above = above.relu() if clipped else above.abs()
                writes.append((above[:, tail] / above.sum(dim=-1)).nan_to_num(nan=0.0))
                if raw:
                    writes[-1] = above[:, tail]
                looks.append(pattern[row, :, query, place + key_shift])
                rows.append(row)
        return _combined(torch.stack(looks), torch.stack(writes), rows, subjects)

    def _combined(looks: Tensor, writes: Tensor, rows: list[int], subjects: Tensor) -> Tensor:
        if of_means:
            return looks.mean(dim=0) * writes.mean(dim=0)
        product = (looks if attention else 1.0) * (writes if share else torch.ones_like(writes))
        if over_all:
            return product.sum(dim=0) / subjects.numel()
        if by_row:
            per_row = [product[[r == row for r in rows]].mean(dim=0) for row in sorted(set(rows))]
            return torch.stack(per_row).mean(dim=0)
        if summed:
            return product.sum(dim=0)
        return product.mean(dim=0)

    return answer


RELATION_MISTAKES = (
    Mistake(
        "what is raised is not centered",
        index(centered=False),
        "A head that raises every id by the same amount gets a share in your version. What is the "
        "docstring's first step at a subject?",
    ),
    Mistake(
        "what is lowered counts as well",
        index(clipped=False),
        "Does an id that the head lowers add to your sum? What happens to it in the docstring?",
    ),
    Mistake(
        "the share of the attended token itself",
        index(literal=True),
        "Your version measures literal copying. Which id should the head raise at subject s?",
    ),
    Mistake(
        "attended and written ids are swapped",
        index(turned=True),
        "In `raised[h, s, t]`, which index is the token that the head looks at?",
    ),
    Mistake(
        "attention to the key after the subject",
        index(key_shift=1),
        "That is where an induction head looks. Where is the subject itself?",
    ),
    Mistake(
        "the OV circuit is read at the query's token",
        index(at_query=True),
        "A head writes what it reads at its key. Which token is there?",
    ),
    Mistake(
        "only what is written counts",
        index(attention=False),
        "A head that never looks at a subject has an index in your version. Which factor is "
        "missing?",
    ),
    Mistake(
        "only the attention counts",
        index(share=False),
        "A head that looks at subjects and writes nothing has an index in your version. Which "
        "factor is missing?",
    ),
    Mistake(
        "the mean runs over all queries",
        index(over_all=True),
        "Most queries ask for no fact. What could a head do for them?",
    ),
    Mistake(
        "first a mean for each row",
        index(by_row=True),
        "A fact in a row with few facts has more weight in your version. Over what does the "
        "docstring take the mean?",
    ),
    Mistake(
        "the product of two means",
        index(of_means=True),
        "A head may look at some subjects and know the tails of others. Does your version notice?",
    ),
    Mistake(
        "the sum over the facts, not their mean",
        index(summed=True),
        "Your index grows with the number of rows. How many facts are in the sum?",
    ),
    Mistake(
        "what is written at the tail, not its share",
        index(raw=True),
        "A head that writes twice as much has twice the index. What should the "
        "tail have a share of?",
    ),
    Mistake(
        "queries and keys are swapped",
        index(of_keys=True),
        "Your attention is 0, because subjects come before their queries. Which axis is which?",
    ),
)


# k_hop_target


def hops(
    *,
    more: int = 0,
    earliest: bool = False,
    onto_copy: bool = False,
    by_token: bool = False,
    stays: bool = False,
    adjacent: bool = True,
    places: bool = False,
):
    """A version of `k_hop_target` with one thing changed."""

    def answer(tokens, k):
        found = torch.full_like(tokens, -1)
        for number, row in enumerate(tokens.tolist()):
            for query in range(len(row)):
                place = query
                for _ in range(k + more):
                    limit = query if by_token else place
                    copies = [at for at in range(limit) if row[at] == row[place]]
                    if not adjacent:
                        copies = [at for at in copies if at + 1 < place]
                    if not copies:
                        place = place if stays else -1
                        break
                    place = (copies[0] if earliest else copies[-1]) + (not onto_copy)
                if place >= 0:
                    found[number, query] = place if places else row[place]
        return found

    return answer


HOP_MISTAKES = (
    Mistake(
        "every look-up sees all that is before the first position",
        hops(by_token=True),
        "The second look-up begins at the place that the first one reached. Which copies lie "
        "before that place?",
    ),
    Mistake(
        "the earliest copy",
        hops(earliest=True),
        "A token may have several earlier copies. Which one does the docstring ask for?",
    ),
    Mistake(
        "a look-up ends at the copy",
        hops(onto_copy=True),
        "All your look-ups find the same token. Where does one lead from the copy?",
    ),
    Mistake(
        "one look-up too many",
        hops(more=1),
        "For k = 1 your code looks up twice. What is reached after one?",
    ),
    Mistake(
        "a failed look-up is skipped",
        hops(stays=True),
        "Take a row without any repeat. What does your version return, and what should it?",
    ),
    Mistake(
        "a copy directly before the place does not count",
        hops(adjacent=False),
        "In the row a a, one look-up from the second a leads to the position after the first a. "
        "Which one is that?",
    ),
    Mistake(
        "the position that is reached, not its token",
        hops(places=True),
        "Your numbers go up to the length of the row. What should they be?",
    ),
)


# most_hops_formula

MOST_HOPS_MISTAKES = (
    Mistake(
        "one look-up for each layer",
        lambda: "L - 1",
        "What does the position that was reached know by then? Is it lost?",
    ),
    Mistake(
        "each layer only doubles",
        lambda: "2**(L - 2)",
        "A layer may also look one look-up beyond the place that is known, as the second layer "
        "does. What do you gain by it?",
    ),
    Mistake(
        "the layer of marks does a look-up too",
        lambda: "2**L - 1",
        "What does your formula say for L = 2? How many look-ups does an induction circuit do?",
    ),
    Mistake(
        "one too many at every depth",
        lambda: "2**(L - 1)",
        "What does your formula say for L = 2? And for L = 3, from one look-up known everywhere?",
    ),
    Mistake(
        "the layers for L look-ups",
        lambda: "log(L) / log(2) + 2",
        "Your formula grows slowly. Are you counting layers for look-ups, or look-ups for layers?",
    ),
)
