"""What is measured of one model of a sweep: one record, from its start to its last ablation.

**One ablation** is one head, silenced (zero ablation) in one snapshot of one model, on one batch of
probe rows: one forward pass's worth of work, and one number, the rise of the loss in nats. A head
of a snapshot is ablated on `PROBES` batches of two copies of a random block, and on as many
controls, where the second block is another one. `ablations` counts those that were carried out.
"""

from dataclasses import dataclass
from functools import cache, partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.activations import head_scores
from induction_heads.attention_only import AttentionOnly
from induction_heads.cards import HELD_OUT_SEED
from induction_heads.interventions import ablation_scores
from induction_heads.losses import in_context_learning_score, per_token_loss
from induction_heads.scores import induction_score, previous_token_score
from induction_heads.sweep_family import D_VOCAB, DATA, Variant
from induction_heads.sweep_training import Record, rounded, train_and_measure
from induction_heads.tokens import distinct_tokens, repeated_tokens

PERIODS = (8, 10, 12, 16)
"""Lengths of the block in the probes: several, so that a head with a fixed offset stands out."""

BATCHES = 2
"""Probe batches of every period, if all periods fit, and as many controls."""

ROWS = 16
"""Rows of a probe batch."""

PROBES = len(PERIODS) * BATCHES
ABLATIONS_PER_HEAD = 2 * PROBES
"""Ablations of one head in one snapshot: every probe batch and its control."""

HELD_OUT_BATCHES = 4

Heads = Float[Tensor, "layer head"]


@dataclass(frozen=True)
class Probe:
    """Rows of a block and another: the same block again, or in a control a different one."""

    tokens: Int[Tensor, "batch pos"]
    period: int


@cache
def probes(control: bool = False, n_ctx: int = 2 * PERIODS[-1]) -> tuple[Probe, ...]:
    """The probe batches, the same for every model of this context: 16 rows each.

    Row by row a control has the same first block as its probe. No token of its second block is in
    its first. A model with less than 32 positions gets as many batches, of the periods that fit.
    """
    fitting = [period for period in PERIODS if 2 * period <= n_ctx]
    found = []
    for number in range(PROBES):
        period, batch = fitting[number % len(fitting)], number // len(fitting)
        seed = 1000 * period + batch
        repeated = repeated_tokens(D_VOCAB, period, batch=ROWS, seed=seed)
        unrelated = distinct_tokens(D_VOCAB, 2 * period, ROWS, seed)
        found.append(Probe(unrelated if control else repeated, period))
    return tuple(sorted(found, key=lambda probe: probe.period))


def _fits(model: AttentionOnly) -> int:
    """How many positions probes may take: all longer contexts share their probes."""
    return min(model.config.n_ctx, 2 * PERIODS[-1])


def ablation_effects(
    model: AttentionOnly, *, control: bool = False
) -> Float[Tensor, "probe layer head"]:
    """The rise of the loss in nats when a head is silenced: probe batch by probe batch.

    The loss is that of the second block from its second token on, as everywhere in this course.
    """
    return torch.stack([ablation_scores(model, probe.tokens, last=probe.period - 1)
                        for probe in probes(control, _fits(model))])  # fmt: skip


def probe_scores(model: AttentionOnly) -> dict[str, Heads]:
    """The previous-token and induction score of every head, as means over all probe batches."""
    found: dict[str, list[Heads]] = {"previous_token": [], "induction": []}
    for probe in probes(n_ctx=_fits(model)):
        scorers = {
            "previous_token": previous_token_score,
            "induction": partial(induction_score, period=probe.period),
        }
        for name, score in head_scores(model, probe.tokens, scorers).items():
            found[name].append(score)
    return {name: torch.stack(scores).mean(dim=0) for name, scores in found.items()}


def probe_losses(model: AttentionOnly) -> dict[str, float]:
    """Mean losses in nats: of the first and second copy, and of a control's second block."""
    first, second, control = [], [], []
    n_ctx = _fits(model)
    with torch.inference_mode():
        for probe, other in zip(probes(False, n_ctx), probes(True, n_ctx), strict=True):
            losses = per_token_loss(model(probe.tokens), probe.tokens)
            first.append(losses[:, : probe.period - 1].mean().item())
            second.append(losses[:, 1 - probe.period :].mean().item())
            losses = per_token_loss(model(other.tokens), other.tokens)
            control.append(losses[:, 1 - probe.period :].mean().item())
    return {
        "first_copy_loss": sum(first) / len(first),
        "second_copy_loss": sum(second) / len(second),
        "control_loss": sum(control) / len(control),
    }


def held_out_losses(model: AttentionOnly, data: str) -> dict[str, float]:
    """Loss and in-context-learning score in nats on rows like the training data, never trained on.

    `in_context_learning_score` says what that score is.
    """
    generator = torch.Generator().manual_seed(HELD_OUT_SEED)
    with torch.inference_mode():
        tokens = torch.cat([DATA[data].sample(generator) for _ in range(HELD_OUT_BATCHES)])
        losses = per_token_loss(model(tokens), tokens)
    score = in_context_learning_score(losses)
    return {"loss": losses.mean().item(), "in_context_learning": score}


def snapshot_record(model: AttentionOnly, variant: Variant, step: int) -> Record | None:
    """Losses, scores and ablation effects of one snapshot; None if its loss is not a number.

    `rise` and `control_rise` are means over the probe batches, `rise_sd` and `control_rise_sd` the
    standard deviations between them.
    """
    losses = held_out_losses(model, variant.data) | probe_losses(model)
    if not all(torch.tensor(list(losses.values())).isfinite()):
        return None
    record: Record = {"step": step} | {name: round(loss, 4) for name, loss in losses.items()}
    record |= {name: rounded(score) for name, score in probe_scores(model).items()}
    for name, control in (("rise", False), ("control_rise", True)):
        effects = ablation_effects(model, control=control)
        record[name] = rounded(effects.mean(dim=0))
        record[f"{name}_sd"] = rounded(effects.std(dim=0))
    return record


def model_record(variant: Variant) -> Record:
    """Train one model, then measure and ablate every snapshot of it: see `train_and_measure`."""
    return train_and_measure(variant, snapshot_record, ABLATIONS_PER_HEAD)[1]
