"""Whether two arrays are close, and whether one change explains all answers."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Pair = tuple[Tensor, Tensor]
"""An answer and the expected one."""

Pairs = Sequence[Pair]

MOST_VALUES = 2**20
"""Larger answers are compared but neither diagnosed nor drawn, which copies them repeatedly."""

ENOUGH = 3
"""The number of values, over all cases, that must support a diagnosis."""


def near(mine: Tensor, right: Tensor) -> bool:
    """Whether two arrays are equal up to rounding, relative to the largest expected value."""
    if mine.shape != right.shape:
        return False
    finite = right[right.isfinite()]
    largest = finite.abs().max().item() if finite.numel() else 0.0
    return torch.allclose(mine, right, rtol=1e-4, atol=1e-5 * largest + 1e-12, equal_nan=True)


def n_apart(mine: Tensor, right: Tensor) -> int:
    """The number of values that differ clearly, or of all values if the shapes differ."""
    if mine.shape != right.shape:
        return mine.numel()
    close = torch.isclose(mine, right, rtol=1e-3, atol=1e-6, equal_nan=True)
    return int((~close).sum())


def n_distinct(values: Sequence[Tensor]) -> int:
    """The number of distinct values other than 0, up to rounding."""
    flat = torch.cat([value.reshape(-1)[:10_000] for value in values])
    flat = flat[flat.isfinite() & (flat != 0)]
    return len({f"{value:.4g}" for value in flat.tolist()})


def explains(pairs: Pairs, change: Callable[[Tensor], Tensor | None], enough: int = ENOUGH) -> bool:
    """Whether each answer equals the changed expected one, and enough values differ."""
    n_changed = 0
    for mine, right in pairs:
        changed = change(right)
        if changed is None or not near(mine, changed):
            return False
        n_changed += n_apart(mine, right)
    return n_changed >= enough


def axis_name(axis: int, pairs: Pairs) -> str:
    """An axis counted from the end, in words."""
    n_axes = {right.dim() for _, right in pairs}
    if len(n_axes) == 1 and n_axes != {1}:
        return f"axis {n_axes.pop() + axis}"
    return {-1: "the last axis", -2: "the second-to-last axis"}.get(axis, f"axis {axis}")


def most_axes(pairs: Pairs) -> int:
    """The largest number of axes of an expected answer, at most 6."""
    return min(max(right.dim() for _, right in pairs), 6)
