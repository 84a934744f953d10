"""Output that every encoding can show: a pipe on Windows, for one, has no check mark."""

import codecs
import sys
import unicodedata
from typing import TextIO

HANDLER = "induction_heads.similar"

SIMILAR = {
    "✓": "+",
    "✗": "x",
    "★": "*",
    "☆": "-",
    "·": ".",
    "•": "*",
    "⧖": "...",
    "…": "...",
    "→": "->",
    "←": "<-",
    "×": "x",
    "−": "-",
    "–": "-",
    "—": "-",
    "±": "~",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "≈": "~",
    "√": "sqrt",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "α": "alpha",
    "ε": "epsilon",
    "Σ": "sum",
    "Δ": "Delta",
    "│": "|",
    "─": "-",
    "━": "-",
    "█": "#",
}
"""Sign → text that is written where an encoding lacks it. Any other sign becomes "?"."""


def similar(text: str) -> str:
    """The text in ASCII.

    >>> similar("✓ mean ≥ 0.4 · naïve")
    '+ mean >= 0.4 . naive'
    """
    return "".join(char if char.isascii() else _similar(char) for char in text)


def _similar(char: str) -> str:
    if char in SIMILAR:
        return SIMILAR[char]
    if unicodedata.name(char, "").startswith("BOX DRAWINGS"):
        return "+"
    return unicodedata.normalize("NFKD", char).encode("ascii", "ignore").decode() or "?"


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return similar(error.object[error.start : error.end]), error.end


def survive_any_encoding() -> None:
    """Make stdout and stderr write similar signs instead of raising UnicodeEncodeError."""
    codecs.register_error(HANDLER, _replace)
    for stream in (sys.stdout, sys.stderr):
        _reconfigure(stream)


def _reconfigure(stream: TextIO) -> None:
    # A stream of a test or of another program may be anything with a `write`.
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors=HANDLER)
