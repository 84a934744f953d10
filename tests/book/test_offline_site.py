"""What a page of the site loads and carries: the decisions, without a build and without a browser.

tests/browser shows that a built page keeps to them.
"""

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from docutils import nodes
from docutils.utils import new_document
from matplotlib.figure import Figure
from PIL import Image

BOOK = Path(__file__).resolve().parents[2] / "book"
sys.path.insert(0, str(BOOK / "_ext"))

from icon_font import icon_codes  # noqa: E402
from page_description import LONGEST, description, description_tag  # noqa: E402
from page_images import image_size, with_sizes  # noqa: E402
from page_needs import keep_needed, large_scripts, sketch  # noqa: E402


def file(name, body=""):
    return SimpleNamespace(filename=name, attributes={"body": body})


MATH, HOVER = file("_static/mathjax/tex-chtml.js"), file("_static/circuitsvis.js")
SETTINGS = file(None, "window.MathJax = {}")
EXPLORER, EXPLORED = file("_static/explorer.js"), '<div data-explorer="">'
THEME, THEBE = file("_static/scripts/sphinx-book-theme.js"), file("_static/thebe.js")
FORMULA, PATTERN = '<span class="math notranslate">', '<div class="hover-patterns" id="x">'


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ("<p>Words.</p>", [THEME]),
        (FORMULA, [MATH, SETTINGS, THEME]),
        (PATTERN, [HOVER, THEME]),
        (EXPLORED, [EXPLORER, THEME]),
        (FORMULA + PATTERN, [MATH, SETTINGS, HOVER, THEME]),
    ],
)
def test_a_page_keeps_the_files_that_it_needs(body, kept):
    files = [MATH, SETTINGS, HOVER, EXPLORER, THEME, THEBE]
    keep_needed(files, body)
    assert files == kept


def test_large_scripts_of_the_next_pages_are_those_that_this_one_lacks():
    files = [MATH, SETTINGS, HOVER, THEME]
    assert large_scripts(files, FORMULA, FORMULA + PATTERN) == [HOVER]
    assert large_scripts(files, "", FORMULA) == [MATH]
    assert large_scripts(files, PATTERN, "") == []


def test_a_sketch_needs_what_the_document_needs():
    document = new_document("page")
    assert sketch(document) == ""
    document += nodes.math_block("", "x")
    document += nodes.raw("", PATTERN, format="html")
    files = [MATH, HOVER, THEBE]
    keep_needed(files, sketch(document))
    assert files == [MATH, HOVER]


def test_icons_are_those_of_the_pages_and_those_that_styles_add():
    styles = (
        '.fa-download:before{content:"\\f019"}.fa-bell:before{content:"\\f0f3"}'
        '.next:after{content:"\\f107"}:root{--pst-icon-note:"\uf05a"}'
    )
    assert icon_codes('<i class="fas fa-download">', styles) == {0xF019, 0xF107, 0xF05A}


def test_a_figure_is_as_large_as_vectors_as_at_150_dots_an_inch(tmp_path):
    figure = Figure(figsize=(3, 2))
    figure.savefig(tmp_path / "vectors.svg")
    figure.savefig(tmp_path / "pixels.png", dpi=150)
    assert image_size(tmp_path / "vectors.svg") == image_size(tmp_path / "pixels.png") == (450, 300)


def test_images_without_a_size_get_one_and_a_link_to_enlarge_them_and_others_stay(tmp_path):
    Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    paths = {"a.png": tmp_path / "a.png"}
    others = '<img width="9" src="a.png" /><img src="b.png" />'
    sized = '<img width="30" height="20" alt="A" src="_images/a.png" />'
    assert with_sizes(f'<img alt="A" src="_images/a.png" />{others}', paths) == (
        f'<a class="enlarge" href="_images/a.png">{sized}</a>{others}'
    )
    linked = '<a href="ch04.html">\n<img alt="A" src="_images/a.png" /></a>'
    assert with_sizes(linked, paths) == f'<a href="ch04.html">\n{sized}</a>'


def test_a_description_is_the_first_sentence_or_two_without_markup():
    body = "<p>Short.</p><p>A model reads <code>A&lt;B</code> and says what it finds there.</p>"
    assert description(body, "Title") == "A model reads A<B and says what it finds there."
    assert "A&lt;B" in description_tag(body, "Title")


def test_a_shared_link_has_a_title_a_description_and_an_image():
    tags = description_tag(
        "<p>A model reads A B C A B.</p>", "<em>Title</em>", "Site", "https://x/"
    )
    assert '<meta property="og:title" content="Title" />' in tags
    assert '<meta property="og:image" content="https://x/_static/induction-head.png" />' in tags
    assert (BOOK / "assets" / "induction-head.png").exists()


def test_a_long_description_ends_after_a_word():
    text = description(f"<p>{'attention ' * 40}</p>", "Title")
    assert len(text) <= LONGEST
    assert re.fullmatch(r"(attention )+attention…", text)


def test_a_page_without_text_is_described_by_its_title():
    assert description("<p>\\(x\\)</p>", "<em>Search</em>") == "Search"
