"""The model with rotary positions: queries and keys are rotated by their position.

Su et al. 2021. Nothing is added to the residual stream, so a head knows only how far away a key is.
As with smeared keys, these models are trained, scored and ablated here and never converted.
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


def rotate(
    vectors: Float[Tensor, "batch head pos d_head"], base: float = 10_000.0
) -> Float[Tensor, "batch head pos d_head"]:
    """Each vector turned by its position: entries i and i + d_head/2 by pos · base^(−2i/d_head).

    The product of a turned query and a turned key depends on their distance alone. Raises
    ValueError for an odd d_head.
    """
    n_pos, d_head = vectors.shape[-2:]
    if d_head % 2:
        raise ValueError(f"d_head={d_head} is odd; entries are turned in pairs.")
    frequencies = base ** (-2 * torch.arange(d_head // 2) / d_head)
    angles = torch.arange(n_pos)[:, None] * frequencies
    first, second = vectors.chunk(2, dim=-1)
    cos, sin = angles.cos().to(vectors.dtype), angles.sin().to(vectors.dtype)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)


class RotaryLayer(AttentionLayer):
    """A layer whose heads turn their queries and keys."""

    def queries_and_keys(self, x: Float[Tensor, "batch pos d_model"]) -> tuple[Vectors, Vectors]:
        """Those of `AttentionLayer`, turned by their positions."""
        queries, keys = super().queries_and_keys(x)
        return rotate(queries), rotate(keys)


class RotaryPositions(AttentionOnly):
    """An `AttentionOnly` model with rotary positions. Its `W_pos` is zero and is not trained."""

    def __init__(self, config: AttentionOnlyConfig):
        super().__init__(config)
        self.layers = nn.ModuleList(RotaryLayer(config) for _ in range(config.n_layers))
        self.W_pos.requires_grad_(False)


def with_rotary_positions(model: AttentionOnly) -> RotaryPositions:
    """A copy with rotary positions in place of learned ones; all other weights are the same."""
    rotary = RotaryPositions(model.config)
    rotary.load_state_dict(model.state_dict() | {"W_pos": torch.zeros_like(model.W_pos)})
    return rotary
