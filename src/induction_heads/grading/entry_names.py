"""Whose submission an entry of a folder is: names as teachers and course systems write them.

Canvas: `lovelaceada_LATE_1234_56789_ch01_attention.py`, all files side by side. Moodle:
`Ada Lovelace_1234_assignsubmission_file_`, a folder, or the start of a file's name. GitHub
Classroom: `gh classroom clone student-repos` writes `homework-ada` into `homework-submissions`.
"""

import re
from dataclasses import dataclass

SUFFIXES = (".zip", ".ipynb", ".py", ".py.txt", ".ipynb.txt")
"""Endings of the names of files that are submissions, or parts of one."""

_MOODLE = re.compile(r"(?P<student>.+?)_(?P<id>\d+)_assignsubmission_[a-z]+_?(?:.*)", re.S)
_CANVAS = re.compile(r"(?P<student>.+?)(?:_late)?_(?P<id>\d{3,})_\d{3,}_(?:.+)", re.I | re.S)
_FLAT = re.compile(r"(?P<student>.*?[^\s_-])[\s_-]+(?:ch\d\d_[a-z].*)", re.I | re.S)


@dataclass(frozen=True)
class EntryName:
    """The student's name in the name of an entry, and the number that the course system gave.

    `is_part` is whether a student can have several such entries.
    """

    student: str
    id: str = ""
    is_part: bool = False


def entry_name(name: str, is_folder: bool, folder: str = "") -> EntryName | None:
    """The student in the name of an entry of `folder`. None if it is not a submission."""
    suffix = "" if is_folder else _suffix(name)
    if suffix is None:
        return None
    forms = (_MOODLE,) if is_folder else (_MOODLE, _CANVAS)
    if matches := [match for form in forms if (match := form.fullmatch(name))]:
        # The student chose the end of the name, which may look as another system writes names.
        match = min(matches, key=lambda match: len(match["student"]))
        return EntryName(match["student"], match["id"], is_part=True)
    if not is_folder and suffix != ".zip" and (match := _FLAT.fullmatch(name)):
        return EntryName(match["student"], is_part=True)
    if suffix.startswith(".py"):
        return None
    homework = folder.removesuffix("-submissions")
    if homework != folder and name.startswith(f"{homework}-"):
        name = name.removeprefix(f"{homework}-")
    return EntryName(name[: len(name) - len(suffix)])


def _suffix(name: str) -> str | None:
    return next((s for s in reversed(SUFFIXES) if name.lower().endswith(s)), None)


def why_left_out(name: str) -> str:
    """Why a file is not a submission, and what to do."""
    lower = name.lower()
    if lower.endswith((".rar", ".7z", ".gz", ".tar", ".tgz", ".xz", ".bz2")):
        return "an archive of another kind: ask for a .zip, or unpack it into a folder"
    if _suffix(name) is not None:
        return "has no student's name: put it into a folder with the student's name"
    return "not a folder, a .zip, a .ipynb or a chapter's .py"
