"""Which file is listed for whom, and what the gradebook says of those who handed in nothing."""

from pathlib import Path

import pytest

from induction_heads.grading.gradebook import absent_record, grades_csv
from induction_heads.grading.listing import NOTHING, Listing, listing
from induction_heads.grading.roster import Person, Roster
from induction_heads.grading.students import find_students, read_student

CHAPTERS = {
    "ch01_attention": ("causal_mask", "attention_head"),
    "ch02_attention_patterns": ("first_token_score",),
    "ch03_previous_token_heads": ("positional_pattern",),
}
ANSWER = "def causal_mask(n_pos):\n    return n_pos\n"
ROSTER = Roster([Person("ada", "Ada Lovelace", "7", "Mon"), Person("vera", "Vera Rubin")])


@pytest.fixture
def rows(tmp_path: Path) -> Listing:
    files = {
        "ada/a/ch01_attention.py": f"import helper\n{ANSWER}",
        "ada/a/helper.py": "",
        "ada/draft.py": ANSWER,
        "bob/essay.pdf": "",
        "eve.zip": "no zip",
        "ken/ch01_attention.py": "def causal_mask(n) return n",
        "notes.txt": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    students, left_out = find_students(tmp_path, ROSTER)
    work = [(student, read_student(student, CHAPTERS)) for student in students]
    return listing(work, left_out, ROSTER)


def test_every_student_and_every_entry_has_a_row(rows: Listing):
    assert [(r.student, r.chapters, r.file, r.remark) for r in rows.rows] == [
        (
            "ada (Ada Lovelace)",
            "ch01",
            "a/ch01_attention.py",
            "1 of 2 written, with helper.py; not taken: draft.py (1)",
        ),
        ("ada (Ada Lovelace)", "ch02–ch03", NOTHING, ""),
        ("bob", "ch01–ch03", NOTHING, "It has essay.pdf."),
        ("bob", "", "bob", "not in the roster"),
        ("eve", "all", "eve.zip", "is not a zip that can be read"),
        ("eve", "", "eve.zip", "not in the roster"),
        ("ken", "ch01", "ch01_attention.py", "not valid Python"),
        ("ken", "ch02–ch03", NOTHING, ""),
        ("ken", "", "ken", "not in the roster"),
        ("vera (Vera Rubin)", "all", NOTHING, "no entry has this name"),
    ]
    assert [entry.name for entry in rows.left_out] == ["notes.txt"]
    assert (rows.n_students, rows.n_absent, rows.n_strangers) == (4, 4, 3)
    assert rows.totals() == (
        "4 students (3 not in the roster), 4 rows with nothing handed in, 1 entry left out"
    )


def test_nothing_handed_in_is_an_empty_cell_and_not_a_zero():
    exercises = [
        {"chapter": stem, "points": points, "max_points": 2.0}
        for stem, points in (("ch01", 0.0), ("ch02", 0.0))
    ]
    record = {"student": "ada", "points": 0.0, "max_points": 4.0, "exercises": exercises}
    ada, vera = ROSTER.persons
    csv = grades_csv(
        [record | {"absent": ["ch02"]}, absent_record(record, vera)],
        persons={"ada": ada, "vera": vera},
    )
    assert csv.splitlines()[1:] == [
        "Ada Lovelace,7,,ada,Mon,0.00,,0.00",
        "Vera Rubin,,,vera,,,,",
    ]
