import os
from pathlib import Path

import pytest

from induction_heads.grading.roster import BadRoster, Roster, read_roster
from induction_heads.grading.students import (
    DuplicateStudent,
    LeftOut,
    absent_persons,
    find_students,
    read_student,
    safe_name,
)

STEM = "ch01_attention"
CHAPTERS = {STEM: ("causal_mask",)}


def names(folder: Path) -> list[str]:
    return [student.name for student in find_students(folder)[0]]


def test_students_are_named_for_folders_zips_and_notebooks_in_a_fixed_order(tmp_path):
    (tmp_path / "zoe").mkdir()
    (tmp_path / "Bob.ZIP").write_bytes(b"")
    (tmp_path / "ada.ipynb").write_bytes(b"")
    (tmp_path / "dr. no").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "notes.txt").write_text("")
    assert names(tmp_path) == ["ada", "Bob", "dr. no", "zoe"]
    (left_out,) = find_students(tmp_path)[1]
    assert left_out == LeftOut("notes.txt", "not a folder, a .zip, a .ipynb or a chapter's .py")


def entries(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        path = folder / name
        path.mkdir(parents=True) if name.endswith("/") else path.touch()
    return folder


def test_the_names_of_course_systems_are_read(tmp_path):
    canvas = entries(
        tmp_path / "canvas",
        "lovelaceada_1234_56789_ch01_attention.py",
        "lovelaceada_LATE_1234_56790_ch02_attention_patterns-1.py",
        "noetheremmy_1235_56791_homework.zip",
        "curiemarie_1236_5_notes.docx",
    )
    moodle = entries(
        tmp_path / "moodle/",
        "Ada Lovelace_204_assignsubmission_file_/",
        "Ada Lovelace_204_assignsubmission_onlinetext_/",
        "Emmy Noether_205_assignsubmission_file_ch01_attention.py",
    )
    github = entries(tmp_path / "week-1-submissions/", "week-1-ada-l/")
    flat = entries(tmp_path / "flat/", "ada_ch01_attention.py", "ada-ch02_attention_patterns.ipynb")
    assert names(canvas) == ["lovelaceada", "noetheremmy"]
    assert names(moodle) == ["Ada Lovelace", "Emmy Noether"]
    assert names(github) == ["ada-l"]
    assert names(flat) == ["ada"]
    ada = find_students(canvas)[0][0]
    assert [path.name[12:16] for path in (ada.path, *ada.parts)] == ["1234", "LATE"]


def test_two_students_with_one_name_have_their_number(tmp_path):
    entries(tmp_path, "kim_111_222_ch01_attention.py", "kim_112_223_ch01_attention.py")
    assert names(tmp_path) == ["kim_111", "kim_112"]


def test_a_file_without_a_student_and_another_archive_are_left_out(tmp_path):
    entries(tmp_path, "ch01_attention.py", "ada.rar")
    assert [(e.name, e.reason[:21]) for e in find_students(tmp_path)[1]] == [
        ("ada.rar", "an archive of another"),
        ("ch01_attention.py", "has no student's name"),
    ]


ROSTER = """\
SIS Login ID;Student;ID;Section;github_username
al815;"Lovelace, Ada";1234;Mon;ada-l
en882;Emmy Noether;1235;Tue;emmy
mc867;Marie Curie;1236;Tue;
;    Points Possible;;;
"""


def test_a_roster_names_the_students_of_any_system(tmp_path):
    (tmp_path / "roster.csv").write_text(ROSTER, encoding="utf-16")
    roster = Roster(read_roster(tmp_path / "roster.csv"))
    assert [person.label for person in roster.persons] == ["al815", "en882", "mc867"]
    found = {
        name: person.login if (person := roster.person(*name)) else None
        for name in [
            ("lovelaceada", "1234"),
            ("lovelaceada", ""),
            ("Ada Lovelace", "99"),
            ("AL815", ""),
            ("homework-1-Ada-L", ""),
            ("Marie CURIE", ""),
            ("Grace Hopper", "7"),
            ("ada", ""),
        ]
    }
    assert list(found.values()) == ["al815"] * 5 + ["mc867", None, None]
    entries(tmp_path / "class", "week-emmy/", "lovelaceada_1234_5678_x.ipynb", "zoe/")
    students, _ = find_students(tmp_path / "class", roster)
    assert [student.name for student in students] == ["al815", "en882", "zoe"]
    assert [person.login for person in absent_persons(roster, students)] == ["mc867"]


def test_a_file_name_chosen_by_a_student_does_not_name_another_student(tmp_path):
    (tmp_path / "roster.csv").write_text(ROSTER)
    roster = Roster(read_roster(tmp_path / "roster.csv"))
    canvas = entries(
        tmp_path / "canvas",
        "noetheremmy_1235_56791_x_1234_assignsubmission_file_ch01_attention.py",
        "curiemarie_1236_56792_x_1234_56789_ch01_attention.py",
    )
    moodle = entries(
        tmp_path / "moodle",
        "Emmy Noether_205_assignsubmission_file_x_1234_56789_ch01_attention.py",
    )
    assert [s.name for s in find_students(canvas, roster)[0]] == ["en882", "mc867"]
    assert [s.name for s in find_students(moodle, roster)[0]] == ["en882"]
    assert names(canvas) == ["curiemarie", "noetheremmy"]


@pytest.mark.parametrize("others", [["week-emmy/"], ["week-emmy/", "week-zoe/"]])
def test_a_login_that_ends_in_another_login_is_another_student(tmp_path, others):
    (tmp_path / "roster.csv").write_text(ROSTER)
    roster = Roster(read_roster(tmp_path / "roster.csv"))
    entries(tmp_path / "class", "week-x-ada-l/", *others)
    students = {s.path.name: s.name for s in find_students(tmp_path / "class", roster)[0]}
    assert students["week-x-ada-l"] == "week-x-ada-l"
    assert students["week-emmy"] == "en882"


def test_a_roster_that_cannot_be_used_says_why(tmp_path):
    problems = {
        "": "is empty",
        "a,b\n1,2": "has the columns a, b. Expected login, name, id and section",
        "login\nada\nADA": "has ADA twice",
    }
    for text, problem in problems.items():
        (tmp_path / "r.csv").write_text(text)
        with pytest.raises(BadRoster, match=problem):
            read_roster(tmp_path / "r.csv")
    with pytest.raises(BadRoster, match="cannot be read"):
        read_roster(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("one", "other"), [("ada", "ada.zip"), ("ada", "ADA"), ("é", "e\u0301"), ("ﬁn", "fin")]
)
def test_two_entries_for_one_student_are_an_error_that_names_both(tmp_path, one, other):
    (tmp_path / one).mkdir()
    (tmp_path / other).touch() if "." in other else (tmp_path / other).mkdir()
    with pytest.raises(DuplicateStudent, match="same student"):
        find_students(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "a\nb",
        "=1+1",
        "-rf",
        ".git",
        "a/b",
        "..",
        "con",
        "x\u202egpj",
        "z" + "\u0301" * 9,
        "ada\u3164",
        "\u2800",
        "a" * 300,
        "a.",
        "a:b",
        "",
    ],
)
def test_an_unsafe_name_gets_a_digest(name):
    safe = safe_name(name)
    assert "~" in safe
    assert safe == safe_name(name)
    assert not set(safe) & set("\n/\\:\u202e=")
    assert safe[0] not in ".-"
    assert len(safe) < 100


@pytest.mark.parametrize("name", ["Ada Lovelace", "李明", "o'neil, p", "x_1@y.org", "नेहा"])
def test_an_ordinary_name_is_unchanged(name):
    assert safe_name(name) == name


def test_names_that_become_similar_stay_different():
    assert safe_name("a:b") != safe_name("a;b")


def test_a_name_with_bytes_that_are_not_text_is_read(tmp_path):
    os.mkdir(os.fsencode(tmp_path) + b"/\xff\xfe")
    (name,) = names(tmp_path)
    assert name.startswith("__~")


def test_a_link_is_a_student_without_files(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / f"{STEM}.py").write_text("x = 1\n")
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "eve").symlink_to(outside)
    (student,), _ = find_students(tmp_path / "class")
    (submission,) = read_student(student, CHAPTERS).submissions
    assert submission.source == ""
    assert submission.problem == "The submission is a link, and links are not followed."


def test_the_digest_changes_with_the_file_and_not_with_the_name(tmp_path):
    digests = []
    for name, source in (("a", "x = 1\n"), ("b", "x = 1\n"), ("c", "x = 2\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{STEM}.py").write_text(source)
    for student in find_students(tmp_path)[0]:
        digests.append(read_student(student, CHAPTERS).digest)
    assert digests[0] == digests[1] != digests[2]
