"""Known mistakes of chapter 13, each with its hint."""

from collections.abc import Callable, Iterator
from itertools import chain

import torch
from torch import Tensor

from induction_heads.course.exercise import Mistake

# expand_kv_heads

EXPAND_MISTAKES = (
    Mistake(
        "the key-value heads are assigned in turn",
        lambda weights, n: torch.cat([weights] * (n // len(weights))),
        "Your order is 0 1 2 3 0 1 2 3. Which query heads are neighbors, and what do they share?",
    ),
    Mistake(
        "every head reads the first key-value head",
        lambda weights, n: weights[:1].expand(n, *weights.shape[1:]).clone(),
        "With two key-value heads, what does the last query head read in your answer?",
    ),
    Mistake(
        "the key-value heads are returned unchanged",
        lambda weights, n: weights.clone(),
        "How many entries should you return, and how many do you return?",
    ),
    Mistake(
        "heads without a key-value head of their own get zeros",
        lambda weights, n: torch.cat(
            [weights, weights.new_zeros(n - len(weights), *weights.shape[1:])]
        ),
        "Every query head has keys and values. Whose does the last one read?",
    ),
)


# attention_parameters_formula

PARAMETERS_MISTAKES = (
    Mistake(
        "no head shares",
        lambda: "4*D*d*H",
        "With G = H your formula is right. Which of the four matrices do not grow with H?",
    ),
    Mistake(
        "W_O is shared too",
        lambda: "D*d*(H + 3*G)",
        "Each query head has its own output. Which matrix turns it into what is written?",
    ),
    Mistake(
        "only one of keys and values is shared",
        lambda: "D*d*(3*H + G)",
        "A query head reads a key and takes a value. Does it have either of its own?",
    ),
    Mistake(
        "W_O is left out",
        lambda: "D*d*(H + 2*G)",
        "Those are the matrices a layer reads with. Which matrix does it write with?",
    ),
    Mistake(
        "G is taken for the size of a group",
        lambda: "2*D*d*(H + H/G)",
        "G is the number of key-value heads. With G = H, does your formula give plain attention?",
    ),
    Mistake(
        "all heads together are as wide as the residual stream",
        lambda: "4*D*D",
        "That holds for plain heads with d = D/H. Where are G, H and d in your formula?",
    ),
)


# natural_repeats


def queries(
    tokens: Tensor, *, every_row: bool = False
) -> Iterator[tuple[int, int, list[int], int]]:
    """Row, query, the tokens that followed its earlier copies in order, and the one that comes."""
    rows = tokens.tolist()
    for number, row in enumerate(rows):
        before = [other for other in rows[:number] if every_row]
        for query in range(len(row) - 1):
            elsewhere = [
                other[j + 1]
                for other in before
                for j in range(len(row) - 1)
                if other[j] == row[query]
            ]
            own = [row[j + 1] for j in range(query) if row[j] == row[query]]
            yield number, query, elsewhere + own, row[query + 1]


def kinds_by(
    decide: Callable[[list[int], int], tuple[bool, bool]], *, every_row: bool = False
) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Masks of which `decide(followers, comes)` says whether they are right and wrong."""

    def answer(tokens: Tensor) -> tuple[Tensor, Tensor]:
        masks = torch.zeros(2, len(tokens), tokens.shape[1] - 1, dtype=torch.bool)
        for row, query, followers, comes in queries(tokens, every_row=every_row):
            masks[:, row, query] = torch.tensor(decide(followers, comes))
        return masks[0], masks[1]

    return answer


def _by_any(followers: list[int], comes: int) -> tuple[bool, bool]:
    return comes in followers, bool(followers) and comes not in followers


def _with_last(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """One more column for the last position, about which nothing is known."""
    right, wrong = kinds_by(_by_any)(tokens)
    none = torch.zeros(len(tokens), 1, dtype=torch.bool)
    return torch.cat([right, none], dim=1), torch.cat([wrong, none], dim=1)


def _by_what_came_before(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """The token before a copy in place of the token after it."""
    right = torch.zeros(len(tokens), tokens.shape[1] - 1, dtype=torch.bool)
    wrong = right.clone()
    for number, row in enumerate(tokens.tolist()):
        for query in range(len(row) - 1):
            copies = [j for j in range(query) if row[j] == row[query]]
            right[number, query] = row[query + 1] in [row[j - 1] for j in copies if j > 0]
            wrong[number, query] = bool(copies) and not right[number, query]
    return right, wrong


REPEATS_MISTAKES = (
    Mistake(
        "only the latest copy decides",
        kinds_by(lambda f, comes: (f[-1:] == [comes], bool(f) and f[-1] != comes)),
        "A token may have occurred twice before, with two different next tokens. Is one of them "
        "enough?",
    ),
    Mistake(
        "every copy must have had this next token",
        kinds_by(lambda f, comes: (bool(f) and set(f) == {comes}, bool(f) and set(f) != {comes})),
        "A token may have occurred twice before, with two different next tokens. Must both agree?",
    ),
    Mistake(
        "what is not right is wrong",
        kinds_by(lambda f, comes: (comes in f, comes not in f)),
        "How many wrong repeats does your code find in a row without repeats?",
    ),
    Mistake(
        "the token before a copy is compared, not the one after",
        _by_what_came_before,
        "An induction head predicts what *followed* the earlier copy. What do you compare?",
    ),
    Mistake(
        "copies in other rows count",
        kinds_by(_by_any, every_row=True),
        "A model sees one row at a time. Where does each row start afresh?",
    ),
    Mistake(
        "the last position has an entry",
        _with_last,
        "No token comes after the last one. How many queries can be right or wrong?",
    ),
    Mistake(
        "right and wrong are swapped",
        kinds_by(lambda f, comes: (_by_any(f, comes)[1], _by_any(f, comes)[0])),
        "Which of the two masks comes first?",
    ),
)


# chance_matching_formula

CHANCE_MISTAKES = (
    Mistake(
        "the queries without a match are in the mean",
        lambda: "i / V / (i + 1)",
        "Try i = 1: a query with a match has exactly one. Does your formula give it one half?",
    ),
    Mistake(
        "exactly one match is assumed",
        lambda: "1 / (i + 1)",
        "Try V = 2 and i = 50. How many of the earlier tokens are copies then?",
    ),
    Mistake(
        "the chance of a match, not the number of them",
        lambda: "(1 - (1 - 1/V)**i) / (i + 1)",
        "How many matches are expected, and with what chance is there any? You need both.",
    ),
    Mistake(
        "each match gets all attention",
        lambda: "i / V / (1 - (1 - 1/V)**i)",
        "Your formula can exceed 1. How much does an even head give a single key?",
    ),
    Mistake(
        "the head attends to i keys",
        lambda: "1 / V / (1 - (1 - 1/V)**i)",
        "A query sees the keys before it and one more. Which one?",
    ),
    Mistake(
        "the chance that no earlier token is a copy",
        lambda: "(1 - 1/V)**i",
        "That is an intermediate step. How many matches do the other queries have?",
    ),
)


# natural_prefix_matching_score


def scored(
    keys_of: Callable[[list[int], int], list[int]],
    *,
    every_query: bool = False,
    by_row: bool = False,
    over_keys: bool = False,
    summed: bool = False,
    of_keys: bool = False,
) -> Callable[[Tensor, Tensor], dict[str, Tensor]]:
    """Scores whose keys at a query are `keys_of(row, query)`; each option changes one step."""

    def answer(pattern: Tensor, tokens: Tensor) -> dict[str, Tensor]:
        if of_keys:
            pattern = pattern.mT
        found: dict[str, list[list[Tensor]]] = {"right": [], "wrong": []}
        for kind, mask in zip(found, kinds_by(_by_any)(tokens), strict=True):
            for number, row in enumerate(tokens.tolist()):
                rows = []
                for query in mask[number].nonzero().flatten().tolist():
                    keys = keys_of(row, query)
                    weights = pattern[number, ..., query, keys]
                    rows.append(weights.mean(dim=-1) if over_keys else weights.sum(dim=-1))
                found[kind].append(rows)
        if summed:
            together = {kind: torch.stack([*chain(*rows)]) for kind, rows in found.items()}
            return {kind: values.sum(dim=0) for kind, values in together.items()}
        return {kind: _mean(rows, every_query, by_row, tokens) for kind, rows in found.items()}

    return answer


def _mean(rows: list[list[Tensor]], every_query: bool, by_row: bool, tokens: Tensor) -> Tensor:
    together = torch.stack([value for row in rows for value in row])
    if every_query:
        return together.sum(dim=0) / (tokens.numel() - len(tokens))
    if by_row:
        return torch.stack([torch.stack(row).mean(dim=0) for row in rows if row]).mean(dim=0)
    return together.mean(dim=0)


def _after(row: list[int], query: int) -> list[int]:
    return [j + 1 for j in range(query) if row[j] == row[query]]


def _copies(row: list[int], query: int) -> list[int]:
    return [j for j in range(query) if row[j] == row[query]]


def _before(row: list[int], query: int) -> list[int]:
    return [j - 1 for j in range(1, query) if row[j] == row[query]]


SCORE_MISTAKES = (
    Mistake(
        "the copies themselves are looked at",
        scored(_copies),
        "That is what a duplicate-token head does. Which key does an induction head want?",
    ),
    Mistake(
        "the keys before the copies are looked at",
        scored(_before),
        "The score is about what followed a copy. For a copy at j, is that the key at j − 1 or at "
        "j + 1?",
    ),
    Mistake(
        "only the latest copy counts",
        scored(lambda row, query: _after(row, query)[-1:]),
        "A token may have occurred twice before. Does the definition drop one of the two keys?",
    ),
    Mistake(
        "only the first copy counts",
        scored(lambda row, query: _after(row, query)[:1]),
        "A head may attend to what followed a later copy. Is that a match?",
    ),
    Mistake(
        "only keys that hold the token that comes",
        scored(lambda row, query: [k for k in _after(row, query) if row[k] == row[query + 1]]),
        "At wrong repeats your score is always 0. Is a match with a misleading next token still a "
        "match?",
    ),
    Mistake(
        "the mean runs over all queries",
        scored(_after, every_query=True),
        "A query without a match cannot score. Over which queries is the mean?",
    ),
    Mistake(
        "first a mean for each row, then over the rows",
        scored(_after, by_row=True),
        "In your version a row with one repeat counts as much as a row with ten. Should it?",
    ),
    Mistake(
        "the mean over the keys, not their sum",
        scored(_after, over_keys=True),
        "A head that splits its weight over two matches attends only to matches. What does it "
        "score in your version?",
    ),
    Mistake(
        "the sum over the queries, not their mean",
        scored(_after, summed=True),
        "Your scores grow with the number of rows. How many queries are there of each kind?",
    ),
    Mistake(
        "queries and keys are swapped",
        scored(_after, of_keys=True),
        "What you read lies above the diagonal. Which axis of the pattern is the query?",
    ),
)


# copying_gain


def copying_by(
    gain: Callable[[Tensor, Tensor, list[int], int, int], Tensor],
    *,
    right: bool = False,
    wrong: bool = True,
    total: Callable[[Tensor], Tensor] = torch.mean,
) -> Callable[[Tensor, Tensor, Tensor], float]:
    """The mean of `gain(clean, silenced, followers, comes, token)` over repeats of some kinds.

    `clean` and `silenced` are the logits [d_vocab] at the query, `token` is the query's token.
    """

    def answer(clean: Tensor, silenced: Tensor, tokens: Tensor) -> float:
        gains = []
        for row, query, followers, comes in queries(tokens):
            if followers and (right if comes in followers else wrong):
                both = clean[row, query], silenced[row, query]
                gains.append(gain(*both, followers, comes, int(tokens[row, query])))
        return total(torch.stack(gains)).item()

    return answer


def _gain(clean: Tensor, silenced: Tensor, followers: list[int], comes: int, token: int) -> Tensor:
    return (clean.log_softmax(-1) - silenced.log_softmax(-1))[followers[-1]]


COPYING_MISTAKES = (
    Mistake(
        "logits, not log-probabilities",
        copying_by(lambda c, s, f, comes, t: (c - s)[f[-1]]),
        "Add 5 to all logits of the clean model: does your number change, although nothing is "
        "copied?",
    ),
    Mistake(
        "all repeats are in the mean, right ones too",
        copying_by(_gain, right=True),
        "Where the copied token comes next, anything that predicts the text raises it. Which "
        "queries does the exercise leave out?",
    ),
    Mistake(
        "the right repeats, not the wrong ones",
        copying_by(_gain, right=True, wrong=False),
        "Where the copied token comes next, a head may know that from the text. On which "
        "queries could only copying raise it?",
    ),
    Mistake(
        "the first copy, not the latest",
        copying_by(lambda c, s, f, comes, t: _gain(c, s, f[:1], comes, t)),
        "A token may have occurred twice before. Which of the two next tokens does the exercise "
        "ask for?",
    ),
    Mistake(
        "the token that comes next, not the copied one",
        copying_by(lambda c, s, f, comes, t: _gain(c, s, [comes], comes, t)),
        "At a wrong repeat these two differ. Which of them would a copying head raise?",
    ),
    Mistake(
        "the query's own token",
        copying_by(lambda c, s, f, comes, t: _gain(c, s, [t], comes, t)),
        "After A B … A, is it A or B that an induction head raises?",
    ),
    Mistake(
        "the sign is reversed",
        copying_by(lambda c, s, f, comes, t: -_gain(c, s, f, comes, t)),
        "A head that raises the copied token should have a gain above 0. In which of the two "
        "passes is the head active?",
    ),
    Mistake(
        "probabilities, not their logarithms",
        copying_by(lambda c, s, f, comes, t: (c.softmax(-1) - s.softmax(-1))[f[-1]]),
        "The answer is in nats. What is the unit of yours?",
    ),
    Mistake(
        "the sum over the queries, not their mean",
        copying_by(_gain, total=torch.sum),
        "Twice as many rows double your number. How many queries are in the sum?",
    ),
)
