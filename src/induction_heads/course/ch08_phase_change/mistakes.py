"""Known mistakes of chapter 8, each with its hint."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from induction_heads.course.exercise import Mistake

Curve = Sequence[tuple[int, float]]

# in_context_learning_score


def late_minus_early(share: int = 4, sign: int = 1, total: Callable[..., Tensor] = torch.mean):
    """`in_context_learning_score` with another share, another sign, or a sum for the mean."""

    def answer(losses):
        n = losses.shape[1] // share
        return sign * (total(losses[:, -n:]) - total(losses[:, :n])).item()

    return answer


def _by_rows_of_the_batch(losses):
    n = max(1, len(losses) // 4)
    return (losses[-n:].mean() - losses[:n].mean()).item()


def _quarter_of_the_rows(losses):
    n = len(losses) // 4
    return (losses[:, -n:].mean() - losses[:, :n].mean()).item()


def _ratio(losses):
    n = losses.shape[1] // 4
    return (losses[:, -n:].mean() / losses[:, :n].mean()).item()


LEARNING_MISTAKES = (
    Mistake(
        "early minus late",
        late_minus_early(sign=-1),
        "If the context helps, which loss is lower, the late or the early one? Which sign follows?",
    ),
    Mistake(
        "halves instead of quarters",
        late_minus_early(share=2),
        "How many tokens did you average over, and how many are `pos // 4`?",
    ),
    Mistake(
        "one late token minus one early token",
        lambda losses: (losses[:, -1] - losses[:, 0]).mean().item(),
        "One token is noisy. Over how many does the exercise ask you to average?",
    ),
    Mistake(
        "the last rows minus the first rows",
        _by_rows_of_the_batch,
        "Which axis is the position within a text, and which one counts texts?",
    ),
    Mistake(
        "a ratio instead of a difference",
        _ratio,
        "If the context is worth nothing to a model, should it score 0 or 1?",
    ),
    Mistake(
        "sums instead of means",
        late_minus_early(total=torch.sum),
        "Should the score grow with the number of rows in the batch?",
    ),
    Mistake(
        "quarters of the number of rows",
        _quarter_of_the_rows,
        "Twice as many rows change your answer. Of which axis do you take a quarter?",
    ),
)


# phase_change_step


def steepest(
    slope: Callable[[float, float, float], float] = lambda drop, a, b: drop / math.log(b / a),
    place: Callable[[float, float], float] = lambda a, b: math.sqrt(a * b),
    pick: Callable[..., Any] = min,
    keep: Callable[[Curve], Curve] = lambda curve: [point for point in curve if point[0] > 0],
):
    """`phase_change_step` by another slope, at another place, of a rise, or of other points."""

    def answer(curve: Curve) -> float:
        points = [(float(step), loss) for step, loss in keep(curve)]
        found = [
            (slope(after - before, a, b), -index, place(a, b))
            for index, ((a, before), (b, after)) in enumerate(pairwise(points))
        ]
        return pick(found)[2]

    return answer


def _lowest_loss(curve: Curve) -> float:
    return float(min(curve, key=lambda point: point[1])[0])


def _half_way(curve: Curve) -> float:
    middle = (curve[0][1] + min(loss for _, loss in curve)) / 2
    return float(next(step for step, loss in curve if loss <= middle))


STEP_MISTAKES = (
    Mistake(
        "the slope is by the step, not by its logarithm",
        steepest(slope=lambda drop, a, b: drop / (b - a)),
        "In the first few steps every loss falls fast. What do you divide the drop by?",
    ),
    Mistake(
        "the largest drop, however far apart the points are",
        steepest(slope=lambda drop, a, b: drop),
        "Points that are far apart have time for a large drop. What is missing?",
    ),
    Mistake(
        "the end of the interval, not its middle",
        steepest(place=lambda a, b: b),
        "You found the interval. Which step within it does the exercise ask for?",
    ),
    Mistake(
        "the arithmetic mean of the two steps",
        steepest(place=lambda a, b: (a + b) / 2),
        "On which axis should the step be in the middle?",
    ),
    Mistake(
        "the start of the interval, not its middle",
        steepest(place=lambda a, b: a),
        "You found the interval. Is its first point in the middle of it?",
    ),
    Mistake(
        "the first point is left out, whatever its step",
        steepest(keep=lambda curve: curve[1:]),
        "Not every curve has a point at step 0. What is left out then?",
    ),
    Mistake(
        "the first point after step 0 is left out too",
        steepest(keep=lambda curve: [point for point in curve if point[0] > 0][1:]),
        "Only a point at step 0 has no logarithm. With which point does your first interval begin?",
    ),
    Mistake(
        "the last point is left out",
        steepest(keep=lambda curve: [point for point in curve if point[0] > 0][:-1]),
        "A curve of n points has n − 1 intervals. Which of them does your loop leave out?",
    ),
    Mistake(
        "the largest change, whether a fall or a rise",
        steepest(pick=lambda found: max(found, key=lambda item: abs(item[0]))),
        "A slope is signed. Which sign does a fall have?",
    ),
    Mistake(
        "the steepest rise", steepest(pick=max), "What is the sign of a slope where the loss falls?"
    ),
    Mistake(
        "the step with the lowest loss",
        _lowest_loss,
        "That is where the loss is lowest. Where does it fall fastest?",
    ),
    Mistake(
        "the first step more than halfway down",
        _half_way,
        "A loss may fall twice. Which fall does the halfway point find?",
    ),
)


# uniform_copying_loss_formula

FORMULA_MISTAKES = (
    Mistake(
        "the new tokens cost nothing",
        lambda: "r * log(P / r)",
        "What is the loss on a token that is not in the context?",
    ),
    Mistake(
        "the model is told which of the two comes next",
        lambda: "r * log(P) + (1 - r) * log(V - P)",
        "What probability does one token of the context get? Sum all V probabilities.",
    ),
    Mistake(
        "a new token may be any of the V",
        lambda: "r * log(P / r) + (1 - r) * log(V / (1 - r))",
        "How many ids are left for a new token, if those of the context are excluded?",
    ),
    Mistake(
        "the loss on tokens of the context alone",
        lambda: "log(P)",
        "That is the loss of a model that is certain of a copy. Is it always right?",
    ),
    Mistake(
        "the logarithm of the mean probability",
        lambda: "-log(r * r / P + (1 - r) * (1 - r) / (V - P))",
        "Is the mean of logarithms the logarithm of the mean?",
    ),
    Mistake(
        "nothing is known",
        lambda: "log(V)",
        "That is the loss before any training. What else does this model know?",
    ),
    Mistake(
        "the sign is reversed",
        lambda: "r * log(r / P) + (1 - r) * log((1 - r) / (V - P))",
        "Can a loss be below 0? Which sign does the logarithm of a probability get?",
    ),
)


# smeared_keys


def smeared(
    share: Callable[[Tensor], Tensor] = torch.sigmoid,
    first: Callable[[Tensor], Tensor] = lambda keys: keys[:, :, :1],
    shift: int = 1,
    axis: int = 2,
):
    """`smeared_keys` with other shares, another first key, from another place, or another axis."""

    def answer(keys, alpha):
        kept = share(alpha)[:, None, None]
        other = keys.roll(shift, dims=axis)
        if axis == 2 and shift == 1:
            other = torch.cat([first(keys), keys[:, :, :-1]], dim=2)
        if axis == 2 and shift == -1:
            other = torch.cat([keys[:, :, 1:], keys[:, :, -1:]], dim=2)
        return kept * keys + (1 - kept) * other

    return answer


SMEARED_MISTAKES = (
    Mistake(
        "the shares are swapped",
        smeared(share=lambda alpha: torch.sigmoid(-alpha)),
        "With a very large α, which of the two keys should remain?",
    ),
    Mistake(
        "α itself is the share",
        smeared(share=lambda alpha: alpha),
        "α can be any real number. What turns it into a share between 0 and 1?",
    ),
    Mistake(
        "each key is mixed with the next one",
        smeared(shift=-1),
        "May a key know the token after it? Which index is in the definition?",
    ),
    Mistake(
        "the first key is mixed with the last one",
        smeared(first=lambda keys: keys[:, :, -1:]),
        "What does `roll` put at the first position, and where does it come from?",
    ),
    Mistake(
        "the first key is mixed with zeros",
        smeared(first=lambda keys: torch.zeros_like(keys[:, :, :1])),
        "Nothing comes before the first key. Should that make it shorter?",
    ),
    Mistake(
        "keys of neighboring heads are mixed",
        smeared(axis=1),
        "Which axis of `keys` counts positions?",
    ),
)


# induction_formation_correlates


def pearson(x: Sequence[float], y: Sequence[float]) -> float:
    """The correlation of two lists, by NumPy."""
    return float(np.corrcoef(np.array(x, dtype=float), np.array(y, dtype=float))[0, 1])


def _product(x: Sequence[float], y: Sequence[float]) -> float:
    return float(np.cov(np.array(x), np.array(y))[0, 1])


def _difference(values: Sequence[float]) -> list[float]:
    return [after - before for before, after in pairwise(values)]


def correlates(
    head: Callable[[list], float] = lambda heads: max(map(max, heads)),
    change: Callable[[Sequence[float]], list[float]] = _difference,
    together: Callable[[Sequence[float], Sequence[float]], float] = pearson,
    control: str = "control_loss",
    control_change: Callable[[Sequence[float]], list[float]] | None = None,
):
    """`induction_formation_correlates` of another head, of levels, or with another control."""

    def answer(snapshots):
        best = [head(snapshot["induction"]) for snapshot in snapshots]
        learning = [snapshot["in_context_learning"] for snapshot in snapshots]
        other = [snapshot[control] for snapshot in snapshots]
        moved = control_change or change
        return {
            "levels": together(best, learning),
            "changes": together(change(best), change(learning)),
            "control": together(moved(best), moved(other)),
        }

    return answer


def _best_at_the_end(snapshots):
    """One head for all snapshots: the one that scores highest in the last."""
    last = snapshots[-1]["induction"]
    layer = max(range(len(last)), key=lambda index: max(last[index]))
    head = last[layer].index(max(last[layer]))
    return correlates(lambda heads: heads[layer][head])(snapshots)


def _of_the_negative_score(snapshots):
    found = correlates()(snapshots)
    return found | {name: -found[name] for name in ("levels", "changes")}


CORRELATES_MISTAKES = (
    Mistake(
        "the best head of the last layer",
        correlates(lambda heads: max(heads[-1])),
        "May the highest score be in another layer? Over what do you take the maximum?",
    ),
    Mistake(
        "the head that is best in the end",
        _best_at_the_end,
        "Early on another head may score higher. Does each snapshot have its own highest score in "
        "your code?",
    ),
    Mistake(
        "the changes are levels as well",
        correlates(change=list),
        "What is the change from one snapshot to the next, and how many of them are there?",
    ),
    Mistake(
        "the changes are levels, the control is right",
        correlates(change=list, control_change=_difference),
        "Two of your three numbers are the same correlation. Which one should use changes?",
    ),
    Mistake(
        "the control is about levels",
        correlates(control_change=list),
        "A control should differ in only one way. Do both use changes?",
    ),
    Mistake(
        "the mean over heads, not the best head",
        correlates(lambda heads: sum(map(sum, heads)) / sum(map(len, heads))),
        "One head of four becomes an induction head. How far does your score rise?",
    ),
    Mistake(
        "the first head of the last layer",
        correlates(lambda heads: heads[-1][0]),
        "Is it the same head in every model? Which head does the exercise ask for?",
    ),
    Mistake(
        "the control is the in-context-learning score",
        correlates(control="in_context_learning"),
        "What should not improve with an induction head? Which entry of a snapshot is that?",
    ),
    Mistake(
        "covariances",
        correlates(together=_product),
        "Your number changes if losses are in bits. What does a correlation divide by?",
    ),
    Mistake(
        "the sign is lost",
        correlates(together=lambda x, y: abs(pearson(x, y))),
        "One score rises while the other falls. What sign do you expect?",
    ),
    Mistake(
        "the in-context-learning score has the other sign",
        _of_the_negative_score,
        "The score is late loss minus early loss. Does it rise or fall when the context helps?",
    ),
)
