"""What is measured of one model trained on real text, from its start to its last ablation.

As in `sweep_record`, with two things added: the loss at every eighth of the row, and the same
ablations on natural repeats. A token of held-out text is **predictable by repetition** if an
earlier copy of the token before it was followed by just this token. An ablation is one head,
silenced (zero ablation) in one snapshot on one batch.
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

from induction_heads.activations import attention_patterns
from induction_heads.attention_only import AttentionOnly
from induction_heads.cards import HELD_OUT_SEED
from induction_heads.losses import per_token_loss
from induction_heads.python_text import python_streams, text_rows
from induction_heads.scores import induction_score, previous_token_score
from induction_heads.small_hugging_face import SmallHuggingFace
from induction_heads.sweep_training import Record, rounded, train_and_measure
from induction_heads.text_family import TextVariant
from induction_heads.tokens import distinct_tokens, follows_earlier_copy, repeated_tokens, with_bos

PERIODS = (16, 24, 31)
"""Lengths of the block in the probes: two copies and a BOS token fit in 64 positions."""

ROWS = 8
"""Rows of a probe batch."""

NATURAL_BATCHES = 2
NATURAL_TOKENS = 2048
"""Tokens of a batch of held-out text, whatever the length of a row."""

ABLATIONS_PER_HEAD = 2 * len(PERIODS) + NATURAL_BATCHES
"""Ablations of one head in one snapshot: each probe, each control, each batch of held-out text."""

EIGHTHS = 8


def predictable_by_repetition(tokens: Int[Tensor, "batch pos"]) -> Bool[Tensor, "batch next_pos"]:
    """Whether each token after the first followed an earlier copy of the token before it.

    Entry i speaks of token i + 1, as in `per_token_loss`. These are natural repeats: an induction
    head that looks at the right one of the earlier copies predicts them.
    """
    places = follows_earlier_copy(tokens)[:, :-1]
    same = tokens[:, None, :] == tokens[:, 1:, None]
    return (places & same).any(dim=-1)


@dataclass(frozen=True)
class Batch:
    """Rows of tokens, and the loss entries of which the mean is taken, by name."""

    tokens: Int[Tensor, "batch pos"]
    masks: dict[str, Bool[Tensor, "batch next_pos"]]


@cache
def _probes(d_vocab: int, bos: int | None) -> tuple[Batch, ...]:
    found, exclude = [], () if bos is None else (bos,)
    for period in PERIODS:
        seed = 1000 * period
        repeated = repeated_tokens(d_vocab, period, batch=ROWS, bos_token=bos, seed=seed)
        unrelated = with_bos(distinct_tokens(d_vocab, 2 * period, ROWS, seed, exclude), bos)
        last = torch.zeros(ROWS, repeated.shape[1] - 1, dtype=torch.bool)
        last[:, 1 - period :] = True
        first = last.roll(-period, dims=1)
        found.append(Batch(repeated, {"rise": last, "first_copy": first}))
        found.append(Batch(unrelated, {"control_rise": last}))
    return tuple(found)


@cache
def _natural(d_vocab: int, n_ctx: int, bos: int | None) -> tuple[Batch, ...]:
    generator = torch.Generator().manual_seed(HELD_OUT_SEED)
    held_out = python_streams(d_vocab)[1]
    found = []
    for _ in range(NATURAL_BATCHES):
        rows = NATURAL_TOKENS // n_ctx
        tokens = text_rows(held_out, n_ctx, rows, generator, bos_token=bos)
        repeat = predictable_by_repetition(tokens)
        found.append(Batch(tokens, {"natural_rise": repeat, "other_rise": ~repeat}))
    return tuple(found)


def probe_batches(variant: TextVariant) -> tuple[Batch, ...]:
    """Repeated random tokens and their controls, for the vocabulary and the BOS of a variant."""
    return _probes(variant.d_vocab, variant.bos_token)


def natural_batches(variant: TextVariant) -> tuple[Batch, ...]:
    """Held-out text in rows as those that the variant is trained on."""
    return _natural(variant.d_vocab, variant.n_ctx, variant.bos_token)


def patterns_of(model: nn.Module, tokens: Tensor) -> Float[Tensor, "layer batch head query key"]:
    """The attention patterns of an attention-only model or of a small Hugging Face model."""
    if isinstance(model, SmallHuggingFace):
        return model.patterns(tokens)
    return attention_patterns(model, tokens)


def heads_of(model: nn.Module) -> tuple[int, int]:
    """How many layers, and how many heads in each."""
    if isinstance(model, SmallHuggingFace):
        return model.heads()
    assert isinstance(model, AttentionOnly)
    return model.config.n_layers, model.config.n_heads


def _written_by(model: nn.Module, layer: int, head: int) -> Tensor:
    """The weights by which a head writes what it mixed to the residual stream, as a view."""
    if isinstance(model, SmallHuggingFace):
        return model.written_by(layer, head)
    return model.get_parameter(f"layers.{layer}.W_O")[head]


@contextmanager
def silenced(model: nn.Module, layer: int, head: int) -> Iterator[None]:
    """Zero ablation of one head: inside, what it mixed is not written to the residual stream."""
    written = _written_by(model, layer, head)
    with torch.no_grad():
        before = written.clone()
        written.zero_()
        try:
            yield
        finally:
            written.copy_(before)


def batch_losses(model: nn.Module, batches: tuple[Batch, ...]) -> dict[str, float]:
    """Name → mean loss in nats over the marked entries of all batches that have the name."""
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
    repeated = [batch for batch in probe_batches(variant) if "rise" in batch.masks]
    found: dict[str, list[Tensor]] = {"previous_token": [], "induction": []}
    for batch, period in zip(repeated, PERIODS, strict=True):
        patterns = patterns_of(model, batch.tokens)
        found["previous_token"].append(previous_token_score(patterns).mean(dim=1))
        found["induction"].append(induction_score(patterns, period).mean(dim=1))
    return {name: rounded(torch.stack(scores).mean(dim=0)) for name, scores in found.items()}


def held_out_losses(model: nn.Module, variant: TextVariant) -> dict[str, Any]:
    """Loss on held-out text, by eighths of the row, and the in-context-learning score.

    The score is the mean loss over the last quarter of a row minus that over the first.
    """
    with torch.inference_mode():
        losses = torch.cat([per_token_loss(model(batch.tokens), batch.tokens)
                            for batch in natural_batches(variant)])  # fmt: skip
    parts = [part.mean().item() for part in losses.tensor_split(EIGHTHS, dim=1)]
    quarter = variant.n_ctx // 4
    score = losses[:, -quarter:].mean() - losses[:, :quarter].mean()
    return {
        "loss": losses.mean().item(), "in_context_learning": score.item(), "eighths": parts,
    }  # fmt: skip


def snapshot_record(model: nn.Module, variant: TextVariant, step: int) -> Record | None:
    """Losses, scores and ablation effects of one snapshot; None if its loss is not a number."""
    batches = probe_batches(variant) + natural_batches(variant)
    clean, text = batch_losses(model, batches), held_out_losses(model, variant)
    if not all(map(math.isfinite, clean.values())):
        return None
    record: Record = {
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


def text_record(variant: TextVariant) -> Record:
    """Train one model on text, then measure and ablate every snapshot: see `train_and_measure`."""
    return train_and_measure(variant, snapshot_record, ABLATIONS_PER_HEAD)[1]
