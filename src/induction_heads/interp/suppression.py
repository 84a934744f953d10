"""Copy suppression, and self-repair: heads that respond to the output of other heads."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.interp.ablation import head_hooks, require_last
from induction_heads.interp.circuits import head_weights
from induction_heads.interp.copying import effective_embedding_of
from induction_heads.interp.norms import Norm, final_norm, post_norm_of
from induction_heads.models.interface import HookedModel, require_head, require_tokens, unembedding


def copy_suppression_score(
    before: Float[Tensor, "batch pos d_vocab"],
    effect: Float[Tensor, "batch pos d_vocab"],
    tokens: Int[Tensor, "batch pos"],
) -> float:
    """How far a head raises what earlier layers predict, where that token is in the context.

    `before` holds the logits that the residual stream in front of the head gives, `effect` what the
    head adds to the logits. At each position the likeliest token of `before` is looked for among
    the tokens up to this position. Where it is there, its effect is compared with the mean effect
    on the other tokens there, each counted once. The score is the mean of these
    differences, in logits: below 0 for copy suppression (after McDougall et al. 2024), above 0 for
    a head that helps. Raises ValueError for other shapes, or if no predicted token is in its
    context beside another one.
    """
    if before.shape != effect.shape or before.shape[:2] != tokens.shape:
        raise ValueError(
            f"Got before {list(before.shape)}, effect {list(effect.shape)} and tokens "
            f"{list(tokens.shape)}. Pass [batch, pos, d_vocab] twice and [batch, pos]."
        )
    present = seen_so_far(tokens, before.shape[-1])
    predicted = before.argmax(dim=-1, keepdim=True)
    others = present.scatter(-1, predicted, False)
    counts = present.gather(-1, predicted)[..., 0] & others.any(dim=-1)
    if not counts.any():
        raise ValueError("No predicted token is in its context. Pass rows that repeat.")
    control = (effect * others).sum(dim=-1) / others.sum(dim=-1).clamp_min(1)
    apart = effect.gather(-1, predicted)[..., 0] - control
    return apart[counts].mean().item()


def seen_so_far(tokens: Int[Tensor, "batch pos"], d_vocab: int) -> Tensor:
    """Whether each token is at the position or before it: [batch pos d_vocab] of bool."""
    once = torch.zeros(*tokens.shape, d_vocab, dtype=torch.bool)
    return once.scatter(-1, tokens.unsqueeze(-1), True).cummax(dim=1).values


def head_effects(
    model: HookedModel, tokens: Int[Tensor, "batch pos"], layer: int, head: int
) -> tuple[Float[Tensor, "batch pos d_vocab"], Float[Tensor, "batch pos d_vocab"]]:
    """The logits in front of a layer, and what one of its heads adds to them.

    Both through the final norm with the scale of the whole forward pass, where there is one. The
    learned bias of the norm and that of the unembedding belong to the first. A norm behind the
    attention (Gemma 2, OLMo 2) is applied with its scale in this pass. A cap on the logits or a
    factor on them is left out. `model` is a `TransformerBridge`. Raises ValueError for a head that
    it does not have.
    """
    require_head(model, layer, head)
    require_tokens(model, tokens)
    attention = f"blocks.{layer}.attn"
    names = [f"blocks.{layer}.hook_resid_pre", f"{attention}.o.hook_in", f"{attention}.o.hook_out"]
    residual, entered, out, last = _cached(model, tokens, [*names, "ln_final.hook_in"])
    mixed = entered.flatten(2).unflatten(-1, (model.cfg.n_heads, -1))[:, :, head]
    behind = post_norm_of(model, layer)
    written = behind.without_scale(mixed @ head_weights(model)[3][layer, head])
    norm, W_U = final_norm(model), unembedding(model)
    scale = norm.scale(last)[..., None]
    constant = _constant(norm, model)
    before = norm.without_scale(residual) / scale @ W_U + constant
    return before, norm.without_scale(written / behind.scale(out)[..., None]) / scale @ W_U


def _constant(norm: Norm, model: HookedModel) -> Tensor:
    """The logits that come from biases alone: of the final norm and of the unembedding."""
    logits = torch.zeros(model.cfg.d_vocab)
    if norm.bias is not None:
        logits = norm.bias.cpu() @ unembedding(model).cpu()
    b_U = getattr(model, "b_U", None)
    return (logits if b_U is None else logits + b_U.detach().float().cpu()).to(model.W_U.device)


def suppression_circuits(
    model: HookedModel, layer: int, head: int, ids: Int[Tensor, " id"]
) -> tuple[Float[Tensor, "id id"], Float[Tensor, "id id"]]:
    """The OV and QK circuits of a head for a copy suppressor, between these ids.

    OV: what attending to an id does to the logit of each id, [attended id, changed id]. QK: the
    score that a residual stream which predicts an id gives to the key of each id, [predicted id,
    key id]; the stream is the unembedding of the predicted id. Keys and values read the effective
    embedding, which is W_E where layer 0 has no MLP (McDougall et al. 2024). The gains of norms are
    included, their division, positions and biases are left out. Raises ValueError for a head that
    the model does not have.
    """
    require_head(model, layer, head)
    W_Q, W_K, W_V, W_O = (weights[layer, head] for weights in head_weights(model))
    embedded = effective_embedding_of(model)[ids]
    written = unembedding(model)[:, ids]
    return embedded @ W_V @ W_O @ written, written.T @ W_Q @ (embedded @ W_K).T


def suppression_by_weights(
    ov: Float[Tensor, "attended changed"], qk: Float[Tensor, "predicted key"], n_lowest: int = 1
) -> tuple[float, float]:
    """The shares of ids that a head lowers where it attends to them, and finds when predicted.

    The first: of the ids whose own logit is among the `n_lowest` that attending to them gives. The
    second: of the ids whose own key has the highest score where they are predicted. A copy
    suppressor has both near 1 (after McDougall et al. 2024); a head without either pattern has
    n_lowest / ids and 1 / ids. Ties do not count, so a head that writes nothing lowers nothing.
    Raises ValueError for matrices that are not square and of one size,
    or an `n_lowest` that does not fit.

    >>> suppression_by_weights(-torch.eye(3), torch.eye(3))
    (1.0, 1.0)
    >>> suppression_by_weights(torch.eye(3), torch.eye(3))  # Finds the id, and raises it.
    (0.0, 1.0)
    """
    size = len(ov)
    if ov.shape != (size, size) or qk.shape != ov.shape:
        raise ValueError(f"Got ov {list(ov.shape)} and qk {list(qk.shape)}. Pass [id, id] twice.")
    if not 1 <= n_lowest <= size:
        raise ValueError(f"n_lowest={n_lowest}: use a whole number from 1 to {size}.")
    own_logit, own_score = (each.diagonal()[:, None] for each in (ov, qk))
    lowered = (ov <= own_logit).sum(dim=1) <= n_lowest
    found = (qk >= own_score).sum(dim=1) == 1
    return lowered.float().mean().item(), found.float().mean().item()


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
            f"Got direct {list(direct.shape)}, clean {list(clean.shape)}, ablated "
            f"{list(ablated.shape)} for tokens {list(tokens.shape)}. Pass "
            "[batch, pos, d_vocab] three times and [batch, pos]."
        )
    returned = direct - (clean - ablated)
    return returned[:, :-1].gather(-1, tokens[:, 1:, None])[..., 0]


def measured_repair(
    model: HookedModel,
    tokens: Int[Tensor, "batch pos"],
    layer: int,
    head: int,
    last: int,
    *,
    frozen_mlps: Sequence[int] = (),
    frozen_attention: Sequence[int] = (),
    frozen_norm: bool = False,
) -> tuple[float, float]:
    """A head's direct effect on the last `last` tokens, and how much of it returns, in logits.

    With zero ablation. The MLPs of the layers `frozen_mlps` and the attention layers
    `frozen_attention` write what they write when no head is silenced, and with `frozen_norm` the
    final norm divides as it does then: what no longer returns went through them. `model` is a
    `TransformerBridge`. See `compensation`, and `head_effects` for what is left out. Raises
    ValueError for a `last` that does not fit, for a layer that has no MLP, and for an attention
    layer that is not behind the head.
    """
    require_tokens(model, tokens)
    require_last(tokens, last)
    n_layers = 0 if model.cfg.attn_only else model.cfg.n_layers
    if any(not 0 <= index < n_layers for index in frozen_mlps):
        raise ValueError(
            f"frozen_mlps={list(frozen_mlps)}, but the layers with an MLP are "
            f"{list(range(n_layers))}. Pass some of those."
        )
    if any(not layer < index < model.cfg.n_layers for index in frozen_attention):
        raise ValueError(
            f"frozen_attention={list(frozen_attention)}, but the layers behind layer {layer} are "
            f"{list(range(layer + 1, model.cfg.n_layers))}. Pass some of those."
        )
    _, direct = head_effects(model, tokens, layer, head)
    names = [f"blocks.{index}.hook_mlp_out" for index in frozen_mlps]
    names += [f"blocks.{index}.hook_attn_out" for index in frozen_attention]
    wanted, seen = {*names, "ln_final.hook_in"}, []
    with torch.inference_mode():
        clean, cache = model.run_with_cache(tokens, names_filter=lambda name: name in wanted)
        kept = [(name, partial(_instead, value=cache[name])) for name in names]
        hooks = [*head_hooks([(layer, head)]), *kept]
        if frozen_norm:
            hooks.append(("ln_final.hook_in", lambda residual, hook: seen.append(residual)))
        ablated = model.run_with_hooks(tokens, fwd_hooks=hooks)
    if frozen_norm:
        norm, last_residual = final_norm(model), cache["ln_final.hook_in"].clone().float()
        scaled = norm.without_scale(seen[0].clone().float()) / norm.scale(last_residual)[..., None]
        ablated = scaled @ unembedding(model) + _constant(norm, model)
    returned = compensation(direct, clean.float(), ablated.float(), tokens)[:, -last:]
    straight = direct[:, :-1].gather(-1, tokens[:, 1:, None])[:, -last:]
    return straight.mean().item(), returned.mean().item()


def _instead(activation: Tensor, hook: Any, *, value: Tensor) -> Tensor:
    """A hook that puts a stored value in the place of an activation."""
    return value


def _cached(model: HookedModel, tokens: Tensor, names: list[str]) -> list[Tensor]:
    """The named activations in float32. A caller may change them in place."""
    with torch.inference_mode():
        _, cache = model.run_with_cache(tokens, names_filter=lambda name: name in names)
    return [cache[name].clone().float() for name in names]
