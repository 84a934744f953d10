"""When a model changed, and what changed with it, from what was measured of its snapshots."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch


def log_slopes(curve: Sequence[tuple[int, float]]) -> list[tuple[float, float]]:
    """(step, slope) between neighboring points: nats for a step e times as late.

    `curve` holds (step, loss) in order. The step of a slope is the geometric mean of its two ends.
    Step 0 has no logarithm and is left out. Raises ValueError unless two later points are left, in
    order.
    """
    points = [(step, loss) for step, loss in curve if step > 0]
    if len(points) < 2 or any(later <= earlier for (earlier, _), (later, _) in pairwise(points)):
        raise ValueError(
            f"Steps {[step for step, _ in curve][:8]} came in; two or more above 0 were expected, "
            "each later than the one before."
        )
    return [
        (math.sqrt(earlier * later), (after - before) / math.log(later / earlier))
        for (earlier, before), (later, after) in pairwise(points)
    ]


def phase_change_step(curve: Sequence[tuple[int, float]]) -> float:
    """The step at which the loss falls fastest by the logarithm of the step.

    As `log_slopes`, whose lowest slope this is; the first one if there are several. Every curve has
    such a step, also that of a model in which nothing happened: look at the slope as well.
    """
    return min(log_slopes(curve), key=lambda found: found[1])[0]


def induction_formation_correlates(snapshots: Sequence[dict[str, Any]]) -> dict[str, float]:
    """How the best induction score goes together with the in-context-learning score.

    Each snapshot has `induction` [layer][head], `in_context_learning` and `control_loss`, as in
    `sweep_record`. Three Pearson correlations: `levels` of the score with the in-context-learning
    score; `changes` of the same from one snapshot to the next; `control`, changes of the score with
    changes of the loss where nothing repeats. Raises ValueError where nothing varies.
    """
    best = [max(map(max, snapshot["induction"])) for snapshot in snapshots]
    learning = [snapshot["in_context_learning"] for snapshot in snapshots]
    control = [snapshot["control_loss"] for snapshot in snapshots]
    return {
        "levels": _correlation(best, learning),
        "changes": _correlation(_changes(best), _changes(learning)),
        "control": _correlation(_changes(best), _changes(control)),
    }


def _changes(values: Sequence[float]) -> list[float]:
    return [after - before for before, after in pairwise(values)]


def _correlation(first: Sequence[float], second: Sequence[float]) -> float:
    a, b = (torch.tensor(values, dtype=torch.float64) for values in (first, second))
    if len(a) < 2 or a.std() == 0 or b.std() == 0:
        raise ValueError(
            f"{len(a)} values came in that do not vary or are too few: they have no correlation."
        )
    return torch.corrcoef(torch.stack([a, b]))[0, 1].item()
