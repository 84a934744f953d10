"""Known mistakes about rows from Markov chains, in chapter 8, each with its hint."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from induction_heads.course.exercise import Mistake

POSTERIOR_MISTAKES = (
    Mistake(
        "the share in the row, without the prior",
        lambda: "m / (m + k)",
        "Nothing has followed this state yet: m = 0 and k = 0. What does your formula say then, "
        "and what should it say?",
    ),
    Mistake(
        "the most likely chance, not its mean",
        lambda: "m / (m + k + K - 2)",
        "Where the posterior is highest is one question. Over which chances do you have to average "
        "to predict the next state?",
    ),
    Mistake(
        "one count for all states together",
        lambda: "(m + 1/K) / (m + k + 1)",
        "Try K = 2, m = 1, k = 0. The prior is flat: is your answer the mean of a chance p that is "
        "weighted by p?",
    ),
    Mistake(
        "two states, whatever K is",
        lambda: "(m + 1) / (m + k + 2)",
        "Before anything is seen, all K states are alike. Does your formula give each 1 / K?",
    ),
    Mistake(
        "the prior is counted twice",
        lambda: "(m + 2) / (m + k + 2*K)",
        "A flat prior is a constant. How many counts does it add to the exponent of p?",
    ),
    Mistake(
        "the other states",
        lambda: "(k + K - 1) / (m + k + K)",
        "The more often b has come, the likelier it should be. Does your formula rise with m?",
    ),
)


def posterior(
    counted: Callable[[list[int], int, int], list[int]], *, extra: float = 1.0
) -> Callable[[Tensor, int], Tensor]:
    """`bayes_bigram` with other counts.

    `counted(row, position, n_states)` returns one count for each state; `extra` is added to each.
    Where nothing is counted and nothing added, all states are equally likely.
    """

    def answer(tokens: Tensor, n_states: int) -> Tensor:
        rows = []
        for row in tokens.tolist():
            counts = torch.tensor([counted(row, at, n_states) for at in range(len(row))]) + extra
            total = counts.sum(dim=-1, keepdim=True)
            rows.append(torch.where(total > 0, counts / total.clamp_min(1e-9), 1 / n_states))
        return torch.stack(rows)

    return answer


def followers(row: list[int], at: int, n_states: int, *, until: int = 0) -> list[int]:
    """How often each state followed the state at `at`, with keys up to `at` + `until`."""
    end = min(at + until, len(row) - 1)
    pairs = [(row[i - 1], row[i]) for i in range(1, end + 1)]
    return [pairs.count((row[at], state)) for state in range(n_states)]


def _whole_row(row: list[int], at: int, n_states: int) -> list[int]:
    return followers(row, at, n_states, until=len(row))


def _before(row: list[int], at: int, n_states: int) -> list[int]:
    pairs = [(row[i - 1], row[i]) for i in range(1, at + 1)]
    return [pairs.count((state, row[at])) for state in range(n_states)]


def _singles(row: list[int], at: int, n_states: int) -> list[int]:
    return [row[: at + 1].count(state) for state in range(n_states)]


def _all_rows(tokens: Tensor, n_states: int) -> Tensor:
    """One table of transitions for all rows."""
    table = torch.ones(n_states, n_states)
    for row in tokens.tolist():
        for first, second in pairwise(row):
            table[first, second] += 1
    return (table / table.sum(dim=-1, keepdim=True))[tokens]


BIGRAM_MISTAKES = (
    Mistake(
        "shares without the prior",
        posterior(followers, extra=0.0),
        "A successor that has not come yet gets the chance 0. How surprised are you when it comes?",
    ),
    Mistake(
        "one count for all states together",
        lambda tokens, n_states: posterior(followers, extra=1 / n_states)(tokens, n_states),
        "How many counts does the flat prior add to each state? Your formula of the last exercise "
        "says it.",
    ),
    Mistake(
        "single states are counted",
        posterior(_singles),
        "That is the unigram ruler. What does the present state tell you about the next one?",
    ),
    Mistake(
        "the transition to be predicted is counted too",
        lambda tokens, n_states: posterior(lambda row, at, k: followers(row, at, k, until=1))(
            tokens, n_states
        ),
        "At position i you predict position i + 1. Up to which position may you look?",
    ),
    Mistake(
        "what came before the state, not after it",
        posterior(_before),
        "You counted the states that led here. Which ones followed?",
    ),
    Mistake(
        "the whole row is counted at every position",
        posterior(_whole_row),
        "Your prediction for an early position knows the end of the row. Does a model?",
    ),
    Mistake(
        "one table for all rows",
        _all_rows,
        "Each row has its own chain. What does another row say about it?",
    ),
    Mistake(
        "the latest transition is left out",
        lambda tokens, n_states: posterior(lambda row, at, k: followers(row, at, k, until=-1))(
            tokens, n_states
        ),
        "At position i the transition from i − 1 to i is complete. When does it matter?",
    ),
)
