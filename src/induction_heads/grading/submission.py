"""A learner's file, read but not run."""

import io
import os
import stat
import tokenize
from dataclasses import dataclass
from pathlib import Path

MAX_BYTES = 2**20
ENCODINGS = ("utf-8", "utf-8-sig", "ascii", "iso-8859-1", "iso-8859-15", "cp1252")
"""Encodings that a file may name in its first lines, as Python allows."""


@dataclass(frozen=True)
class Submission:
    """The source of one chapter's file, or `problem`: why there is none."""

    stem: str
    source: str = ""
    problem: str | None = None


class NotReadable(ValueError):
    """A file that is not read. The message ends a sentence: "is larger than 1 MB"."""


def read_submission(folder: Path, stem: str) -> Submission:
    """The file `stem`.py of `folder`. A missing or unreadable file gives a `problem`."""
    path = folder / f"{stem}.py"
    if not path.is_file():
        return Submission(stem, problem=f"There is no file {path.name} in {folder}.")
    try:
        return Submission(stem, decoded(read_regular(path, MAX_BYTES, follow=True)))
    except NotReadable as error:
        return Submission(stem, problem=f"{path.name} {error}.")


def read_regular(path: Path, limit: int, *, follow: bool = False) -> bytes:
    """The bytes of an ordinary file. Raises NotReadable for a link, a pipe, or too many bytes."""
    # Without O_NONBLOCK, opening a pipe would wait for whoever writes to it.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if not follow:
        if path.is_symlink():
            raise NotReadable("is a link, and links are not followed")
        flags |= getattr(os, "O_NOFOLLOW", 0)
    try:
        with os.fdopen(os.open(path, flags), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise NotReadable("is not an ordinary file")
            data = file.read(limit + 1)
    except OSError as error:
        raise NotReadable(f"cannot be read: {error.strerror}") from error
    if len(data) > limit:
        raise NotReadable(f"is larger than {limit // 2**20} MB")
    return data


def decoded(data: bytes) -> str:
    """The text of a Python file, decoded as Python decodes it, with newlines as one character.

    Raises NotReadable for bytes that are no text.
    """
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        if encoding not in ENCODINGS:
            raise NotReadable(f"names the encoding {encoding!r}. Save it as UTF-8")
        with io.TextIOWrapper(io.BytesIO(data), encoding) as text:
            return text.read()
    except (SyntaxError, UnicodeDecodeError) as error:
        raise NotReadable(f"is no Python text in UTF-8: {error}") from error
