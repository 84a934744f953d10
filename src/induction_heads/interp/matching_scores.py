"""Scores of heads that match similar tokens, or tokens at other offsets.

An induction head looks at the token after an earlier copy of the query's token. Here the earlier
token may be similar instead of equal, or the match and the copy may be at other offsets.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from induction_heads.data.matching_rows import FARTHEST, PROBED_KEY, RING, Rows, ring_probe_rows
from induction_heads.data.tokens import after, earlier_matches
from induction_heads.interp.activations import head_scores
from induction_heads.interp.scores import attention_on, require_pattern
from induction_heads.models.interface import Model

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


def attention_by_distance(
    pattern: Pattern, tokens: Int[Tensor, "batch query"], distance: Int[Tensor, "id id"]
) -> Float[Tensor, "*head distance"]:
    """Mean attention to the token after an earlier token, by its distance from the query's token.

    `distance[a, b]` is the distance of key id b from query id a, a whole number from 0. Entry d is
    the mean over all pairs, of all rows, of a query and an earlier token at distance d; NaN if
    there is no such pair. Entry 0 is exact matching, pair by pair. Raises ValueError if `pattern`
    holds no attention patterns.

    >>> tokens, apart = torch.tensor([[0, 2, 1]]), torch.tensor([[0, 1, 2], [1, 0, 1], [2, 1, 0]])
    >>> pattern = torch.tensor([[[1.0, 0.0, 0.0], [0.4, 0.6, 0.0], [0.1, 0.7, 0.2]]])
    >>> attention_by_distance(pattern, tokens, apart)  # The last query is one from both others.
    tensor([   nan, 0.4500, 0.6000])
    """
    require_pattern(pattern)
    n_pos = tokens.shape[1]
    earlier = torch.ones(n_pos, n_pos, dtype=torch.bool).tril(-1)
    steps = distance[tokens[:, :, None], tokens[:, None, :]][:, earlier]  # [batch, pair]
    to_next = pattern.roll(-1, dims=-1)[..., earlier].movedim(0, -2)  # [*head, batch, pair]
    number = int(distance.max()) + 1
    found = [to_next[..., steps == apart].mean(dim=-1) for apart in range(number)]
    return torch.stack(found, dim=-1)


def similarity_curves(
    model: Model, *, order: Int[Tensor, " id"] | None = None, batch: int = 256, seed: int = 0
) -> tuple[Float[Tensor, "distance layer head"], Float[Tensor, "distance offset"]]:
    """How attention and copying fall with the distance of the last token from an earlier one.

    The rows are those of `ring_probe_rows`, for distances 0 to `FARTHEST`. Attention: from the last
    token to the one after the earlier token. Copying: the probability of that token and of those
    1, 2, … `FARTHEST` steps from it, each the mean of both sides. `order`, for a control, arranges
    the ids on another ring.
    """
    on_key = {"it": lambda pattern: pattern[..., -1, PROBED_KEY]}
    order = torch.arange(RING) if order is None else order
    offsets = torch.arange(FARTHEST + 1)
    attention, copying = [], []
    for distance in range(FARTHEST + 1):
        places = ring_probe_rows(torch.Generator().manual_seed(seed), distance, batch=batch)
        tokens: Rows = order[places]
        attention.append(head_scores(model, tokens, on_key)["it"])
        with torch.inference_mode():
            chances = model(tokens)[:, -1].softmax(dim=-1)
        sides = [order[(places[:, PROBED_KEY, None] + sign * offsets) % RING] for sign in (-1, 1)]
        copying.append(torch.stack([chances.gather(1, side) for side in sides]).mean(dim=(0, 1)))
    return torch.stack(attention), torch.stack(copying)


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
