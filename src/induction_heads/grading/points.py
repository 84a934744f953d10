"""The points of each exercise: its number of stars, unless the class file changes them.

partial_credit = true            # false: points only for an exercise that passes

[chapters.ch04]
points_per_star = 2
partial_credit = false

[exercises.induction_score]
points = 5                       # instead of its stars
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from induction_heads.course.registry import Selection, exercise_names
from induction_heads.grading.class_file import (
    BadClassFile,
    chapter_tables,
    read_toml,
    require_known,
    tables,
)

CHAPTER_KEYS = {"points_per_star", "partial_credit", "due", "weight"}
EXERCISE_KEYS = {"points", "partial_credit", "weight"}
MAX_POINTS = 1e6
OLD_KEY = (
    "{path} uses the old key `weight`, which is still read. Its new names are `points` under "
    "[exercises.NAME], which is not multiplied by anything, and `points_per_star` under "
    "[chapters.NAME]."
)


@dataclass(frozen=True)
class ExercisePoints:
    """The points of an exercise. `partial`: whether some right cases earn a share of them."""

    maximum: float
    partial: bool

    def earned(self, passed: bool, share: float) -> float:
        """The points earned, from 0 to `maximum`. `share` is what right cases earn of them."""
        if passed:
            return self.maximum
        return round(self.maximum * min(max(share, 0.0), 1.0), 4) if self.partial else 0.0


Points = Mapping[str, ExercisePoints]
"""The points of each exercise, by name."""


def read_points(path: Path | None, selections: Sequence[Selection]) -> dict[str, ExercisePoints]:
    """The points of each selected exercise, changed by the class file `path` if it is not None.

    Raises BadClassFile for a file that cannot be read, an unknown name or a value out of range.
    """
    content = {} if path is None else read_toml(path)
    try:
        return _points(content, selections)
    except BadClassFile as error:
        raise BadClassFile(f"{path}: {error}") from None


def old_key(path: Path | None) -> str | None:
    """A sentence on the old key `weight`, if the class file uses it."""
    content = {} if path is None else read_toml(path)
    entries = [*tables(content, "chapters").values(), *tables(content, "exercises").values()]
    return OLD_KEY.format(path=path) if any("weight" in entry for entry in entries) else None


def digest(points: Points) -> str:
    """A digest of the points of all exercises."""
    values = {name: [each.maximum, each.partial] for name, each in points.items()}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _points(content: dict[str, Any], selections: Sequence[Selection]) -> dict[str, ExercisePoints]:
    chapters, exercises = chapter_tables(content, CHAPTER_KEYS), tables(content, "exercises")
    for name, table in exercises.items():
        require_known(table, EXERCISE_KEYS, f"[exercises.{name}]")
    require_known(exercises, exercise_names(), "[exercises]")
    partial = _flag(content, True, "The file")
    points = {}
    for selection in selections:
        chapter = chapters.get(selection.stem, {})
        place = f"[chapters.{selection.stem[:4]}]"
        per_star, chapter_partial = _per_star(chapter, place), _flag(chapter, partial, place)
        for exercise in selection.exercises:
            table, place = exercises.get(exercise.name, {}), f"[exercises.{exercise.name}]"
            maximum = _maximum(table, exercise.difficulty, per_star, place)
            points[exercise.name] = ExercisePoints(maximum, _flag(table, chapter_partial, place))
    if not any(each.maximum for each in points.values()):
        raise BadClassFile("every exercise has 0 points. Give at least one more than 0.")
    return points


def _per_star(table: dict[str, Any], place: str) -> float:
    _require_one(table, "points_per_star", place)
    return _number(table, "points_per_star", _number(table, "weight", 1.0, place), place)


def _maximum(table: dict[str, Any], stars: int, per_star: float, place: str) -> float:
    _require_one(table, "points", place)
    return _number(table, "points", per_star * _number(table, "weight", stars, place), place)


def _require_one(table: dict[str, Any], key: str, place: str) -> None:
    if key in table and "weight" in table:
        raise BadClassFile(f"{place} has both {key} and weight, its old name. Keep {key}.")


def _number(table: dict[str, Any], key: str, default: float, place: str) -> float:
    value = table.get(key, default)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not 0 <= value <= MAX_POINTS:
        raise BadClassFile(f"{place} {key} is {value!r}. Expected a number from 0 to 1,000,000.")
    return float(value)


def _flag(table: dict[str, Any], default: bool, place: str) -> bool:
    value = table.get("partial_credit", default)
    if not isinstance(value, bool):
        raise BadClassFile(f"{place} partial_credit is {value!r}. Expected true or false.")
    return value
