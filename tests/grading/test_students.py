import os
from pathlib import Path

import pytest

from induction_heads.grading.collect import Unclear, find_students, read_student, safe_name

STEM = "ch01_attention"


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
    assert find_students(tmp_path)[1] == ["notes.txt"]


@pytest.mark.parametrize(
    ("one", "other"), [("ada", "ada.zip"), ("ada", "ADA"), ("é", "e\u0301"), ("ﬁn", "fin")]
)
def test_two_entries_for_one_student_are_an_error_that_names_both(tmp_path, one, other):
    (tmp_path / one).mkdir()
    (tmp_path / other).touch() if "." in other else (tmp_path / other).mkdir()
    with pytest.raises(Unclear, match="same student"):
        find_students(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["a\nb", "=1+1", "-rf", ".git", "a/b", "..", "con", "x\u202egpj", "a" * 300, "a.", "a:b", ""],
)
def test_a_name_that_is_no_safe_file_name_gets_a_code(name):
    safe = safe_name(name)
    assert "~" in safe
    assert safe == safe_name(name)
    assert not set(safe) & set("\n/\\:\u202e=")
    assert safe[0] not in ".-"
    assert len(safe) < 100


@pytest.mark.parametrize("name", ["Ada Lovelace", "李明", "o'neil, p", "x_1@y.org", "नेहा"])
def test_an_ordinary_name_stays(name):
    assert safe_name(name) == name


def test_names_that_become_alike_stay_apart():
    assert safe_name("a:b") != safe_name("a;b")


def test_a_name_with_bytes_that_are_no_text_is_read(tmp_path):
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
    (submission,) = read_student(student, [STEM]).submissions
    assert submission.source == ""
    assert submission.problem == "The submission is a link, and links are not followed."


def test_the_digest_changes_with_the_file_and_not_with_the_name(tmp_path):
    digests = []
    for name, source in (("a", "x = 1\n"), ("b", "x = 1\n"), ("c", "x = 2\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{STEM}.py").write_text(source)
    for student in find_students(tmp_path)[0]:
        digests.append(read_student(student, [STEM]).digest)
    assert digests[0] == digests[1] != digests[2]
