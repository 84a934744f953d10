import csv
import io
import json

import pytest

from induction_heads.grading.gradebook import (
    absent_record,
    feedback_line,
    grades_csv,
    gradescope_json,
    mean_total,
    moodle_csv,
    neutral,
)
from induction_heads.grading.roster import Person


def exercise(chapter: str, name: str, points: float, most: float, status: str = "failed"):
    return {
        "chapter": chapter,
        "name": name,
        "points": points,
        "max_points": most,
        "status": status,
        "message": "" if status == "passed" else "wrong\nhere",
    }


def record(student: str):
    exercises = [
        exercise("ch01_attention", "causal_mask", 1.0, 1.0, "passed"),
        exercise("ch01_attention", "attention_head", 0.6667, 2.0),
        exercise("ch02_attention_patterns", "first_token_score", 0.0, 1.0, "not_started"),
    ]
    return {"student": student, "points": 1.6667, "max_points": 4.0, "exercises": exercises}


def rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


def test_the_csv_has_the_columns_of_canvas_and_one_row_per_student():
    head, *students = rows(grades_csv([record("ada"), record("bob")]))
    assert head == [
        "Student",
        "ID",
        "SIS User ID",
        "SIS Login ID",
        "Section",
        "Induction heads: ch01_attention",
        "Induction heads: ch02_attention_patterns",
        "Induction heads: total",
    ]
    assert students == [[n, "", "", n, "", "1.67", "0.00", "1.67"] for n in ("ada", "bob")]


def test_the_row_of_maximum_points_is_only_for_canvas():
    text = grades_csv([record("ada")], points_possible=True)
    assert rows(text)[1] == ["    Points Possible", "", "", "", "", "3.00", "1.00", "4.00"]
    assert "Points Possible" not in grades_csv([record("ada")])


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "＝1",
        "＋1",
        "－1",
        "＠x",
        " =1",
        "\u200b=1",
        "\ufeff=1",
        "\u00a0=1",
        "﹢1",
        "|x",
        "%x",
    ],
)
def test_a_cell_that_a_spreadsheet_might_run_starts_with_an_apostrophe(cell):
    assert neutral(cell).startswith("'")
    (_, row) = rows(grades_csv([record(cell)]))
    assert row[0].startswith("'")
    assert row[3].startswith("'")


@pytest.mark.parametrize("cell", ["ada", "Lovelace, Ada", "李明", "1", "", 'a "b"'])
def test_an_ordinary_cell_is_unchanged(cell):
    assert neutral(cell) == cell


def test_a_newline_in_a_cell_does_not_start_a_row():
    assert len(rows(grades_csv([record('a\n"b",=c')]))) == 2


def test_gradescope_gets_a_score_and_a_test_for_each_exercise():
    results = json.loads(gradescope_json(record("ada")))
    assert results["score"] == 1.6667
    assert results["output"] == "1 of 3 exercises passed."
    assert results["tests"][1] == {
        "name": "ch01 attention_head",
        "score": 0.6667,
        "max_score": 2.0,
        "status": "failed",
        "output": "wrong\nhere",
        "output_format": "text",
        "visibility": "visible",
    }
    assert [test["status"] for test in results["tests"]] == ["passed", "failed", "failed"]
    assert sum(test["score"] for test in results["tests"]) == pytest.approx(results["score"])


LATE = {"chapter": "ch01_attention", "days": 2, "percent": 20.0, "lost": 0.3333}


def final(student: str):
    return record(student) | {
        "status": "graded",
        "points": 16.3334,
        "max_points": 24.0,
        "late": [LATE],
        "columns": [{"name": "rubric", "points": 15.0, "max_points": 20.0}],
        "comments": {"comment": "Well done"},
    }


def test_lateness_and_columns_by_hand_are_in_the_grades():
    head, maxima, row = rows(grades_csv([final("ada")], points_possible=True))
    assert head[5:] == [
        "Induction heads: ch01_attention",
        "Induction heads: ch02_attention_patterns",
        "Induction heads: rubric",
        "Induction heads: total",
    ]
    assert maxima[5:] == ["3.00", "1.00", "20.00", "24.00"]
    assert row[5:] == ["1.33", "0.00", "15.00", "16.33"]


def test_a_student_without_a_grade_has_no_points_and_not_zeros():
    failed = final("ada") | {"status": "not graded", "points": 0.0}
    assert rows(grades_csv([failed]))[1][5:] == [""] * 4
    assert rows(moodle_csv([failed]))[1] == ["ada", *"----", "Not graded yet."]


def test_nothing_handed_in_is_no_grade_in_any_gradebook_and_no_part_of_the_mean():
    part = final("ada") | {"absent": ["ch02_attention_patterns"]}
    nothing = absent_record(record("ada"), Person("Eve", "Eve Example"))
    project = nothing | {"columns": final("eve")["columns"], "points": 15.0}
    project |= {"max_points": 24.0}
    assert rows(grades_csv([part]))[1][5:] == ["1.33", "", "15.00", "16.33"]
    assert rows(moodle_csv([part]))[1][1:-1] == ["44.45", "-", "75.00", "68.06"]
    assert "ch02: nothing handed in" in feedback_line(part)
    persons = {"Eve": Person("Eve", "Eve Example", "7")}
    row = rows(grades_csv([nothing], persons=persons))[1]
    assert row == ["Eve Example", "7", "", "Eve", "", "", "", ""]
    assert rows(moodle_csv([nothing]))[1] == ["eve", *"---", "Nothing handed in"]
    assert rows(grades_csv([project]))[1][5:] == ["", "", "15.00", "15.00"]
    assert feedback_line(project).startswith("15.00 of 24.00 points; ch01: nothing handed in;")
    assert mean_total([part, nothing]) == part["points"]
    assert mean_total([nothing]) is None


def test_moodle_gets_the_login_of_the_class_list():
    persons = {"octo": Person("Ada7", "Ada", github="octo")}
    assert rows(moodle_csv([record("octo")], persons=persons))[1][0] == "ada7"


def test_the_file_for_moodle_has_lower_case_names_percentages_and_feedback():
    head, row = rows(moodle_csv([final("Ada@Example.org")]))
    assert head[0] == "username"
    assert head[-2:] == ["Induction heads", "Induction heads feedback"]
    assert row[:-1] == ["ada@example.org", "44.45", "0.00", "75.00", "68.06"]
    assert row[-1] == feedback_line(final("ada"))
    assert "ch01 was 2 days late: 20 % less (−0.33 points)" in row[-1]
    assert row[-1].endswith(
        "rubric: 15.00 of 20.00; ch01 was 2 days late: 20 % less (−0.33 points); comment: Well done"
    )


def test_moodle_never_gets_more_than_100():
    generous = final("ada") | {"points": 30.0}
    for cell in rows(moodle_csv([generous]))[1][1:-1]:
        assert float(cell) <= 100


def test_logins_that_look_like_numbers_are_written_digit_by_digit():
    for login in ("007123", "12345678901234567890", "2026.001", "1e5"):
        row = rows(grades_csv([record(login)]))[1]
        assert (row[0], row[3]) == (login, login)


def test_canvas_does_not_take_a_student_for_the_row_of_maxima():
    row = rows(grades_csv([record("Points Possible")]))[1]
    assert "Points Possible" not in row[0]
    assert row[3] == "Points Possible"


def test_gradescope_shows_feedback_that_is_held_back_when_grades_are_published():
    results = json.loads(gradescope_json(final("ada"), held_back=True))
    shown = {results["visibility"], *(test["visibility"] for test in results["tests"])}
    assert shown == {"after_published"}
    assert "2 days late" in results["output"]
