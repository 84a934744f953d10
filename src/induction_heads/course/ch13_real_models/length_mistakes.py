"""Known mistakes of the exercises on match lengths, each with its hint."""

import math
from collections.abc import Callable, Iterator
from statistics import fmean

import torch
from torch import Tensor

from induction_heads.course.exercise import Mistake

Matches = dict[int, int]
"""Key after an earlier copy → how many tokens match there."""


def run(row: list[int], query: int, key: int) -> int:
    """How many tokens up to the query equal those before the key."""
    k = 0
    while k < key and k <= query and row[key - 1 - k] == row[query - k]:
        k += 1
    return k


def table_by(
    count: Callable[[list[int], int, int], int], *, future: bool = False
) -> Callable[[Tensor], Tensor]:
    """A table of `count(row, query, key)`, with the keys after the query if `future`."""

    def answer(tokens: Tensor) -> Tensor:
        n_pos = tokens.shape[1]
        table = [
            [
                [count(row, query, key) if future or key <= query else 0 for key in range(n_pos)]
                for query in range(n_pos)
            ]
            for row in tokens.tolist()
        ]
        return torch.tensor(table)

    return answer


def _ending_at_the_key(row: list[int], query: int, key: int) -> int:
    return run(row, query, key + 1)


def _without_the_query(row: list[int], query: int, key: int) -> int:
    return run(row, query - 1, key - 1) if key else 0


def _with_gaps(row: list[int], query: int, key: int) -> int:
    return sum(row[key - 1 - k] == row[query - k] for k in range(key))


LENGTHS_MISTAKES = (
    Mistake(
        "1 for every match",
        table_by(lambda row, query, key: min(run(row, query, key), 1)),
        "That says whether a token matches. How many match in A B … A B?",
    ),
    Mistake(
        "the match ends at the key, not before it",
        table_by(_ending_at_the_key),
        "In A B … A, at which key should the query A have a match: at the first A, or at B?",
    ),
    Mistake(
        "equal places count after the first difference too",
        table_by(_with_gaps),
        "With X B A … Y B A the last two tokens match. What if the tokens before X and Y are equal "
        "again?",
    ),
    Mistake(
        "the query's own token is not compared",
        table_by(_without_the_query),
        "With A B … A C, is there a match for the query C?",
    ),
    Mistake(
        "keys after the query count",
        table_by(run, future=True),
        "What does a query see of the keys that come after it?",
    ),
    Mistake(
        "queries and keys are swapped",
        lambda tokens: table_by(run)(tokens).transpose(1, 2),
        "Which triangle of your table is filled? A query looks back.",
    ),
)


# scores_by_match_length


def repeats(tokens: Tensor) -> Iterator[tuple[int, int, Matches, bool]]:
    """Row, query, its matches, and whether one of them was followed by what comes next."""
    for number, row in enumerate(tokens.tolist()):
        for query in range(len(row) - 1):
            matches = {key: run(row, query, key) for key in range(1, query + 1)}
            matches = {key: length for key, length in matches.items() if length}
            if matches:
                yield number, query, matches, row[query + 1] in [row[key] for key in matches]


def mean(values: list[float]) -> float:
    """The mean, NaN of nothing."""
    return fmean(values) if values else math.nan


def _all_of_it(weights: dict[int, float], matches: Matches) -> float:
    return sum(weights[key] for key in matches)


def _longest_keys(weights: dict[int, float], matches: Matches) -> float:
    longest = max(matches.values())
    return sum(weights[key] for key, length in matches.items() if length == longest)


def scores_by(
    length_of: Callable[[Matches], int] = lambda matches: max(matches.values()),
    attended: Callable[[dict[int, float], Matches], float] = _all_of_it,
    belongs: Callable[[int, int, int], bool] = lambda n, k, last: min(n, last) == k,
    *,
    together: bool = False,
    of_all: bool = False,
    total: Callable[[list[float]], float] = mean,
    of_keys: bool = False,
) -> Callable[..., dict[str, Tensor]]:
    """The scores, entry by entry. `belongs(length, k, longest)` says who is in entry k."""

    def answer(pattern: Tensor, tokens: Tensor, longest: int = 4) -> dict[str, Tensor]:
        if of_keys:
            pattern = pattern.mT
        entries: dict[str, list[float]] = {
            name: [] for name in ("right", "wrong", "share_right", "queries")
        }
        every = list(repeats(tokens))
        for k in range(1, longest + 1):
            kinds: dict[bool, list[float]] = {True: [], False: []}
            for row, query, matches, is_right in every:
                if belongs(length_of(matches), k, longest):
                    weights = dict(enumerate(pattern[row, query].tolist()))
                    kinds[is_right].append(attended(weights, matches))
            both = kinds[True] + kinds[False]
            entries["right"].append(total(both if together else kinds[True]))
            entries["wrong"].append(total(both if together else kinds[False]))
            n = len(every) if of_all else len(both)
            entries["share_right"].append(len(kinds[True]) / n if n else math.nan)
            entries["queries"].append(len(both))
        return {name: torch.tensor(values, dtype=torch.float) for name, values in entries.items()}

    return answer


SCORES_MISTAKES = (
    Mistake(
        "the length of the latest match, not of the longest",
        scores_by(lambda matches: matches[max(matches)]),
        "A query may have several earlier copies. Which of their lengths decides its entry?",
    ),
    Mistake(
        "only the keys of the longest match count",
        scores_by(attended=_longest_keys),
        "The length sorts the queries. Which keys does the attention run over?",
    ),
    Mistake(
        "the largest weight on a match, not the sum",
        scores_by(attended=lambda weights, matches: max(weights[key] for key in matches)),
        "With two matches a head may divide its attention. What should a head that does so score?",
    ),
    Mistake(
        "the last entry leaves out longer matches",
        scores_by(belongs=lambda n, k, last: n == k),
        "Where do the queries go whose match is longer than `longest`? Add up your `queries`.",
    ),
    Mistake(
        "each entry holds longer matches too",
        scores_by(belongs=lambda n, k, last: n >= k),
        "A query with a match of three tokens is in how many of your entries?",
    ),
    Mistake(
        "right and wrong repeats together",
        scores_by(together=True),
        "Your `right` and `wrong` are the same number. Over which queries is each the mean?",
    ),
    Mistake(
        "the share is of all repeats, not of those of this length",
        scores_by(of_all=True),
        "Of what is `share_right` the share: where two tokens match, and half of these repeats are "
        "right, what should the second entry be?",
    ),
    Mistake(
        "the sum over the queries, not their mean",
        scores_by(total=sum),
        "Entries with many queries are the largest in your version. What is the mean taken over?",
    ),
    Mistake(
        "queries and keys are swapped",
        scores_by(of_keys=True),
        "What you read lies above the diagonal. Which axis of the pattern is the query?",
    ),
)


# ratio_within_tokens

ByToken = dict[int, dict[bool, list[float]]]
"""Token → right or wrong → the attention to matches of each query."""


def ratio_by(
    combine: Callable[[ByToken], tuple[float, float]],
    keep: Callable[[int], bool] = lambda length: length == 1,
    of_keys: bool = False,
) -> Callable[[Tensor, Tensor], float]:
    """`combine` gives the two sides of the ratio; `keep` chooses queries by their longest match."""

    def answer(pattern: Tensor, tokens: Tensor) -> float:
        if of_keys:
            pattern = pattern.mT
        found: ByToken = {}
        for row, query, matches, is_right in repeats(tokens):
            if keep(max(matches.values())):
                kinds = found.setdefault(int(tokens[row, query]), {True: [], False: []})
                kinds[is_right].append(sum(pattern[row, query, key].item() for key in matches))
        above, below = combine(found)
        return above / below if below else math.nan

    return answer


def in_both(found: ByToken) -> list[dict[bool, list[float]]]:
    """The tokens that repeat rightly and wrongly."""
    return [kinds for kinds in found.values() if kinds[True] and kinds[False]]


def weighted(found: ByToken) -> tuple[float, float]:
    """Sums over tokens, each with its number of right repeats."""
    both = in_both(found)
    right = sum(sum(kinds[True]) for kinds in both)
    return right, sum(len(kinds[True]) * mean(kinds[False]) for kinds in both)


def _pooled(found: ByToken) -> tuple[float, float]:
    lists = [[w for kinds in found.values() for w in kinds[kind]] for kind in (True, False)]
    return (mean(lists[0]), mean(lists[1])) if all(lists) else (math.nan, 1.0)


def _once_each(found: ByToken) -> tuple[float, float]:
    both = in_both(found)
    return sum(mean(k[True]) for k in both), sum(mean(k[False]) for k in both)


def _weighted_by_wrong(found: ByToken) -> tuple[float, float]:
    both = in_both(found)
    return sum(len(k[False]) * mean(k[True]) for k in both), sum(sum(k[False]) for k in both)


def _mean_of_ratios(found: ByToken) -> tuple[float, float]:
    return mean([mean(k[True]) / mean(k[False]) for k in in_both(found)]), 1.0


def _with_one_sided(found: ByToken) -> tuple[float, float]:
    return sum(sum(kinds[True]) for kinds in found.values()), weighted(found)[1]


RATIO_MISTAKES = (
    Mistake(
        "tokens are not compared with themselves",
        ratio_by(_pooled),
        "A head always attends more after names than after brackets. Which ratio do you give it?",
    ),
    Mistake(
        "queries of every match length",
        ratio_by(weighted, keep=lambda length: True),
        "Longer matches are right more often. Which queries does the exercise keep?",
    ),
    Mistake(
        "every token counts once",
        ratio_by(_once_each),
        "A token with fifty right repeats and one with a single one: how much should each count?",
    ),
    Mistake(
        "each token counts by its wrong repeats",
        ratio_by(_weighted_by_wrong),
        "Both sides of the ratio use one number of repeats for each token. Is it that of the right "
        "ones or of the wrong ones?",
    ),
    Mistake(
        "the mean of the ratios",
        ratio_by(_mean_of_ratios),
        "A token with almost no attention at wrong repeats has a huge ratio. What should be added "
        "up before anything is divided?",
    ),
    Mistake(
        "tokens without a wrong repeat are kept",
        ratio_by(_with_one_sided),
        "A token that repeats rightly only: with what is it compared?",
    ),
    Mistake(
        "the ratio is upside down",
        ratio_by(lambda found: (weighted(found)[1], weighted(found)[0])),
        "A head that prefers right repeats should have a ratio above 1.",
    ),
    Mistake(
        "the difference, not the ratio",
        ratio_by(lambda found: (weighted(found)[0] - weighted(found)[1], 1.0)),
        "Your number is about 0 for a head that makes no difference. What should it be?",
    ),
    Mistake(
        "queries and keys are swapped",
        ratio_by(weighted, of_keys=True),
        "What you read lies above the diagonal. Which axis of the pattern is the query?",
    ),
)
