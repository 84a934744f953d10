import re
from html.parser import HTMLParser

import pytest

from induction_heads.checks.registry import select
from induction_heads.grading.pages import feedback_page, summary_page, text

EVIL = "<script>alert(1)</script>\"'&\u202e\0\x1b[31m<img src=x onerror=alert(1)>\ud800"
SELECTIONS = select("ch01")
NAMES = [exercise.name for exercise in SELECTIONS[0].exercises]
MISTAKE = SELECTIONS[0].exercises[0].mistakes[0]


def record(student: str, mistakes: tuple[str, ...] = (), message: str = "m", status="failed"):
    exercises = [
        {"chapter": "ch01_attention", "name": name, "status": status, "message": message,
         "mistake": MISTAKE.name if name in mistakes else None, "n_right": 1, "n_cases": 2,
         "points": 0.5, "max_points": 1.0}
        for name in NAMES
    ]  # fmt: skip
    return {"student": student, "status": "graded", "points": 2.5, "max_points": 5.0,
            "exercises": exercises}  # fmt: skip


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


@pytest.mark.parametrize("page", [
    feedback_page(record(EVIL, message=EVIL)),
    summary_page([record(EVIL, message=EVIL)], SELECTIONS),
])  # fmt: skip
def test_no_text_of_a_submission_becomes_markup(page):
    parser = tags(page)
    assert not {"script", "img", "a", "iframe", "link"} & set(parser.seen)
    assert not any(name.startswith("on") or name in ("src", "href") for name in parser.attributes)
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
    heat = page[page.index('class="heat"') :]
    assert heat.count(">50</td>") == len(NAMES)
    assert heat.count(">·</td>") == len(NAMES)
    assert f"{100 * 0.5:.0f} %" in page


def test_a_student_who_was_not_graded_is_named_first():
    page = summary_page([record("ada") | {"status": "not graded"}], SELECTIONS)
    assert "Not graded, please look by hand:</strong> <bdi>ada</bdi>" in page


def test_a_new_line_stays_and_other_control_characters_are_written_out():
    assert text("a\nb\rc") == "<bdi>a\nb\\u000dc</bdi>"
