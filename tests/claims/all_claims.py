"""All sentences of the book that are tied to a number: by a function here or by a notebook."""

import tomllib
from functools import cache
from pathlib import Path

from claims import stored
from claims.by_hand import BY_HAND
from claims.measured import MEASURED
from claims.stored_answers import STORED_ANSWERS

CLAIMS = tuple(cache(claim) for claim in (*stored.CLAIMS, *BY_HAND, *STORED_ANSWERS, *MEASURED))
"""Functions that compute numbers and return (page, sentences that state them)."""


def _groups(name: str) -> list[dict]:
    return tomllib.loads((Path(__file__).parent / name).read_text(encoding="utf-8"))["group"]


ASSERTED = _groups("asserted.toml")
ASSERTED += [{"page": each["notebook"]} | each for each in _groups("own_asserts.toml")]
"""Sentences whose number is kept true by a line of a notebook, which runs in the tests."""

NOT_MEASURED = _groups("not_measured.toml")
"""Sentences of notebooks with a number that nobody measured, and what it is."""
