"""Known mistakes of `lag_posterior`, each with its hint."""

from collections.abc import Callable

import torch
from torch import Tensor

from induction_heads.course.exercise import Mistake


def posterior(
    *,
    start: Callable[[tuple[int, ...], int], int] = lambda lags, lag: max(lags),
    chance: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda table, a, b: table[a, b],
    add: Callable[[Tensor], Tensor] = lambda evidence: evidence.cumsum(dim=1),
    finish: Callable[[Tensor], Tensor] = lambda evidence: evidence.softmax(dim=-1),
):
    """The posterior; each option changes one step."""

    def answer(tokens, table, lags=(1, 2)):
        evidence = torch.zeros(*tokens.shape, len(lags))
        for place, lag in enumerate(lags):
            first = start(lags, lag)
            drawn = chance(table, tokens[:, first - lag : -lag], tokens[:, first:])
            evidence[:, first:, place] = drawn.log()
        return finish(add(evidence))

    return answer


def _before(evidence: Tensor) -> Tensor:
    """What was known before each token."""
    sums = evidence.cumsum(dim=1)
    return torch.nn.functional.pad(sums[:, :-1], (0, 0, 1, 0))


def _multiplied(tokens: Tensor, table: Tensor, lags: tuple[int, ...] = (1, 2)) -> Tensor:
    """The product of the chances in float32, which is zero after many tokens."""
    product = posterior(finish=lambda evidence: evidence.exp())(tokens, table, lags)
    return product / product.sum(dim=-1, keepdim=True)


LAG_MISTAKES = (
    Mistake(
        "each lag counts from its own first token",
        posterior(start=lambda lags, lag: lag),
        "In your answer the second token is evidence for lag 1 but not for lag 2. What does the "
        "docstring say about the first tokens?",
    ),
    Mistake(
        "the last token alone decides",
        posterior(add=lambda evidence: evidence),
        "Does your answer at position 8 still depend on what was seen at position 5?",
    ),
    Mistake(
        "not yet divided by the sum over the lags",
        posterior(finish=lambda evidence: evidence.exp()),
        "Sum your answer over the lags. What should probabilities sum to?",
    ),
    Mistake(
        "the token at the position itself is left out",
        posterior(add=_before),
        "The docstring says up to and including each position. Where does your answer first "
        "change?",
    ),
    Mistake(
        "the table is read in the wrong direction",
        posterior(chance=lambda table, a, b: table[b, a]),
        "A row of the table belongs to the earlier token. Which index comes first in your code?",
    ),
    Mistake(
        "chances are added, not multiplied",
        posterior(
            chance=lambda table, a, b: table[a, b].exp(),
            finish=lambda sums: (sums + 1e-9) / (sums + 1e-9).sum(-1, keepdim=True),
        ),
        "Tokens are drawn one after another. How does the chance of all of them follow from the "
        "chance of each?",
    ),
    Mistake(
        "a product of many chances becomes zero",
        _multiplied,
        "On long rows your answer is NaN. How small is the product of a hundred chances of 1/20? "
        "What can be added instead?",
    ),
    Mistake(
        "as many first tokens as there are lags are left out",
        posterior(start=lambda lags, lag: max(len(lags), lag)),
        "With the lags 1 and 3, which is the first token that depends on the lag?",
    ),
    Mistake(
        "the mean of the logarithms, not their sum",
        posterior(add=lambda e: e.cumsum(1) / torch.arange(1, e.shape[1] + 1)[:, None]),
        "Should ten tokens convince you more than two?",
    ),
)
