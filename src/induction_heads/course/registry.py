"""Finds the chapters that have checks, and an exercise or a chapter by name."""

import difflib
import importlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from induction_heads.checks.exercise import Exercise

FOLDER = Path(__file__).parent
STEM = re.compile(r"ch(\d\d)_\w+")


class UnknownTarget(LookupError):
    """No chapter and no exercise has the name that was asked for."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True)
class Selection:
    """Exercises of one chapter that are to be checked."""

    stem: str
    exercises: tuple[Exercise, ...]


def chapter_stems() -> tuple[str, ...]:
    """The stems of all chapters with checks, in order: `("ch01_attention", …)`."""
    return tuple(sorted(p.stem for p in FOLDER.glob("ch*.py") if STEM.fullmatch(p.stem)))


@cache
def chapter_exercises(stem: str) -> tuple[Exercise, ...]:
    """The exercises of the chapter `stem`, in the order of the chapter."""
    return importlib.import_module(f"induction_heads.checks.{stem}").EXERCISES


def find_exercise(name: str) -> tuple[str, Exercise]:
    """The chapter's stem and the exercise called `name`. Raises UnknownTarget."""
    for stem in chapter_stems():
        # Only a chapter that mentions the name is imported: faster than importing all of them.
        if name in (FOLDER / f"{stem}.py").read_text(encoding="utf-8"):
            for exercise in chapter_exercises(stem):
                if exercise.name == name:
                    return stem, exercise
    raise UnknownTarget(f"No exercise is called {name!r}. {_closest(name, exercise_names())}")


def exercise_names() -> list[str]:
    """The names of all exercises of all chapters, in order."""
    return [exercise.name for stem in chapter_stems() for exercise in chapter_exercises(stem)]


def select(target: str | None) -> list[Selection]:
    """What `target` asks for: all chapters (None), a chapter ("ch04", "4", its stem), an exercise.

    Raises UnknownTarget with the closest names.
    """
    stems = chapter_stems()
    if target is None:
        return [Selection(stem, chapter_exercises(stem)) for stem in stems]
    wanted = target.removesuffix(".py")
    number = re.fullmatch(r"(?:ch)?0*(\d+)", wanted)
    for stem in stems:
        if wanted == stem or (number and int(stem[2:4]) == int(number[1])):
            return [Selection(stem, chapter_exercises(stem))]
    if number or STEM.fullmatch(wanted):
        known = ", ".join(stems)
        raise UnknownTarget(f"No chapter is called {target!r}. The chapters are {known}.")
    try:
        stem, exercise = find_exercise(wanted)
    except UnknownTarget:
        names = [*stems, *exercise_names()]
        raise UnknownTarget(
            f"No chapter and no exercise is called {target!r}. {_closest(target, names)}"
        ) from None
    return [Selection(stem, (exercise,))]


def _closest(name: str, names: list[str]) -> str:
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return f"Did you mean {' or '.join(close)}?"
    return f"The names are {', '.join(names)}."
