"""Solutions of chapter 7, ablation, with a reason for each line that needs one."""

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.data.tokens import make_repeated_tokens
from induction_heads.interp.losses import per_token_loss
from induction_heads.interp.scores import induction_score

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
    """One forward pass per head: simple but slow. The package reuses the clean pass."""
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
    """Remove, then rescale: without rescaling, the head would also write less."""
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


def minimal_circuit_logits(
    model: "TransformerBridge",
    tokens: Int[Tensor, "batch pos"],
    previous: tuple[int, int],
    induction: list[tuple[int, int]],
) -> Float[Tensor, "batch pos d_vocab"]:
    """One term for each arrow of the story; what the story does not name is not in the sum."""
    x = model.W_E[tokens]
    marks = torch.zeros_like(x)  # Position 0 has no token before it.
    marks[:, 1:] = x[:, :-1] @ model.W_V[previous] @ model.W_O[previous]
    n_pos = tokens.shape[1]
    future = torch.ones(n_pos, n_pos, dtype=torch.bool).triu(1)
    written = torch.zeros_like(x)
    for head in induction:
        # The query asks for its own token, and the key says which token came before it.
        scores = (x @ model.W_Q[head]) @ (marks @ model.W_K[head]).mT / model.cfg.d_head**0.5
        pattern = scores.masked_fill(future, -torch.inf).softmax(dim=-1)
        written = written + pattern @ x @ model.W_V[head] @ model.W_O[head]
    return written @ model.W_U


def activation_patching_effects(
    model: "TransformerBridge",
    clean: Int[Tensor, "batch pos"],
    corrupted: Int[Tensor, "batch pos"],
    right: Int[Tensor, " batch"],
    wrong: Int[Tensor, " batch"],
    direction: str,
) -> Float[Tensor, "layer head"]:
    """Both directions put one head of the one run into the other run."""
    rows = torch.arange(len(clean))

    def measure(logits: Tensor) -> Tensor:
        return (logits[rows, -1, right] - logits[rows, -1, wrong]).mean()

    clean_logits, clean_cache = model.run_with_cache(clean)
    corrupted_logits, corrupted_cache = model.run_with_cache(corrupted)
    high, low = measure(clean_logits), measure(corrupted_logits)
    denoise = direction == "denoise"
    tokens, cache = (corrupted, clean_cache) if denoise else (clean, corrupted_cache)
    effects = torch.zeros(model.cfg.n_layers, model.cfg.n_heads)
    for layer in range(model.cfg.n_layers):
        for head in range(model.cfg.n_heads):

            def patch(z: Tensor, hook: Any, head: int = head) -> Tensor:
                changed = z.clone()
                changed[:, :, head] = cache[hook.name][:, :, head]
                return changed

            hooks = [(f"blocks.{layer}.attn.hook_z", patch)]
            patched = measure(model.run_with_hooks(tokens, fwd_hooks=hooks))
            # What returned, or what was lost: 0 for a head that does not matter.
            effects[layer, head] = patched - low if denoise else high - patched
    return effects / (high - low)


def attribution_patching_effects(
    model: "TransformerBridge",
    clean: Int[Tensor, "batch pos"],
    corrupted: Int[Tensor, "batch pos"],
    right: Int[Tensor, " batch"],
    wrong: Int[Tensor, " batch"],
    direction: str,
) -> Float[Tensor, "layer head"]:
    """f(z + change) ≈ f(z) + change · gradient at z, where z belongs to the run that is patched."""
    rows = torch.arange(len(clean))

    def measure(logits: Tensor) -> Tensor:
        return (logits[rows, -1, right] - logits[rows, -1, wrong]).mean()

    clean_logits, clean_cache = model.run_with_cache(clean)
    corrupted_logits, corrupted_cache = model.run_with_cache(corrupted)
    total = measure(clean_logits) - measure(corrupted_logits)
    denoise = direction == "denoise"
    tokens = corrupted if denoise else clean
    all_zeros: list[Tensor] = []

    def add_zeros(z: Tensor, hook: Any) -> Tensor:
        # Adding zeros changes nothing, and the gradient with respect to them is that of z.
        all_zeros.append(torch.zeros_like(z, requires_grad=True))
        return z + all_zeros[-1]

    names = [f"blocks.{layer}.attn.hook_z" for layer in range(model.cfg.n_layers)]
    hooks: list[tuple[str, Any]] = [(name, add_zeros) for name in names]
    with torch.enable_grad():
        logits = model.run_with_hooks(tokens, fwd_hooks=hooks)
        gradients = torch.autograd.grad(measure(logits), all_zeros)
    # Clean minus corrupted in both directions: noising moves z the other way, and what it takes
    # from the measure counts as positive.
    effects = [
        ((clean_cache[name] - corrupted_cache[name]) * gradient).sum(dim=(0, 1, 3))
        for name, gradient in zip(names, gradients, strict=True)
    ]
    return torch.stack(effects) / total


def attribution_ratio_formula() -> str:
    """With p = 1 / (1 + exp(−s)), the slope in the clean run is p (1 − p), and the score moves 2s.

    First order: 2 s p (1 − p). Exact: p − (1 − p) = 2p − 1. The ratio is s / sinh(s). It is 1 for
    a small s, and 0.07 for s = 5: there the softmax is flat, whatever lies behind it.
    """
    return "2 * s / (exp(s) - exp(-s))"
