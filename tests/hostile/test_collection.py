"""Hostile hand-ins are collected safely: no student is lost, changed or harmed."""

import csv
import io
import os
import sys
import time
from pathlib import Path

import aftermath
import pytest
from build import RIGHT
from collections_of_odd_files import FILE, HAND_INS, STEM, WORKS, HandIn

from induction_heads.files import write_atomically
from induction_heads.grading import gradebook
from induction_heads.grading.listing import listing
from induction_heads.grading.students import (
    DuplicateStudent,
    Student,
    find_students,
    read_student,
)
from induction_heads.grading.worker_process import MAX_MARKS

# CPU time, so that a busy machine makes no difference. Tracing for coverage about doubles it.
SECONDS = 20.0 if sys.gettrace() else 10.0
MEMORY = 400 * 2**20

CHAPTERS = {STEM: ("row_sums", "doubled")}

pytestmark = pytest.mark.filterwarnings("ignore:Duplicate name")


def content(folder: Path) -> dict[str, bytes | None]:
    files = {path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}
    small = {p for p in files if p.stat().st_size < 2**20 and os.access(p, os.R_OK)}
    return {str(p): p.read_bytes() if p in small else None for p in files}


@pytest.mark.parametrize("case", HAND_INS, ids=lambda case: case.name)
def test_a_hostile_hand_in_is_refused_and_touches_nobody(case: HandIn, tmp_path: Path):
    folder = tmp_path / "class"
    (folder / "ada").mkdir(parents=True)
    (folder / "ada" / FILE).write_text(RIGHT)
    case.write(folder)
    before = content(tmp_path)
    aftermath.forget_peak_memory()
    memory, start = aftermath.peak_memory(), time.process_time()
    students, _ = find_students(folder)
    (theirs,), (mine,) = (read_student(student, CHAPTERS).submissions for student in students)
    seconds, memory = time.process_time() - start, aftermath.peak_memory() - memory

    assert [student.name for student in students] == ["ada", case_name(case)]
    assert (theirs.source, theirs.problem) == (RIGHT, None)
    if case.outcome == WORKS:
        assert mine.problem is None
        assert "def row_sums(matrix):\n    return matrix.sum(1)" in mine.source
    else:
        assert case.outcome in (mine.problem or "")
        assert "return matrix" not in mine.source
    for shown in shown_about(students):
        assert not aftermath.unprintable(shown), ascii(shown)
        assert "\u0301" * (MAX_MARKS + 1) not in shown
    assert content(tmp_path) == before
    assert seconds < SECONDS
    assert memory < MEMORY, f"{memory / 2**20:,.0f} MB"


def shown_about(students: list[Student]) -> list[str]:
    """What a teacher reads about the hand-ins before anything is graded."""
    hand_ins = [(student, read_student(student, CHAPTERS)) for student in students]
    problems = [s.problem or "" for _, hand_in in hand_ins for s in hand_in.submissions]
    rows = listing(hand_ins, []).rows
    return [*problems, *(text for row in rows for text in vars(row).values())]


def case_name(case: HandIn) -> str:
    return "mallory.zip" if case.name == "folder_with_the_name" else "mallory"


NAMES = {
    "dots at the end": "ada..",
    "a newline": "ada\nmallory,100",
    "a return": "ada\rmallory",
    "a formula": "=cmd|' c calc'!A1",
    "a plus": "+1+1",
    "a minus": "-1-1",
    "an at": "@SUM(A1)",
    "a wide formula": "＝1+1",
    "a tab": "\t=1+1",
    "markup": "<script>alert(1)<",
    "quotes": "a\"b'c`d",
    "300 bytes": "ä" * 120,
    "letters of four bytes": "\U00020000" * 63,
    "a terminal code": "\x1b[2Jpassed",
    "reversed letters": "ada\u202egpj.exe",
    "a hidden mark": "ada\u200b",
    "not UTF-8": "ada\udcff",
    "a device of Windows": "CON",
    "a space": " ",
    "a dot at the end": "ada.",
    "a percent": "%2e%2e%2f",
    "a wildcard": "*",
    "an option": "--out=x",
    "a template": "{{7*7}}${7*7}",
    "a null in words": "NULL",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_cannot_break_a_path_a_table_or_a_page(name: str, tmp_path: Path):
    for student in ("ada", name):
        (tmp_path / student).mkdir()
    students, others = find_students(tmp_path)
    assert others == []
    (safe,) = (student.name for student in students if student.name != "ada")
    assert not aftermath.unprintable(safe)
    assert not set(safe) & set('/\\\n\r\t<>"|?*:\0')
    assert not safe.startswith((".", " ", "~"))
    assert len(safe.encode()) <= 240
    assert safe.encode("utf-8")
    cell = gradebook_cell(safe)
    assert cell[0] not in "=+-@＝＋－＠\t\r"
    (tmp_path / "out").mkdir()
    write_atomically(tmp_path / "out" / f"{safe}.json", "{}")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [f"{safe}.json"]


def gradebook_cell(name: str) -> str:
    """The name in a cell of grades.csv."""
    line = io.StringIO()
    csv.writer(line).writerow([gradebook.neutral(name)])
    return next(csv.reader(io.StringIO(line.getvalue())))[0]


PAIRS = {
    "capitals": ("Ada", "ADA"),
    "forms of Unicode": ("\u00e9ve", "e\u0301ve"),
    "letters equal in Unicode": ("ada", "ａda"),
    "a folder and a zip": ("ada", "ada.zip"),
    "a zip and a notebook": ("ada.ZIP", "ada.ipynb"),
}


@pytest.mark.parametrize("names", PAIRS.values(), ids=PAIRS)
def test_two_submissions_cannot_have_the_same_student(names: tuple[str, str], tmp_path: Path):
    for name in names:
        (tmp_path / name).write_text("") if "." in name else (tmp_path / name).mkdir()
    with pytest.raises(DuplicateStudent, match="the same student"):
        find_students(tmp_path)


def test_names_that_are_made_safe_stay_different(tmp_path: Path):
    names = ["a<b", "a>b", "a\nb", "a|b", "a\x1bb", "a" * 120, "a" * 121]
    for name in names:
        (tmp_path / name).mkdir()
    students, _ = find_students(tmp_path)
    assert len({student.name.casefold() for student in students}) == len(names)


def test_a_name_does_not_depend_on_the_other_students(tmp_path: Path):
    (tmp_path / "a<b").mkdir()
    ((alone,), _) = find_students(tmp_path)
    for name in ("a>b", "a_b", "zoe"):
        (tmp_path / name).mkdir()
    students, _ = find_students(tmp_path)
    assert alone in students
