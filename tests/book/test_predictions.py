"""Questions that ask the reader to decide are followed by a prediction, and answers wait for it."""

import re
import sys
from importlib import import_module
from pathlib import Path

import pytest
from docutils import nodes
from each import for_each

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))
predictions = import_module("predictions")
notebook_cells = import_module("notebook_cells")

NOTEBOOKS = sorted((ROOT / "book").glob("*.ipynb"))
ASKS = r"\bDecide\b|[Bb]efore (?:you )?run|[Bb]efore you (?:look|open the)"
BLOCK = re.compile(r"^:::\{(?:exercise|solution)\}.*?^:::$", re.M | re.S)
each_notebook = for_each("path", NOTEBOOKS)


@each_notebook
def test_every_question_to_decide_is_followed_by_a_prediction(path):
    for cell in notebook_cells.cells(path, "markdown"):
        blocks = BLOCK.sub("", cell.source).split("\n\n")
        for block, after in zip(blocks, [*blocks[1:], ""], strict=True):
            if re.search(ASKS, block) and not block.startswith(":::{prediction}"):
                assert after.startswith(":::{prediction} "), block


@each_notebook
def test_predictions_of_a_page_have_different_names_and_at_least_two_choices(path):
    text = notebook_cells.prose(path)
    names = re.findall(r"^:::\{prediction\} (.+)$", text, re.M)
    assert len(names) == len(set(names))
    for body in re.findall(r"^:::\{prediction\} .+\n((?:.*\n)*?):::$", text, re.M):
        choices = re.findall(r"^- (.+)$", body, re.M)
        assert len(choices) != 1
        assert len(choices) == len(set(choices)), body


@pytest.mark.parametrize(
    ("code", "kept", "asserts"),
    [
        ("x = 1\nassert x == 1", "x = 1", ["assert x == 1"]),
        ("assert (\n    x\n)\nprint(x)", "print(x)", ["assert (", "    x", ")"]),
        (
            "for x in y:\n    print(x)\n    assert x",
            "for x in y:\n    print(x)",
            ["assert x"],
        ),
        (
            "a\nif x:\n    assert y\nelse:\n    assert z",
            "a",
            ["if x:", "    assert y", "else:", "    assert z"],
        ),
        # The only statement of a branch stays, or the code would not be Python.
        ("if x:\n    assert y\nelse:\n    z", "if x:\n    assert y\nelse:\n    z", []),
        ("%pip install x\nassert y", "%pip install x\nassert y", []),
    ],
)
def test_asserts_are_taken_out_of_code(code, kept, asserts):
    assert predictions.split_asserts(code) == (kept, asserts)


@each_notebook
def test_code_without_its_asserts_is_still_python(path):
    for cell in notebook_cells.cells(path, "code"):
        kept, _ = predictions.split_asserts(cell.source)
        if not cell.source.lstrip().startswith(("try", "%")):
            compile(kept, "cell", "exec")


def cell(index: int, code: str, output: str | None = None) -> nodes.container:
    """A code cell as MyST-NB writes it."""
    found = nodes.container(nb_element="cell_code", cell_metadata={})
    source = nodes.container(nb_element="cell_code_source")
    source += nodes.literal_block(code, code)
    found += source
    if output is not None:
        found += nodes.container("", nodes.paragraph("", output), nb_element="cell_code_output")
    found.line = index * predictions.LINES_OF_A_CELL + 1
    return found


def text(index: int, words: str) -> nodes.paragraph:
    found = nodes.paragraph("", words)
    found.line = index * predictions.LINES_OF_A_CELL + 1
    return found


def folded(*following: nodes.Node, **options) -> tuple[str, str]:
    """What a reader sees before the choice, and what waits for it."""
    node = predictions.prediction(name="it", options=options)
    page = nodes.section("", node, *following)
    predictions.fold(node)
    waits = [found.astext() for found in page.findall(predictions.answer)]
    for found in list(page.findall(predictions.answer)):
        found.parent.remove(found)
    return " ".join(page.astext().split()), " ".join(" ".join(waits).split())


def test_output_asserts_and_explanation_wait_and_code_does_not():
    seen, waits = folded(
        cell(2, "f()"), cell(3, "g()\nassert g", "seven"), text(4, "Seven."), text(5, "Next.")
    )
    assert seen == "f() g() Next."
    assert waits == "seven Seven. The code also checks: assert g"


def test_the_question_of_the_next_prediction_does_not_wait():
    other = predictions.prediction(name="other", options={})
    seen, waits = folded(cell(2, "f()", "seven"), text(3, "Seven."), text(3, "And now?"), other)
    assert (seen, waits) == ("f() And now?", "seven Seven.")


def test_answer_ends_at_a_heading_and_after_the_number_of_paragraphs_asked_for():
    heading = nodes.section("", text(3, "Another section."))
    assert folded(cell(2, "f()", "7"), text(3, "Seven."), heading)[1] == "7 Seven."
    assert folded(cell(2, "f()", "7"), text(3, "One."), text(3, "Two."), answer=1)[1] == "7 One."
    assert folded(cell(2, "f()", "7"), text(3, "One."), answer=0)[1] == "7"


def test_answer_all_goes_on_through_later_cells():
    later = (text(3, "One."), cell(4, "g()", "8"), text(5, "Two."))
    assert folded(cell(2, "f()", "7"), *later, answer=None)[1] == "7 One. g() 8 Two."


def test_code_waits_too_if_it_holds_the_answer_and_a_visible_cell_does_not_wait():
    assert folded(cell(2, "f(7)", "7"), **{"with-code": None}) == ("", "f(7) 7")
    cells = (cell(2, "f()", "a figure"), cell(3, "g()", "7"))
    assert folded(*cells, **{"visible-cells": 1}) == ("f() a figure g()", "7")


def test_text_that_follows_at_once_is_the_answer():
    assert folded(text(2, "It is C."), text(2, "More."), answer=1) == ("More.", "It is C.")
