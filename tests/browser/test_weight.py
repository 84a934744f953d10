"""How much a page asks a reader to load, after compression, and what it loads in vain."""

import re

import pytest

from .conftest import PAGES, SITE, every_page, needs_site

FIRST_LOAD = 1_500_000  # bytes
NEXT_LOAD = 300_000

NEEDS = {
    "mathjax/tex-chtml.js": r'class="[^"]*\bmath\b',
    "circuitsvis.js": r'class="hover-patterns"',
    "explorer.js": r"\bdata-(?:text-)?explorer=",
    "excerpts.js": r'id="search-results"',
    "search_texts.js": r'id="search-results"',
    "searchindex.js": r'id="search-results"',
    "searchtools.js": r'id="search-results"',
    "togglebutton.js": r'class="[^"]*\b(?:toggle|dropdown)\b[^"]*admonition|'
    r'class="[^"]*admonition[^"]*\b(?:toggle|dropdown)\b',
    "copybutton.js": r'class="highlight',
    "design-tabs.js": r'class="[^"]*\bsd-tab-set',
    "fontawesome.js": r"(?!)",
    "thebe": r"(?!)",
}
"""Script → what the article of a page must hold if the page is to load it."""


def following(page: str) -> str | None:
    """The page that comes after `page` in the book's order."""
    link = re.search(r'<link rel="next"[^>]* href="([^"]+)"', (SITE / page).read_text())
    if link is None:
        return None
    return ((SITE / page).parent / link[1]).resolve().relative_to(SITE).as_posix()


def scripts(page: str) -> list[str]:
    """The addresses of the scripts that the page loads."""
    return re.findall(r'<script[^>]* src="([^"]+)"', (SITE / page).read_text(encoding="utf-8"))


def open_light(tab, server, page: str, limit: int) -> None:
    """Open a page of the server and wait for all it loads: no more than `limit` bytes."""
    server.sent.clear()
    tab.goto(server.url + page, wait_until="networkidle")
    largest = sorted(server.sent.items(), key=lambda item: -item[1])[:6]
    weight = server.bytes_sent()
    print(f"{page}: {weight / 1000:.0f} kB")
    assert 0 < weight <= limit, f"{page}: {weight} bytes, most of them {largest}"


@needs_site
@every_page
def test_page_loads_no_script_in_vain(page):
    text = (SITE / page).read_text(encoding="utf-8")
    article = text[text.index("<body") :]
    for name, need in NEEDS.items():
        is_loaded = any(name in source for source in scripts(page))
        assert is_loaded == bool(re.search(need, article)), name


@needs_site
@pytest.mark.parametrize("name", ["mathjax/tex-chtml.js", "circuitsvis.js", "copybutton.js"])
def test_some_page_loads_and_some_page_does_not(name):
    """Or the test above would compare nothing with nothing."""
    loads = {any(name in source for source in scripts(page)) for page in PAGES}
    assert loads == {True, False}
