"""Heads that lower what others predict, and how much of an ablated head's effect comes back."""

import math
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.attention_only import AttentionLayer, AttentionOnly, AttentionOnlyConfig
from induction_heads.hand_built import hand_built, hand_built_heads
from induction_heads.interventions import zero_ablation_hook

SUPPRESSOR = (2, 0)
"""Where the suppressor of `hand_built_suppressor` is."""


def copy_suppression_score(
    before: Float[Tensor, "batch pos d_vocab"],
    effect: Float[Tensor, "batch pos d_vocab"],
    tokens: Int[Tensor, "batch pos"],
) -> float:
    """How far a head raises what earlier layers predict, where that token stands in the context.

    `before` holds the logits that the residual stream in front of the head gives, `effect` what the
    head adds to the logits. At each position the likeliest token of `before` is looked for among
    the tokens up to this position. Where it is there, its effect is compared with the mean effect
    on the other tokens that stand there, each counted once. The score is the mean of these
    differences, in logits: below 0 for copy suppression (after McDougall et al. 2024), above 0 for
    a head that helps. Raises ValueError for other shapes, or if no predicted token is in its
    context beside another one.
    """
    if before.shape != effect.shape or before.shape[:2] != tokens.shape:
        raise ValueError(
            f"before {list(before.shape)}, effect {list(effect.shape)} and tokens "
            f"{list(tokens.shape)} came in; pass [batch, pos, d_vocab] twice and [batch, pos]."
        )
    present = seen_so_far(tokens, before.shape[-1])
    predicted = before.argmax(dim=-1, keepdim=True)
    others = present.scatter(-1, predicted, False)
    counts = present.gather(-1, predicted)[..., 0] & others.any(dim=-1)
    if not counts.any():
        raise ValueError("No predicted token stands in its context. Pass rows that repeat.")
    control = (effect * others).sum(dim=-1) / others.sum(dim=-1).clamp_min(1)
    apart = effect.gather(-1, predicted)[..., 0] - control
    return apart[counts].mean().item()


def seen_so_far(tokens: Int[Tensor, "batch pos"], d_vocab: int) -> Tensor:
    """Whether each token stands at the position or before it: [batch pos d_vocab] of bool."""
    once = torch.zeros(*tokens.shape, d_vocab, dtype=torch.bool)
    return once.scatter(-1, tokens.unsqueeze(-1), True).cummax(dim=1).values


def head_effects(
    model: Any, tokens: Int[Tensor, "batch pos"], layer: int, head: int
) -> tuple[Float[Tensor, "batch pos d_vocab"], Float[Tensor, "batch pos d_vocab"]]:
    """The logits in front of a layer, and what one of its heads adds to them.

    Both through the final layer norm with the scale of the whole forward pass, where there is one.
    `model` is a `TransformerBridge`.
    """
    names = [f"blocks.{layer}.hook_resid_pre", f"blocks.{layer}.attn.hook_z"]
    residual, z, last = _cached(model, tokens, [*names, _last(model)])
    return (
        _read_out(model, residual, last),
        _read_out(model, z[:, :, head] @ model.blocks[layer].attn.W_O[head], last, bias=False),
    )


def compensation(
    direct: Float[Tensor, "batch pos d_vocab"],
    clean: Float[Tensor, "batch pos d_vocab"],
    ablated: Float[Tensor, "batch pos d_vocab"],
    tokens: Int[Tensor, "batch pos"],
) -> Float[Tensor, "batch pos-1"]:
    """How much of a head's direct effect on the next token's logit returns when it is silenced.

    `direct` is what the head adds to the logits, `clean` and `ablated` are the logits with and
    without it. The fall is by how much the logit of the token that comes next sinks. The result is
    the direct effect on this logit minus the fall: 0 if nothing reacts, above 0 for self-repair,
    below 0 if other components lose too (Rushing and Nanda 2024). Entry i is about the token at
    i + 1. Raises ValueError for logits of other shapes.
    """
    if not direct.shape == clean.shape == ablated.shape or clean.shape[:2] != tokens.shape:
        raise ValueError(
            f"direct {list(direct.shape)}, clean {list(clean.shape)}, ablated "
            f"{list(ablated.shape)} came in for tokens {list(tokens.shape)}; expected "
            "[batch, pos, d_vocab] three times and [batch, pos]."
        )
    returned = direct - (clean - ablated)
    return returned[:, :-1].gather(-1, tokens[:, 1:, None])[..., 0]


def measured_repair(
    model: Any, tokens: Int[Tensor, "batch pos"], layer: int, head: int, last: int
) -> tuple[float, float]:
    """A head's direct effect on the last `last` tokens, and how much of it returns, in logits.

    With zero ablation. `model` is a `TransformerBridge`; see `compensation`.
    """
    _, direct = head_effects(model, tokens, layer, head)
    hook = (f"blocks.{layer}.attn.hook_z", partial(zero_ablation_hook, head=head))
    with torch.inference_mode():
        clean, ablated = model(tokens), model.run_with_hooks(tokens, fwd_hooks=[hook])
    returned = compensation(direct, clean, ablated, tokens)[:, -last:]
    straight = direct[:, :-1].gather(-1, tokens[:, 1:, None])[:, -last:]
    return straight.mean().item(), returned.mean().item()


def repair_by_norm_formula() -> str:
    """The share of a head's direct effect that the final norm returns, for one of two equal heads.

    Both write a vector of length `a` in the same direction, all else has length `r` at right angles
    to it, and the norm divides by the length of the sum.
    """
    return "sqrt((4*a**2 + r**2) / (a**2 + r**2)) - 1"


def _last(model: Any) -> str:
    return f"blocks.{model.cfg.n_layers - 1}.hook_resid_post"


def _cached(model: Any, tokens: Tensor, names: list[str]) -> list[Tensor]:
    with torch.inference_mode():
        _, cache = model.run_with_cache(tokens, names_filter=lambda name: name in names)
    return [cache[name].clone() for name in names]


def _read_out(model: Any, part: Tensor, last: Tensor, *, bias: bool = True) -> Tensor:
    """The logits of a part of the residual stream, with the final norm's scale held at `last`."""
    norm = model.ln_final.original_component
    if hasattr(norm, "weight"):
        scale = (last.var(dim=-1, keepdim=True, unbiased=False) + norm.eps).sqrt()
        part = (part - part.mean(dim=-1, keepdim=True)) / scale * norm.weight.detach()
        part = part + norm.bias.detach() if bias else part
    return part @ model.W_U.detach()


def hand_built_suppressor(
    *, strength: float = 0.5, sharpness: float = 30.0, seed: int = 0, **options: Any
) -> AttentionOnly:
    """The hand-built induction model with a third layer, whose head L2H0 suppresses copies.

    L2H0 compares what the layers below predict with the token at each key, attends to those that
    match, and lowers their logit by `strength` times what the induction head gave. `options` go to
    `hand_built`. The other heads of layer 2 write nothing.
    """
    two = hand_built("induction", seed=seed, sharpness=sharpness, **options)
    model = AttentionOnly(AttentionOnlyConfig(**{**vars(two.config), "n_layers": 3}))
    token, prediction = two.W_E.T, two.W_U / two.W_U.norm(dim=0)  # Rows and columns of a rotation.
    size, d_head = token.shape[1], two.config.d_head
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        model.load_state_dict(two.state_dict(), strict=False)
        layer = model.layers[SUPPRESSOR[0]]
        assert isinstance(layer, AttentionLayer)
        layer.W_Q[0, :, :size] = sharpness * math.sqrt(d_head) * prediction
        layer.W_K[0, :, :size] = token
        layer.W_V[0, :, :size] = token
        layer.W_O[0, :size] = -strength * prediction.T
    return model.requires_grad_(False)


def suppressor_heads(*, seed: int = 0, n_heads: int = 2) -> dict[str, tuple[int, int]]:
    """Name → (layer, head) of the working heads of `hand_built_suppressor`."""
    return hand_built_heads("induction", n_heads=n_heads, seed=seed) | {"suppressor": SUPPRESSOR}
