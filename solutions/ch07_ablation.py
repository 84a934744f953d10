"""Solutions of chapter 7, ablation, with a reason for each line that needs one."""

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.losses import per_token_loss
from induction_heads.scores import induction_score
from induction_heads.tokens import make_repeated_tokens

if TYPE_CHECKING:
    from transformer_lens import TransformerBridge


def zero_ablation_hook(
    z: Float[Tensor, "batch pos head d_head"], hook: Any, head: int
) -> Float[Tensor, "batch pos head d_head"]:
    """Zero before W_O is zero after it: the head adds nothing to the residual stream."""
    changed = z.clone()  # A copy: a cache may hold the same tensor.
    changed[:, :, head] = 0
    return changed


def mean_ablation_hook(
    z: Float[Tensor, "batch pos head d_head"], hook: Any, head: int
) -> Float[Tensor, "batch pos head d_head"]:
    """The mean over rows, position by position: positions differ in ways that all rows share."""
    changed = z.clone()
    changed[:, :, head] = z[:, :, head].mean(dim=0)  # [pos d_head], the same for every row.
    return changed


def ablation_scores(
    model: "TransformerBridge", tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "layer head"]:
    """One forward pass per head. Plain, and slow: the package keeps the clean pass instead."""
    clean = per_token_loss(model(tokens), tokens).mean()
    scores = torch.zeros(model.cfg.n_layers, model.cfg.n_heads)
    for layer in range(model.cfg.n_layers):
        for head in range(model.cfg.n_heads):
            hook = partial(zero_ablation_hook, head=head)
            hooks = [(f"blocks.{layer}.attn.hook_z", hook)]
            logits = model.run_with_hooks(tokens, fwd_hooks=hooks)
            scores[layer, head] = per_token_loss(logits, tokens).mean() - clean
    return scores.detach()


def pattern_preserving_ablation(
    model: "TransformerBridge", tokens: Int[Tensor, "batch pos"], layer: int, head: int
) -> Float[Tensor, "batch pos d_vocab"]:
    """Two passes: the first to read the patterns, the second to hold them there."""
    _, cache = model.run_with_cache(tokens)

    def keep(pattern: Tensor, hook: Any) -> Tensor:
        return cache[hook.name]  # The clean pattern of the same layer.

    hooks: list[tuple[str, Any]] = [
        (f"blocks.{layer}.attn.hook_z", partial(zero_ablation_hook, head=head))
    ]
    # Later layers only: nothing in this layer or before it has read the head.
    for later in range(layer + 1, model.cfg.n_layers):
        hooks.append((f"blocks.{later}.attn.hook_pattern", keep))
    return model.run_with_hooks(tokens, fwd_hooks=hooks)


def stripe_knockout(
    pattern: Float[Tensor, "*batch query key"], period: int
) -> Float[Tensor, "*batch query key"]:
    """Remove, then scale: without scaling, the head would speak more quietly as well."""
    n_pos = pattern.shape[-1]
    queries = torch.arange(n_pos - period, n_pos)
    changed = pattern.clone()
    changed[..., queries, queries - period + 1] = 0
    # What each query may look at besides the stripe, for rows that have nothing left.
    others = torch.ones(n_pos, n_pos).tril()
    others[queries, queries - period + 1] = 0
    left = changed.sum(dim=-1, keepdim=True)
    changed = torch.where(left > 1e-6, changed, others)
    return changed / changed.sum(dim=-1, keepdim=True)


def knockout_gain_formula() -> str:
    """The other weights sum to 1 − s and must sum to 1, so each is divided by 1 − s.

    For s = 0.9 that is a factor of 10.
    """
    return "1 / (1 - s)"


def path_ablation(
    model: "TransformerBridge", sender: tuple[int, int], receiver: tuple[int, int], side: str
) -> float:
    """Compute one input of the receiver again, from a residual stream without the sender."""
    tokens = make_repeated_tokens(model, period=12, batch=32)
    clean, cache = model.run_with_cache(tokens)
    (layer, head), (to_layer, to_head) = sender, receiver
    # z of the sender through its own W_O is all that it adds to the residual stream.
    written = cache[f"blocks.{layer}.attn.hook_z"][:, :, head] @ model.W_O[layer, head]
    without = cache[f"blocks.{to_layer}.hook_resid_pre"] - written
    weights = {"Q": model.W_Q, "K": model.W_K, "V": model.W_V}[side][to_layer, to_head]

    def replace(value: Tensor, hook: Any) -> Tensor:
        changed = value.clone()
        changed[:, :, to_head] = without @ weights  # This head only: its neighbors still read it.
        return changed

    hooks = [(f"blocks.{to_layer}.attn.hook_{side.lower()}", replace)]
    logits = model.run_with_hooks(tokens, fwd_hooks=hooks)
    # The first token of the second copy cannot be predicted, so 11 of 12 are counted.
    rise = per_token_loss(logits, tokens)[:, -11:] - per_token_loss(clean, tokens)[:, -11:]
    return rise.mean().item()


def verify_induction_behavior(
    model: "TransformerBridge", layer: int, head: int
) -> dict[str, float | bool]:
    """Each number is the least favorable of three periods: a claim must hold at all of them."""
    hooks = [(f"blocks.{layer}.attn.hook_z", partial(zero_ablation_hook, head=head))]

    def rise(tokens: Tensor, last: int) -> float:
        clean, ablated = model(tokens), model.run_with_hooks(tokens, fwd_hooks=hooks)
        difference = per_token_loss(ablated, tokens) - per_token_loss(clean, tokens)
        return difference[:, -last:].mean().item()

    attention, rises, controls = [], [], []
    for period in (8, 12, 16):
        tokens = make_repeated_tokens(model, period, batch=32)
        _, cache = model.run_with_cache(tokens)
        pattern = cache[f"blocks.{layer}.attn.hook_pattern"][:, head]
        attention.append(induction_score(pattern, period).mean().item())
        rises.append(rise(tokens, period - 1))
        # The same first blocks and positions; only the repetition is gone.
        control = tokens.clone()
        control[:, -period:] = make_repeated_tokens(model, period, batch=32, seed=1)[:, -period:]
        controls.append(rise(control, period - 1))
    looks, needed, elsewhere = min(attention), min(rises), max(controls)
    return {
        "induction_attention": looks,
        "loss_increase": needed,
        "control_loss_increase": elsewhere,
        # Signed: a head whose removal helps is not needed, however large the effect.
        "is_induction": looks >= 0.4 and needed >= 0.1 and needed > 2 * elsewhere,
    }
