"""The hints of every exercise, from the idea to the way in words. None holds a line of code."""

import tomllib
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("hints.toml")


@cache
def hints_of(name: str) -> tuple[str, ...]:
    """The hints of an exercise, in the order in which they are given. Empty if it has none."""
    return tuple(_all().get(name, {}).get("hints", ()))


@cache
def _all() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))
