"""The explorers of the built site: each mounts, from a server and from disk."""

import re

import pytest

from induction_heads.explorer.element import MARK
from induction_heads.explorer.text_element import TEXT_MARK

from .conftest import PAGES, SITE, needs_site

PHONE_WIDTH = 390  # pixels

WITH_EXPLORER = [page for page in PAGES if MARK in (SITE / page).read_text(encoding="utf-8")]
WITH_TEXT = [page for page in PAGES if TEXT_MARK in (SITE / page).read_text(encoding="utf-8")]
CHAPTERS = ("ch01", "ch03", "ch04", "ch06", "ch07", "ch08")
SIDEWAYS = "document.documentElement.scrollWidth"
STICKING_OUT = """root => {
    const right = one => one.getBoundingClientRect().right;
    const scrolls = element => getComputedStyle(element).overflowX !== 'visible';
    const held = element => element !== root && (scrolls(element) || held(element.parentElement));
    return [...root.querySelectorAll('*')]
        .filter(one => one.offsetWidth && right(one) > right(root) + 1 && !held(one.parentElement))
        .map(one => one.outerHTML.slice(0, 80));
}"""

# From disk, where less works, every page; from a server the home page, and the others in test-all.
every_explorer = pytest.mark.parametrize(
    ("page", "base"),
    [
        pytest.param(
            page,
            base,
            marks=pytest.mark.long if base == "server" and page != "index.html" else (),
            id=f"{base}-{page}",
        )
        for page in WITH_EXPLORER or ["(no site)"]
        for base in ("disk", "server")
    ],
    indirect=["base"],
)


@pytest.fixture(params=["server", "disk"])
def base(request):
    if request.param == "disk":
        return SITE.as_uri() + "/"
    return request.getfixturevalue("server_url")


def wait_until_mounted(tab):
    """Wait until each explorer of the page shows patterns with pixels in them."""
    tab.wait_for_function(
        """() => [...document.querySelectorAll('[data-explorer]')].every(root =>
            [...root.querySelectorAll('.ex-grid canvas')].some(canvas =>
                canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
                    .data.some(value => value > 0)))""",
    )


@needs_site
def test_home_and_six_chapters_have_an_explorer():
    stems = [page.split("_")[0].removesuffix(".html") for page in WITH_EXPLORER]
    assert {"index", *CHAPTERS} <= set(stems)


@needs_site
def test_only_pages_with_an_explorer_load_it_and_none_loads_a_widget():
    for page in PAGES:
        text = (SITE / page).read_text(encoding="utf-8")
        # A page before may fetch the script ahead, and does not run it.
        now = re.sub(r'<link rel="prefetch"[^>]*>', "", text)
        loads = re.findall(r'(?:src|href)="[^"]*_static/explorer\.(?:js|css)', now)
        assert len(loads) == (2 if page in WITH_EXPLORER + WITH_TEXT else 0), page
        scripts = " ".join(re.findall(r"<script[^>]*>", text))
        assert not re.search("widget|require(js|\\.min)", scripts), page


@needs_site
@every_explorer
def test_every_explorer_mounts(page, base, visit):
    """It also fits a phone, and a screen reader can describe it."""
    seen = visit()
    seen.tab.goto(base + page)
    wait_until_mounted(seen.tab)
    for root in seen.tab.locator("[data-explorer]").all():
        assert root.get_attribute("aria-label")
        assert root.locator(".ex-problem").is_hidden()
        assert root.evaluate(STICKING_OUT) == []
    if page == "index.html":
        top = seen.tab.locator("[data-explorer]").bounding_box()["y"]
        answer = seen.tab.get_by_role("button", name="Show the answer").bounding_box()
        assert 0 < top < answer["y"] + answer["height"] <= 900
    seen.tab.set_viewport_size({"width": PHONE_WIDTH, "height": 900})
    assert seen.tab.evaluate(SIDEWAYS) <= PHONE_WIDTH
    assert seen.errors == []
    assert seen.requests_outside(base) == []


@needs_site
def test_every_section_fits_its_place_at_both_widths(visit, server_url):
    seen = visit()
    seen.tab.goto(server_url + "index.html")
    wait_until_mounted(seen.tab)
    seen.tab.get_by_role("button", name="Show the answer").click()
    root = seen.tab.locator("[data-explorer]")
    for width in (1280, PHONE_WIDTH):
        seen.tab.set_viewport_size({"width": width, "height": 900})
        for tab in root.get_by_role("tab").all():
            tab.click()
            seen.tab.wait_for_timeout(100)
            assert root.evaluate(STICKING_OUT) == [], tab.inner_text()
            assert seen.tab.evaluate(SIDEWAYS) <= width
    plot = seen.tab.locator(".ex-lab-plot").first
    assert plot.locator("svg").bounding_box()["height"] == plot.evaluate("it => it.clientHeight")
    assert seen.errors == []


@needs_site
def test_snapshots_come_when_they_are_asked_for(base, visit):
    seen = visit()
    seen.tab.goto(base + "ch08_phase_change.html")
    wait_until_mounted(seen.tab)
    asked = base + "_static/explorer/toy-2l-snapshots.js"
    assert asked not in seen.requests
    seen.tab.get_by_role("tab", name="Training").click()
    explorer = seen.tab.locator("[data-explorer]")
    slider = explorer.get_by_role("slider", name="Training step")
    slider.wait_for()
    assert seen.requests.count(asked) == 1
    slider.focus()
    seen.tab.keyboard.press("Home")
    explorer.get_by_text("training step 0", exact=True).wait_for()
    assert seen.errors == []


@needs_site
def test_a_link_brings_the_state_back(base, visit):
    """The page scrolls to the explorer; an invalid state is reported, and the page still works."""
    seen = visit()
    seen.tab.goto(base + "index.html#explorer=t.5-6-7-5~h.1-1~o.0-0zero~v.change")
    wait_until_mounted(seen.tab)
    tokens = seen.tab.locator(".ex-token:not(.ex-next)")
    assert tokens.all_inner_texts() == ["F", "G", "H", "F"]
    assert seen.tab.get_by_role("radio", name="zero").first.is_checked()
    assert seen.tab.evaluate("scrollY") > 0

    seen.tab.evaluate("location.hash = '#explorer=z.1'")
    seen.tab.get_by_text("The link could not be read").wait_for()
    assert len(tokens.all()) == 5
    assert seen.errors == []


@needs_site
def test_a_model_that_is_missing_is_said_in_the_element_and_may_be_asked_for_again(visit):
    seen = visit()
    seen.tab.route("**/toy-2l.js", lambda route: route.abort())
    seen.tab.goto(SITE.as_uri() + "/index.html")
    seen.tab.get_by_text("This page does not have the weights of toy-2l.").wait_for()
    seen.tab.unroute("**/toy-2l.js")
    seen.tab.get_by_role("button", name="Try again").click()
    wait_until_mounted(seen.tab)


@needs_site
@pytest.mark.parametrize(
    ("page", "model", "head"),
    [("explore_text", "python-2l", "1-0"), ("explore_natural_text", "natural-2l", "1-2")],
)
def test_the_text_explorer_reads_its_model_from_the_site(page, model, head, base, visit):
    """At both widths, in the whole width of the page, and only when it is asked to."""
    assert sorted(WITH_TEXT) == ["explore_natural_text.html", "explore_text.html"]
    seen = visit()
    seen.tab.goto(f"{base}{page}.html")
    button = seen.tab.get_by_role("button", name=f"Load {model}")
    button.wait_for()
    assert not [url for url in seen.requests if "/_static/explorer/" in url]
    button.click()
    seen.tab.locator(".ex-piece").first.wait_for()
    root = seen.tab.locator("[data-text-explorer]")
    assert seen.tab.get_by_label("of head").input_value() == head
    assert root.evaluate(STICKING_OUT) == []
    assert root.bounding_box()["width"] > 850
    assert seen.tab.locator(".ex-text").bounding_box()["y"] < 720
    seen.tab.set_viewport_size({"width": PHONE_WIDTH, "height": 900})
    assert seen.tab.evaluate(SIDEWAYS) <= PHONE_WIDTH
    assert root.evaluate(STICKING_OUT) == []
    assert seen.errors == []
    assert seen.requests_outside(base) == []
