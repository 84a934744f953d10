"""The measurements of a toy in a sweep: the record of its snapshots and ablations.

**One ablation** zero-ablates one head in one snapshot of one model, on one batch of rows: the work
of a forward pass, and one number, the rise of the loss in nats. Each head of a snapshot is ablated
on `N_BATCHES` batches of two copies of a random block and on as many controls, in which the second
block is a different one. `ablations` counts the ablations that were carried out.
"""

from dataclasses import dataclass
from functools import cache, partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.data.tokens import distinct_tokens, repeated_tokens
from induction_heads.data.toy_rows import D_VOCAB, DATA_KINDS
from induction_heads.interp.ablation import ablation_scores
from induction_heads.interp.activations import head_scores
from induction_heads.interp.formation import ModelRecord
from induction_heads.interp.losses import in_context_learning_score, per_token_loss
from induction_heads.interp.scores import induction_score, previous_token_score
from induction_heads.models.attention_only import AttentionOnly
from induction_heads.sweeps.toy_models import ToyVariant
from induction_heads.training.measurement import train_and_measure
from induction_heads.training.records import HELD_OUT_SEED, rounded

PERIODS = (8, 10, 12, 16)
"""Lengths of a block: several, so that a head with a fixed offset stands out."""

BATCHES = 2
"""Batches of every period, if all periods fit, and as many controls."""

ROWS = 16
"""Rows of a batch."""

N_BATCHES = len(PERIODS) * BATCHES
ABLATIONS_PER_HEAD = 2 * N_BATCHES
"""Ablations of one head in one snapshot: every batch and its control."""

HELD_OUT_BATCHES = 4

Heads = Float[Tensor, "layer head"]


@dataclass(frozen=True)
class BlockPairs:
    """Rows of two blocks: the second repeats the first, or in a control is a different block."""

    tokens: Int[Tensor, "batch pos"]
    period: int


@cache
def block_pairs(control: bool = False, n_ctx: int = 2 * PERIODS[-1]) -> tuple[BlockPairs, ...]:
    """The batches for all models of this context, 16 rows each.

    Each row of a control has the same first block as the row it controls for, and a second block
    without any token of the first. A model with fewer than 32 positions gets the same number of
    batches, with the periods that fit.
    """
    fitting = [period for period in PERIODS if 2 * period <= n_ctx]
    batches = []
    for number in range(N_BATCHES):
        period, batch = fitting[number % len(fitting)], number // len(fitting)
        seed = 1000 * period + batch
        repeated = repeated_tokens(D_VOCAB, period, batch=ROWS, seed=seed)
        unrelated = distinct_tokens(D_VOCAB, 2 * period, ROWS, seed)
        batches.append(BlockPairs(unrelated if control else repeated, period))
    return tuple(sorted(batches, key=lambda pairs: pairs.period))


def _fits(model: AttentionOnly) -> int:
    """The number of positions that the rows may take. All longer contexts share their batches."""
    return min(model.config.n_ctx, 2 * PERIODS[-1])


def ablation_effects(
    model: AttentionOnly, *, control: bool = False
) -> Float[Tensor, "sample layer head"]:
    """The rise of the loss in nats when a head is zero-ablated, for each batch.

    The loss is the mean over the second block from its second token on, as everywhere in this
    course.
    """
    return torch.stack(
        [
            ablation_scores(model, pairs.tokens, last=pairs.period - 1)
            for pairs in block_pairs(control, _fits(model))
        ]
    )


def probe_scores(model: AttentionOnly) -> dict[str, Heads]:
    """The previous-token and induction score of every head, as means over all batches."""
    scores: dict[str, list[Heads]] = {"previous_token": [], "induction": []}
    for pairs in block_pairs(n_ctx=_fits(model)):
        scorers = {
            "previous_token": previous_token_score,
            "induction": partial(induction_score, period=pairs.period),
        }
        for name, score in head_scores(model, pairs.tokens, scorers).items():
            scores[name].append(score)
    return {name: torch.stack(each).mean(dim=0) for name, each in scores.items()}


def probe_losses(model: AttentionOnly) -> dict[str, float]:
    """Mean losses in nats: of the first and second copy, and of a control's second block."""
    first, second, control = [], [], []
    n_ctx = _fits(model)
    with torch.inference_mode():
        for pairs, other in zip(block_pairs(False, n_ctx), block_pairs(True, n_ctx), strict=True):
            losses = per_token_loss(model(pairs.tokens), pairs.tokens)
            first.append(losses[:, : pairs.period - 1].mean().item())
            second.append(losses[:, 1 - pairs.period :].mean().item())
            losses = per_token_loss(model(other.tokens), other.tokens)
            control.append(losses[:, 1 - pairs.period :].mean().item())
    return {
        "first_copy_loss": sum(first) / len(first),
        "second_copy_loss": sum(second) / len(second),
        "control_loss": sum(control) / len(control),
    }


def held_out_losses(model: AttentionOnly, data: str) -> dict[str, float]:
    """Loss and `in_context_learning_score` in nats on held-out rows of the training data's kind."""
    generator = torch.Generator().manual_seed(HELD_OUT_SEED)
    with torch.inference_mode():
        tokens = torch.cat([DATA_KINDS[data].sample(generator) for _ in range(HELD_OUT_BATCHES)])
        losses = per_token_loss(model(tokens), tokens)
    score = in_context_learning_score(losses)
    return {"loss": losses.mean().item(), "in_context_learning": score}


def snapshot_record(model: AttentionOnly, variant: ToyVariant, step: int) -> ModelRecord | None:
    """Losses, scores and ablation effects of one snapshot; None if its loss is not a number.

    `rise` and `control_rise` are means over the batches, `rise_sd` and `control_rise_sd` the
    standard deviations over them.
    """
    losses = held_out_losses(model, variant.data) | probe_losses(model)
    if not all(torch.tensor(list(losses.values())).isfinite()):
        return None
    record: ModelRecord = {"step": step} | {name: round(loss, 4) for name, loss in losses.items()}
    record |= {name: rounded(score) for name, score in probe_scores(model).items()}
    for name, control in (("rise", False), ("control_rise", True)):
        effects = ablation_effects(model, control=control)
        record[name] = rounded(effects.mean(dim=0))
        record[f"{name}_sd"] = rounded(effects.std(dim=0))
    return record


def model_record(variant: ToyVariant) -> ModelRecord:
    """Train one model and measure every snapshot: see `train_and_measure`."""
    return train_and_measure(variant, snapshot_record, ABLATIONS_PER_HEAD)[1]
