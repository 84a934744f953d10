"""The hints of every exercise, from the idea to the way in words. None holds a line of code."""

import tomllib
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).with_name("exercise_hints")


@cache
def hints_of(name: str) -> tuple[str, ...]:
    """The hints of an exercise, in the order in which they are given. Empty if it has none."""
    return tuple(_all().get(name, {}).get("hints", ()))


@cache
def _all() -> dict[str, dict[str, list[str]]]:
    """Every exercise of every chapter. Each chapter has a file of its own."""
    chapters = [tomllib.loads(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.toml")]
    return {name: entry for chapter in chapters for name, entry in chapter.items()}
