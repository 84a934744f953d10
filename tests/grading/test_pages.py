import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
import torch

from induction_heads.course.registry import select
from induction_heads.figures.markup import function_source
from induction_heads.grading.diagnosis.drawing import drawable_difference
from induction_heads.grading.listing import NOTHING, Listing, Row
from induction_heads.grading.pages import feedback_page, summary_page, text
from induction_heads.grading.pictures import MAX_SIDE, picture, stored_picture
from induction_heads.grading.results import Result
from induction_heads.grading.review import Look, Resemblance
from induction_heads.grading.running_submission import Budget
from induction_heads.grading.sandbox import Isolation
from induction_heads.grading.students import LeftOut

EVIL = "<script>alert(1)</script>\"'&\u202e\0\x1b[31m<img src=x onerror=alert(1)>\ud800"
SELECTIONS = select("ch01")
NAMES = [exercise.name for exercise in SELECTIONS[0].exercises]
MISTAKE = SELECTIONS[0].exercises[0].mistakes[0]


def record(student: str, mistakes: tuple[str, ...] = (), message: str = "m", status="failed"):
    exercises = [
        {
            "chapter": "ch01_attention",
            "name": name,
            "status": status,
            "message": message,
            "mistake": MISTAKE.name if name in mistakes else None,
            "n_right": 1,
            "n_cases": 2,
            "points": 0.5,
            "max_points": 1.0,
        }
        for name in NAMES
    ]
    return {
        "student": student,
        "status": "graded",
        "points": 2.5,
        "max_points": 5.0,
        "exercises": exercises,
    }


class Tags(HTMLParser):
    """The tags of a page, and whether they close in the right order."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.attributes, self.data = [], [], [], ""

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += [name for name, _ in attrs]
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.data += data


def tags(page: str) -> Tags:
    parser = Tags()
    parser.feed(page)
    assert parser.open == []
    return parser


@pytest.mark.parametrize(
    "page",
    [
        feedback_page(record(EVIL, message=EVIL)),
        summary_page([record(EVIL, message=EVIL)], SELECTIONS),
    ],
)
def test_no_text_of_a_submission_becomes_markup(page):
    page = page.replace(str(function_source("figures/sort_tables.js")), "")
    parser = tags(page)
    assert parser.seen.count("script") == page.count("script-src")
    assert not {"img", "iframe", "link"} & set(parser.seen)
    assert not any(name.startswith("on") or name == "src" for name in parser.attributes)
    assert all(target.startswith("#") for target in re.findall(r'href="([^"]*)"', page))
    assert not set(page) & set("\0\x1b\u202e\ud800")
    assert "<script>alert(1)</script>" in parser.data  # It is shown.
    assert not re.search(r"https?:|url\(|@import", page)


def test_feedback_has_every_exercise_with_points_cases_and_message():
    page = feedback_page(record("ada", message="one\nHint: two"))
    for name in NAMES:
        assert name in page
    assert page.count("0.50 of 1.00 points, 1 of 2 cases right.") == len(NAMES)
    assert "one\nHint: two" in page
    assert "2.50 of 5.00 points" in page


def test_the_summary_counts_mistakes_and_gives_their_hints_most_frequent_first():
    records = [record("ada", (NAMES[0],)), record("bob", (NAMES[0],)), record("eve", (NAMES[1],))]
    data = tags(summary_page(records, SELECTIONS)).data
    first = data.index(f"2{NAMES[0]}{MISTAKE.name}{MISTAKE.hint}")
    assert first < data.index(f"1{NAMES[1]}{MISTAKE.name}")


def test_the_heatmap_is_a_table_with_a_number_in_each_cell():
    page = summary_page([record("ada"), record("bob", status="not_started")], SELECTIONS)
    heat = page[page.index('class="heat ') :]
    assert heat.count(">50</td>") == len(NAMES)
    assert heat.count(">·</td>") == len(NAMES)
    assert f"{100 * 0.5:.0f} %" in page


def test_a_student_who_was_not_graded_is_named_first():
    page = summary_page([record("ada") | {"status": "not graded"}], SELECTIONS)
    assert "Not graded, please grade by hand:</strong> <bdi>ada</bdi>" in page


def test_the_summary_says_whose_time_was_used_up_and_what_protection_is_missing():
    message = f"was not called. {Budget(3600.0).message()}"
    sandbox = Isolation(True, "Complete.", ("System calls are not filtered.",))
    page = summary_page(
        [record("ada", message=message), record("bob")], SELECTIONS, sandbox=sandbox
    )
    assert "some exercises were not called:</strong> <bdi>ada</bdi>." in page
    assert "System calls are not filtered." in page
    assert "Complete." not in page
    assert "were not called" not in summary_page([record("bob")], SELECTIONS)


def test_the_summary_begins_with_what_was_handed_in_and_what_was_left_out():
    rows = (Row("ada", "ch01", "ch01_attention.py"), Row("bob", "ch01", NOTHING, "see <b>"))
    listing = Listing(rows, (LeftOut("notes.zip", "is a zip in a zip."),), n_students=2)
    page = summary_page([record("ada"), record("bob")], SELECTIONS, listing=listing)
    listed, students = page.index("What was handed in"), page.index("<h2>Students</h2>")
    assert listed < students
    for said in (listing.totals(), "ch01_attention.py", NOTHING, "see &lt;b&gt;", "(left out)"):
        assert listed < page.index(said) < students
    assert listed < page.index("notes.zip") < page.index("is a zip in a zip.") < students
    assert "What was handed in" not in summary_page([record("ada")], SELECTIONS)


def test_a_new_line_stays_and_other_control_characters_are_written_out():
    assert text("a\nb\rc") == "<bdi>a\nb\\u000dc</bdi>"


def test_the_only_script_of_the_summary_is_the_one_that_its_policy_names():
    page = summary_page([record("ada")], SELECTIONS)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in page
    assert "script-src" not in feedback_page(record("ada"))


def test_the_summary_shows_calls_and_resemblance_and_sorts_its_tables():
    seen = {"ada": Look(("causal_mask", "…"), Resemblance("bob", 0.914))}
    page = summary_page([record("ada"), record("bob")], SELECTIONS, looks=seen)
    assert "causal_mask, …" in page
    assert "91 % <bdi>bob</bdi>" in page
    assert page.count('class="sortable"') + page.count('class="heat sortable"') == 3


def test_feedback_has_totals_comments_lateness_a_picture_and_links():
    difference = drawable_difference(torch.eye(3), torch.ones(3, 3))
    drawn = stored_picture(Result("x", "failed", difference=difference))
    assert drawn is not None
    assert drawn["marked"] == [".xx", "x.x", "xx."]
    json.dumps(drawn, allow_nan=False)
    mine = record("ada")
    mine["exercises"][0]["picture"] = drawn
    mine |= {
        "late": [{"chapter": "ch01_attention", "days": 1, "percent": 10.0, "lost": 0.25}],
        "columns": [{"name": "rubric", "points": None, "max_points": 20.0}],
        "comments": {"comment": "<b>See</b> me"},
    }
    page = feedback_page(mine, "https://example.org/")
    tags(page)
    assert page.count("<rect") == 18
    assert page.count("<path") == 6
    assert "6 of 9 cells differ" in page
    assert "ch01 was 1 day late: 10 % less (−0.25 points)." in page
    assert "&lt;b&gt;See" in page
    anchor = f"ex-ch01-{NAMES[0].replace('_', '-')}"
    assert f'href="https://example.org/ch01_attention.html#{anchor}"' in page


def test_values_that_are_not_finite_and_large_tables_can_be_drawn():
    wrong = torch.full((64, 64), torch.nan)
    difference = drawable_difference(wrong, torch.full((64, 64), torch.inf))
    drawn = stored_picture(Result("x", "failed", difference=difference))
    assert drawn is not None
    assert len(picture(drawn).squares) == 2 * MAX_SIDE**2
    assert len(json.dumps(drawn)) < 6000
    assert stored_picture(Result("x", "passed", difference=difference)) is None
    shapes = drawable_difference(torch.eye(2), torch.ones(3))
    assert "shapes differ" in picture(stored_picture(Result("x", "failed", difference=shapes))).alt


def test_pages_say_that_nothing_was_handed_in_and_show_no_zero():
    nothing = record("ada") | {"absent": ["ch01_attention"], "points": 0.0}
    page = feedback_page(nothing)
    assert "<p>Nothing handed in.</p>" in page
    assert "ch01_attention</bdi>: nothing handed in</h2>" in page
    summary = summary_page([nothing, record("bob")], SELECTIONS)
    assert "Mean 2.50 of 5.00 points." in summary
    assert "Not graded, please" not in summary
    assert "<p>Not graded yet.</p>" in feedback_page(nothing | {"status": "not graded"})
