"""What `status` shows, in a terminal and in a notebook, as rows and totals."""

from collections.abc import Sequence
from typing import Any

from induction_heads.course.registry import Selection
from induction_heads.grading.progress import Progress
from induction_heads.grading.states import DONE, FAILING, NOT_STARTED


def chapter_rows(
    selections: Sequence[Selection], states: dict[str, str], progress: Progress
) -> list[dict[str, Any]]:
    """One dict for each chapter, with one for each of its exercises, as `--json` prints them."""
    return [
        {
            "chapter": selection.stem,
            "exercises": [
                {
                    "name": exercise.name,
                    "difficulty": exercise.difficulty,
                    "minutes": exercise.minutes,
                    "state": states[exercise.name],
                    "hints": progress.entry(exercise.name).hints,
                }
                for exercise in selection.exercises
            ],
        }
        for selection in selections
    ]


def _rows(chapters: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for chapter in chapters for row in chapter["exercises"]]


def minutes_of(chapters: Sequence[dict[str, Any]]) -> tuple[int, int]:
    """(all minutes, minutes of the exercises that are not done) of these chapters."""
    rows = _rows(chapters)
    total = sum(row["minutes"] for row in rows)
    return total, sum(row["minutes"] for row in rows if row["state"] != DONE)


def states_of(chapters: Sequence[dict[str, Any]]) -> tuple[int, int, int]:
    """The number of exercises that are done, failing and not started."""
    states = [row["state"] for row in _rows(chapters)]
    return states.count(DONE), states.count(FAILING), states.count(NOT_STARTED)


def totals_line(chapters: Sequence[dict[str, Any]]) -> str:
    """`1 done, 0 failing, 1 not started. 7 of 12 minutes left.`"""
    done, failing, not_started = states_of(chapters)
    total, left = minutes_of(chapters)
    counts = f"{done} {DONE}, {failing} {FAILING}, {not_started} {NOT_STARTED}"
    return f"{counts}. {left} of {total} minutes left."


def chapter_lines(chapters: Sequence[dict[str, Any]]) -> list[str]:
    """One line for each chapter, in columns."""
    width = max(len(chapter["chapter"]) for chapter in chapters)
    lines = []
    for chapter in chapters:
        done, failing, _ = states_of([chapter])
        total, left = minutes_of([chapter])
        counts = f"{done} of {len(chapter['exercises'])} done"
        wrong = f"{failing} failing" if failing else ""
        name = f"{chapter['chapter']:{width}}"
        lines.append(f"{name}  {counts:>13}  {wrong:10}  {left} of {total} minutes left")
    return lines


def exercise_lines(chapter: dict[str, Any]) -> list[str]:
    """The name of a chapter, and one line for each of its exercises, in columns."""
    rows = chapter["exercises"]
    width = max(len(row["name"]) for row in rows)
    return [
        chapter["chapter"],
        *(
            f"  {row['name']:{width}}  {'★' * row['difficulty']:5}  {row['minutes']:3} minutes  "
            f"{row['state']}"
            for row in rows
        ),
    ]
