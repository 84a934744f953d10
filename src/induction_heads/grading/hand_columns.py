"""Columns that a teacher fills in by hand: points of a rubric or a project, comments, dates.

A CSV file with one row for each student. The first column is `student`. `submitted` has the time of
the submission, `submitted ch04` the time for one chapter, and `extra days` the days by which all
due dates move. A column such as `rubric (20)` has points, here at most 20. Any other column is text
that the student reads in the feedback.
"""

import csv
import difflib
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from induction_heads.course.registry import chapter_stems

POINTS = re.compile(r"(.*\S)\s*\((\d+(?:\.\d+)?)\)")
SUBMITTED = re.compile(r"submitted(?:\s+(ch\d\d)\w*)?")
MEANT = re.compile(r"submitted[\W_]*(?:ch.*|at|on|date|time)?|extra[\W_]*days?.*")
"""A name that is nearly that of a column of dates."""
EXTRA_DAYS = "extra days"


class BadColumns(ValueError):
    """An invalid file of columns. The message says in which line, and what was expected."""


@dataclass(frozen=True)
class HandRow:
    """One student's row. `submitted` has times by the stem of the chapter, "" is for all others."""

    submitted: Mapping[str, datetime] = field(default_factory=dict)
    extra_days: int = 0
    points: Mapping[str, float] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class HandColumns:
    """All rows by student, and the names of the columns of points with their maxima."""

    maxima: Mapping[str, float] = field(default_factory=dict)
    rows: Mapping[str, HandRow] = field(default_factory=dict)

    def row(self, student: str) -> HandRow:
        """The row of a student, in any capitals. An empty one if there is none."""
        return self.rows.get(student.casefold(), HandRow())

    def strangers(self, students: Sequence[str]) -> list[str]:
        """A sentence for each row whose student handed in nothing."""
        known = {student.casefold(): student for student in students}
        sentences = []
        for name in self.rows:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f" Did you mean {known[close[0]]}?" if close else ""
                sentences.append(
                    f"The columns have a row for {name}, who is not in the class.{hint}"
                )
        return sentences


def read_columns(path: Path | None) -> HandColumns:
    """The columns in a CSV file, separated by commas or semicolons. Raises BadColumns."""
    if path is None:
        return HandColumns()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadColumns(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise BadColumns(f'{path} is not UTF-8. Save it as "CSV UTF-8".') from error
    head = text.partition("\n")[0]
    separator = ";" if head.count(";") > head.count(",") else ","
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
        return _columns([[cell.strip() for cell in line] for line in lines])
    except csv.Error as error:
        problem = f"{path} is not a CSV file: {error}. Check its quotation marks."
        raise BadColumns(problem) from error
    except BadColumns as error:
        raise BadColumns(f"{path}: {error}") from None


def _columns(lines: list[list[str]]) -> HandColumns:
    head = lines[0] if lines else []
    if not head or head[0].casefold() != "student":
        raise BadColumns("the first column has to be called `student`.")
    meanings = [_meaning(name) for name in head]
    if len(set(meanings)) < len(head):
        twice = next(name for name in meanings if meanings.count(name) > 1)
        raise BadColumns(f"two columns are called {twice!r}. Give each its own name.")
    maxima = {m[1]: float(m[2]) for name in head if (m := POINTS.fullmatch(name))}
    if taken := maxima.keys() & {"total", *chapter_stems()}:
        raise BadColumns(f"the gradebook has its own column {min(taken)!r}. Choose another name.")
    rows: dict[str, HandRow] = {}
    for number, line in enumerate(lines[1:], start=2):
        if not any(line):
            continue
        if len(line) > len(head):
            raise BadColumns(
                f"line {number} has {len(line)} cells, but there are {len(head)} columns."
            )
        name = line[0].casefold()
        if not name or name in rows:
            problem = f"has {line[0]!r} a second time" if name else "has no student"
            raise BadColumns(f"line {number} {problem}.")
        rows[name] = _row(dict(zip(head[1:], line[1:], strict=False)), f"line {number}")
    return HandColumns(maxima, rows)


def _meaning(name: str) -> str:
    """What a column is for. Raises BadColumns if it is nearly the name of a column of dates."""
    plain = name.casefold()
    if plain == EXTRA_DAYS or SUBMITTED.fullmatch(plain):
        return plain
    if MEANT.fullmatch(plain):
        raise BadColumns(
            f"there is no column {name!r}. Times of submission are in `submitted` or in one such "
            f"as `submitted ch04`, and more time is in `{EXTRA_DAYS}`."
        )
    return match[1] if (match := POINTS.fullmatch(name)) else name


def _row(cells: dict[str, str], place: str) -> HandRow:
    submitted, points, texts = {}, {}, {}
    extra = 0
    for name, cell in cells.items():
        if not cell:
            continue
        if match := SUBMITTED.fullmatch(name.casefold()):
            submitted[_stem(match[1], place)] = _time(cell, f"{place}, {name}")
        elif name.casefold() == EXTRA_DAYS:
            extra = _days(cell, f"{place}, {name}")
        elif match := POINTS.fullmatch(name):
            points[match[1]] = _number(cell, float(match[2]), f"{place}, {name}")
        else:
            texts[name] = cell
    return HandRow(submitted, extra, points, texts)


def _stem(chapter: str | None, place: str) -> str:
    stems = {"": "", **{stem[:4]: stem for stem in chapter_stems()}}
    if (chapter or "") not in stems:
        raise BadColumns(f"{place}: there is no chapter {chapter}.")
    return stems[chapter or ""]


def _time(cell: str, place: str) -> datetime:
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", cell):  # As for due dates: the end of the day.
            return (datetime.fromisoformat(cell) + timedelta(days=1)).astimezone()
        return datetime.fromisoformat(cell).astimezone()
    except (ValueError, OverflowError, OSError):
        raise BadColumns(
            f"{place}: got {cell!r}. Expected a time such as 2026-10-05 18:00, or "
            "2026-10-05T18:00:00+02:00."
        ) from None


def _days(cell: str, place: str) -> int:
    days = _number(cell, 365, place)
    if not days.is_integer():
        raise BadColumns(f"{place}: got {cell!r}. Expected a whole number of days.")
    return int(days)


def _number(cell: str, most: float, place: str) -> float:
    try:
        number = float(cell.replace(",", "."))
    except ValueError:
        number = math.nan
    if not 0 <= number <= most:
        raise BadColumns(f"{place}: got {cell!r}. Expected a number from 0 to {most:g}.")
    return number
