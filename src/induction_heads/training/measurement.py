"""The record of a model of a sweep: trained, then measured at each snapshot."""

import math
import time
from collections.abc import Callable
from typing import Any

from torch import nn

from induction_heads.interp.formation import ModelRecord
from induction_heads.models.interface import parameter_count
from induction_heads.training.records import loss_curve
from induction_heads.training.run import Diverged, one_thread, snapshot_steps, train
from induction_heads.training.spec import SweptModel

Measure = Callable[[Any, Any, int], ModelRecord | None]
"""Measures a model, from its description and the step; None if its loss is infinite or NaN."""


def train_and_measure(
    swept: SweptModel, measure: Measure, ablations_per_head: int, *, progress: bool = False
) -> tuple[nn.Module, ModelRecord]:
    """The trained model and its record.

    `status` is "trained", or "diverged" with the reason in `why` and the snapshots up to that step.
    The same description gives the same record on the same machine, except for `seconds`.
    """
    started = time.thread_time()
    model, status, why = swept.new_model(), "trained", ""
    steps = snapshot_steps(swept.steps, swept.snapshots)
    try:
        run = train(
            model,
            swept.sampler(),
            swept.settings(),
            seed=swept.seed,
            snapshots_at=steps,
            progress=progress,
        )
    except Diverged as error:
        run, status, why = error.run, "diverged", str(error)
    with one_thread():
        measurements = []
        for step, weights in run.snapshots.items():
            model.load_state_dict(weights)
            measurements.append(measure(model, swept, step))
    snapshots = [snapshot for snapshot in measurements if snapshot is not None]
    return model, {
        "model": swept.name,
        "status": status,
        "why": why,
        "parameters": parameter_count(model),
        "ablations": len(snapshots) * swept.n_layers * swept.n_heads * ablations_per_head,
        "seconds": round(time.thread_time() - started + run.earlier_seconds, 2),
        "curve": loss_curve([loss for loss in run.losses if math.isfinite(loss)]),
        "snapshots": snapshots,
    }


def died_record(model: SweptModel, times: int) -> ModelRecord:
    """The record of a model whose process died every time: part of the tables, without numbers."""
    why = f"the process that trained it died {times} times"
    return {
        "model": model.name,
        "status": "died",
        "why": why,
        "parameters": 0,
        "ablations": 0,
        "seconds": 0.0,
        "curve": [],
        "snapshots": [],
    }
