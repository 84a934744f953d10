"""The hints of every exercise, from the idea to the method in words. None contains code."""

import tomllib
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent


@cache
def hints_of(name: str) -> tuple[str, ...]:
    """The hints of an exercise in order, empty if it has none."""
    return tuple(_all().get(name, {}).get("hints", ()))


@cache
def _all() -> dict[str, dict[str, list[str]]]:
    """Every exercise of every chapter. Each chapter has its own file."""
    chapters = [
        tomllib.loads(path.read_text(encoding="utf-8")) for path in FOLDER.glob("ch*/hints.toml")
    ]
    return {name: entry for chapter in chapters for name, entry in chapter.items()}
