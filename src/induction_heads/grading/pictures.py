"""The picture of a wrong answer beside the expected one, for feedback pages.

A record stores it as short lines of text, and a template draws it as SVG: pages for a whole class
are written in seconds, and matplotlib is not needed.
"""

import math
from dataclasses import dataclass
from typing import Any

from induction_heads.grading.report import alternative_text
from induction_heads.grading.results import Difference, Result

MAX_SIDE = 24
"""The maximum number of rows and columns: the part with the first cell that differs."""
CELL = 8
GAP = 40
TITLE = 16

StoredPicture = dict[str, Any]


def stored_picture(result: Result) -> StoredPicture | None:
    """The difference of a result as JSON: a line of numbers for each row. None if there is none."""
    difference = result.difference
    if difference is None or result.passed:
        return None
    rows, columns = _window(difference)
    return {
        "answer": [_line(row[columns]) for row in difference.answer[rows]],
        "expected": [_line(row[columns]) for row in difference.expected[rows]],
        "marked": [
            "".join("x" if m else "." for m in row[columns]) for row in difference.marked[rows]
        ],
        "alt": alternative_text(difference),
    }


def _window(difference: Difference) -> tuple[slice, slice]:
    cells = [(i, j) for i, row in enumerate(difference.marked) for j, m in enumerate(row) if m]
    row, column = cells[0] if cells else (0, 0)
    first_row, first_column = max(0, row - MAX_SIDE // 2), max(0, column - MAX_SIDE // 2)
    return (
        slice(first_row, first_row + MAX_SIDE),
        slice(first_column, first_column + MAX_SIDE),
    )


def _line(row: tuple[Any, ...]) -> str:
    return " ".join(f"{float(value):.3g}" for value in row)


@dataclass(frozen=True)
class Square:
    """One cell of a drawn table: its corner, its color, its value, and whether it differs."""

    x: int
    y: int
    color: str
    value: str
    is_marked: bool


@dataclass(frozen=True)
class ComparedTables:
    """What the template needs to draw a stored picture."""

    alt: str
    width: int
    height: int
    second: int
    squares: tuple[Square, ...]


def picture(stored: StoredPicture) -> ComparedTables:
    """The two tables as squares with one color scale, which goes from blue (low) to yellow."""
    tables = [[line.split() for line in stored[name]] for name in ("answer", "expected")]
    numbers = [float(v) for table in tables for row in table for v in row]
    finite = [number for number in numbers if math.isfinite(number)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    widths = [max((len(row) for row in table), default=0) * CELL for table in tables]
    second = max(widths[0], 40) + GAP
    squares = []
    for table, left, marks in zip(tables, (0, second), (stored["marked"], []), strict=True):
        for i, row in enumerate(table):
            for j, value in enumerate(row):
                marked = i < len(marks) and marks[i][j : j + 1] == "x"
                color = _color(float(value), low, high)
                squares.append(Square(left + j * CELL, TITLE + i * CELL, color, value, marked))
    height = TITLE + max(map(len, tables)) * CELL
    width = second + max(widths[1], 60)
    return ComparedTables(stored["alt"], width, height, second, tuple(squares))


def _color(value: float, low: float, high: float) -> str:
    if not math.isfinite(value):
        return "#d9d9d9"
    share = (value - low) / (high - low) if high > low else 0.5
    return f"hsl({240 - 185 * share:.0f} 65% {28 + 40 * share:.0f}%)"
