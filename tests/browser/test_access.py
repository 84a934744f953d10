"""Every page from a server: light, quiet, and within the accessibility rules of axe-core."""

from dataclasses import dataclass

import pytest

from .conftest import (
    ONE_OF_EACH_KIND,
    PAGES,
    Visit,
    every_page_or_one_of_each_kind,
    needs_site,
)
from .test_site import assert_quiet_and_fits
from .test_weight import FIRST_LOAD, NEXT_LOAD, following, open_light


@dataclass(frozen=True)
class Known:
    """A violation of the theme or of a library that we keep, on the pages that match."""

    rule: str
    selector: str
    pages: tuple[str, ...]
    why: str


KNOWN: tuple[Known, ...] = ()
"""Every violation that stays, each with its reason. A line that its pages do not need fails."""

VIOLATIONS = {"resultTypes": ["violations"]}
CONTRAST = {**VIOLATIONS, "runOnly": ["color-contrast"]}
OTHER_RULES = {**VIOLATIONS, "rules": {"color-contrast": {"enabled": False}}}
FINISHED = "() => Promise.all([document.fonts.ready, window.MathJax?.startup?.promise])"

KEEP_ONE_OF_EACH_COLOR = """() => {
    const seen = new Set();
    for (const word of document.querySelectorAll("pre span"))
        if (seen.has(word.className)) word.remove(); else seen.add(word.className);
    for (const formula of document.querySelectorAll("mjx-container")) formula.remove();
}"""
"""One word of code for each class of highlighting; formulas have the color of the text around."""


@needs_site
def test_the_pages_that_represent_a_kind_exist():
    assert set(ONE_OF_EACH_KIND) <= set(PAGES)


def violations(tab, options: dict) -> dict[tuple[str, str], str]:
    """(rule, selector) → the rule's remark, for each element that breaks a rule."""
    found = tab.evaluate("options => axe.run(options).then(done => done.violations)", options)
    return {
        (rule["id"], " ".join(map(str, node["target"]))): node["failureSummary"]
        for rule in found
        for node in rule["nodes"]
    }


def assert_no_rule_is_broken(seen: Visit, page: str) -> None:
    """In both color modes, and no exception is listed in vain."""
    playwright_axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright",
        reason="NOT RUN: axe-playwright-python is not installed.",
    )
    seen.tab.evaluate(playwright_axe.Axe().axe_script)
    seen.show(1280, "light")
    seen.tab.evaluate(FINISHED)
    found = violations(seen.tab, OTHER_RULES)
    # Contrast is the one rule that depends on the mode, and slow on thousands of colored words.
    seen.tab.evaluate(KEEP_ONE_OF_EACH_COLOR)
    for mode in ("light", "dark"):
        seen.show(1280, mode)
        found |= violations(seen.tab, CONTRAST)
    known = {(each.rule, each.selector) for each in KNOWN if page in each.pages}
    assert {place: found[place] for place in found.keys() - known} == {}
    assert known - found.keys() == set(), "these lines of KNOWN are not needed"


@needs_site
@every_page_or_one_of_each_kind
def test_page_from_a_server_is_light_quiet_fits_and_breaks_no_rule(page, browser, server):
    """A first visit of a new reader, then the page that follows with what the browser has kept."""
    # With reduced motion, no color is half-way to another.
    context = browser.new_context(reduced_motion="reduce")
    try:
        seen = Visit(context)
        open_light(seen.tab, server, page, FIRST_LOAD)
        assert_quiet_and_fits(seen, server.url)
        assert_no_rule_is_broken(seen, page)
        if (after := following(page)) is not None:
            open_light(seen.tab, server, after, NEXT_LOAD)
    finally:
        context.close()
