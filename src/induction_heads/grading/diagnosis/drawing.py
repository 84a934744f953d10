"""The part of a wrong answer that can be drawn: a slice with the first difference in it."""

from typing import Any

import torch
from torch import Tensor

from induction_heads.grading.likeness import MOST_VALUES
from induction_heads.grading.results import Difference
from induction_heads.grading.wire import FactoredData

MOST = 64
"""Rows and columns that are drawn at most."""


def drawable_difference(answer: Any, expected: Any) -> Difference | None:
    """The 2-d slice that holds the first difference, of both arrays. None if nothing can be drawn.

    A vector is drawn as one row. Where the shapes differ, the first slices are drawn.
    """
    mine, right = _array(answer), _array(expected)
    if mine is None or right is None:
        return None
    same_shape = mine.shape == right.shape
    apart = _apart(mine, right).nonzero() if same_shape else None
    if apart is not None and len(apart) == 0:
        return None
    first = [0] * 8 if apart is None else apart[0].tolist()
    (drawn, where), (wanted, _) = (_slice(values, first) for values in (mine, right))
    marked = _apart(drawn, wanted) if same_shape else torch.zeros(drawn.shape, dtype=torch.bool)
    if not same_shape:
        where = f"shape {list(mine.shape)} came back, {list(right.shape)} was expected"
    return Difference(_rows(drawn), _rows(wanted), _rows(marked), where)


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
    """The last two axes at the index of the first difference, at most 64 × 64, and which part."""
    leading = tuple(first[: max(values.dim() - 2, 0)])
    part = values[leading] if leading else values
    said = [f"index [{', '.join(map(str, leading))}, …]"] if leading else []
    table = part[None] if part.dim() == 1 else part
    corner = [0, *first[:1]] if part.dim() == 1 else first[values.dim() - 2 :][:2]
    names = ("rows", "columns")
    for axis, (start, name) in enumerate(zip(corner, names, strict=True)):
        size = table.shape[axis]
        if size > MOST:
            start = min(start // MOST * MOST, size - MOST)
            table = table.narrow(axis, start, MOST)
            said.append(f"{name} {start} to {start + MOST - 1} of {size}")
    return table, ", ".join(said)


def _rows(table: Tensor) -> tuple[tuple[Any, ...], ...]:
    return tuple(tuple(row) for row in table.tolist())
