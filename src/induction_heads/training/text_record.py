"""The measurements of a model trained on real text: the record of its snapshots and ablations.

They are those of the toys and two more: the loss in every eighth of the row, and the ablations on
held-out text, at `natural_repeats` and elsewhere. An ablation zero-ablates one head in one snapshot
on one batch.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from induction_heads.data.python_text import python_streams, text_rows
from induction_heads.data.tokens import (
    distinct_tokens,
    repeated_tokens,
    with_bos,
)
from induction_heads.interp.activations import attention_patterns
from induction_heads.interp.formation import ModelRecord
from induction_heads.interp.losses import late_minus_early_loss, per_token_loss
from induction_heads.interp.natural_repeats import natural_repeats
from induction_heads.interp.scores import induction_score, previous_token_score
from induction_heads.models.attention_only import AttentionOnly
from induction_heads.models.small_hugging_face import SmallHuggingFace
from induction_heads.training.measurement import train_and_measure
from induction_heads.training.records import HELD_OUT_SEED, rounded
from induction_heads.training.text_models import TextVariant

PERIODS = (16, 24, 31)
"""Lengths of a block: two copies and a BOS token fit in 64 positions."""

ROWS = 8
"""Rows of a batch of repeated tokens."""

NATURAL_BATCHES = 2
NATURAL_TOKENS = 2048
"""Tokens of a batch of held-out text, whatever the length of a row."""

ABLATIONS_PER_HEAD = 2 * len(PERIODS) + NATURAL_BATCHES
"""Ablations of one head in one snapshot: repeats, controls and batches of held-out text."""

EIGHTHS = 8


@dataclass(frozen=True)
class Batch:
    """Rows of tokens, and masks of the losses to average, by name."""

    tokens: Int[Tensor, "batch pos"]
    masks: dict[str, Bool[Tensor, "batch next_pos"]]


@cache
def _repeats(d_vocab: int, bos: int | None) -> tuple[Batch, ...]:
    batches, exclude = [], () if bos is None else (bos,)
    for period in PERIODS:
        seed = 1000 * period
        repeated = repeated_tokens(d_vocab, period, batch=ROWS, bos_token=bos, seed=seed)
        unrelated = with_bos(distinct_tokens(d_vocab, 2 * period, ROWS, seed, exclude), bos)
        last = torch.zeros(ROWS, repeated.shape[1] - 1, dtype=torch.bool)
        last[:, 1 - period :] = True
        first = last.roll(-period, dims=1)
        batches.append(Batch(repeated, {"rise": last, "first_copy": first}))
        batches.append(Batch(unrelated, {"control_rise": last}))
    return tuple(batches)


@cache
def _natural(n_ctx: int, bos: int | None, held_out: Tensor) -> tuple[Batch, ...]:
    generator = torch.Generator().manual_seed(HELD_OUT_SEED)
    batches = []
    for _ in range(NATURAL_BATCHES):
        rows = NATURAL_TOKENS // n_ctx
        tokens = text_rows(held_out, n_ctx, rows, generator, bos_token=bos)
        right, _ = natural_repeats(tokens)
        batches.append(Batch(tokens, {"natural_rise": right, "other_rise": ~right}))
    return tuple(batches)


def repeat_batches(variant: TextVariant) -> tuple[Batch, ...]:
    """Repeated random tokens and their controls, with the vocabulary and BOS token of a model."""
    return _repeats(variant.d_vocab, variant.bos_token)


def natural_batches(variant: TextVariant, held_out: Tensor | None = None) -> tuple[Batch, ...]:
    """Held-out text in rows of the length and the BOS token of a model.

    `held_out` is a stream of token ids, by default that of the running Python, in the tokens of the
    tokenizer that is trained on it. A shipped model needs its own: `held_out_stream(tokenizer)`.
    Its rows are kept for the next call with the same tensor.
    """
    stream = python_streams(variant.d_vocab)[1] if held_out is None else held_out
    return _natural(variant.n_ctx, variant.bos_token, stream)


def patterns_of(model: nn.Module, tokens: Tensor) -> Float[Tensor, "layer batch head query key"]:
    """The attention patterns of an attention-only model or of a small Hugging Face model."""
    if isinstance(model, SmallHuggingFace):
        return model.patterns(tokens)
    assert isinstance(model, AttentionOnly)
    return attention_patterns(model, tokens)


def heads_of(model: nn.Module) -> tuple[int, int]:
    """The number of layers, and of heads in each."""
    if isinstance(model, SmallHuggingFace):
        return model.heads()
    assert isinstance(model, AttentionOnly)
    return model.config.n_layers, model.config.n_heads


def _output_weights(model: nn.Module, layer: int, head: int) -> Tensor:
    """The output weights of a head, as a view."""
    if isinstance(model, SmallHuggingFace):
        return model.written_by(layer, head)
    return model.get_parameter(f"layers.{layer}.W_O")[head]


@contextmanager
def silenced(model: nn.Module, layer: int, head: int) -> Iterator[None]:
    """Zero-ablate one head inside this context: it writes nothing to the residual stream."""
    output = _output_weights(model, layer, head)
    with torch.no_grad():
        before = output.clone()
        output.zero_()
        try:
            yield
        finally:
            output.copy_(before)


def batch_losses(model: nn.Module, batches: tuple[Batch, ...]) -> dict[str, float]:
    """Name of a mask → mean loss in nats, over all batches with such a mask."""
    sums: dict[str, float] = {}
    counts: dict[str, int] = {}
    for batch in batches:
        with torch.inference_mode():
            losses = per_token_loss(model(batch.tokens), batch.tokens)
        for name, mask in batch.masks.items():
            sums[name] = sums.get(name, 0.0) + losses[mask].sum().item()
            counts[name] = counts.get(name, 0) + int(mask.sum())
    return {name: total / counts[name] for name, total in sums.items()}


def probe_scores(model: nn.Module, variant: TextVariant) -> dict[str, list[list[float]]]:
    """The previous-token and the induction score of every head on repeated random tokens."""
    repeated = [batch for batch in repeat_batches(variant) if "rise" in batch.masks]
    scores: dict[str, list[Tensor]] = {"previous_token": [], "induction": []}
    for batch, period in zip(repeated, PERIODS, strict=True):
        patterns = patterns_of(model, batch.tokens)
        scores["previous_token"].append(previous_token_score(patterns).mean(dim=1))
        scores["induction"].append(induction_score(patterns, period).mean(dim=1))
    return {name: rounded(torch.stack(each).mean(dim=0)) for name, each in scores.items()}


def held_out_losses(
    model: nn.Module, variant: TextVariant, held_out: Tensor | None = None
) -> dict[str, Any]:
    """The loss on held-out text, also by eighths of the row, and the in-context-learning score.

    The score is `late_minus_early_loss` with a quarter of the row, `n_ctx // 4` losses;
    `in_context_learning_score` takes a quarter of the `n_ctx - 1` losses.
    """
    with torch.inference_mode():
        losses = torch.cat(
            [
                per_token_loss(model(batch.tokens), batch.tokens)
                for batch in natural_batches(variant, held_out)
            ]
        )
    parts = [part.mean().item() for part in losses.tensor_split(EIGHTHS, dim=1)]
    return {
        "loss": losses.mean().item(),
        "in_context_learning": late_minus_early_loss(losses, variant.n_ctx // 4),
        "eighths": parts,
    }


def snapshot_record(
    model: nn.Module, variant: TextVariant, step: int, held_out: Tensor | None = None
) -> ModelRecord | None:
    """Losses, scores and ablation effects of one snapshot; None if its loss is not a number.

    For `held_out` see `natural_batches`.
    """
    batches = repeat_batches(variant) + natural_batches(variant, held_out)
    clean, text = batch_losses(model, batches), held_out_losses(model, variant, held_out)
    if not all(map(math.isfinite, clean.values())):
        return None
    record: ModelRecord = {
        "step": step,
        "loss": round(text["loss"], 4),
        "in_context_learning": round(text["in_context_learning"], 4),
        "first_copy_loss": round(clean["first_copy"], 4),
        "second_copy_loss": round(clean["rise"], 4),
        "control_loss": round(clean["control_rise"], 4),
        "natural_loss": round(clean["natural_rise"], 4),
        "other_loss": round(clean["other_rise"], 4),
        **{f"loss_eighth_{i}": round(loss, 4) for i, loss in enumerate(text["eighths"], start=1)},
        **probe_scores(model, variant),
    }
    n_layers, n_heads = heads_of(model)
    rises = {name: torch.zeros(n_layers, n_heads) for name in clean if name != "first_copy"}
    for layer in range(n_layers):
        for head in range(n_heads):
            with silenced(model, layer, head):
                losses = batch_losses(model, batches)
            for name, rise in rises.items():
                rise[layer, head] = losses[name] - clean[name]
    return record | {name: rounded(rise) for name, rise in rises.items()}


def text_record(variant: TextVariant) -> ModelRecord:
    """Train one model on text and measure every snapshot: see `train_and_measure`."""
    return train_and_measure(variant, snapshot_record, ABLATIONS_PER_HEAD)[1]
