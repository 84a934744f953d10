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

ASSERTED = tomllib.loads((Path(__file__).parent / "asserted.toml").read_text(encoding="utf-8"))[
    "group"
]
"""Sentences whose number is kept true by a line of a notebook, which runs in the tests."""
