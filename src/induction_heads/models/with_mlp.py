"""Layers of attention heads, and after them one MLP, which can learn by heart.

Attention-only models can remember only what is nearly linear in the embedding of the last token.
TransformerLens has no model with an MLP in its last layer alone, so these models are trained,
scored and ablated here and never converted.
"""

from collections.abc import Collection

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from induction_heads.models.attention_only import AttentionLayer, AttentionOnly, AttentionOnlyConfig

Stream = Float[Tensor, "batch *pos d_model"]


class WithMLP(AttentionOnly):
    """An `AttentionOnly` model with an MLP of `width` ReLU neurons before its unembedding."""

    def __init__(self, config: AttentionOnlyConfig, width: int):
        super().__init__(config)
        if width < 1:
            raise ValueError(f"width={width}: an MLP needs a neuron. Use AttentionOnly without it.")
        self.W_in = nn.Parameter(torch.full((config.d_model, width), torch.nan))
        self.b_in = nn.Parameter(torch.full((width,), torch.nan))
        self.W_out = nn.Parameter(torch.full((width, config.d_model), torch.nan))

    def mlp(self, residual: Stream) -> Stream:
        """What the MLP adds to the residual stream."""
        return F.relu(self.norm(residual) @ self.W_in + self.b_in) @ self.W_out

    def forward(self, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_vocab"]:
        """Logits for the next token at every position."""
        residual = residual_after_heads(self, tokens)
        return self.norm(residual + self.mlp(residual)) @ self.W_U


def residual_after_heads(
    model: AttentionOnly,
    tokens: Int[Tensor, "batch pos"],
    without: Collection[tuple[int, int]] = (),
) -> Float[Tensor, "batch pos d_model"]:
    """The residual stream after the last layer of heads.

    `without` are heads, as (layer, head), whose output is left out (zero ablation). Raises
    ValueError for a head that the model does not have.
    """
    config = model.config
    for layer, head in without:
        if not (0 <= layer < config.n_layers and 0 <= head < config.n_heads):
            raise ValueError(
                f"Got head {head} of layer {layer}, but the model has {config.n_layers} layers of "
                f"{config.n_heads} heads, counted from 0."
            )
    residual = model.embed(tokens)
    for index, layer in enumerate(model.layers):
        assert isinstance(layer, AttentionLayer)
        silent = [head for there, head in without if there == index]
        residual = residual + (
            _without_heads(layer, residual, silent) if silent else layer(residual)
        )
    return residual


def _without_heads(layer: AttentionLayer, residual: Tensor, silent: list[int]) -> Tensor:
    """What a layer adds without some of its heads."""
    x = layer.norm(residual)
    z = layer.pattern(x) @ torch.einsum("bpm,hmd->bhpd", x, layer.W_V)
    z[:, silent] = 0
    return torch.einsum("bhpd,hdm->bpm", z, layer.W_O)
