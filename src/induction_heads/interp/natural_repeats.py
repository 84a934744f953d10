"""Repeats that nobody planted: where text repeats, which heads look there, and what they write.

A query of running text has a match if its token stood earlier in the row. The keys after those
earlier copies are what an induction head attends to. Text decides whether that helps: at a *right*
repeat one of the copies was followed by the token that comes next, at a *wrong* one none was.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from induction_heads.scores import require_pattern
from induction_heads.tokens import follows_earlier_copy


def natural_repeats(
    tokens: Int[Tensor, "batch pos"],
) -> tuple[Bool[Tensor, "batch next_pos"], Bool[Tensor, "batch next_pos"]]:
    """Two masks: which queries repeat rightly, and which wrongly.

    Entry i of both speaks of query i and token i + 1, as in `per_token_loss`, so the last position
    has no entry. Right: token i stood earlier, and at least one of its earlier copies was followed
    by token i + 1. Wrong: it stood earlier, and none of the copies was.
    """
    keys = follows_earlier_copy(tokens)[:, :-1]
    right = (keys & (tokens[:, None, :] == tokens[:, 1:, None])).any(dim=-1)
    return right, keys.any(dim=-1) & ~right


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
    """How many nats a head adds to the token that followed the latest copy, where that is wrong.

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
    gain = clean[:, :-1].log_softmax(dim=-1) - silenced[:, :-1].log_softmax(dim=-1)
    return gain.gather(2, copied[..., None])[..., 0][wrong].mean().item()


def chance_matching_formula() -> str:
    """The prefix-matching score of an even head at query `i`, among `V` equally likely tokens.

    Given that the query's token stood earlier at all: matches are binomial over `i` keys.
    """
    return "i / V / (1 - (1 - 1/V)**i) / (i + 1)"
