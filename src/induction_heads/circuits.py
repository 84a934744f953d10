"""What the weights of a head do, without running the model: pure functions of the weights.

Layer norm is taken into account where a model has one: its gain is folded into the next weights.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from induction_heads.attention import attention_pattern
from induction_heads.attention_only import AttentionLayer, AttentionOnly
from induction_heads.tokens import bos_token, distinct_tokens, with_bos


def _layer_weights(model: Any, layer: int) -> dict[str, Tensor]:
    """W_Q, W_K, W_V [head d_model d_head] and W_O [head d_head d_model] of one layer."""
    names = ("W_Q", "W_K", "W_V", "W_O")
    if isinstance(model, AttentionOnly):
        weights = model.layers[layer]
        assert isinstance(weights, AttentionLayer)
        return {name: getattr(weights, name).detach() for name in names}
    return {name: getattr(model.blocks[layer].attn, name).detach() for name in names}


def head_weights(model: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """W_Q, W_K, W_V [layer head d_model d_head] and W_O [layer head d_head d_model] of a model."""
    config = model.config if isinstance(model, AttentionOnly) else model.cfg
    layers = [_layer_weights(model, layer) for layer in range(config.n_layers)]
    stacked = {name: torch.stack([layer[name] for layer in layers]) for name in layers[0]}
    return stacked["W_Q"], stacked["W_K"], stacked["W_V"], stacked["W_O"]


def _norm(model: Any, layer: int | None) -> torch.nn.Module:
    """The layer norm before a layer, or the final one for None; an identity where there is none."""
    if isinstance(model, AttentionOnly):
        return model.norm if layer is None else model.layers[layer].get_submodule("norm")
    bridge = model.ln_final if layer is None else model.blocks[layer].ln1
    return bridge.original_component


def _folded_gain(norm: torch.nn.Module, d_model: int) -> Float[Tensor, "d_model d_model"]:
    """Layer norm without its division: center, then scale by the learned gain."""
    if not hasattr(norm, "weight"):
        return torch.eye(d_model)
    return (torch.eye(d_model) - 1 / d_model) * norm.get_parameter("weight").detach()


def copying_scores(model: Any) -> Float[Tensor, "layer head"]:
    """How far each head raises the logit of the token it attends to, from −1 to 1.

    Σλ / Σ|λ| over the eigenvalues λ of W_E W_V W_O W_U (Elhage et al. 2021): 1 for a head that
    copies, −1 for one that lowers what it sees, near 0 for neither, and 0 for a head that writes
    nothing. The eigenvalues are those of the d_head × d_head matrix W_O (W_U W_E) W_V, which has
    the same nonzero ones.
    """
    config = model.config if isinstance(model, AttentionOnly) else model.cfg
    unembed_embed = model.W_U.detach().float() @ model.W_E.detach().float()  # The costly part, once.
    after = _folded_gain(_norm(model, None), config.d_model)
    rows = []
    for layer in range(config.n_layers):
        weights = _layer_weights(model, layer)
        before = _folded_gain(_norm(model, layer), config.d_model)
        core = after @ unembed_embed @ before
        eigenvalues = torch.linalg.eigvals(weights["W_O"] @ core @ weights["W_V"])
        total = eigenvalues.abs().sum(dim=-1)
        rows.append(eigenvalues.real.sum(dim=-1) / total.clamp_min(1e-9))
    return torch.stack(rows)


def positional_pattern(model: Any, layer: int, head: int) -> Float[Tensor, "query key"]:
    """The pattern a head would have if the residual stream held the position embeddings alone.

    Shape [n_ctx, n_ctx]. Tokens and earlier layers are left out, so for layer 1 and above this is
    only what the positions say directly. With layer norm, the position embeddings are normalized on
    their own, which makes them larger than they are beside a token.
    Raises IndexError for a layer or head that the model does not have.
    """
    weights = _layer_weights(model, _checked(model, layer, head))
    positions = _norm(model, layer)(model.W_pos.detach())
    return attention_pattern(positions @ weights["W_Q"][head], positions @ weights["W_K"][head])


def previous_token_readout(
    model: Any, layer: int, head: int, *, batch: int = 8, seed: int = 0
) -> float:
    """How often what a layer-0 head writes at position i identifies the token at i − 1.

    The head's output at i is compared with what it would write if it attended to position i − 1
    alone and token t stood there, for every t of the vocabulary. The nearest t is the reading.
    Returns the share of readings equal to the true token, on rows of distinct random tokens;
    chance is 1 / d_vocab. Raises ValueError for a layer after the first, whose input is not just
    token plus position.
    """
    _checked(model, layer, head)
    if layer != 0:
        raise ValueError(f"layer={layer}: this readout is defined for heads of layer 0.")
    config = model.config if isinstance(model, AttentionOnly) else model.cfg
    bos = bos_token(model)
    excluded = () if bos is None else (bos,)
    length = min(config.n_ctx, config.d_vocab, 64) - len(excluded)
    tokens = with_bos(distinct_tokens(config.d_vocab, length, batch, seed, excluded), bos)
    weights = {name: weight[head] for name, weight in _layer_weights(model, 0).items()}
    norm, W_E, W_pos = _norm(model, 0), model.W_E.detach(), model.W_pos.detach()
    writes = weights["W_V"] @ weights["W_O"]

    residual = norm(W_E[tokens] + W_pos[: tokens.shape[1]])
    pattern = attention_pattern(residual @ weights["W_Q"], residual @ weights["W_K"])
    written = pattern @ residual @ writes
    right = []
    for i in range(1, tokens.shape[1]):
        would_write = norm(W_E + W_pos[i - 1]) @ writes
        nearest = torch.cdist(written[:, i], would_write).argmin(dim=-1)
        right.append(nearest == tokens[:, i - 1])
    return torch.stack(right).float().mean().item()


def _checked(model: Any, layer: int, head: int) -> int:
    """`layer`, if the model has that layer and head. Raises IndexError otherwise."""
    config = model.config if isinstance(model, AttentionOnly) else model.cfg
    if not (0 <= layer < config.n_layers and 0 <= head < config.n_heads):
        raise IndexError(
            f"L{layer}H{head} is not in this model: it has {config.n_layers} layers of "
            f"{config.n_heads} heads, counted from 0."
        )
    return layer
