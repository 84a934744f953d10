"""Forward passes with one stripe, pattern or path changed, and the rise of the loss.

`ablation` removes whole heads. Modules of one topic, such as `task_vectors`, set their own hooks.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.data.tokens import make_repeated_tokens
from induction_heads.interp.ablation import (
    Hooks,
    attention_hook,
    head_hooks,
    second_copy_loss,
    with_head_replaced,
)
from induction_heads.interp.forward_steps import plain_module
from induction_heads.interp.norms import post_norm_of
from induction_heads.interp.scores import induction_score, require_pattern
from induction_heads.models.interface import HookedModel, Model, require_head, require_tokens
from induction_heads.models.loading import as_hooked


def stripe_knockout(
    pattern: Float[Tensor, "*batch query key"], period: int
) -> Float[Tensor, "*batch query key"]:
    """The pattern without the induction stripe of the last copy, each row scaled to sum to 1 again.

    A row whose whole weight lay on the stripe is spread evenly over the other keys it can see.
    Raises ValueError if two copies of `period` do not fit.
    """
    require_pattern(pattern)
    n_pos = pattern.shape[-1]
    if not 2 <= period <= n_pos // 2:
        raise ValueError(f"period={period} does not fit twice in {n_pos} positions.")
    queries = torch.arange(n_pos - period, n_pos)
    rest = pattern.clone()
    rest[..., queries, queries - period + 1] = 0
    elsewhere = torch.ones(n_pos, n_pos).tril()
    elsewhere[queries, queries - period + 1] = 0
    left = rest.sum(dim=-1, keepdim=True)
    evenly = elsewhere / elsewhere.sum(dim=-1, keepdim=True)
    return torch.where(left > 1e-6, rest / left.clamp_min(1e-6), evenly)


def pattern_preserving_ablation(
    model: Model, tokens: Int[Tensor, "batch pos"], layer: int, head: int
) -> Float[Tensor, "batch pos d_vocab"]:
    """Logits with the head silenced and every later pattern as in the clean pass.

    Later heads attend where they did before; only the values there have changed. The remaining rise
    of the loss is not due to a later pattern (Olsson et al. 2022).
    Raises ValueError if the model has no such head.
    """
    bridge = as_hooked(model)
    require_head(bridge, layer, head)
    require_tokens(bridge, tokens)
    later = [attention_hook(index, "pattern") for index in range(layer + 1, bridge.cfg.n_layers)]
    with torch.inference_mode():
        _, cache = bridge.run_with_cache(tokens, names_filter=lambda name: name in later)
        clean = {name: cache[name].clone() for name in later}
        hooks: Hooks = head_hooks([(layer, head)])
        hooks += [(name, lambda pattern, hook: clean[hook.name]) for name in later]
        logits = bridge.run_with_hooks(tokens, fwd_hooks=hooks)
    return logits.clone()


def logits_without_path(
    model: Model,
    tokens: Int[Tensor, "batch pos"],
    sender: tuple[int, int],
    receiver: tuple[int, int],
    side: str,
) -> Float[Tensor, "batch pos d_vocab"]:
    """Logits when the receiver's query, key or value is computed without the sender's output.

    `side` is "Q", "K" or "V". What the sender wrote is subtracted from the residual stream in front
    of the receiver's layer norm, for that one input of that one head. The other heads, the other
    two inputs, and detours through heads in between keep it. Raises ValueError for another side, a
    head that does not exist, or a sender that is not in an earlier layer.
    """
    bridge = as_hooked(model)
    hook = _path_hook(bridge, tokens, sender, receiver, side)
    with torch.inference_mode():
        logits = bridge.run_with_hooks(tokens, fwd_hooks=[hook])
    return logits.clone()  # Outside, so that a caller may change it in place.


def pattern_without_path(
    model: Model,
    tokens: Int[Tensor, "batch pos"],
    sender: tuple[int, int],
    receiver: tuple[int, int],
    side: str,
) -> Float[Tensor, "batch query key"]:
    """The receiver's pattern when its query or key is computed without the sender's output.

    `side` is "Q" or "K". The path is cut as in `logits_without_path`, and raises the same errors;
    ValueError for "V", which no pattern depends on.
    """
    if side == "V":
        raise ValueError("A pattern does not depend on side V. Choose Q or K.")
    bridge = as_hooked(model)
    hook = _path_hook(bridge, tokens, sender, receiver, side)
    patterns: list[Tensor] = []

    def keep(pattern: Tensor, hook: Any) -> None:
        patterns.append(pattern[:, receiver[1]])

    with torch.inference_mode():
        hooks: Hooks = [hook, (attention_hook(receiver[0], "pattern"), keep)]
        bridge.run_with_hooks(tokens, fwd_hooks=hooks)
    return patterns[0].float().clone()


def _path_hook(
    bridge: HookedModel,
    tokens: Tensor,
    sender: tuple[int, int],
    receiver: tuple[int, int],
    side: str,
) -> tuple[str, Any]:
    """The hook by which one side of the receiver is computed without the sender's output."""
    n_heads = bridge.cfg.n_heads
    require_tokens(bridge, tokens)
    if side not in ("Q", "K", "V"):
        raise ValueError(f"side={side!r}: choose Q, K or V.")
    for layer, head in (sender, receiver):
        require_head(bridge, layer, head)
    if sender[0] >= receiver[0]:
        raise ValueError(f"{sender=} must be in an earlier layer than {receiver=}.")
    if side != "Q" and (getattr(bridge.cfg, "n_key_value_heads", None) or n_heads) != n_heads:
        raise ValueError(f"{side} of {receiver=} is shared with other heads: only Q can be cut.")
    (layer, head), (to_layer, to_head) = sender, receiver
    entered, out = attention_hook(layer, "in", "o."), attention_hook(layer, "out", "o.")
    names = [entered, out, f"blocks.{to_layer}.hook_resid_pre"]
    behind = post_norm_of(bridge, layer)
    with torch.inference_mode():
        _, cache = bridge.run_with_cache(tokens, names_filter=lambda name: name in names)
        mixed = cache[entered].flatten(2).unflatten(-1, (n_heads, -1))[:, :, head]
        written = behind.without_scale(mixed @ bridge.blocks[layer].attn.W_O[head])
        written = written / behind.scale(cache[out])[..., None]
        block, residual = bridge.blocks[to_layer], cache[names[2]]
        norm = getattr(block, "ln1", None)  # OLMo 2 has none in front of its heads.
        x = (residual - written).to(residual.dtype)
        x = x if norm is None else plain_module(norm)(x)
        without = x @ getattr(block.attn, f"W_{side}")[to_head]
        bias = getattr(block.attn, f"b_{side}", None)
        if bias is not None:
            without = without + bias[to_head]

    def replace(value: Tensor, hook: Any) -> Tensor:
        return with_head_replaced(value, to_head, without)

    return attention_hook(to_layer, side.lower()), replace


def path_ablation(
    model: Model, sender: tuple[int, int], receiver: tuple[int, int], side: str, *, period: int = 12
) -> float:
    """How much the second-copy loss rises, in nats, without the path from sender to receiver.

    Measured on `make_repeated_tokens(model, period, batch=32)`. The path is cut as in
    `logits_without_path`, and raises the same errors.
    """
    bridge = as_hooked(model)
    tokens = make_repeated_tokens(bridge, period, batch=32)
    changed = logits_without_path(bridge, tokens, sender, receiver, side)
    with torch.inference_mode():
        clean = bridge(tokens)
    return second_copy_loss(changed, tokens, period) - second_copy_loss(clean, tokens, period)


def verify_induction_behavior(model: Model, layer: int, head: int) -> dict[str, float | bool]:
    """Whether a head looks like an induction head, and the model needs it where tokens repeat.

    At periods 8, 12 and 16, on 32 rows: `induction_attention` is the lowest induction score,
    `loss_increase` the lowest rise of the second-copy loss in nats when the head is silenced.
    `control_loss_increase` is the highest rise at the same positions on tokens that do not repeat:
    the second block is another one. The control is the same head on other tokens because a model
    may have no other head to compare with: in `toy-2l` all of layer 1 are induction heads.
    `is_induction` demands attention of at least 0.4, a rise of at least 0.1 nats, and a rise of
    more than twice the control's. Raises ValueError where a period does not fit.
    """
    bridge = as_hooked(model)
    require_head(bridge, layer, head)
    attention, rises, controls = [], [], []
    for period in (8, 12, 16):
        tokens = make_repeated_tokens(bridge, period, batch=32)
        control = tokens.clone()
        control[:, -period:] = make_repeated_tokens(bridge, period, batch=32, seed=1)[:, -period:]
        name = attention_hook(layer, "pattern")
        with torch.inference_mode():
            _, cache = bridge.run_with_cache(tokens, names_filter=name)
        attention.append(induction_score(cache[name][:, head].float(), period).mean().item())
        rises.append(_rise(bridge, tokens, layer, head, period))
        controls.append(_rise(bridge, control, layer, head, period))
    looks, rise, elsewhere = min(attention), min(rises), max(controls)
    return {
        "induction_attention": looks,
        "loss_increase": rise,
        "control_loss_increase": elsewhere,
        "is_induction": looks >= 0.4 and rise >= 0.1 and rise > 2 * elsewhere,
    }


def _rise(bridge: HookedModel, tokens: Tensor, layer: int, head: int, period: int) -> float:
    """The rise of the loss of the last `period` − 1 tokens when one head is silenced."""
    hooks = head_hooks([(layer, head)])
    with torch.inference_mode():
        clean, changed = bridge(tokens), bridge.run_with_hooks(tokens, fwd_hooks=hooks)
    return second_copy_loss(changed, tokens, period) - second_copy_loss(clean, tokens, period)
