"""One model of a sweep, trained and measured at its snapshots: its record."""

import math
import time
from collections.abc import Callable
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from induction_heads.cards import curve
from induction_heads.swept_model import SweptModel
from induction_heads.training import Diverged, one_thread, snapshot_steps, train

Record = dict[str, Any]

Measure = Callable[[Any, Any, int], Record | None]
"""Measures a model, given its description and the step; None if its loss is not a number."""


def train_and_measure(
    swept: SweptModel, measure: Measure, ablations_per_head: int, *, progress: bool = False
) -> tuple[nn.Module, Record]:
    """The trained model and its record, with a bar over the training if `progress` is asked for.

    `status` is "trained", or "diverged" with the reason in `why`: then the snapshots until that
    step are there. The same description gives the same record on the same machine, but for
    `seconds`.
    """
    started = time.thread_time()
    model, status, why = swept.new_model(), "trained", ""
    steps = snapshot_steps(swept.steps, swept.snapshots)
    try:
        run = train(model, swept.sampler(), swept.settings(),
                    seed=swept.seed, snapshots_at=steps, progress=progress)  # fmt: skip
    except Diverged as error:
        run, status, why = error.run, "diverged", str(error)
    with one_thread():
        snapshots = []
        for step, weights in run.snapshots.items():
            model.load_state_dict(weights)
            snapshots.append(measure(model, swept, step))
    kept = [snapshot for snapshot in snapshots if snapshot is not None]
    return model, {
        "model": swept.name,
        "status": status,
        "why": why,
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "ablations": len(kept) * swept.n_layers * swept.n_heads * ablations_per_head,
        "seconds": round(time.thread_time() - started, 2),
        "curve": curve([loss for loss in run.losses if math.isfinite(loss)]),
        "snapshots": kept,
    }


def rounded(heads: Float[Tensor, "layer head"]) -> list[list[float]]:
    """The values of all heads to four places, [layer][head]."""
    # Adding 0 makes −0 a 0.
    return [[round(value, 4) + 0.0 for value in row] for row in heads.tolist()]


def died_record(model: SweptModel, times: int) -> Record:
    """The record of a model whose process died every time: it is in the tables, with no numbers."""
    why = f"the process that trained it died {times} times"
    return {
        "model": model.name, "status": "died", "why": why, "parameters": 0, "ablations": 0,
        "seconds": 0.0, "curve": [], "snapshots": [],
    }  # fmt: skip
