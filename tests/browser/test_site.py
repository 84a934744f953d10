"""Every page of the built site, opened in a browser: from a server and from disk."""

import pytest
import torch

from induction_heads.frames import pattern_frames
from induction_heads.hover import hover_patterns

from .conftest import SITE

PAGES = sorted(
    page.relative_to(SITE).as_posix()
    for page in SITE.rglob("*.html")
    if "_static" not in page.relative_to(SITE).parts
)
PHONE_WIDTH = 390  # pixels
HOVER = ".hover-patterns"

needs_site = pytest.mark.skipif(
    not PAGES, reason="NOT RUN: the site is not built. Run `make book` first."
)
# Without a site there is one skipped test, which the summary reports.
every_page = pytest.mark.parametrize("page", PAGES or ["(no site)"])


@pytest.fixture(params=["server", "disk"])
def base(request):
    """Where the site's addresses start."""
    if request.param == "disk":
        return SITE.as_uri() + "/"
    return request.getfixturevalue("server_url")


def wait_for_figures(tab):
    """Wait until each hover figure holds a drawing with pixels in it."""
    tab.wait_for_function(
        """selector => [...document.querySelectorAll(selector)].every(figure =>
            [...figure.querySelectorAll('canvas')].some(canvas => {
                if (!canvas.width || !canvas.height) return false;
                const image = canvas.getContext('2d')
                    .getImageData(0, 0, canvas.width, canvas.height);
                return image.data.some(value => value > 0);
            }))""",
        arg=HOVER,
        timeout=10_000,
    )


@needs_site
@every_page
def test_page_is_quiet_and_stays_inside_the_site(page, base, visit):
    seen = visit()
    seen.tab.goto(base + page, wait_until="load")
    wait_for_figures(seen.tab)
    seen.tab.wait_for_timeout(300)
    assert seen.errors == []
    assert seen.requests_outside(base) == []


@needs_site
@every_page
def test_page_does_not_scroll_sideways_on_a_phone(page, server_url, visit):
    seen = visit(width=PHONE_WIDTH)
    seen.tab.goto(server_url + page, wait_until="load")
    wait_for_figures(seen.tab)
    width = seen.tab.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE_WIDTH


@needs_site
@every_page
def test_images_have_alternative_text(page, visit, server_url):
    seen = visit()
    seen.tab.goto(server_url + page)
    without = seen.tab.evaluate(
        """[...document.querySelectorAll('article img')]
            .filter(image => !image.alt.trim() || image.alt.endsWith('.png'))
            .map(image => image.src)"""
    )
    assert without == []


@needs_site
def test_some_page_has_a_hover_figure():
    assert any('class="hover-patterns"' in (SITE / page).read_text() for page in PAGES)


@needs_site
def test_search_finds_a_term_from_disk(visit):
    seen = visit()
    seen.tab.goto(SITE.as_uri() + "/search.html?q=induction")
    seen.tab.wait_for_selector("#search-results li a", timeout=10_000)
    assert seen.errors == []


@needs_site
def test_mathematics_is_typeset(visit):
    seen = visit()
    seen.tab.goto(SITE.as_uri() + "/notation.html")
    seen.tab.wait_for_selector("mjx-container", timeout=10_000)


def test_hover_figures_draw_in_a_notebook_without_network(visit, monkeypatch):
    """Two outputs on one page, as a notebook shows them: each carries the library."""
    monkeypatch.delenv("INDUCTION_HEADS_BOOK", raising=False)
    pattern = torch.eye(4).expand(2, -1, -1)
    outputs = [hover_patterns(pattern, list("ABCD"))._repr_html_() for _ in range(2)]
    seen = visit()
    seen.tab.set_content(f"<html><body>{''.join(outputs)}</body></html>")
    wait_for_figures(seen.tab)
    assert seen.tab.locator(HOVER).count() == 2
    assert seen.errors == []
    assert seen.requests_outside("about:") == []


def test_a_slider_moves_its_frames_without_kernel_or_network(visit):
    """With the keyboard, and two figures on one page do not disturb each other."""
    facts = [{"step": 0, "loss": 4.0}, {"step": 10, "loss": 1.5}, {"step": 20, "loss": 1.0}]
    patterns = torch.stack([torch.eye(4), torch.ones(4, 4).tril() / 4, torch.eye(4)])
    figures = [pattern_frames(patterns, facts, period=2)._repr_html_() for _ in range(2)]
    seen = visit()
    seen.tab.set_content(f"<html><body>{''.join(figures)}</body></html>")
    first, second = (seen.tab.locator("figure.pattern-frames").nth(n) for n in range(2))

    def picture(figure):
        return figure.locator("canvas").evaluate("canvas => canvas.toDataURL()")

    before = picture(first)
    assert picture(second) == before
    first.locator("input").focus()
    seen.tab.keyboard.press("ArrowRight")
    assert first.locator("output").inner_text() == "step 10, loss 1.50"
    assert first.locator("input").get_attribute("aria-valuetext") == "step 10, loss 1.50"
    assert picture(first) != before
    assert picture(second) == before
    seen.tab.keyboard.press("End")
    assert first.locator("output").inner_text() == "step 20, loss 1.00"
    assert seen.errors == []
    assert seen.requests_outside("about:") == []
