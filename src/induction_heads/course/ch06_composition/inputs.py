"""Inputs and plain definitions that the checks and the mistakes of chapter 6 share."""

import math
from typing import Any

import torch
from torch import Tensor

from induction_heads.models.attention_only import AttentionLayer
from induction_heads.models.interface import HookedModel


def written_by_loops(model: HookedModel, tokens: Tensor, layer: int) -> list[Tensor]:
    """What each component before `layer` wrote, [batch pos d_model], one query at a time."""
    n_pos = tokens.shape[1]
    embedded = model.W_E[tokens].detach().double()
    parts = [embedded, model.W_pos[:n_pos].detach().double().expand_as(embedded)]
    for earlier in range(layer):
        residual = torch.stack(parts).sum(dim=0)
        new = []
        for head in range(model.cfg.n_heads):
            weights = (model.W_Q, model.W_K, model.W_V, model.W_O)
            W_Q, W_K, W_V, W_O = (w[earlier, head].detach().double() for w in weights)
            out = torch.zeros_like(residual)
            for query in range(n_pos):
                seen = residual[:, : query + 1]
                scores = (seen @ W_K) @ (residual[:, query] @ W_Q)[:, :, None]
                weights = (scores / math.sqrt(model.cfg.d_head)).softmax(dim=1)
                out[:, query] = (weights * seen).sum(dim=1) @ W_V @ W_O
            new.append(out)
        parts += new
    return parts


def attention_layer(layer: Any) -> AttentionLayer:
    """The layer, known to be one of attention."""
    assert isinstance(layer, AttentionLayer)
    return layer
