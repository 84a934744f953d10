"""A forward pass head by head, for oracles and mistakes that change one step of it."""

import hashlib
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from induction_heads.data.tokens import bos_token
from induction_heads.models.attention_only import AttentionOnly
from induction_heads.models.interface import HookedModel, Model

Place = tuple[int, int]

WEIGHTS = ("W_Q", "W_K", "W_V", "W_O")
"""Weights of a layer of attention."""


@torch.no_grad()
def forward(
    model: HookedModel,
    tokens: Tensor,
    *,
    silent: Callable[[int, int], bool] = lambda layer, head: False,
    patterns: dict[Place, Tensor] | None = None,
    written: dict[Place, Tensor] | None = None,
    cut: tuple[Place, Callable[[Place], bool], str] | None = None,
) -> tuple[Tensor, dict[Place, Tensor], dict[Place, Tensor]]:
    """Logits, patterns and outputs by (layer, head), from the weights, one head at a time.

    `silent` heads write nothing. `patterns` and `written` replace those of the heads they name.
    `cut` is (sender, which receivers, sides): those sides of those heads do not read the sender.
    """
    n_pos, keep = tokens.shape[1], torch.ones(tokens.shape[1], tokens.shape[1]).tril().bool()
    residual = model.W_E[tokens] + model.W_pos[:n_pos]
    # A bridge stacks its weights at every access.
    weights, W_O = (model.W_Q, model.W_K, model.W_V), model.W_O
    seen: dict[Place, Tensor] = {}
    wrote: dict[Place, Tensor] = {}
    for layer in range(model.cfg.n_layers):
        norm = model.blocks[layer].ln1
        plain = norm(residual)
        for head in range(model.cfg.n_heads):
            place = (layer, head)
            x: dict[str, Any] = {"Q": plain, "K": plain, "V": plain}
            if cut and cut[1](place):
                less = norm(residual - wrote[cut[0]])
                x |= dict.fromkeys(cut[2], less)
            q, k, v = (x[s] @ w[layer, head] for s, w in zip("QKV", weights, strict=True))
            scores = (q @ k.mT / math.sqrt(model.cfg.d_head)).masked_fill(~keep, -math.inf)
            seen[place] = scores.softmax(dim=-1)
            if patterns is not None and place in patterns:
                seen[place] = patterns[place]
            wrote[place] = seen[place] @ v @ W_O[layer, head]
            if written is not None and place in written:
                wrote[place] = written[place]
            if silent(layer, head):
                wrote[place] = torch.zeros_like(wrote[place])
        residual = residual + torch.stack([wrote[layer, h] for h in range(model.cfg.n_heads)]).sum(
            0
        )
    return (model.ln_final(residual) @ model.W_U).detach(), seen, wrote


def readable(model: AttentionOnly) -> Any:
    """What `forward` reads of a model without layer norm that is not in TransformerLens's form."""
    same = torch.nn.Identity()
    layers = {name: [getattr(layer, name) for layer in model.layers] for name in WEIGHTS}
    return SimpleNamespace(
        cfg=model.config,
        blocks=[SimpleNamespace(ln1=same)] * model.config.n_layers,
        ln_final=same,
        W_E=model.W_E,
        W_pos=model.W_pos,
        W_U=model.W_U,
        **{name: torch.stack(weights) for name, weights in layers.items()},
    )


def digest(model: Model) -> str:
    """A name for a model's weights and BOS token, which models that differ in them do not share."""
    sha256 = hashlib.sha256(str(bos_token(model)).encode())
    for name, weight in model.named_parameters():
        sha256.update(f"{name} {tuple(weight.shape)}".encode())
        sha256.update(weight.detach().cpu().contiguous().numpy().tobytes())
    return sha256.hexdigest()


def losses(logits: Tensor, tokens: Tensor) -> Tensor:
    """The loss in nats of every token after the first."""
    return -logits[:, :-1].log_softmax(dim=-1).gather(-1, tokens[:, 1:, None])[..., 0].detach()


def only(layer: int, head: int) -> Callable[[int, int], bool]:
    """A `silent` for one head."""
    return lambda a, b: (a, b) == (layer, head)


def hook_name(layer: int, name: str = "z") -> str:
    """The name of a hook point of a layer's attention."""
    return f"blocks.{layer}.attn.hook_{name}"


def total(model: HookedModel, tokens: Tensor, layer: int, head: int) -> Tensor:
    """Logits with one head silent and everything after it recomputed."""
    return forward(model, tokens, silent=only(layer, head))[0]
