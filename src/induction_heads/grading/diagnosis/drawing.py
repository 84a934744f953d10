"""The drawable part of a wrong answer: a 2-d slice with the first difference."""

from typing import Any

import torch
from torch import Tensor

from induction_heads.grading.diagnosis.closeness import MOST_VALUES
from induction_heads.grading.results import Difference
from induction_heads.models.plain_data import FactoredData

MAX_SIDE = 64
"""The maximum number of rows and of columns of a drawing."""


def drawable_difference(answer: Any, expected: Any) -> Difference | None:
    """The 2-d slice of both arrays with the first difference. None if nothing can be drawn.

    A vector gives one row. If the shapes differ, the first slices are used.
    """
    mine, right = _array(answer), _array(expected)
    if mine is None or right is None:
        return None
    same_shape = mine.shape == right.shape
    apart = _apart(mine, right).nonzero() if same_shape else None
    if apart is not None and len(apart) == 0:
        return None
    first = [0] * 8 if apart is None else apart[0].tolist()
    (mine_part, where), (right_part, _) = (_slice(values, first) for values in (mine, right))
    if same_shape:
        marked = _apart(mine_part, right_part)
    else:
        marked = torch.zeros(mine_part.shape, dtype=torch.bool)
        where = f"shape {list(mine.shape)}, expected {list(right.shape)}"
    return Difference(_rows(mine_part), _rows(right_part), _rows(marked), where)


def _array(value: Any) -> Tensor | None:
    if isinstance(value, FactoredData):
        try:
            value = value.dense()
        except RuntimeError:
            return None
    drawable = (
        isinstance(value, Tensor) and 1 < value.numel() <= MOST_VALUES and 1 <= value.dim() <= 8
    )
    return value.detach().double() if drawable and not value.is_complex() else None


def _apart(mine: Tensor, right: Tensor) -> Tensor:
    return ~torch.isclose(mine, right, rtol=1e-5, atol=1e-5, equal_nan=True)


def _slice(values: Tensor, first: list[int]) -> tuple[Tensor, str]:
    """At most 64 × 64 of the last two axes around the index `first`, and its place in words."""
    leading = tuple(first[: max(values.dim() - 2, 0)])
    part = values[leading] if leading else values
    places = [f"index [{', '.join(map(str, leading))}, …]"] if leading else []
    table = part[None] if part.dim() == 1 else part
    corner = [0, *first[:1]] if part.dim() == 1 else first[values.dim() - 2 :][:2]
    names = ("rows", "columns")
    for axis, (start, name) in enumerate(zip(corner, names, strict=True)):
        size = table.shape[axis]
        if size > MAX_SIDE:
            start = min(start // MAX_SIDE * MAX_SIDE, size - MAX_SIDE)
            table = table.narrow(axis, start, MAX_SIDE)
            places.append(f"{name} {start} to {start + MAX_SIDE - 1} of {size}")
    return table, ", ".join(places)


def _rows(table: Tensor) -> tuple[tuple[Any, ...], ...]:
    return tuple(tuple(row) for row in table.tolist())
