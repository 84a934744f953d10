import base64
import re
from dataclasses import replace
from html.parser import HTMLParser

import torch

from induction_heads.grading.diagnosis.drawing import drawable_difference
from induction_heads.grading.report import CheckReport
from induction_heads.grading.results import Result

WRONG = Result(
    "rows",
    "failed",
    "at index [0, 1], 0 came back.",
    difference=drawable_difference(torch.eye(3), torch.ones(3, 3)),
)


class Images(HTMLParser):
    def __init__(self, text: str):
        super().__init__()
        self.images: list[dict] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        if tag == "img":
            self.images.append(dict(attrs))


def images(result: Result) -> list[dict]:
    return Images(CheckReport(result)._repr_html_()).images


def test_failed_answer_is_drawn_beside_the_expected_one():
    (image,) = images(WRONG)
    kind, _, data = image["src"].partition(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(data).startswith(b"\x89PNG")
    assert len(data) < 100_000


def test_drawing_has_alternative_text():
    (image,) = images(WRONG)
    assert image["alt"].endswith("expected one; 6 of 9 cells differ and are crossed out.")
    shapes = drawable_difference(torch.eye(2), torch.ones(3))
    assert "the shapes differ" in images(replace(WRONG, difference=shapes))[0]["alt"]


def test_nothing_is_drawn_when_passed_or_without_a_difference():
    assert images(replace(WRONG, difference=None)) == []
    assert images(replace(WRONG, status="passed")) == []


def test_values_that_are_not_finite_can_be_drawn():
    broken = drawable_difference(torch.full((2, 2), torch.nan), torch.full((2, 2), torch.inf))
    assert len(images(replace(WRONG, difference=broken))) == 1


def test_text_is_escaped_everywhere():
    assert WRONG.difference is not None
    nasty = replace(WRONG.difference, where='"><script>')
    page = CheckReport(replace(WRONG, name="<b>", message="<i>", difference=nasty))._repr_html_()
    assert re.findall(r"<script|<b>|<i>", page) == []
    assert page.count("<img") == 1
