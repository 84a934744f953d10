"""Natural repeats: where text repeats, which heads attend there, and what they write.

A query of running text has a match if its token occurred earlier in the row. The keys after those
earlier copies are what an induction head attends to. Text decides whether that helps: at a *right*
repeat one of the copies was followed by the token that comes next, at a *wrong* one none was.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from induction_heads.data.tokens import follows_earlier_copy
from induction_heads.interp.losses import in_float32
from induction_heads.interp.scores import require_pattern


def natural_repeats(
    tokens: Int[Tensor, "batch pos"],
) -> tuple[Bool[Tensor, "batch next_pos"], Bool[Tensor, "batch next_pos"]]:
    """Two masks: the queries that repeat rightly, and those that repeat wrongly.

    Entry i of both speaks of query i and token i + 1, as in `per_token_loss`, so the last position
    has no entry. Right: token i occurred earlier, and at least one of its earlier copies was
    followed by token i + 1. Wrong: it occurred earlier, and none of the copies was.
    """
    keys = follows_earlier_copy(tokens)[:, :-1]
    right = (keys & (tokens[:, None, :] == tokens[:, 1:, None])).any(dim=-1)
    return right, keys.any(dim=-1) & ~right


def match_lengths(tokens: Int[Tensor, "batch pos"]) -> Int[Tensor, "batch query key"]:
    """How many tokens up to the query equal those before the key.

    Entry [query, key] is the largest k such that the tokens at query − k + 1, …, query are those at
    key − k, …, key − 1: an induction head at the query that attends to the key has k tokens to go
    by. It is above 0 exactly where `follows_earlier_copy` is true.

    >>> match_lengths(torch.tensor([[7, 8, 9, 7, 8, 5]]))[0, 4]
    tensor([0, 0, 2, 0, 0, 0])
    """
    batch, n_pos = tokens.shape
    lengths = torch.zeros(batch, n_pos, n_pos, dtype=torch.long)
    for query in range(1, n_pos):
        same = tokens[:, :query] == tokens[:, query, None]  # The token before each key.
        lengths[:, query, 1 : query + 1] = same * (1 + lengths[:, query - 1, :query])
    return lengths


def scores_by_match_length(
    pattern: Float[Tensor, "batch query key"], tokens: Int[Tensor, "batch query"], longest: int = 4
) -> dict[str, Float[Tensor, " length"]]:
    """Attention to the tokens after earlier copies, for queries of equal longest match.

    Entry k − 1 is of the queries whose longest match (`match_lengths`) has k tokens, the last entry
    of those with `longest` or more. `right` and `wrong` are the mean attention at right and wrong
    repeats (`natural_repeats`), `share_right` is the share of right ones, and `queries` their
    number. The last position is left out, since nothing follows it. NaN where there is no query.
    Raises ValueError if `pattern` holds no attention patterns.
    """
    require_pattern(pattern)
    lengths = match_lengths(tokens)
    attended = (pattern * (lengths > 0)).sum(dim=-1)[:, :-1]
    longest_match = lengths.amax(dim=-1)[:, :-1].clamp(max=longest)
    right, wrong = natural_repeats(tokens)
    found: dict[str, list[Tensor]] = {"right": [], "wrong": [], "share_right": [], "queries": []}
    for length in range(1, longest + 1):
        of_length = longest_match == length
        found["right"].append(attended[of_length & right].mean())
        found["wrong"].append(attended[of_length & wrong].mean())
        found["share_right"].append(right[of_length].float().mean())
        found["queries"].append(of_length.sum().float())
    return {name: torch.stack(values) for name, values in found.items()}


def ratio_within_tokens(
    pattern: Float[Tensor, "batch query key"], tokens: Int[Tensor, "batch query"]
) -> float:
    """Attention to matches at right over wrong repeats, between queries of the same token.

    Of the queries whose longest match has one token, each id that repeats both rightly and wrongly
    gives two means; the ratio is that of their sums, each id with its number of right repeats. So
    a head cannot get it from knowing which tokens are worth copying after. NaN if there is no such
    id. Raises ValueError if `pattern` holds no attention patterns.
    """
    require_pattern(pattern)
    lengths, (right, _) = match_lengths(tokens), natural_repeats(tokens)
    one = lengths.amax(dim=-1)[:, :-1] == 1
    attended = (pattern * (lengths > 0)).sum(dim=-1)[:, :-1][one]
    ids, is_right = tokens[:, :-1][one], right[one]
    sums = {"right": 0.0, "wrong": 0.0}
    for token in ids[is_right].unique():
        of_right, of_wrong = (ids == token) & is_right, (ids == token) & ~is_right
        if of_wrong.any():
            sums["right"] += attended[of_right].sum().item()
            sums["wrong"] += attended[of_wrong].mean().item() * int(of_right.sum())
    return sums["right"] / sums["wrong"] if sums["wrong"] else float("nan")


def natural_prefix_matching_score(
    pattern: Float[Tensor, "batch *head query key"], tokens: Int[Tensor, "batch query"]
) -> dict[str, Float[Tensor, "*head"]]:
    """Attention to the tokens after earlier copies, at right repeats and at wrong ones.

    The keys are those of `prefix_matching_score`. The means run over all queries of a kind
    (`natural_repeats`), of all rows together, so that a row with many repeats counts more. A head
    that attends evenly scores above zero here: compare with it. NaN where there is no query of
    a kind. Raises ValueError if `pattern` holds no attention patterns.
    """
    require_pattern(pattern)
    keys = follows_earlier_copy(tokens)[:, :-1, :]
    ones = [1] * (pattern.ndim - 3)
    on_matches = pattern[..., :-1, :] * keys.reshape(len(keys), *ones, *keys.shape[1:])
    attended = on_matches.sum(dim=-1).movedim(0, -2).flatten(start_dim=-2)  # [*head, batch · query]
    kinds = zip(("right", "wrong"), natural_repeats(tokens), strict=True)
    return {name: attended[..., mask.flatten()].mean(dim=-1) for name, mask in kinds}


def copying_gain(
    clean: Float[Tensor, "batch pos d_vocab"],
    silenced: Float[Tensor, "batch pos d_vocab"],
    tokens: Int[Tensor, "batch pos"],
) -> float:
    """The nats that a head adds to the token after the latest copy, where that token is wrong.

    `clean` and `silenced` are the logits with and without the head. At each wrong repeat (see
    `natural_repeats`), the log-probability of the token after the latest earlier copy, with the
    head minus without it; then the mean. Above 0 the head copies even where copying misleads; pairs
    learned by heart count too. Everything between the head and the logits is in it: later heads,
    MLPs, the final norm, tied embeddings. NaN if no repeat is wrong.
    """
    wrong = natural_repeats(tokens)[1]
    keys = follows_earlier_copy(tokens)[:, :-1]
    latest = torch.where(keys, torch.arange(tokens.shape[1]), 0).amax(dim=-1)
    copied = tokens.gather(1, latest)
    with_head, without = (in_float32(one)[:, :-1].log_softmax(dim=-1) for one in (clean, silenced))
    gain = with_head - without
    return gain.gather(2, copied[..., None])[..., 0][wrong].mean().item()
