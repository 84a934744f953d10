"""Every page of the built site, opened in a browser: from a server and from disk."""

import torch

from induction_heads.figures.frames import pattern_frames
from induction_heads.figures.hover import hover_patterns

from .conftest import PAGES, SITE, every_page_or_one_of_each_kind, needs_site

WIDE, PHONE, PAPER = 1280, 390, 690  # pixels
HOVER = ".hover-patterns"
FIRST = {"server": (WIDE, "light"), "disk": (PHONE, "dark")}
"""The width and color mode in which a page loads; the others follow without another load."""

WITHOUT_TEXT = """[...document.querySelectorAll('article img')]
    .filter(image => !image.alt.trim() || /\\.(png|svg)$/.test(image.alt))
    .map(image => image.src)"""


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
    )


def combinations(first: tuple[int, str]) -> list[tuple[int, str]]:
    """Both widths in both color modes, beginning with `first`; each step changes one of the two."""
    width, mode = first
    other_width = PHONE if width == WIDE else WIDE
    other_mode = "dark" if mode == "light" else "light"
    return [first, (width, other_mode), (other_width, other_mode), (other_width, mode)]


def assert_quiet_and_fits(seen, base: str) -> None:
    """A page that is open: no complaint, no request that failed or left `base`, no sideways scroll.

    It was loaded in the width and color mode of `FIRST`. Then both change, which every page must
    follow without a reload.
    """
    wait_for_figures(seen.tab)
    for width, mode in combinations(FIRST["disk" if base.startswith("file:") else "server"]):
        seen.show(width, mode)
        shown = seen.tab.evaluate(
            "() => [document.documentElement.scrollWidth, document.documentElement.dataset.theme]"
        )
        assert shown[0] <= width, f"{width} px, {mode}"
        assert shown[1] == mode
    assert seen.tab.evaluate(WITHOUT_TEXT) == []
    assert seen.errors == []
    assert seen.requests_outside(base) == []


@needs_site
@every_page_or_one_of_each_kind
def test_page_from_disk_is_quiet_and_fits_in_both_widths_and_color_modes(page, next_page):
    """The same from a server is in test_access, which loads every page from one."""
    base = SITE.as_uri() + "/"
    width, mode = FIRST["disk"]
    seen = next_page(width=width, mode=mode)
    seen.tab.goto(base + page, wait_until="load")
    assert_quiet_and_fits(seen, base)


@needs_site
def test_some_page_has_a_hover_figure():
    assert any('class="hover-patterns"' in (SITE / page).read_text() for page in PAGES)


@needs_site
def test_the_button_chooses_a_color_mode_that_stays(visit):
    """Until it is pressed the system decides; then the choice holds, also on the next page."""
    theme = "document.documentElement.dataset.theme"
    seen = visit(mode="dark")
    seen.tab.goto(f"{SITE.as_uri()}/index.html", wait_until="load")
    assert seen.tab.evaluate(theme) == "dark"
    seen.tab.locator(".theme-switch-button:visible").first.click()
    seen.tab.wait_for_function(f"{theme} === 'light' && localStorage.getItem('mode') === 'light'")
    seen.tab.goto(f"{SITE.as_uri()}/glossary.html", wait_until="load")
    assert seen.tab.evaluate(theme) == "light"
    assert seen.errors == []


@needs_site
def test_search_from_disk_leads_to_the_term(visit):
    """From the search box of a page to a result, and there to the marked term."""
    seen = visit()
    seen.tab.goto(SITE.as_uri() + "/index.html")
    seen.tab.keyboard.press("Control+k")
    seen.tab.keyboard.type("decoy")
    seen.tab.keyboard.press("Enter")
    seen.tab.wait_for_selector("#search-results li a")
    excerpt = seen.tab.locator("#search-results .search-excerpt").first
    assert "decoy" in excerpt.inner_text()
    assert excerpt.locator("mark").first.inner_text().lower() == "decoy"
    seen.tab.locator("#search-results li a").first.click()
    seen.tab.wait_for_selector("article .highlighted")
    assert "search.html" not in seen.tab.url
    assert "decoy" in seen.tab.locator("article .highlighted").first.inner_text().lower()
    assert seen.errors == []
    assert seen.requests_outside("file:") == []


@needs_site
def test_search_for_a_title_finds_its_page_first(visit):
    seen = visit()
    for words, first in (("induction head", "Induction heads"), ("ablation", "Ablation")):
        seen.tab.goto(f"{SITE.as_uri()}/search.html?q={words.replace(' ', '+')}")
        seen.tab.wait_for_selector("#search-results li a")
        seen.tab.wait_for_function("!document.querySelector('#search-progress:not(:empty)')")
        titles = seen.tab.locator("#search-results li a").all_inner_texts()
        assert titles[0].endswith(first), titles[:5]
    assert seen.errors == []


SCROLLING = """() => [...document.querySelectorAll('article pre')]
    .filter(box => box.scrollWidth > box.clientWidth + 1)
    .map(box => box.textContent.slice(0, 80))"""


@needs_site
@every_page_or_one_of_each_kind
def test_no_code_box_scrolls_sideways(page, next_page):
    seen = next_page()
    seen.tab.goto(f"{SITE.as_uri()}/{page}", wait_until="load")
    for width in (WIDE, PHONE):
        seen.show(width, "light")
        assert seen.tab.evaluate(SCROLLING) == [], f"{width} px"


@needs_site
def test_a_chapter_prints_without_what_paper_cannot_do(visit):
    """Dark on white also in dark mode: no buttons, no sliders, no code that runs off the page."""
    seen = visit(width=PAPER, mode="dark")
    seen.tab.goto(SITE.as_uri() + "/ch08_phase_change.html", wait_until="load")
    seen.tab.emulate_media(media="print")
    seen.tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert seen.tab.evaluate("document.documentElement.dataset.theme") == "light"
    for gone in (
        "#pst-primary-sidebar",
        ".bd-sidebar-secondary",
        ".bd-header-article",
        "article button",
        "article input",
        ".prev-next-area",
    ):
        found = seen.tab.locator(gone).all()
        assert [each.is_visible() for each in found] == [False] * max(1, len(found)), gone
    cut = "boxes => boxes.filter(box => box.scrollWidth > box.clientWidth + 1).length"
    assert seen.tab.locator("article pre").evaluate_all(cut) == 0
    assert seen.tab.locator(".solution p:not(.admonition-title)").first.is_visible()
    seen.tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert seen.tab.evaluate("document.documentElement.dataset.theme") == "dark"


@needs_site
def test_mathematics_is_typeset(visit):
    seen = visit()
    seen.tab.goto(SITE.as_uri() + "/notation.html")
    seen.tab.wait_for_selector("mjx-container")


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
