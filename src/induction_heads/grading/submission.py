"""A learner's file, read but not run."""

import tokenize
from dataclasses import dataclass
from pathlib import Path

MAX_BYTES = 2**20


@dataclass(frozen=True)
class Submission:
    """The source of one chapter's file, or `problem`: why there is none."""

    stem: str
    source: str = ""
    problem: str | None = None


def read_submission(folder: Path, stem: str) -> Submission:
    """The file `stem`.py of `folder`. A missing or unreadable file gives a `problem`."""
    path = folder / f"{stem}.py"
    if not path.is_file():
        return Submission(stem, problem=f"There is no file {path.name} in {folder}.")
    if path.stat().st_size > MAX_BYTES:
        return Submission(stem, problem=f"{path.name} is larger than {MAX_BYTES // 2**20} MB.")
    try:
        with tokenize.open(path) as file:
            return Submission(stem, file.read())
    except (SyntaxError, UnicodeDecodeError) as error:
        return Submission(stem, problem=f"{path.name} is no Python text in UTF-8: {error}.")
    except OSError as error:
        return Submission(stem, problem=f"{path.name} cannot be read: {error.strerror}.")
