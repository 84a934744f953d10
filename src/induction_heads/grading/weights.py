"""What each exercise is worth: stars by default, changed by one TOML file.

partial_credit = true            # points for each right case, or only for an exercise that passes

[chapters.ch04]
weight = 2                       # multiplies what its exercises are worth
partial_credit = false

[exercises.induction_score]
weight = 5                       # instead of its number of stars
"""

import difflib
import hashlib
import json
import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from induction_heads.checks.registry import Selection

KEYS = {"weight", "partial_credit"}
MAX_WEIGHT = 1e6


class BadWeights(ValueError):
    """A file of weights that is not understood. The message says where and what is expected."""


@dataclass(frozen=True)
class Worth:
    """The most points of an exercise, and whether a part of its cases earns a part of them."""

    points: float
    partial: bool

    def points_for(self, passed: bool, n_right: int, n_cases: int) -> float:
        """The points for what was right, at most `points`."""
        if passed:
            return self.points
        if not self.partial or n_cases == 0:
            return 0.0
        return round(self.points * min(n_right, n_cases) / n_cases, 4)


Weights = Mapping[str, Worth]
"""What each exercise is worth, by its name."""


def read_weights(path: Path | None, selections: Sequence[Selection]) -> dict[str, Worth]:
    """What each selected exercise is worth, by the file `path` if there is one.

    Raises BadWeights for a file that cannot be read, an unknown name or a value out of range.
    """
    given = {} if path is None else _read(path)
    try:
        return _worths(given, selections)
    except BadWeights as error:
        raise BadWeights(f"{path}: {error}") from None


def digest(weights: Weights) -> str:
    """A digest of what all exercises are worth."""
    worths = {name: [worth.points, worth.partial] for name, worth in weights.items()}
    return hashlib.sha256(json.dumps(worths, sort_keys=True).encode()).hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadWeights(f"{path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadWeights(f"{path} is not valid TOML: {error}.") from error


def _worths(given: dict[str, Any], selections: Sequence[Selection]) -> dict[str, Worth]:
    _only_known(given, {"partial_credit", "chapters", "exercises"}, "The file")
    chapters, exercises = _tables(given, "chapters"), _tables(given, "exercises")
    partial = _flag(given, "partial_credit", True, "The file")
    of_stem = {selection.stem: {} for selection in selections}
    for name, table in chapters.items():
        of_stem[_stem(name)] = table
    _only_known(exercises, _all_exercises(), "[exercises]")
    found = {}
    for selection in selections:
        chapter = of_stem[selection.stem]
        factor = _number(chapter, 1.0, f"[chapters.{selection.stem[:4]}]")
        here = _flag(chapter, "partial_credit", partial, f"[chapters.{selection.stem[:4]}]")
        for exercise in selection.exercises:
            own, at = exercises.get(exercise.name, {}), f"[exercises.{exercise.name}]"
            points = factor * _number(own, float(exercise.difficulty), at)
            found[exercise.name] = Worth(points, _flag(own, "partial_credit", here, at))
    if not any(worth.points for worth in found.values()):
        raise BadWeights("every exercise is worth 0 points.")
    return found


def _tables(given: dict[str, Any], key: str) -> dict[str, dict[str, Any]]:
    tables = given.get(key, {})
    if not isinstance(tables, dict) or not all(isinstance(t, dict) for t in tables.values()):
        raise BadWeights(f"write [{key}.NAME] with a line `weight = …` under it.")
    for name, table in tables.items():
        _only_known(table, KEYS, f"[{key}.{name}]")
    return tables


def _stem(name: str) -> str:
    from induction_heads.checks.registry import chapter_stems

    for stem in chapter_stems():
        if name in (stem, stem[:4]):
            return stem
    raise BadWeights(_unknown(name, [stem[:4] for stem in chapter_stems()], "[chapters]"))


def _all_exercises() -> list[str]:
    from induction_heads.checks.registry import exercise_names

    return exercise_names()


def _only_known(given: Iterable[str], known: Iterable[str], where: str) -> None:
    for name in given:
        if name not in known:
            raise BadWeights(_unknown(name, sorted(known), where))


def _unknown(name: str, known: list[str], where: str) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {close[0]}?" if close else f"Known are {', '.join(known)}."
    return f"{where} has {name!r}, which is not known. {hint}"


def _number(table: dict[str, Any], default: float, where: str) -> float:
    value = table.get("weight", default)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not 0 <= value <= MAX_WEIGHT:
        raise BadWeights(f"{where} weight is {value!r}, a number from 0 to 1,000,000 was expected.")
    return float(value)


def _flag(table: dict[str, Any], key: str, default: bool, where: str) -> bool:
    value = table.get(key, default)
    if not isinstance(value, bool):
        raise BadWeights(f"{where} {key} is {value!r}, true or false was expected.")
    return value
