"""The step at which a model changed, and correlated changes, from records of its snapshots."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch


def log_slopes(curve: Sequence[tuple[int, float]]) -> list[tuple[float, float]]:
    """(step, slope) between neighboring points: nats for a step e times as late.

    `curve` holds (step, loss) in order. The step of a slope is the geometric mean of its two ends.
    Step 0 has no logarithm and is left out. Raises ValueError unless two later points are left, in
    order, with losses that are finite.
    """
    for step, loss in curve:
        if not math.isfinite(loss):
            raise ValueError(f"The loss at step {step} is {loss}. Pass a curve of finite losses.")
    points = [(step, loss) for step, loss in curve if step > 0]
    if len(points) < 2 or any(later <= earlier for (earlier, _), (later, _) in pairwise(points)):
        raise ValueError(
            f"Got the steps {[step for step, _ in curve][:8]}. Pass two or more above 0, each "
            "later than the one before."
        )
    return [
        (math.sqrt(earlier * later), (after - before) / math.log(later / earlier))
        for (earlier, before), (later, after) in pairwise(points)
    ]


def phase_change_step(curve: Sequence[tuple[int, float]]) -> float:
    """The step at which the loss falls fastest by the logarithm of the step.

    As `log_slopes`, whose lowest slope this is; the first one if there are several. Every curve has
    such a step, even if nothing happened in the model: look at the slope as well.
    """
    return min(log_slopes(curve), key=lambda point: point[1])[0]


def induction_formation_correlates(snapshots: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Correlations of the best induction score with the in-context-learning score.

    Each snapshot has `induction` [layer][head], `in_context_learning` and `control_loss`, as in
    `toy_record`. Three Pearson correlations: `levels` of the score with the in-context-learning
    score; `changes` of the same from one snapshot to the next; `control`, changes of the score with
    changes of the loss where nothing repeats. Raises ValueError where nothing varies.
    """
    highest = [best(snapshot["induction"]) for snapshot in snapshots]
    learning = [snapshot["in_context_learning"] for snapshot in snapshots]
    control = [snapshot["control_loss"] for snapshot in snapshots]
    return {
        "levels": _correlation(highest, learning),
        "changes": _correlation(_changes(highest), _changes(learning)),
        "control": _correlation(_changes(highest), _changes(control)),
    }


def _changes(values: Sequence[float]) -> list[float]:
    return [after - before for before, after in pairwise(values)]


def _correlation(first: Sequence[float], second: Sequence[float]) -> float:
    a, b = (torch.tensor(values, dtype=torch.float64) for values in (first, second))
    if not (a.isfinite().all() and b.isfinite().all()):
        raise ValueError("Some values are NaN or infinite: they have no correlation.")
    if len(a) < 2 or a.std() == 0 or b.std() == 0:
        raise ValueError(
            f"Got {len(a)} values that are too few or do not vary: they have no correlation."
        )
    return torch.corrcoef(torch.stack([a, b]))[0, 1].item()


ModelRecord = dict[str, Any]
"""The record of one trained model, ready for JSON: its snapshots and their cost."""

FORMED = 0.4
"""An induction head has formed at the first snapshot with a score of at least this."""


def best(heads: Sequence[Sequence[float]]) -> float:
    """The highest value of any head. Raises ValueError if there is none.

    >>> best([[0.1, 0.2], [0.9, 0.3]])
    0.9
    """
    if not heads or not all(map(len, heads)):
        raise ValueError("There are no heads in it. Pass a list of heads for each layer.")
    return max(max(layer) for layer in heads)


def formation_step(record: ModelRecord) -> int | None:
    """The step of the first snapshot in which an induction score reaches `FORMED`, or None.

    >>> early = {"step": 100, "induction": [[0.0, 0.1], [0.2, 0.1]]}
    >>> late = {"step": 200, "induction": [[0.0, 0.1], [0.8, 0.1]]}
    >>> formation_step({"snapshots": [early, late]})
    200
    >>> formation_step({"snapshots": [early]}) is None
    True
    """
    steps = (s["step"] for s in record["snapshots"] if best(s["induction"]) >= FORMED)
    return next(steps, None)
