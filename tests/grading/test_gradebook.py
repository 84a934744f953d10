import csv
import io
import json

import pytest

from induction_heads.grading.gradebook import grades_csv, gradescope_json, neutral


def exercise(chapter: str, name: str, points: float, most: float, status: str = "failed"):
    return {"chapter": chapter, "name": name, "points": points, "max_points": most,
            "status": status, "message": "" if status == "passed" else "wrong\nhere"}  # fmt: skip


def record(student: str):
    exercises = [
        exercise("ch01_attention", "causal_mask", 1.0, 1.0, "passed"),
        exercise("ch01_attention", "attention_head", 0.6667, 2.0),
        exercise("ch02_attention_patterns", "first_token_score", 0.0, 1.0, "not_started"),
    ]
    return {"student": student, "points": 1.6667, "max_points": 4.0, "exercises": exercises}


def rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


def test_the_csv_has_the_columns_of_canvas_and_one_row_a_student():
    head, *students = rows(grades_csv([record("ada"), record("bob")]))
    assert head == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section",
                    "Induction heads: ch01_attention", "Induction heads: ch02_attention_patterns",
                    "Induction heads: total"]  # fmt: skip
    assert students == [[n, "", "", n, "", "1.67", "0.00", "1.67"] for n in ("ada", "bob")]


def test_the_row_of_most_points_is_only_for_canvas():
    text = grades_csv([record("ada")], points_possible=True)
    assert rows(text)[1] == ["    Points Possible", "", "", "", "", "3.00", "1.00", "4.00"]
    assert "Points Possible" not in grades_csv([record("ada")])


@pytest.mark.parametrize(
    "cell",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1", "＋1", "－1", "＠x", " =1", "\u200b=1",
     "\ufeff=1", "\u00a0=1", "﹢1", "|x", "%x"],
)  # fmt: skip
def test_a_cell_that_a_spreadsheet_might_run_starts_with_an_apostrophe(cell):
    assert neutral(cell).startswith("'")
    (_, row) = rows(grades_csv([record(cell)]))
    assert row[0].startswith("'")
    assert row[3].startswith("'")


@pytest.mark.parametrize("cell", ["ada", "Lovelace, Ada", "李明", "1", "", 'a "b"'])
def test_an_ordinary_cell_stays(cell):
    assert neutral(cell) == cell


def test_a_new_line_in_a_cell_makes_no_new_row():
    assert len(rows(grades_csv([record('a\n"b",=c')]))) == 2


def test_gradescope_gets_a_score_and_a_test_for_each_exercise():
    found = json.loads(gradescope_json(record("ada")))
    assert found["score"] == 1.6667
    assert found["output"] == "1 of 3 exercises passed."
    assert found["tests"][1] == {
        "name": "ch01 attention_head", "score": 0.6667, "max_score": 2.0, "status": "failed",
        "output": "wrong\nhere", "output_format": "text", "visibility": "visible",
    }  # fmt: skip
    assert [test["status"] for test in found["tests"]] == ["passed", "failed", "failed"]
    assert sum(test["score"] for test in found["tests"]) == pytest.approx(found["score"])
