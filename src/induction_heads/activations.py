"""What happens inside a forward pass: attention patterns, and scores computed as they appear.

This is the only module that reads a forward pass. It takes an `AttentionOnly` model or a
TransformerLens `TransformerBridge`, and stops as soon as the last pattern is known.
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


class _LastPatternSeen(Exception):
    """Raised inside the forward pass: nothing after the last attention pattern is needed."""


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
            visit(layer, pattern)
            if layer == last:
                raise _LastPatternSeen

        names = [f"blocks.{layer}.attn.hook_pattern" for layer in range(last + 1)]
        with suppress(_LastPatternSeen):
            model.run_with_hooks(tokens, return_type=None, fwd_hooks=[(n, hook) for n in names])


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
