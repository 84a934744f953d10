"""Known mistakes of `matched_control_head`, each with its hint."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from induction_heads.course.exercise import Mistake


def control_by(
    distance: Callable[[float, float], float],
    *,
    low: bool = True,
    itself: bool = False,
    layers: bool = False,
) -> Callable[..., Any]:
    """The candidate with the smallest `distance(size, own size)`; each option changes one step."""

    def answer(scores: Tensor, sizes: Tensor, head: tuple[int, int], below: float = 0.1) -> Any:
        at, suspect = head
        found = []
        for layer in range(len(scores)) if layers else [at]:
            for other in range(scores.shape[1]):
                if (layer, other) == (at, suspect) and not itself:
                    continue
                if low and not itself and not scores[layer, other] < below:
                    continue
                apart = distance(sizes[layer, other].item(), sizes[at, suspect].item())
                found.append((apart, (layer, other)))
        return min(found)[1] if found else None

    return answer


def ratio(size: float, own: float) -> float:
    """The larger of the two ratios of two sizes."""
    return max(size / own, own / size)


def _lowest_score(scores: Tensor, sizes: Tensor, head: tuple, below: float = 0.1) -> Any:
    found = [
        (scores[head[0], other].item(), other)
        for other in range(scores.shape[1])
        if other != head[1] and scores[head[0], other] < below
    ]
    return (head[0], min(found)[1]) if found else None


CONTROL_MISTAKES = (
    Mistake(
        "the nearest by difference, not by ratio",
        control_by(lambda a, b: abs(a - b)),
        "Which is nearer to a size of 1 by ratio: a half, or one and a half?",
    ),
    Mistake(
        "the score is not checked",
        control_by(ratio, low=False),
        "A head that does the same thing is not a control. Which heads may be chosen?",
    ),
    Mistake(
        "any layer",
        control_by(ratio, layers=True),
        "A head of another layer feeds other heads. Which layer should the control be in?",
    ),
    Mistake(
        "the head is its own control",
        control_by(ratio, itself=True),
        "The nearest size of all is that of the head itself. Did you leave it out?",
    ),
    Mistake(
        "the lowest score decides, not the size",
        _lowest_score,
        "Silencing a head that writes nothing costs nothing. In what should the two heads be "
        "similar?",
    ),
    Mistake(
        "the head that writes least",
        control_by(lambda size, own: size),
        "A control that writes almost nothing makes every head look needed. Which size should it "
        "be close to?",
    ),
)
