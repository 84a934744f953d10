"""The chapters that have checks; exercises and chapters by name."""

import importlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from induction_heads.course.exercise import Exercise
from induction_heads.near_names import closest, suggestion

FOLDER = Path(__file__).parent
STEM = re.compile(r"ch(\d\d)_\w+")


class UnknownTarget(LookupError):
    """No chapter or exercise has this name."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True)
class Selection:
    """The exercises of one chapter to check."""

    stem: str
    exercises: tuple[Exercise, ...]


def chapter_stems() -> tuple[str, ...]:
    """The stems of all chapters with checks, in order: `("ch01_attention", …)`."""
    return tuple(
        sorted(p.parent.name for p in FOLDER.glob("*/checks.py") if STEM.fullmatch(p.parent.name))
    )


def check_files(stem: str) -> list[Path]:
    """The files with the exercises of a chapter: `checks.py`, and what it collects from others."""
    return sorted((FOLDER / stem).glob("*checks.py"))


@cache
def chapter_exercises(stem: str) -> tuple[Exercise, ...]:
    """The exercises of the chapter `stem`, in the order of the chapter."""
    return importlib.import_module(f"induction_heads.course.{stem}.checks").EXERCISES


def find_exercise(name: str) -> tuple[str, Exercise]:
    """The chapter's stem and the exercise called `name`. Raises UnknownTarget."""
    for stem in chapter_stems():
        # Importing only chapters that mention the name is faster than importing all of them.
        if any(name in path.read_text(encoding="utf-8") for path in check_files(stem)):
            for exercise in chapter_exercises(stem):
                if exercise.name == name:
                    return stem, exercise
    raise UnknownTarget(
        f"No exercise is called {name!r}. {_near_or_chapters(name, exercise_names())}"
    )


def _near_or_chapters(name: str, names: list[str]) -> str:
    """The closest names, or the chapters if none is close: the exercises are too many to list."""
    if closest(name, names):
        return suggestion(name, names)
    return (
        f"The chapters are {', '.join(chapter_stems())}. "
        "`induction-heads status ch01` lists the exercises of one."
    )


def exercise_names() -> list[str]:
    """The names of all exercises of all chapters, in order."""
    return [exercise.name for stem in chapter_stems() for exercise in chapter_exercises(stem)]


def select(target: str | None) -> list[Selection]:
    """The exercises of `target`: all (None), a chapter ("ch04", "4", its stem) or one exercise.

    Case does not count, and a path such as "exercises/ch04_induction_heads.py" names its chapter.
    Raises UnknownTarget with the closest names.
    """
    stems = chapter_stems()
    if target is None:
        return [Selection(stem, chapter_exercises(stem)) for stem in stems]
    last = re.split(r"[/\\]", target.strip().rstrip("/\\"))[-1]
    wanted = re.sub(r"\.(py|ipynb)$", "", last.lower())
    number = re.fullmatch(r"(?:ch(?:apter)?[ _-]?)?0*(\d+)", wanted)
    for stem in stems:
        if wanted == stem or (number and int(stem[2:4]) == int(number[1])):
            return [Selection(stem, chapter_exercises(stem))]
    if number:
        known = ", ".join(stems)
        raise UnknownTarget(f"No chapter is called {target!r}. The chapters are {known}.")
    if STEM.fullmatch(wanted):
        known = suggestion(wanted, stems, known="The chapters are")
        raise UnknownTarget(f"No chapter is called {target!r}. {known}")
    by_name = {name.lower(): name for name in exercise_names()} if wanted != last else {}
    try:
        stem, exercise = find_exercise(by_name.get(wanted, wanted))
    except UnknownTarget:
        known = _near_or_chapters(wanted, [*stems, *exercise_names()])
        raise UnknownTarget(f"No chapter and no exercise is called {target!r}. {known}") from None
    return [Selection(stem, (exercise,))]


def select_all(targets: Iterable[str]) -> list[Selection]:
    """The exercises of several targets in the order of the course, each once; all if none is named.

    Raises UnknownTarget as `select` does.
    """
    selections = [selection for target in targets for selection in select(target)]
    by_stem: dict[str, list[Exercise]] = {}
    for selection in selections or select(None):
        exercises = by_stem.setdefault(selection.stem, [])
        new = [each for each in selection.exercises if each not in exercises]
        if exercises and new:
            new = [each for each in chapter_exercises(selection.stem) if each in exercises + new]
            exercises.clear()
        exercises += new
    return [Selection(stem, tuple(exercises)) for stem, exercises in sorted(by_stem.items())]
