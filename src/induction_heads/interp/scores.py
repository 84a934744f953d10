"""Scores of attention patterns, from 0 to 1: how closely a head follows one simple rule.

Every function takes patterns with the axes `query key` last and any axes in front, which it keeps.
"""

from jaxtyping import Bool, Float, Int
from torch import Tensor

from induction_heads.data.tokens import follows_earlier_copy, repeats_earlier_token

Pattern = Float[Tensor, "*batch query key"]
Score = Float[Tensor, "*batch"]


def require_pattern(pattern: Tensor) -> None:
    """Raise ValueError unless `pattern` holds square attention patterns with rows of sum 1."""
    if pattern.ndim < 2 or pattern.shape[-1] != pattern.shape[-2]:
        raise ValueError(
            f"Got a pattern of shape {list(pattern.shape)}, but expected [..., query, key] with as "
            "many keys as queries."
        )
    if not pattern.is_floating_point():
        raise ValueError(
            f"Got a pattern of type {pattern.dtype}, but attention weights are floats."
        )
    if pattern.shape[-1] < 2:
        raise ValueError("A pattern of one position has no earlier token. Use two or more.")
    if not pattern.numel():
        raise ValueError(f"Got a pattern of shape {list(pattern.shape)}: it holds no weights.")
    # NaN fails both comparisons. Half precision rounds each weight, so the sums are not exact.
    lowest, sums = pattern.amin().item(), pattern.sum(dim=-1)
    if not lowest >= 0:
        raise ValueError(
            f"This pattern holds the weight {lowest:.3g}, but attention weights are from 0 to 1. "
            "Pass attention weights after the softmax."
        )
    apart = (sums - 1).abs()
    if not apart.max().item() <= 2e-2:
        query = int(apart.reshape(-1, apart.shape[-1]).amax(dim=0).argmax())
        last = "The last row" if query == pattern.shape[-2] - 1 else f"Row {query}"
        raise ValueError(
            f"{last} of this pattern does not sum to 1 (a row per query, the keys last). "
            "Pass attention weights after the softmax, with the axes [..., query, key]."
        )


def previous_token_score(pattern: Pattern) -> Score:
    """Mean attention from each token to the one right before it, over queries 1, 2, …

    >>> import torch
    >>> pattern = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
    >>> previous_token_score(pattern)  # (1 + 0.5) / 2
    tensor(0.7500)
    >>> previous_token_score(pattern.expand(2, 4, 3, 3)).shape  # Leading axes stay.
    torch.Size([2, 4])
    """
    require_pattern(pattern)
    return pattern.diagonal(offset=-1, dim1=-2, dim2=-1).mean(dim=-1)


def current_token_score(pattern: Pattern) -> Score:
    """Mean attention from each token to itself, over queries 1, 2, … (query 0 has no choice)."""
    require_pattern(pattern)
    return pattern.diagonal(dim1=-2, dim2=-1)[..., 1:].mean(dim=-1)


def first_token_score(pattern: Pattern) -> Score:
    """Mean attention from each token to the first position, over queries 1, 2, …

    A head that attends evenly already scores (H_n − 1)/(n − 1) on n positions, where H_n is the
    n-th harmonic number: read this score beside that one.
    """
    require_pattern(pattern)
    return pattern[..., 1:, 0].mean(dim=-1)


def _last_copy(pattern: Tensor, period: int, offset: int) -> Tensor:
    """Mean of the last `period` entries of one diagonal, `offset` columns from query − period."""
    require_pattern(pattern)
    n_pos = pattern.shape[-1]
    if not 1 <= period <= n_pos // 2:
        raise ValueError(
            f"period={period} does not fit twice in a pattern of {n_pos} positions. "
            "Pass the length of one copy, not of the whole sequence."
        )
    return pattern.diagonal(offset=offset - period, dim1=-2, dim2=-1)[..., -period:].mean(dim=-1)


def induction_score(pattern: Pattern, period: int) -> Score:
    """Mean attention from each token of the last copy to the token after its earlier copy.

    For patterns on `block + block` or `[BOS] + block + block` with blocks of `period` distinct
    tokens: the key is query − period + 1, for the last `period` queries. This is the
    prefix-matching score of Olsson et al. 2022 on such sequences; `prefix_matching_score` takes any
    tokens. Raises ValueError if two copies do not fit.

    >>> import torch
    >>> pattern = torch.eye(4)  # Two copies of two tokens.
    >>> pattern[2] = torch.tensor([0.0, 0.8, 0.0, 0.2])
    >>> pattern[3] = torch.tensor([0.0, 0.0, 0.6, 0.4])
    >>> induction_score(pattern, period=2)  # (0.8 + 0.6) / 2
    tensor(0.7000)
    >>> induction_score(pattern.expand(2, 3, 4, 4), period=2).shape
    torch.Size([2, 3])
    """
    return _last_copy(pattern, period, offset=1)


def duplicate_token_score(pattern: Pattern, period: int) -> Score:
    """Mean attention from each token of the last copy to its earlier copy: key query − period."""
    return _last_copy(pattern, period, offset=0)


def uniform_first_token_score(n_pos: int) -> float:
    """The first-token score of a head that attends evenly: (H_n − 1) / (n − 1).

    H_n is the harmonic number 1 + 1/2 + … + 1/n. Query i sees i + 1 keys and gives 1 / (i + 1) to
    each; the mean runs over queries 1 … n_pos − 1. It is also the even head's score for any other
    single key per query. Raises ValueError for fewer than two positions.
    """
    if n_pos < 2:
        raise ValueError(f"n_pos={n_pos}: the score needs two positions or more.")
    return sum(1 / (query + 1) for query in range(1, n_pos)) / (n_pos - 1)


def uniform_induction_score(period: int) -> float:
    """The induction score of a head that attends evenly on `block + block`: (H_2P − H_P) / P.

    P is the period. Raises ValueError for a period below 1.
    """
    if period < 1:
        raise ValueError(f"period={period}: a block has at least one token.")
    return sum(1 / (query + 1) for query in range(period, 2 * period)) / period


def attention_on(
    pattern: Float[Tensor, "batch *head query key"], mask: Bool[Tensor, "batch query key"]
) -> Float[Tensor, "batch *head"]:
    """Attention summed over the marked keys, averaged over the queries that have a marked key.

    Raises ValueError if a row of the batch has none.
    """
    require_pattern(pattern)
    queries = mask.any(dim=-1).sum(dim=-1)
    if not queries.all():
        raise ValueError("In a row of this batch no key is marked. Do its tokens repeat at all?")
    ones = [1] * (pattern.ndim - 3)
    attended = (pattern * mask.reshape(len(mask), *ones, *mask.shape[1:])).sum(dim=(-2, -1))
    return attended / queries.reshape(-1, *ones)


def prefix_matching_score(
    pattern: Float[Tensor, "batch *head query key"], tokens: Int[Tensor, "batch query"]
) -> Float[Tensor, "batch *head"]:
    """Attention to the tokens that followed earlier copies of the query's token, on any tokens.

    The attention of a query is summed over these keys, and the mean runs over the queries that have
    such a key. So a head that gives all its attention to them scores 1, however many there are and
    whichever of them it prefers. `prefix_matching_per_entry` averages over the entries instead, as
    Olsson et al. 2022 do. On two copies of a block of distinct tokens both are `induction_score`.
    Raises ValueError if a row of tokens never repeats.
    """
    return attention_on(pattern, follows_earlier_copy(tokens))


def prefix_matching_per_entry(
    pattern: Float[Tensor, "batch *head query key"], tokens: Int[Tensor, "batch query"]
) -> Float[Tensor, "batch *head"]:
    """The prefix-matching score of Olsson et al. 2022: a mean over entries of the pattern.

    The entries are those where a query attends to a token that followed an earlier copy of its own
    (corrected 2022-09-20). A query with three earlier copies counts with three entries, which share
    its attention. On `n` copies of a block of distinct tokens this is 2/n of
    `prefix_matching_score`, so on their four copies no head scores more than 1/2. Raises ValueError
    if a row of tokens never repeats.

    >>> import torch
    >>> tokens, pattern = torch.tensor([[5, 5, 5]]), torch.eye(3)[None]  # Each attends to itself.
    >>> prefix_matching_score(pattern, tokens), prefix_matching_per_entry(pattern, tokens)
    (tensor([1.]), tensor([0.6667]))
    """
    mask = follows_earlier_copy(tokens)
    entries, queries = mask.sum(dim=(-2, -1)), mask.any(dim=-1).sum(dim=-1)
    shape = -1, *[1] * (pattern.ndim - 3)
    return attention_on(pattern, mask) * (queries / entries).reshape(shape)


def duplicate_matching_score(
    pattern: Float[Tensor, "batch *head query key"], tokens: Int[Tensor, "batch query"]
) -> Float[Tensor, "batch *head"]:
    """Attention to earlier copies of the query's own token, on any tokens that repeat."""
    return attention_on(pattern, repeats_earlier_token(tokens))
