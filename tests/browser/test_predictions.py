"""Answers wait until the reader has chosen, and the choice stays."""

import pytest

from .conftest import PAGES, SITE, needs_site

ASKING = [page for page in PAGES if 'class="prediction"' in (SITE / page).read_text("utf-8")]
CHAPTER = f"{SITE.as_uri()}/ch01_attention.html"
ROW_SUM = '[data-prediction="row-sum"]'

VISIBLE = """() => [...document.querySelectorAll("details.prediction-answer > :not(summary)")]
    .filter(part => part.checkVisibility()).map(part => part.textContent.slice(0, 80))"""
PRESS_ALL = """() => {
    for (const summary of document.querySelectorAll(".prediction-answer > summary"))
        summary.click();
}"""


@needs_site
def test_most_pages_ask_for_predictions():
    chapters = [page for page in PAGES if page.startswith("ch")]
    assert [page for page in chapters if page not in ASKING] == []


@needs_site
@pytest.mark.parametrize("page", ASKING or ["(no site)"])
def test_no_answer_is_visible_or_can_be_opened_before_a_choice(page, next_page):
    seen = next_page()
    seen.tab.goto(f"{SITE.as_uri()}/{page}", wait_until="load")
    seen.tab.evaluate("localStorage.clear()")
    seen.tab.reload(wait_until="load")
    assert seen.tab.evaluate(VISIBLE) == []
    seen.tab.evaluate(PRESS_ALL)
    assert seen.tab.evaluate(VISIBLE) == []
    assert seen.errors == []


@needs_site
def test_a_choice_opens_its_answer_only_and_both_are_there_after_a_reload(visit):
    seen = visit()
    seen.tab.goto(CHAPTER, wait_until="load")
    choices = seen.tab.locator(f"fieldset{ROW_SUM} input")
    answer = seen.tab.locator(f"details{ROW_SUM}")
    choices.nth(1).check()
    answer.locator("summary").click()
    for _ in range(2):
        assert choices.nth(1).is_checked()
        assert answer.get_by_text("row sums: tensor([0.3750").is_visible()
        assert seen.tab.locator("details.prediction-answer[open]").count() == 1
        seen.tab.reload(wait_until="load")
    assert seen.requests_outside("file:") == []
    assert seen.errors == []


@needs_site
def test_a_text_opens_its_answer_and_stays(visit):
    seen = visit(width=390)
    seen.tab.goto(f"{SITE.as_uri()}/ch03_previous_token_heads.html", wait_until="load")
    field = seen.tab.locator('fieldset[data-prediction="two-rows"] textarea')
    answer = seen.tab.locator('details[data-prediction="two-rows"]')
    field.fill("  ")
    answer.locator("summary").click()
    assert answer.get_attribute("open") is None
    field.fill("mostly key 2")
    answer.locator("summary").click()
    assert answer.get_attribute("open") is not None
    seen.tab.reload(wait_until="load")
    assert field.input_value() == "mostly key 2"


@needs_site
def test_a_choice_of_one_page_is_not_a_choice_of_another(visit):
    """`plateau` is the name of a prediction in two chapters."""
    seen = visit()
    pages = [
        f"{SITE.as_uri()}/{name}.html"
        for name in ("ch09_what_must_go_right", "ch10_beyond_copying")
    ]
    for page in pages:
        seen.tab.goto(page, wait_until="load")
        choices = seen.tab.locator('fieldset[data-prediction="plateau"] input')
        assert seen.tab.locator('fieldset[data-prediction="plateau"] input:checked').count() == 0
        choices.first.check()


@needs_site
def test_without_scripts_an_answer_is_a_closed_details_that_opens(browser):
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(CHAPTER)
    answer = tab.locator(f"details{ROW_SUM}")
    assert not answer.locator("pre").first.is_visible()
    answer.locator("summary").click()
    assert answer.locator("pre").first.is_visible()
    context.close()


@needs_site
def test_paper_shows_the_answers(visit):
    seen = visit()
    seen.tab.goto(CHAPTER, wait_until="load")
    seen.tab.emulate_media(media="print")
    seen.tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert len(seen.tab.evaluate(VISIBLE)) >= 10
    seen.tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert seen.tab.evaluate(VISIBLE) == []
