"""The notebooks without MyST: nothing raw is left, and nothing that a reader needs is lost."""

import json
import re

import nbformat
import pytest

from induction_heads.course.plain_notebooks import CHECKOUT, plain_notebooks, write_notebooks
from induction_heads.course.registry import exercise_names

RAW = re.compile(r"\{[\w:-]+\}`|^:::|^\([\w-]+\)=$|^:\w+:|\$\$ \(|Figure \?|\(\?\)", re.M)


@pytest.fixture(scope="module")
def books() -> dict[str, dict]:
    return {stem: json.loads(text) for stem, text in plain_notebooks().items()}


def text_of(book: dict) -> str:
    cells = [c for c in book["cells"] if c["cell_type"] == "markdown"]
    return "\n\n".join("".join(c["source"]) for c in cells)


def test_no_markup_of_the_site_is_left(books):
    raw = {stem: RAW.findall(text_of(book)) for stem, book in books.items()}
    assert {stem: found for stem, found in raw.items() if found} == {}
    assert len(books) == len(list(CHECKOUT.glob("*.ipynb")))


def test_a_definition_has_words_in_place_of_references_and_no_citations(books):
    titles = {
        match
        for book in books.values()
        for match in re.findall(r'<abbr title="([^"]*)"', text_of(book))
    }
    assert len(titles) > 50
    names_of_roles = re.compile(r"cite:|\b(?:ref|term|doc|numref|eq)\b[ :.,)]")
    assert [title for title in sorted(titles) if names_of_roles.search(title)] == []
    (patching,) = [t for t in titles if t.startswith("The first-order version of")]
    assert patching.startswith("The first-order version of activation patching: the change of")
    late = next(t for t in titles if t.startswith("How much lower the loss is on late tokens"))
    assert "more negative is better. The phase change takes the last quarter" in late


def test_code_exercises_and_solutions_are_all_there(books):
    everything = "\n".join(map(text_of, books.values()))
    assert [name for name in exercise_names() if f"check({name})" not in everything] == []
    for stem, book in books.items():
        original = json.loads((CHECKOUT / f"{stem}.ipynb").read_text(encoding="utf-8"))
        code = [c["source"] for c in book["cells"] if c["cell_type"] == "code"]
        assert code == [c["source"] for c in original["cells"] if c["cell_type"] == "code"]
        raw = text_of(original)
        text = text_of(book)
        assert text.count("> **Exercise: ") == raw.count(":::{exercise}")
        assert text.count("<details><summary>Solution: ") == raw.count(":::{solution}")
        assert text.count("<details>") == text.count("</details>")
        terms = raw.count("{term}`")
        assert text.count("<abbr title=") == terms


def test_references_become_numbers_links_and_citations(books):
    text = text_of(books["ch01_attention"])
    assert "by (2): [batch query d_head]" in text
    assert "\\tag{2}\n$$" in text
    assert "**Figure 1.** Queries 1 and 2 prefer their own letter." in text
    assert "[Previous-token heads](ch03_previous_token_heads.ipynb)" in text
    assert "([Elhage et al., 2021](https://transformer-circuits.pub/2021/framework/" in text


def test_written_notebooks_are_valid_and_have_no_outputs(tmp_path):
    for path in write_notebooks(tmp_path):
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        ids = [cell["id"] for cell in notebook.cells]
        assert len(ids) == len(set(ids))
        assert not any(cell.get("outputs") for cell in notebook.cells)
