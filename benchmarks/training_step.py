"""One training step of a toy, compared with the same step in TransformerLens.

The rows with fused attention show what is possible. Training does not use it: it rounds otherwise,
so every shipped model, card and stored sweep would have other weights.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.ratios import Ratio, compare, times_in_turn
from induction_heads.models.attention_only import (
    AttentionLayer,
    AttentionOnly,
    AttentionOnlyConfig,
    initialize,
)
from induction_heads.models.loading import to_transformer_lens

STEPS = 10
SIZES = {64: (2, 0.70), 128: (4, 0.80)}
"""d_model → (heads of 32 dimensions in each of the two layers, demand)."""


def toy(d_model: int, n_heads: int) -> AttentionOnly:
    """A toy of this width before training."""
    config = AttentionOnlyConfig(2, n_heads, d_model, 32, d_vocab=64, n_ctx=32)
    return initialize(AttentionOnly(config), std=0.8 / d_model**0.5, seed=0)


def with_fused_attention(model: AttentionOnly) -> AttentionOnly:
    """The model with one product for Q, K and V, and softmax and mask in one call. In place."""
    for layer in model.layers:
        assert isinstance(layer, AttentionLayer)
        layer.forward = partial(_fused, layer)
    return model


def _fused(layer: AttentionLayer, residual: Tensor) -> Tensor:
    x, (n_heads, d_model, d_head) = layer.norm(residual), layer.W_Q.shape
    together = torch.stack([layer.W_Q, layer.W_K, layer.W_V]).permute(2, 0, 1, 3)
    qkv = x @ together.reshape(d_model, -1)
    q, k, v = qkv.unflatten(-1, (3, n_heads, d_head)).permute(2, 0, 3, 1, 4)
    z = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    return z.transpose(1, 2).flatten(2) @ layer.W_O.flatten(0, 1)


def stepper(model: Any) -> Callable[[], float]:
    """A function that takes `STEPS` steps and returns the last loss: the loop of `train`."""
    model.requires_grad_(True)
    weights = list(model.parameters())
    optimizer = torch.optim.AdamW(weights, lr=1e-3, betas=(0.9, 0.99), fused=True)
    generator = torch.Generator().manual_seed(0)

    def steps() -> float:
        loss = torch.zeros(())
        with torch.enable_grad():
            for _ in range(STEPS):
                tokens = torch.randint(64, (32, 32), generator=generator)
                logits = model(tokens)[:, :-1]
                loss = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(weights, 1.0)
                optimizer.step()
        return loss.item()

    return steps


def ratios(rounds: int) -> list[Ratio]:
    """Ours against the bridge, with the same data, loss and optimizer."""
    found = []
    for d_model, (n_heads, demand) in SIZES.items():
        model = toy(d_model, n_heads)
        ways = {
            "peer": stepper(to_transformer_lens(model)),
            "fused": stepper(with_fused_attention(toy(d_model, n_heads))),
            "ours": stepper(model),
        }
        times = times_in_turn(ways, rounds)
        work = f"training step, d_model {d_model}"
        peer = "the same step of a TransformerBridge"
        found.append(compare(work, times["ours"], peer, times["peer"], demand))
        found.append(compare(f"{work}, fused attention", times["fused"], peer, times["peer"]))
    return found
