"""The files for Canvas, Moodle, Gradescope and GitHub Classroom, read by their importers' rules."""

from pathlib import Path

import pytest
import yaml
from importers import (
    NEW,
    CanvasStudent,
    NotImported,
    canvas_import,
    classroom_import,
    gradescope_import,
    moodle_import,
)

from induction_heads.course.registry import select
from induction_heads.grading.gradebook import (
    absent_record,
    grades_csv,
    gradescope_json,
    moodle_csv,
)
from induction_heads.grading.roster import Person, read_roster

TEACH = Path(__file__).resolve().parents[2] / "book" / "teach"
CH01, CH02 = "ch01_attention", "ch02_attention_patterns"


def record(student: str, *points: float, columns: tuple[tuple[str, float | None], ...] = ()):
    exercises = [
        {
            "chapter": chapter,
            "name": name,
            "points": share,
            "max_points": 2.0,
            "status": "passed" if share == 2.0 else "failed",
            "message": '5 > 3; "quoted"\nsecond line',
        }
        for chapter, name, share in zip(
            (CH01, CH01, CH02), ("causal_mask", "attention_head", "bos"), points, strict=True
        )
    ]
    by_hand = [{"name": name, "points": p, "max_points": 20.0} for name, p in columns]
    total = sum(points) + sum(p or 0.0 for _, p in columns)
    most = 6.0 + 20.0 * len(columns)
    return {
        "student": student,
        "status": "graded",
        "points": total,
        "max_points": most,
        "exercises": exercises,
        "columns": by_hand,
        "comments": {"comment": "=1+1; really"},
    }


# A login that looks like a number, a login in capitals, and a name with a comma.
PERSONS = {
    "007123": Person("007123", "Ada Lovelace", section="Mon"),
    "Bob@Example.org": Person("Bob@Example.org", "Noether, Bob", section="Tue; Wed"),
    "1e5": Person("1e5", "Eve Example"),
}
HAND = (("rubric", 15.0), ("Final Score", 20.0), ("essay (2)", None))
RECORDS = [
    record("007123", 2.0, 1.5, 0.0, columns=HAND),
    record("Bob@Example.org", 2.0, 2.0, 2.0, columns=HAND) | {"absent": [CH02]},
    record("1e5", 0.0, 0.0, 0.0, columns=HAND) | {"status": "not graded"},
]
COURSE = [
    CanvasStudent(11, "Ada L.", login="007123"),
    CanvasStudent(12, "Bob N.", login="Bob@Example.org"),
    CanvasStudent(7123, "Someone Else", login="7123"),
    CanvasStudent(13, "Eve E.", login="1e5"),
]


def test_canvas_gives_every_student_the_right_points_and_takes_every_column():
    for options in ({}, {"points_possible": True}):
        found = canvas_import(grades_csv(RECORDS, persons=PERSONS, **options), COURSE)
        assert found.strangers == []
        assert found.grades == {
            "Ada L.": {
                f"Induction heads: {CH01}": "3.50",
                f"Induction heads: {CH02}": "0.00",
                "Induction heads: rubric": "15.00",
                "Induction heads: final score": "20.00",
                "Induction heads: essay [2]": "",
                "Induction heads: total": "38.50",
            },
            "Bob N.": {
                f"Induction heads: {CH01}": "4.00",
                f"Induction heads: {CH02}": "",
                "Induction heads: rubric": "15.00",
                "Induction heads: final score": "20.00",
                "Induction heads: essay [2]": "",
                "Induction heads: total": "41.00",
            },
            "Eve E.": dict.fromkeys(found.grades["Ada L."], ""),
        }
        maxima = ["4.00", "2.00", "20.00", "20.00", "20.00", "66.00"]
        assert list(found.maxima.values()) == (maxima if options else [])


ROSTERS = {
    "a list of the school": "login,name,id\nada,Ada Lovelace,12\nbob,Bob Noether,11\n",
    "an export of Canvas": (
        "Student,ID,SIS User ID,SIS Login ID,Section\n    Points Possible,,,,\n"
        "Ada L.,11,m-12,ada,Mon\nBob N.,12,m-11,bob,Mon\n"
    ),
}


@pytest.mark.parametrize("text", ROSTERS.values(), ids=ROSTERS)
def test_canvas_takes_no_number_of_the_school_for_its_own(tmp_path, text):
    """In the school's list Ada has the number that Bob's account has in Canvas."""
    (tmp_path / "roster.csv").write_text(text)
    persons = {person.login: person for person in read_roster(tmp_path / "roster.csv")}
    records = [record("ada", 2.0, 2.0, 2.0), record("bob", 0.0, 0.0, 0.0)]
    course = [
        CanvasStudent(11, "Ada L.", "m-12", "ada"),
        CanvasStudent(12, "Bob N.", "m-11", "bob"),
    ]
    grades = canvas_import(grades_csv(records, persons=persons), course).grades
    assert {name: points["Induction heads: total"] for name, points in grades.items()} == {
        "Ada L.": "6.00",
        "Bob N.": "0.00",
    }


USERS = ["007123", "bob@example.org", "1e5"]
FIRST_TIME = {
    "username": "username",
    f"{CH01} (%)": NEW,
    f"{CH02} (%)": NEW,
    "rubric (%)": NEW,
    "essay (2) (%)": NEW,
    "Induction heads": NEW,
}
AGAIN = {name: choice if choice != NEW else ("grade", name) for name, choice in FIRST_TIME.items()}
AGAIN["Induction heads feedback"] = ("feedback", "Induction heads")


@pytest.mark.parametrize("columns", [FIRST_TIME, AGAIN], ids=["new items", "items that exist"])
def test_moodle_reads_percentages_and_no_grade_where_there_is_none(columns):
    stored = moodle_import(moodle_csv(RECORDS, persons=PERSONS), columns, USERS)
    assert stored.grades["007123", f"{CH01} (%)"] == 87.5
    assert stored.grades["007123", f"{CH02} (%)"] == 0.0
    assert stored.grades["007123", "rubric (%)"] == 75.0
    assert stored.grades["bob@example.org", f"{CH02} (%)"] is None
    assert stored.grades["bob@example.org", "essay (2) (%)"] is None
    assert {grade for (user, _), grade in stored.grades.items() if user == "1e5"} == {None}
    if columns is AGAIN:
        assert stored.feedback["1e5", "Induction heads"] == "Not graded yet."
        assert stored.feedback["007123", "Induction heads"].startswith("38.50 of 66.00 points;")


def test_nobody_who_handed_in_nothing_gets_a_zero_anywhere():
    nobody = absent_record(record("x", 0.0, 0.0, 0.0), Person("eve", "Eve"))
    grades = canvas_import(grades_csv([nobody]), [CanvasStudent(1, "eve")]).grades
    assert set(grades["eve"].values()) == {""}
    columns = dict.fromkeys((f"{CH01} (%)", "Induction heads"), NEW) | {"username": "username"}
    assert set(moodle_import(moodle_csv([nobody]), columns, ["eve"]).grades.values()) == {None}


@pytest.mark.parametrize("held_back", [False, True])
def test_gradescope_reads_the_points_of_each_exercise(held_back):
    scores = gradescope_import(gradescope_json(RECORDS[0], held_back=held_back))
    assert scores == {
        "": 38.5,
        "ch01 causal_mask": 2.0,
        "ch01 attention_head": 1.5,
        "ch02 bos": 0.0,
    }


def test_gradescope_reads_what_the_script_writes_when_nothing_was_graded():
    script = (TEACH / "classroom" / "run_autograder").read_text()
    (line,) = [line for line in script.splitlines() if line.startswith('{"score"')]
    assert gradescope_import(line) == {"": 0.0}


def test_github_classroom_reads_the_stars_of_each_exercise():
    workflow = yaml.safe_load((TEACH / "classroom" / "classroom.yml").read_text())
    stars = {e.name: e.difficulty for s in select(None) for e in s.exercises}
    assert classroom_import(workflow) == stars


def edited(text: str, old: str, new: str) -> str:
    assert old in text, old
    return text.replace(old, new)


CANVAS_FILE = grades_csv(RECORDS, persons=PERSONS)
MOODLE_FILE = moodle_csv(RECORDS, persons=PERSONS)
GRADESCOPE_FILE = gradescope_json(RECORDS[0])


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("SIS User ID,SIS Login ID,Section", "SIS Login ID,Section,x", "Invalid header"),
        ("Student,ID", "Name,ID", "Invalid header"),
        ("essay [2]", "essay (2)", "taken for an assignment"),
        ("Student,ID,SIS User ID,", "Student;ID;SIS User ID;", "Invalid header"),
    ],
)
def test_the_rules_of_canvas_refuse_what_breaks_them(old, new, problem):
    with pytest.raises(NotImported, match=problem):
        canvas_import(edited(CANVAS_FILE, old, new), COURSE)


def test_canvas_reads_a_file_with_semicolons_too():
    text = "Student;ID;SIS User ID;SIS Login ID;Section;a\nEve;;;1e5;;1,5\n"
    assert canvas_import(text, COURSE).grades == {"Eve E.": {"a": "1.5"}}


def test_canvas_would_skip_a_column_with_a_name_of_its_own():
    changed = edited(CANVAS_FILE, "final score", "Final Score")
    grades = canvas_import(changed, COURSE).grades
    assert "Induction heads: Final Score" not in grades["Ada L."]


def test_canvas_would_not_know_a_login_that_lost_its_zeros():
    changed = edited(CANVAS_FILE, "007123", "7123")
    assert "Someone Else" in canvas_import(changed, COURSE).grades


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("bob@example.org", "Bob@Example.org", "could not find"),
        ("87.50", "187.50", "larger than the allowed maximum"),
        ("87.50", "A-", "bad grade"),
    ],
)
def test_the_rules_of_moodle_refuse_what_breaks_them(old, new, problem):
    with pytest.raises(NotImported, match=problem):
        moodle_import(edited(MOODLE_FILE, old, new), AGAIN, USERS)


def test_moodle_stores_a_zero_for_an_empty_cell_of_a_new_item_only():
    empty = MOODLE_FILE.replace(",-", ",")
    user = "bob@example.org", f"{CH02} (%)"
    assert moodle_import(empty, FIRST_TIME, USERS).grades[user] == 0.0
    assert moodle_import(empty, AGAIN, USERS).grades[user] is None


def test_moodle_deletes_grades_if_only_their_feedback_is_mapped():
    columns = {n: c for n, c in AGAIN.items() if n != "Induction heads"}
    with pytest.raises(NotImported, match="deletes the grades of Induction heads"):
        moodle_import(MOODLE_FILE, columns, USERS)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"visible"', '"shown"'),
        ('"status": "failed"', '"status": "error"'),
        ('"score": 38.5', '"score": NaN'),
        ('"score": 38.5', '"score": "38.5"'),
        ('"max_score"', '"maximum"'),
        ('"ch01 attention_head"', '"ch01 causal_mask"'),
    ],
)
def test_the_rules_of_gradescope_refuse_what_breaks_them(old, new):
    with pytest.raises(NotImported):
        gradescope_import(edited(GRADESCOPE_FILE, old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("run-autograding-tests:", "tests:"),
        ("checks: write", "checks: read"),
        ("timeout: 1\n", "timeout: 61\n"),
        ("CAUSAL_MASK_RESULTS", "MASK_RESULTS"),
        ("runners: causal_mask,", "runners: mask,"),
        ("max-score: 3\n", "max-score: 2.5\n"),
    ],
)
def test_the_rules_of_github_classroom_refuse_what_breaks_them(old, new):
    text = (TEACH / "classroom" / "classroom.yml").read_text()
    with pytest.raises(NotImported):
        classroom_import(yaml.safe_load(edited(text, old, new)))
