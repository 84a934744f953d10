"""Answers whose only fault is an axis: swapped, shifted, cut, or reduced along the wrong one."""

from collections.abc import Mapping, Sequence
from itertools import combinations, permutations
from typing import Any

from torch import Tensor

from induction_heads.grading.diagnosis.closeness import (
    ENOUGH,
    Pairs,
    axis_name,
    explains,
    most_axes,
    n_apart,
    n_distinct,
    near,
)


def extra_axis(pairs: Pairs) -> str | None:
    """Right values with too many or too few axes of length 1."""

    def is_only_wider(mine: Tensor, right: Tensor) -> bool:
        widths = [size for size in mine.shape if size != 1]
        return widths == [s for s in right.shape if s != 1] and near(
            mine.reshape(-1), right.reshape(-1)
        )

    apart = [(mine, right) for mine, right in pairs if mine.shape != right.shape]
    total = sum(right.numel() for _, right in pairs)
    if not apart or total < 2 or not all(is_only_wider(*pair) for pair in pairs):
        return None
    mine, right = apart[0]
    many = "too many" if mine.dim() > right.dim() else "too few"
    return (
        f"the values are right, with an axis of length 1 {many}: shape {list(mine.shape)}, "
        f"expected {list(right.shape)}. Which step should drop an axis, or keep one?"
    )


def transposed(pairs: Pairs) -> str | None:
    """Two axes, or all of them, in another order."""
    n_axes = most_axes(pairs)
    for second, first in combinations(range(-1, -n_axes - 1, -1), 2):

        def change(right: Tensor, first: int = first, second: int = second) -> Tensor:
            return right.transpose(first, second) if right.dim() >= -first else right

        if explains(pairs, change):
            both = (
                "the last two axes"
                if (first, second) == (-2, -1)
                else f"{axis_name(first, pairs)} and {axis_name(second, pairs)}"
            )
            return (
                f"{both} are swapped. What does the first index of an entry mean, "
                "and what does the second?"
            )
    if {right.dim() for _, right in pairs} not in ({3}, {4}):
        return None
    for order in permutations(range(n_axes)):
        if explains(pairs, lambda right, order=order: right.permute(order)):
            return (
                f"the axes are in the order {order}. Which order does the signature name, "
                "and where is the first axis now?"
            )
    return None


def shifted(pairs: Pairs) -> str | None:
    """Every value shifted by one along one axis."""
    for axis in range(-1, -most_axes(pairs) - 1, -1):
        for step, where in ((1, "too late"), (-1, "too early")):
            if _is_shifted(pairs, axis, step):
                sign = "+" if step > 0 else "−"
                return (
                    f"everything is one place {where} along {axis_name(axis, pairs)}: the value "
                    f"for index i is at i {sign} 1. At which index does your first value belong?"
                )
    return None


def _is_shifted(pairs: Pairs, axis: int, step: int) -> bool:
    shows = []
    for mine, right in pairs:
        if mine.shape != right.shape:
            return False
        n = right.shape[axis] if right.dim() >= -axis else 0
        if n < 2:
            if not near(mine, right):
                return False
            continue
        old, new = (0, 1) if step > 0 else (1, 0)
        moved, here = right.narrow(axis, old, n - 1), mine.narrow(axis, new, n - 1)
        if not near(here, moved):
            return False
        shows.append((n_apart(here, right.narrow(axis, new, n - 1)), moved))
    several = n_distinct([moved for _, moved in shows]) >= 2 if shows else False
    return several and sum(n for n, _ in shows) >= ENOUGH


def cut_or_padded(pairs: Pairs) -> str | None:
    """One entry too many or too few at one end of an axis."""
    for axis in range(-1, -most_axes(pairs) - 1, -1):
        if any(right.dim() < -axis or mine.dim() != right.dim() for mine, right in pairs):
            continue
        more = {mine.shape[axis] - right.shape[axis] for mine, right in pairs}
        if more not in ({1}, {-1}):
            continue
        for first in (0, 1):
            longer = [pair if more == {1} else pair[::-1] for pair in pairs]
            cut = [
                (long.narrow(axis, first, long.shape[axis] - 1), short) for long, short in longer
            ]
            several = n_distinct([short for _, short in cut]) >= ENOUGH
            if several and all(near(*pair) for pair in cut):
                what = "one entry too many" if more == {1} else "one entry is missing"
                end = "start" if first else "end"
                return (
                    f"{what} at the {end} of {axis_name(axis, pairs)}. The others are right. Which "
                    "entries have a partner, and which does the definition count?"
                )
    return None


def _difference_of_axes(pairs: Pairs) -> int | None:
    more = {mine.dim() - right.dim() for mine, right in pairs}
    return more.pop() if len(more) == 1 else None


def _reductions(n_axes: int, n_dropped: int) -> list[tuple[str, tuple[int, ...]]]:
    """Means and sums over `n_dropped` axes, counted from the end and then from the start."""
    from_end = combinations(range(-1, -n_axes - 1, -1), n_dropped)
    from_start = combinations(range(n_axes), n_dropped)
    return [(kind, axes) for axes in (*from_end, *from_start) for kind in ("mean", "sum")]


def _reduced(values: Tensor, kind: str, axes: tuple[int, ...]) -> Tensor:
    return values.mean(axes) if kind == "mean" else values.sum(axes)


def not_reduced(pairs: Pairs) -> str | None:
    """An axis that should have been summed or averaged is still there."""
    more = _difference_of_axes(pairs)
    if more not in (1, 2) or n_distinct([right for _, right in pairs]) < 2:
        return None
    for kind, axes in _reductions(min(mine.dim() for mine, _ in pairs), more):
        if all(near(_reduced(mine, kind, axes), right) for mine, right in pairs):
            mine, right = pairs[0]
            return (
                f"nothing was summed or averaged over {_axes_of(mine, axes)}: shape "
                f"{list(mine.shape)}, expected {list(right.shape)}. Which axes should remain, and "
                "what happens to the others?"
            )
    return None


def reduced_too_far(pairs: Pairs) -> str | None:
    """An axis that should remain was summed or averaged."""
    more = _difference_of_axes(pairs)
    if more not in (-1, -2) or n_distinct([mine for mine, _ in pairs]) < 2:
        return None
    for kind, axes in _reductions(min(right.dim() for _, right in pairs), -more):
        if all(near(mine, _reduced(right, kind, axes)) for mine, right in pairs):
            mine, right = pairs[0]
            done = "averaged" if kind == "mean" else "summed"
            return (
                f"the right answer was {done} once more, over {_axes_of(right, axes)}: shape "
                f"{list(mine.shape)}, expected {list(right.shape)}. "
                "Which axes does the signature keep?"
            )
    return None


def _axes_of(values: Tensor, axes: tuple[int, ...]) -> str:
    names = [str(axis % values.dim()) for axis in sorted(axes)]
    return f"ax{'i' if len(names) == 1 else 'e'}s {' and '.join(names)}"


def reduced_elsewhere(pairs: Pairs, inputs: Sequence[Mapping[str, Any]]) -> str | None:
    """The wrong axis of an argument was summed or averaged: the sum or mean of all is right."""
    if len(pairs) < 2 or len(inputs) != len(pairs):
        return None
    name = next((name for name in inputs[0] if _loses_another_axis(pairs, inputs, name)), None)
    if name is None:
        return None
    for kind in ("sum", "mean"):
        totals = [(getattr(mine, kind)(), getattr(right, kind)()) for mine, right in pairs]
        if n_distinct([right for _, right in totals]) >= 2 and all(near(*t) for t in totals):
            mine, right = next((m, r) for m, r in pairs if m.shape != r.shape)
            return (
                f"the {kind} of all values is right, but the wrong axis of `{name}` was removed: "
                f"shape {list(mine.shape)}, expected {list(right.shape)}. Which axis should go?"
            )
    return None


def _loses_another_axis(pairs: Pairs, inputs: Sequence[Mapping[str, Any]], name: str) -> bool:
    """Whether all answers and expected ones have the shape of an argument without one axis."""
    for (mine, right), arguments in zip(pairs, inputs, strict=True):
        value = arguments.get(name)
        if not isinstance(value, Tensor):
            return False
        left = [[*value.shape[:axis], *value.shape[axis + 1 :]] for axis in range(value.dim())]
        if list(mine.shape) not in left or list(right.shape) not in left:
            return False
    return any(mine.shape != right.shape for mine, right in pairs)
