"""The students of a folder of submissions, and what each handed in. Nothing is run or unpacked.

A submission is a folder, a .zip or a .ipynb at the top of the folder, and its name is the student.
Nothing inside it has a say in who the student is or in which order students come.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from induction_heads.grading.handed_in import Files, NotAccepted, chapter_submissions, open_files
from induction_heads.grading.submission import Submission

KINDS = (".zip", ".ipynb")
SKIPPED = ("__MACOSX", "desktop.ini", "Thumbs.db")
MAX_NAME = 80


class Unclear(ValueError):
    """A folder of submissions that leaves open who handed in what."""


@dataclass(frozen=True)
class Student:
    """A student: `name`, which is safe as a file name, and where the submission is."""

    name: str
    path: Path


@dataclass(frozen=True)
class HandIn:
    """What a student handed in: one submission for each chapter, and a digest of them all."""

    submissions: tuple[Submission, ...]
    digest: str


def find_students(folder: Path) -> tuple[list[Student], list[str]]:
    """The students in `folder`, in a fixed order, and the names of what is no submission.

    Raises Unclear if two entries give the same student, also where only capitals or the form of
    Unicode differ.
    """
    entries = sorted(folder.iterdir(), key=lambda path: path.name)
    entries = [e for e in entries if not e.name.startswith(".") and e.name not in SKIPPED]
    taken = [entry for entry in entries if _is_submission(entry)]
    others = [safe_name(entry.name) for entry in entries if entry not in taken]
    students = [Student(safe_name(_without_kind(entry)), entry) for entry in taken]
    seen: dict[str, Student] = {}
    for student in students:
        other = seen.setdefault(_folded(student.name), student)
        if other is not student:
            raise Unclear(
                f"{_shown(other.path)} and {_shown(student.path)} give the same student, "
                f"{student.name}. Keep one of them, or rename one."
            )
    return sorted(students, key=lambda student: (_folded(student.name), student.name)), others


def _is_submission(entry: Path) -> bool:
    # A link is listed, to be refused with a sentence: its student must not vanish from the grades.
    return entry.is_dir() or entry.suffix.lower() in KINDS


def _without_kind(entry: Path) -> str:
    has_kind = entry.suffix.lower() in KINDS and (entry.is_symlink() or not entry.is_dir())
    return entry.stem if has_kind else entry.name


def _shown(path: Path) -> str:
    return repr(path.name.encode(errors="replace").decode())


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def safe_name(name: str) -> str:
    """`name` as a file name on any system: letters and digits of any script, and ` ._@+,'()-`.

    A name that had to be changed ends in a code made from the original alone, so that no two
    originals give one name, whatever other students are called.
    """
    normal = unicodedata.normalize("NFC", name)
    kept = "".join(c if _is_plain(c) else "_" for c in normal)
    kept = re.sub(r"^[\s.\-~]", "_", kept.rstrip(" ."))[:MAX_NAME].rstrip(" .")
    if kept == normal and not _is_reserved(kept):
        return kept
    code = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{kept or '_'}~{code}"


def _is_plain(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN" or character in " ._@+,'()-"


def _is_reserved(name: str) -> bool:
    """Whether Windows keeps the name for a device."""
    return bool(re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", name)) or not name


def read_student(student: Student, stems: Sequence[str]) -> HandIn:
    """What a student handed in for the chapters `stems`. What cannot be read says why."""
    try:
        with open_files(student.path) as files:
            return _handed_in(files, stems)
    except NotAccepted as error:
        return _hand_in(Submission(stem, problem=f"The submission {error}.") for stem in stems)


def _handed_in(files: Files, stems: Sequence[str]) -> HandIn:
    return _hand_in(chapter_submissions(files, stems))


def _hand_in(submissions: Iterable[Submission]) -> HandIn:
    found = tuple(submissions)
    text = json.dumps([[s.stem, s.source, s.problem] for s in found])
    return HandIn(found, hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest())
