"""Whether TransformerLens computes a model as its own library does, tried on a few tokens.

The bridge of TransformerLens replaces parts of the module that it is built around, so the answers
of the library are taken first and compared afterwards.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.models.checkpoint_files import reason
from induction_heads.models.interface import HookedModel

TOLERANCE = {torch.float32: 1e-3, torch.float16: 0.05, torch.bfloat16: 0.2}
"""How far logits may differ, as a share of the largest one, and weights of a pattern."""

N_TOKENS = 24
"""The length of the two rows on which models are compared."""


@dataclass(frozen=True)
class LibraryAnswer:
    """What transformers computes on some tokens."""

    tokens: Int[Tensor, "batch pos"]
    logits: Float[Tensor, "batch pos d_vocab"]
    patterns: tuple[Tensor, ...]


def library_answer(module: Any, d_vocab: int, n_ctx: int) -> LibraryAnswer | str:
    """The logits and patterns of a module of transformers, or why it has none: half a sentence."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(d_vocab, (2, min(N_TOKENS, n_ctx)), generator=generator)
    try:
        with torch.inference_mode():
            answer = module(
                input_ids=tokens.to(module.device),
                output_attentions=True,
                use_cache=False,
                return_dict=True,
            )
    except Exception as error:  # Each architecture raises its own.
        return f"transformers cannot run it: {reason(error)}"
    if not bool(answer.logits.isfinite().all()):
        return f"its logits are not finite in {answer.logits.dtype}. Try dtype float32."
    patterns: tuple[Any, ...] = tuple(answer.attentions or ())
    if not patterns or any(pattern is None or pattern.ndim != 4 for pattern in patterns):
        return "some of its layers have no attention patterns."
    return LibraryAnswer(tokens, answer.logits, patterns)


def disagreement(bridge: HookedModel, answer: LibraryAnswer) -> str | None:
    """How a bridge differs from the library, as half a sentence, or None where it does not.

    Compared are the logits, the pattern of every head, and what the heads write: the values they
    mix, through W_O, against the output of that projection.
    """
    layers = range(bridge.cfg.n_layers)
    parts = ("hook_pattern", "hook_v", "hook_z", "o.hook_in", "o.hook_out")
    names = {f"blocks.{layer}.attn.{part}" for layer in layers for part in parts}
    names |= {"ln_final.hook_in"}
    try:
        with torch.inference_mode():
            tokens = answer.tokens.to(bridge.cfg.device)
            logits, cache = bridge.run_with_cache(tokens, names_filter=lambda name: name in names)
    except Exception as error:
        return f"TransformerLens cannot run it: {reason(error)}"
    absent = sorted(names - set(cache.keys()))
    if absent:
        return f"TransformerLens has no {absent[0]} in it."
    tolerance = TOLERANCE.get(logits.dtype, 1e-3)
    apart = _relative(logits, answer.logits)
    if not apart <= tolerance:
        return (
            f"TransformerLens computes other logits than transformers: they differ by {apart:.0%}."
        )
    return _other_patterns(bridge, answer, cache, tolerance) or _other_writes(
        bridge, cache, tolerance
    )


def _other_patterns(
    bridge: HookedModel, answer: LibraryAnswer, cache: Any, tolerance: float
) -> str | None:
    n_heads, n_pos = bridge.cfg.n_heads, answer.tokens.shape[1]
    for layer, expected in enumerate(answer.patterns):
        pattern = cache[f"blocks.{layer}.attn.hook_pattern"]
        if pattern.shape != expected.shape or pattern.shape[1:] != (n_heads, n_pos, n_pos):
            return f"layer {layer} has patterns of the shape {list(expected.shape)}."
        apart = (pattern.float() - expected.float()).abs().max().item()
        if not apart <= tolerance:
            return (
                f"TransformerLens computes other attention patterns than transformers: in layer "
                f"{layer} they differ by {apart:.2f}."
            )
        if pattern.triu(diagonal=1).any():
            return f"layer {layer} attends to later tokens, so it is not a causal model."
        if (pattern.float().sum(dim=-1) - 1).abs().max() > 2e-2:
            return f"the attention weights of layer {layer} do not sum to 1."
    return None


def _other_writes(bridge: HookedModel, cache: Any, tolerance: float) -> str | None:
    n_heads = bridge.cfg.n_heads
    for layer in range(bridge.cfg.n_layers):
        attention = bridge.blocks[layer].attn
        try:
            W_O = attention.W_O.detach()
            shapes = [getattr(attention, name).shape for name in ("W_Q", "W_K", "W_V")]
        except Exception as error:
            return f"TransformerLens does not know the weights of its heads: {reason(error)}"
        if W_O.shape[0] != n_heads or any(n_heads % shape[0] for shape in shapes):
            return f"TransformerLens does not know the heads of layer {layer}."
        entered = cache[f"blocks.{layer}.attn.o.hook_in"].flatten(2).unflatten(-1, (n_heads, -1))
        written = torch.einsum("bphd,hdm->bpm", entered, W_O)
        out = cache[f"blocks.{layer}.attn.o.hook_out"]
        rest = (out - written).float()  # A bias: the same everywhere.
        apart = _relative(rest, rest[:1, :1].expand_as(rest), out)
        if not apart <= tolerance:
            return f"TransformerLens does not know what the heads of layer {layer} write."
    return None


def _relative(values: Tensor, expected: Tensor, scale: Tensor | None = None) -> float:
    """The largest difference, as a share of the largest value."""
    largest = (expected if scale is None else scale).float().abs().max().clamp_min(1e-9)
    return ((values.float() - expected.float()).abs().max() / largest).item()
