"""What happens inside a forward pass: attention patterns, and scores computed as they appear.

It takes an `AttentionOnly` model or a TransformerLens `TransformerBridge` of any architecture, and
stops as soon as what was asked for is known. What it returns is in float32, and on the device of
the tokens.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.attention_only import AttentionLayer, AttentionOnly

Scorer = Callable[[Float[Tensor, "batch head query key"]], Float[Tensor, "batch head"]]
"""Turns the attention patterns of one layer into one number a head."""


class _AllSeen(Exception):
    """Raised inside the forward pass: nothing after this point is needed."""


def _visit_patterns(
    model: Any, tokens: Int[Tensor, "batch pos"], visit: Callable[[int, Tensor], None]
) -> None:
    """Call `visit(layer, pattern)` for every layer in turn, then stop the forward pass."""
    _check_tokens(model, tokens)
    with torch.inference_mode():
        if isinstance(model, AttentionOnly):
            for layer, pattern in _own_patterns(model, tokens):
                visit(layer, pattern)
            return
        last = model.cfg.n_layers - 1

        def hook(pattern: Tensor, hook: Any) -> None:
            layer = int(hook.name.split(".")[1])
            visit(layer, pattern.float().to(tokens.device))
            if layer == last:
                raise _AllSeen

        names = [f"blocks.{layer}.attn.hook_pattern" for layer in range(last + 1)]
        with suppress(_AllSeen):
            model.run_with_hooks(
                tokens.to(model.cfg.device), return_type=None, fwd_hooks=[(n, hook) for n in names]
            )


def _own_patterns(model: AttentionOnly, tokens: Tensor) -> Iterator[tuple[int, Tensor]]:
    residual = model.embed(tokens)
    for index, layer in enumerate(model.layers):
        assert isinstance(layer, AttentionLayer)
        yield index, layer.pattern(layer.norm(residual))
        if index + 1 < len(model.layers):
            residual = residual + layer(residual)


def _check_tokens(model: Any, tokens: Tensor) -> None:
    config = model.config if isinstance(model, AttentionOnly) else model.cfg
    if tokens.ndim != 2 or tokens.is_floating_point():
        raise ValueError(
            f"tokens of shape {list(tokens.shape)} and type {tokens.dtype} came in; token ids of "
            "shape [batch, pos] were expected. Use tokens[None] for a single sequence."
        )
    if tokens.shape[1] > config.n_ctx:
        raise ValueError(f"{tokens.shape[1]} tokens do not fit in a context of {config.n_ctx}.")


def attention_patterns(
    model: Any, tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "layer batch head query key"]:
    """The attention pattern of every head: how much each query looks at each key.

    Each row sums to 1. Raises ValueError for tokens that are not [batch, pos] or that do not fit.
    """
    patterns: list[Tensor] = []
    _visit_patterns(model, tokens, lambda _, pattern: patterns.append(pattern))
    return torch.stack(patterns).clone()


def head_scores(
    model: Any, tokens: Int[Tensor, "batch pos"], scorers: Mapping[str, Scorer]
) -> dict[str, Float[Tensor, "layer head"]]:
    """Each scorer's value for every head, averaged over the batch.

    A layer's patterns are scored when they appear and then dropped, so memory does not grow with
    the number of layers.
    """
    rows: dict[str, list[Tensor]] = {name: [] for name in scorers}

    def visit(_: int, pattern: Tensor) -> None:
        for name, scorer in scorers.items():
            rows[name].append(scorer(pattern).mean(dim=0))

    _visit_patterns(model, tokens, visit)
    return {name: torch.stack(layers).clone() for name, layers in rows.items()}


Mixed = Float[Tensor, "batch pos head d_head"]


def visit_values(
    model: Any, tokens: Int[Tensor, "batch pos"], visit: Callable[[int, Mixed, Mixed], None]
) -> Float[Tensor, "batch pos d_model"]:
    """Call `visit(layer, values, mixed)` for every layer, and return the last residual stream.

    `values` is what each query head would pass on from a position, v; `mixed` is what it did pass
    on, z: the values weighted by its pattern, before W_O. Heads that share values get a copy each.
    The residual stream is the one in front of the final norm.
    """
    _check_tokens(model, tokens)
    with torch.inference_mode():
        if isinstance(model, AttentionOnly):
            return _visit_own_values(model, tokens, visit).clone()
        return _visit_bridge_values(model, tokens, visit).clone()


def _visit_own_values(
    model: AttentionOnly, tokens: Tensor, visit: Callable[[int, Mixed, Mixed], None]
) -> Tensor:
    residual = model.embed(tokens)
    for index, layer in enumerate(model.layers):
        assert isinstance(layer, AttentionLayer)
        x = layer.norm(residual)
        values = torch.einsum("bpm,hmd->bhpd", x, layer.W_V)
        mixed = layer.pattern(x) @ values
        visit(index, values.transpose(1, 2), mixed.transpose(1, 2))
        residual = residual + torch.einsum("bhpd,hdm->bpm", mixed, layer.W_O)
    return residual


def _visit_bridge_values(
    model: Any, tokens: Tensor, visit: Callable[[int, Mixed, Mixed], None]
) -> Tensor:
    n_heads = model.cfg.n_heads
    values: list[Tensor] = []
    residual: list[Tensor] = []

    def keep_values(value: Tensor, hook: Any) -> None:
        values[:] = [value.repeat_interleave(n_heads // value.shape[2], dim=2)]

    def pass_on(mixed: Tensor, hook: Any) -> None:
        layer = int(hook.name.split(".")[1])
        visit(layer, *(x.float().to(tokens.device) for x in (values[0], mixed)))

    def keep_residual(value: Tensor, hook: Any) -> None:
        residual[:] = [value.float().to(tokens.device)]
        raise _AllSeen

    layers = range(model.cfg.n_layers)
    hooks = [(f"blocks.{layer}.attn.hook_v", keep_values) for layer in layers]
    hooks += [(f"blocks.{layer}.attn.hook_z", pass_on) for layer in layers]
    hooks.append(("ln_final.hook_in", keep_residual))
    with suppress(_AllSeen):
        model.run_with_hooks(tokens.to(model.cfg.device), return_type=None, fwd_hooks=hooks)
    return residual[0]
