"""How alike two arrays are, and whether one change explains all answers."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Pair = tuple[Tensor, Tensor]
"""An answer and what was expected."""

Pairs = Sequence[Pair]

MOST_VALUES = 2**20
"""Larger answers are compared, but neither diagnosed nor drawn: they are copied a few times."""

ENOUGH = 3
"""How many values must bear a diagnosis out, over all cases."""


def near(mine: Tensor, right: Tensor) -> bool:
    """Equal up to rounding, which is judged by the largest expected value."""
    if mine.shape != right.shape:
        return False
    finite = right[right.isfinite()]
    largest = finite.abs().max().item() if finite.numel() else 0.0
    return torch.allclose(mine, right, rtol=1e-4, atol=1e-5 * largest + 1e-12, equal_nan=True)


def n_apart(mine: Tensor, right: Tensor) -> int:
    """How many values differ clearly; all of them where the shapes do."""
    if mine.shape != right.shape:
        return mine.numel()
    close = torch.isclose(mine, right, rtol=1e-3, atol=1e-6, equal_nan=True)
    return int((~close).sum())


def n_distinct(values: Sequence[Tensor]) -> int:
    """How many different values other than 0 there are, up to rounding."""
    flat = torch.cat([value.reshape(-1)[:10_000] for value in values])
    flat = flat[flat.isfinite() & (flat != 0)]
    return len({f"{value:.4g}" for value in flat.tolist()})


def explains(pairs: Pairs, change: Callable[[Tensor], Tensor | None], enough: int = ENOUGH) -> bool:
    """Whether each answer is the changed expected one, and the change shows in enough values."""
    shows = 0
    for mine, right in pairs:
        changed = change(right)
        if changed is None or not near(mine, changed):
            return False
        shows += n_apart(mine, right)
    return shows >= enough


def axis_name(axis: int, pairs: Pairs) -> str:
    """An axis counted from the end, in words."""
    n_axes = {right.dim() for _, right in pairs}
    if len(n_axes) == 1 and n_axes != {1}:
        return f"axis {n_axes.pop() + axis}"
    return {-1: "the last axis", -2: "the last but one axis"}.get(axis, f"axis {axis}")


def most_axes(pairs: Pairs) -> int:
    """The largest number of axes of an expected answer, at most 6."""
    return min(max(right.dim() for _, right in pairs), 6)
