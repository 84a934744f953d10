from datetime import UTC, datetime, timedelta

import pytest

from induction_heads.grading.class_file import BadClassFile
from induction_heads.grading.dates import Dates, LatePolicy, read_dates
from induction_heads.grading.final_grades import final_grade
from induction_heads.grading.hand_columns import BadColumns, HandColumns, HandRow, read_columns

DUE = datetime(2026, 10, 5, 18, tzinfo=UTC)
STEM = "ch01_attention"
RECORD = {
    "student": "Ada",
    "status": "graded",
    "points": 9.0,
    "max_points": 12.0,
    "exercises": [
        {"chapter": STEM, "points": 8.0, "max_points": 10.0},
        {"chapter": "ch02_attention_patterns", "points": 1.0, "max_points": 2.0},
    ],
}
CLASS = """
feedback_from = 2026-10-12T08:00:00Z
site = "https://example.org/course/"
[late]
percent_per_day = 10
grace_minutes = 15
last_day = 3
[chapters.ch01]
due = 2026-10-05T18:00:00Z
points_per_star = 2
"""


@pytest.fixture
def file(tmp_path):
    def write(text: str, name: str = "class.toml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_each_day_that_has_begun_counts_and_a_short_grace_is_free():
    policy = LatePolicy(10, timedelta(minutes=15), 3)
    minutes = {-5: 0, 0: 0, 15: 0, 16: 1, 24 * 60: 1, 24 * 60 + 1: 2}
    found = {m: policy.days_late(DUE, DUE + timedelta(minutes=m)) for m in minutes}
    assert found == minutes
    assert [policy.lost_percent(days) for days in (0, 1, 3, 4)] == [0, 10, 30, 100]
    assert LatePolicy(40).lost_percent(3) == 100


def test_dates_are_read_from_the_class_file(file):
    dates = read_dates(file(CLASS))
    assert dates.due == {STEM: DUE}
    assert dates.late == LatePolicy(10, timedelta(minutes=15), 3)
    assert dates.site == "https://example.org/course/"
    assert dates.holds_feedback(datetime(2026, 10, 12, 7, tzinfo=UTC))
    assert not dates.holds_feedback(datetime(2026, 10, 12, 8, tzinfo=UTC))
    assert not Dates().holds_feedback(DUE)
    assert read_dates(None) == Dates()


def test_a_date_without_a_time_is_the_end_of_that_day(file):
    dates = read_dates(file("[chapters.ch01]\ndue = 2026-10-05"))
    assert dates.due[STEM] == datetime(2026, 10, 6).astimezone()


def test_an_invalid_date_or_policy_is_reported_with_what_was_expected(file):
    for text, message in (
        ("[late]\npercent = 5", "Did you mean percent_per_day?"),
        ("[late]\npercent_per_day = 101", "a number from 0 to 100"),
        ("late = 3", r"write \[late\]"),
        ("[chapters.ch01]\ndue = '5 October'", "without quotation marks"),
        ("[chapters.ch01]\ndeu = 2026-10-05", "Did you mean due?"),
        ("feedback_from = 5", "feedback_from is 5"),
        ("feedback_form = 2026-10-05", "Did you mean feedback_from?"),
        ("site = 'example.org'", "Expected an address"),
        ("[late]\nlast_day = 1.5", "last_day is 1.5. Expected a whole number"),
    ):
        with pytest.raises(BadClassFile, match=message) as caught:
            read_dates(file(text))
        assert "class.toml" in str(caught.value), text


def test_lateness_and_columns_by_hand_change_the_total_but_not_the_exercises():
    columns = HandColumns(
        {"rubric": 20.0, "project": 5.0},
        {"ada": HandRow({"": DUE + timedelta(days=2)}, 0, {"rubric": 15.5}, {"comment": "Good."})},
    )
    dates = Dates({STEM: DUE}, LatePolicy(10))
    final = final_grade(RECORD, dates, columns)
    assert final["late"] == [{"chapter": STEM, "days": 2, "percent": 20, "lost": 1.6}]
    assert final["points"] == 9.0 - 1.6 + 15.5
    assert final["max_points"] == 37.0
    assert [column["points"] for column in final["columns"]] == [15.5, None]
    assert final["comments"] == {"comment": "Good."}
    assert final["exercises"] == RECORD["exercises"]


def test_without_a_time_of_submission_nothing_is_late_and_extra_days_move_the_date():
    dates = Dates({STEM: DUE}, LatePolicy(10))
    for row, days in (
        (HandRow(), []),
        (HandRow({"": DUE + timedelta(days=2)}, 1), [1]),
        (HandRow({"": DUE + timedelta(days=2)}, 2), []),
        (HandRow({"": DUE, STEM: DUE + timedelta(days=3)}), [3]),
    ):
        final = final_grade(RECORD, dates, HandColumns({}, {"ada": row}))
        assert [entry["days"] for entry in final["late"]] == days


def test_columns_are_read_with_commas_or_semicolons_and_in_any_capitals(file):
    text = "student,submitted,submitted ch01,extra days,rubric (20),comment\n"
    text += 'ADA,2026-10-05T18:00:00Z,2026-10-06T18:00:00Z,2,"15,5","Well, done"\n\nbob,,,,,\n'
    for content in (text, text.replace(",", ";").replace("15;5", "15,5")):
        columns = read_columns(file(content, "columns.csv"))
        assert columns.maxima == {"rubric": 20.0}
        row = columns.row("Ada")
        assert row.submitted == {"": DUE, STEM: DUE + timedelta(days=1)}
        assert (row.extra_days, row.points) == (2, {"rubric": 15.5})
        assert row.texts["comment"].startswith("Well")
        assert columns.row("nobody") == HandRow()
        (sentence,) = columns.strangers(["ada", "boba"])
        assert sentence.endswith("bob, who is not in the class. Did you mean boba?")


def test_a_day_of_submission_without_a_time_is_the_end_of_that_day(file):
    table = "student,submitted,submitted by\nada,2026-10-05,her brother\nbob,2026-10-06,\n"
    columns = read_columns(file(table, "columns.csv"))
    due = datetime(2026, 10, 6).astimezone()  # The end of October 5.
    policy, times = LatePolicy(10), [columns.row(name).submitted[""] for name in ("ada", "bob")]
    assert [policy.days_late(due, time) for time in times] == [0, 1]
    assert columns.row("ada").texts == {"submitted by": "her brother"}


def test_an_invalid_file_of_columns_is_reported_with_its_line(file):
    for text, message in (
        ("name,rubric (5)\nada,1", "has to be called `student`"),
        ("", "has to be called `student`"),
        ("student,a,a\n", "two columns are called 'a'"),
        ("student,rubric (5)\nada,6", r"line 2, rubric \(5\): got '6'. Expected .* 0 to 5"),
        ("student,rubric (5)\nada,nan", "got 'nan'"),
        ("student,submitted\nada,yesterday", "line 2, submitted: got 'yesterday'"),
        ("student,submitted ch99\nada,2026-10-05", "no chapter ch99"),
        ("student,x\nada,1,2", "line 2 has 3 cells, but there are 2 columns"),
        ("student,x\nada,1\nAda,2", "line 3 has 'Ada' a second time"),
        ("student,x\n,1", "line 2 has no student"),
        # What is nearly a column of dates or points must not become text that changes no grade.
        ("student,submitted ch4\nada,2026-10-05", "there is no column 'submitted ch4'"),
        ("student,Submitted at\nada,2026-10-05", "`submitted ch04`"),
        ("student,extra_days\nada,3", "more time is in `extra days`"),
        ("student,extra days\nada,1.5", "got '1.5'. Expected a whole number of days"),
        ("student,rubric (20),rubric (30)\nada,20,30", "two columns are called 'rubric'"),
        ("student,submitted,Submitted\nada,,", "two columns are called 'submitted'"),
        ('student,"comment\nada,"x\nbob,1', "is not a CSV file"),
        ("student,total (20)\nada,1", "its own column 'total'"),
        ("student,ch04_induction_heads (20)\nada,1", "its own column 'ch04_induction_heads'"),
    ):
        with pytest.raises(BadColumns, match=message) as caught:
            read_columns(file(text, "columns.csv"))
        assert "columns.csv" in str(caught.value), text
