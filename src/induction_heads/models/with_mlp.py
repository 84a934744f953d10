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
        residual = self.embed(tokens)
        for layer in self.layers:
            residual = residual + layer(residual)
        return self.norm(residual + self.mlp(residual)) @ self.W_U


def last_residual(
    model: AttentionOnly,
    tokens: Int[Tensor, "batch pos"],
    without: Collection[tuple[int, int]] = (),
) -> Float[Tensor, "batch d_model"]:
    """The residual stream at the last position, before the MLP if there is one.

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
        x = layer.norm(residual)
        values = torch.einsum("bpm,hmd->bhpd", x, layer.W_V)
        if index + 1 < config.n_layers:
            z = layer.pattern(x) @ values
        else:  # Nothing reads the other positions, and the last query sees all keys.
            queries = torch.einsum("bpm,hmd->bhpd", x[:, -1:], layer.W_Q)
            keys = torch.einsum("bpm,hmd->bhpd", x, layer.W_K)
            scores = queries @ keys.mT / config.d_head**0.5
            z, residual = scores.softmax(dim=-1) @ values, residual[:, -1:]
        keep = torch.tensor([float((index, head) not in without) for head in range(config.n_heads)])
        residual = residual + torch.einsum("bhpd,hdm,h->bpm", z, layer.W_O, keep)
    return residual[:, -1]
