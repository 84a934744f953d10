"""Scores of heads that match similar tokens, or tokens at other offsets.

An induction head looks at the token after an earlier copy of the query's token. Here the earlier
token may be similar instead of equal, or the match and the copy may be at other offsets.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from induction_heads.data.tokens import after, earlier_matches
from induction_heads.interp.scores import attention_on

Pattern = Float[Tensor, "batch *head query key"]
Score = Float[Tensor, "batch *head"]


def fuzzy_induction_score(
    pattern: Pattern, tokens: Int[Tensor, "batch query"], similar: Bool[Tensor, "id id"]
) -> Score:
    """Mean attention to the tokens that followed earlier tokens similar to the query's, not equal.

    `similar[a, b]` says whether id b counts as similar to id a. Copies of the query's own token are
    left out, so that exact matching earns nothing by itself. The mean is over the queries with such
    a key. Raises ValueError if a row of the batch has none.
    """
    others = similar & ~torch.eye(len(similar), dtype=torch.bool)
    return attention_on(pattern, after(earlier_matches(tokens, similar=others)))


def match_and_copy_score(
    pattern: Pattern, tokens: Int[Tensor, "batch query"], back: int, ahead: int
) -> Score:
    """Mean attention to keys `ahead` of earlier copies of the token `back` before the query.

    The query at position i matches the token at i − back with its earlier copies, at j < i − back,
    and the attention to the keys j + ahead counts, as far as the query sees them. `back` 0 and
    `ahead` 1 give `prefix_matching_score`, 0 and 0 that of a duplicate-token head. The mean is over
    the queries with such a key. Raises ValueError for a `back` or `ahead` that is negative or
    leaves the row, and if a row of the batch has no such key.
    """
    n_pos = tokens.shape[1]
    if not (0 <= back < n_pos and 0 <= ahead < n_pos):
        raise ValueError(
            f"back={back}, ahead={ahead}: for rows of {n_pos} both lie between 0 and {n_pos - 1}."
        )
    copies = earlier_matches(tokens)
    looked = torch.zeros_like(copies)
    looked[:, back:, ahead:] = copies[:, : n_pos - back, : n_pos - ahead]
    return attention_on(pattern, looked.tril())


def lag_posterior(
    tokens: Int[Tensor, "batch pos"],
    table: Float[Tensor, "token successor"],
    lags: tuple[int, ...] = (1, 2),
) -> Float[Tensor, "batch pos lag"]:
    """The probability of each lag, given the tokens up to and including each position.

    Every lag is equally probable beforehand. With lag k a token is drawn from the row of `table`
    that belongs to the token k before it. The first `max(lags)` tokens are drawn in the same way
    for every lag and carry no evidence. Each row sums to 1.
    """
    evidence = torch.zeros(*tokens.shape, len(lags))
    for place, lag in enumerate(lags):
        chances = table[tokens[:, :-lag], tokens[:, lag:]]
        evidence[:, lag:, place] = chances.clamp_min(1e-30).log()
    evidence[:, : max(lags)] = 0
    return evidence.cumsum(dim=1).softmax(dim=-1)
