"""A learner's file, read but not run."""

import io
import os
import stat
import tokenize
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from induction_heads.grading.imported_files import modules_beside

MAX_BYTES = 2**19
"""Bytes of a file of code. Reading it takes a thousand times as many."""
ENCODINGS = ("utf-8", "utf-8-sig", "ascii", "iso-8859-1", "iso-8859-15", "cp1252")
"""Encodings that a file may declare in its first lines."""


@dataclass(frozen=True)
class Submission:
    """The source of one chapter's file, or in `problem` the reason why there is none.

    `beside` has the name and the source of each module that the file imports and that was handed in
    with it.
    """

    stem: str
    source: str = ""
    problem: str | None = None
    beside: tuple[tuple[str, str], ...] = ()


class NotReadable(ValueError):
    """A file that cannot be read. The message ends a sentence: "is larger than 1 MB"."""


def read_submission(folder: Path, stem: str) -> Submission:
    """The file `stem`.py of `folder`. A missing or unreadable file gives a `problem`."""
    path = folder / f"{stem}.py"
    if not path.is_file():
        return Submission(stem, problem=f"There is no file {path.name} in {folder}.")
    try:
        source = decoded(read_regular(path, MAX_BYTES, follow=True))
    except NotReadable as error:
        return Submission(stem, problem=f"{path.name} {error}.")
    return Submission(stem, source, beside=modules_beside(source, partial(_beside, folder)))


def _beside(folder: Path, name: str) -> str | None:
    """The source of a file beside the submission, or None if there is no readable one."""
    place = folder.parent if name.startswith(f"{folder.name}/") else folder
    try:
        return decoded(read_regular(place / name, MAX_BYTES, follow=True))
    except NotReadable:
        return None


def read_regular(path: Path, limit: int, *, follow: bool = False) -> bytes:
    """The bytes of an ordinary file. Raises NotReadable for a link, a pipe, or too many bytes."""
    # Without O_NONBLOCK, opening a pipe would wait for a writer.
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
        raise too_large(limit)
    return data


def too_large(limit: int) -> NotReadable:
    """The error for a file of more than `limit` bytes."""
    size = f"{limit // 2**20} MB" if limit >= 2**20 else f"{limit // 2**10} kB"
    return NotReadable(f"is larger than {size}")


def decoded(data: bytes) -> str:
    """The text of a Python file, decoded as Python would, with every line ending as one newline.

    Raises NotReadable for bytes that are not text in the declared encoding.
    """
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        if encoding not in ENCODINGS:
            raise NotReadable(f"declares the encoding {encoding!r}. Save it as UTF-8")
        with io.TextIOWrapper(io.BytesIO(data), encoding) as text:
            return text.read()
    except (SyntaxError, UnicodeDecodeError) as error:
        raise NotReadable(f"is not Python source in UTF-8: {error}") from error
