"""The model with smeared keys: each head may mix the key before into every key.

Olsson et al. 2022, argument 2: with them a one-layer model, too, can form induction heads, because
the key of a token may already carry the token before it. TransformerLens has no such keys, so these
models are trained, scored and ablated here and never converted.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from induction_heads.models.attention_only import (
    AttentionLayer,
    AttentionOnly,
    AttentionOnlyConfig,
    Vectors,
)


def smeared_keys(
    keys: Float[Tensor, "batch head pos d_head"], alpha: Float[Tensor, " head"]
) -> Float[Tensor, "batch head pos d_head"]:
    """Each key mixed with the one before it: σ(α) k_j + (1 − σ(α)) k_{j−1}, with α of the head.

    The first key stays as it is. Olsson et al. 2022, argument 2.
    """
    share = alpha.sigmoid()[:, None, None]
    mixed = share * keys[:, :, 1:] + (1 - share) * keys[:, :, :-1]
    return torch.cat([keys[:, :, :1], mixed], dim=2)


class SmearedLayer(AttentionLayer):
    """A layer whose heads smear their keys. `alpha` is one learned number per head."""

    def __init__(self, config: AttentionOnlyConfig):
        super().__init__(config)
        self.alpha = nn.Parameter(torch.zeros(config.n_heads))

    def queries_and_keys(self, x: Float[Tensor, "batch pos d_model"]) -> tuple[Vectors, Vectors]:
        """Those of `AttentionLayer`, with the keys smeared."""
        queries, keys = super().queries_and_keys(x)
        return queries, smeared_keys(keys, self.alpha)


class SmearedKeys(AttentionOnly):
    """An `AttentionOnly` model whose layers smear their keys."""

    def __init__(self, config: AttentionOnlyConfig):
        super().__init__(config)
        self.layers = nn.ModuleList(SmearedLayer(config) for _ in range(config.n_layers))


def with_smeared_keys(model: AttentionOnly, alpha: float = 0.0) -> SmearedKeys:
    """A copy of the model with smeared keys and the same weights; every α starts at `alpha`.

    At 0 a key starts as the mean of two. At +∞ the copy computes what the model computes.
    """
    smeared = SmearedKeys(model.config)
    n_heads = model.config.n_heads
    alphas = {f"layers.{i}.alpha": torch.full((n_heads,), alpha) for i in range(len(model.layers))}
    smeared.load_state_dict(model.state_dict() | alphas)
    return smeared
