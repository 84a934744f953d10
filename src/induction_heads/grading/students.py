"""The students in a folder of submissions, and their hand-ins. Nothing is run or unpacked.

A submission is one entry of the folder, named for the student, or several entries that a course
system has given the student's name. Its content affects neither the student's name nor the order of
students.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from induction_heads.grading.chapter_files import ChapterFile, Chapters, chapter_files
from induction_heads.grading.entry_names import EntryName, entry_name, why_left_out
from induction_heads.grading.hand_in_files import NotAccepted, open_files
from induction_heads.grading.roster import Person, Roster
from induction_heads.grading.submission import Submission
from induction_heads.grading.worker_process import MAX_MARKS, printable

SKIPPED = ("__MACOSX", "desktop.ini", "Thumbs.db")
MAX_NAME = 80
MAX_NAME_BYTES = 200
"""A file system takes names of 255 bytes, and the names of files have endings."""


class DuplicateStudent(ValueError):
    """Two submissions that belong to the same student."""


@dataclass(frozen=True)
class Student:
    """A student: `name`, which is safe as a file name, and the path of the submission.

    `parts` are further paths, if the submission has several. `person` is the student's row in the
    list of the class, if there is one.
    """

    name: str
    path: Path
    parts: tuple[Path, ...] = ()
    person: Person | None = None


@dataclass(frozen=True)
class LeftOut:
    """An entry that belongs to no student, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class HandIn:
    """A student's work: one submission for each chapter, and a digest of them all.

    `files` says which file each submission is from. `refused` are the entries, or zips in them,
    that could not be opened, with the reason.
    """

    submissions: tuple[Submission, ...]
    digest: str
    files: tuple[ChapterFile, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()

    @property
    def absent(self) -> tuple[str, ...]:
        """The chapters for which nothing was handed in."""
        return tuple(file.stem for file in self.files if not file.name)


def find_students(
    folder: Path, roster: Roster | None = None
) -> tuple[list[Student], list[LeftOut]]:
    """The students in `folder`, in a fixed order, and the entries that are left out.

    Raises DuplicateStudent if the names of two entries give the same student, even if they differ
    in capitals or Unicode normalization.
    """
    entries = sorted(folder.iterdir(), key=lambda path: path.name)
    entries = [e for e in entries if not e.name.startswith(".") and e.name not in SKIPPED]
    left_out: list[LeftOut] = []
    groups: dict[tuple[str, str], list[tuple[Path, EntryName]]] = {}
    for entry in entries:
        # A link counts, and is refused later with a message: its student must not be missing.
        has_suffix = entry.suffix.lower() in (".zip", ".ipynb")
        is_folder = entry.is_dir() and not (entry.is_symlink() and has_suffix)
        name = entry_name(entry.name, is_folder, folder.resolve().name)
        if name is None:
            left_out.append(LeftOut(safe_name(entry.name), why_left_out(entry.name)))
        else:
            key = (_folded(name.student), name.id) if name.is_part else ("", entry.name)
            groups.setdefault(key, []).append((entry, name))
    start = roster.common_start([g[0][1].student for g in groups.values()]) if roster else ""
    students = [_student(group, roster, start) for group in groups.values()]
    students = _told_apart(students, [group[0][1] for group in groups.values()])
    return sorted(students, key=lambda student: (_folded(student.name), student.name)), left_out


def _student(group: Sequence[tuple[Path, EntryName]], roster: Roster | None, start: str) -> Student:
    path, name = group[0]
    person = roster.person(name.student, name.id, start) if roster else None
    label = safe_name(person.label if person else name.student)
    return Student(label, path, tuple(path for path, _ in group[1:]), person)


def _told_apart(students: Sequence[Student], names: Sequence[EntryName]) -> list[Student]:
    """The students, where two with one name and different numbers have the number added."""
    numbers: dict[str, set[str]] = {}
    for student, name in zip(students, names, strict=True):
        numbers.setdefault(_folded(student.name), set()).add(name.id)
    apart = [
        replace(student, name=safe_name(f"{student.name}_{name.id}"))
        if name.id and student.person is None and len(numbers[_folded(student.name)]) > 1
        else student
        for student, name in zip(students, names, strict=True)
    ]
    seen: dict[str, Student] = {}
    for student in apart:
        other = seen.setdefault(_folded(student.name), student)
        if other is not student:
            raise DuplicateStudent(
                f"{_quoted(other.path)} and {_quoted(student.path)} belong to the same student, "
                f"{student.name}. Keep one of them, or rename one."
            )
    return apart


def absent_persons(roster: Roster, students: Sequence[Student]) -> list[Person]:
    """The people on the list who have no submission, in the order of the list."""
    present = {student.person for student in students}
    return [person for person in roster.persons if person not in present]


def _quoted(path: Path) -> str:
    return repr(path.name.encode(errors="replace").decode())


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def safe_name(name: str) -> str:
    """`name` as a file name for any system: letters and digits of any script, and ` ._@+,'()-`.

    A name that had to be changed ends in a digest of the original, so that different originals get
    different names.
    """
    normal = unicodedata.normalize("NFC", name)
    safe = "".join(c if _is_plain(c) and shown == c else "_" for c, shown in _shown(normal))
    safe = re.sub(r"^[\s.\-~]", "_", safe.rstrip(" ."))[:MAX_NAME]
    safe = safe.encode()[:MAX_NAME_BYTES].decode(errors="ignore").rstrip(" .")
    if safe == normal and not _is_reserved(safe):
        return safe
    code = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{safe or '_'}~{code}"


def _shown(text: str) -> Iterator[tuple[str, str]]:
    """Each character, and how `printable` shows it there: invisible ones as escapes."""
    for index, character in enumerate(text):
        before = text[max(0, index - MAX_MARKS) : index]
        yield character, printable(before + character).removeprefix(printable(before))


def _is_plain(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN" or character in " ._@+,'()-"


def _is_reserved(name: str) -> bool:
    """Whether the name is empty, or reserved for a device on Windows."""
    return bool(re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", name)) or not name


def read_student(student: Student, chapters: Chapters) -> HandIn:
    """A student's work for the chapters. A file that cannot be read says why."""
    try:
        opened = open_files(student.path, *student.parts)
        files = chapter_files(opened, chapters)
    except NotAccepted as error:
        problem = f"The submission {error}."
        refused = ((student.path.name, str(error)),)
        return _hand_in([Submission(stem, problem=problem) for stem in chapters], (), refused)
    submissions = [file.submission for file in files]
    return _hand_in(submissions, tuple(files), tuple(opened.refused.items()))


def _hand_in(
    submissions: Sequence[Submission],
    files: tuple[ChapterFile, ...],
    refused: tuple[tuple[str, str], ...],
) -> HandIn:
    text = json.dumps([[s.stem, s.source, s.problem, *s.beside] for s in submissions])
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return HandIn(tuple(submissions), digest, files, refused)
