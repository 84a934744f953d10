"""Scores of heads that match more loosely, or more strictly, than token by token.

An induction head looks at the token after an earlier copy of the query's token. Here the earlier
token may be similar instead of equal, the translation of it, or the end of a longer copy.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from induction_heads.scores import attention_on

Pattern = Float[Tensor, "batch *head query key"]
Score = Float[Tensor, "batch *head"]


def earlier_matches(
    tokens: Int[Tensor, "batch pos"],
    *,
    n: int = 1,
    similar: Bool[Tensor, "id id"] | None = None,
) -> Bool[Tensor, "batch query key"]:
    """True where the `n` tokens that end at an earlier key match those that end at the query.

    Two tokens match if they are equal, or where `similar` (row: the query's id) says so. Raises
    ValueError for n below 1.
    """
    if n < 1:
        raise ValueError(f"n={n}: a match is at least one token long.")
    if similar is None:
        same = tokens[:, :, None] == tokens[:, None, :]
    else:
        same = similar[tokens[:, :, None], tokens[:, None, :]]
    matched = same.clone()
    for back in range(1, n):
        matched[:, back:, back:] &= same[:, :-back, :-back]
        matched[:, :, :back] = False
    return matched.tril(diagonal=-1)


def after(matched: Bool[Tensor, "batch query key"]) -> Bool[Tensor, "batch query key"]:
    """True at the keys right after those that are marked."""
    moved = torch.zeros_like(matched)
    moved[:, :, 1:] = matched[:, :, :-1]
    return moved


def before(matched: Bool[Tensor, "batch query key"]) -> Bool[Tensor, "batch query key"]:
    """True at the keys right before those that are marked."""
    moved = torch.zeros_like(matched)
    moved[:, :, :-1] = matched[:, :, 1:]
    return moved


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


def ngram_prefix_score(pattern: Pattern, tokens: Int[Tensor, "batch query"], n: int) -> Score:
    """Mean attention to the tokens that followed earlier copies of the last `n` tokens.

    For n = 1 it is `prefix_matching_score`. The mean is over the queries whose last n tokens stood
    earlier, in the same order. Raises ValueError for n below 1, and if a row has no such query.
    """
    return attention_on(pattern, after(earlier_matches(tokens, n=n)))


def match_and_copy_score(
    pattern: Pattern, tokens: Int[Tensor, "batch query"], back: int, ahead: int
) -> Score:
    """Mean attention to what stands `ahead` of earlier copies of the token `back` before the query.

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


def translated_induction_score(
    pattern: Pattern, tokens: Int[Tensor, "batch query"], dictionary: Int[Tensor, " word"]
) -> Score:
    """Mean attention to the tokens that followed the word of which the query's is the translation.

    `dictionary[x]` is the translation of id x; ids beyond it have none. The query holds g(x), an
    earlier key holds x, and the attention to the key after that one counts. Raises ValueError if a
    row of the batch has no such key.
    """
    size = max(int(tokens.max()), int(dictionary.max())) + 1
    translates = torch.zeros(size, size, dtype=torch.bool)
    translates[dictionary, torch.arange(len(dictionary))] = True
    return attention_on(pattern, after(earlier_matches(tokens, similar=translates)))


def plateau_loss_formula() -> str:
    """Mean loss of a row of `c` copies of a block when single tokens are matched, and pairs not.

    Each of the `V` ids stands `r` times in the block, each time before another id.
    """
    return "(log(V) + (c - 1) * log(r)) / c"


def lag_posterior(
    tokens: Int[Tensor, "batch pos"],
    table: Float[Tensor, "token successor"],
    lags: tuple[int, ...] = (1, 2),
) -> Float[Tensor, "batch pos lag"]:
    """How probable each lag is, given the tokens up to and with each position.

    Every lag is equally probable beforehand. With lag k a token is drawn from the row of `table`
    that belongs to the token k before it. The first `max(lags)` tokens are drawn alike whatever the
    lag is, and tell nothing. Each row sums to 1.
    """
    evidence = torch.zeros(*tokens.shape, len(lags))
    for place, lag in enumerate(lags):
        chances = table[tokens[:, :-lag], tokens[:, lag:]]
        evidence[:, lag:, place] = chances.clamp_min(1e-30).log()
    evidence[:, : max(lags)] = 0
    return evidence.cumsum(dim=1).softmax(dim=-1)
