"""The drawn circuit in Chromium: what it shows, and what a press on it changes."""

import re

import pytest

from .explorer_page import REPEATED, drawn, set_state

A_B_C = "m.toy-2l~t.0-1-2-0-1"


def circuit(tab, state=A_B_C):
    """Show a state, and wait for its drawing."""
    set_state(tab, state)
    redrawn(tab)
    return tab.locator(".ex-circuit")


def redrawn(tab):
    drawn(tab)
    tab.evaluate("() => new Promise((done) => setTimeout(done, 50))")


def arrow(tab, words):
    return tab.locator(".ex-arrow").and_(tab.locator(f"[aria-label*='{words}']")).first


def test_the_answer_is_not_drawn_before_it_is_shown(tab):
    assert tab.locator(".ex-circuit-box").is_hidden()
    tab.get_by_role("button", name="Show the answer").click()
    redrawn(tab)
    assert tab.locator(".ex-circuit-box").is_visible()
    assert tab.locator(".ex-circuit-answer").text_content() == "→ C"


def test_arrows_are_the_circuit_that_the_course_teaches(tab):
    """The widest of layer 0 leads from the earlier B to the C after it, into a key of layer 1."""
    box = circuit(tab)
    widths = box.locator(".ex-arrow").evaluate_all(
        """all => all.map(one => [
            Number(one.querySelector(".ex-arrow-line").getAttribute("stroke-width")),
            one.getAttribute("aria-label")])"""
    )
    below = [label for _, label in sorted(widths, reverse=True) if "copies from" in label]
    above = [label for _, label in sorted(widths, reverse=True) if "adds" in label]
    assert below[0].startswith("L0H0 copies from B at position 1 to C at position 2, into the key")
    assert re.match(r"L1H0 adds \+3\.9\d to the logit of C from C at position 2", above[0])


def test_a_press_on_a_path_cuts_it_and_another_restores_it(tab):
    circuit(tab)
    path = "into the key of L1H0"
    arrow(tab, path).locator(".ex-arrow-line").dispatch_event("click")
    redrawn(tab)
    assert "c.0-0_K_1-0" in tab.evaluate("mounted.state()")
    assert "cut. Press to restore it" in arrow(tab, path).get_attribute("aria-label")
    assert "ex-arrow-cut" in arrow(tab, path).get_attribute("class")
    arrow(tab, "into the key of L1H0: cut").locator(".ex-arrow-line").dispatch_event("click")
    redrawn(tab)
    assert tab.evaluate("mounted.state()") == "m.toy-2l"


def test_a_cut_from_all_later_heads_is_drawn_at_each_of_them(tab):
    circuit(tab, f"{REPEATED}~c.0-0_K_all")
    for receiver in ("L1H0", "L1H1"):
        assert arrow(tab, f"into the key of {receiver}: cut").count() == 1


def test_a_silenced_head_has_no_arrows(tab):
    box = circuit(tab)
    tab.get_by_role("group", name="Silence a head").get_by_role("button", name="L0H0").click()
    redrawn(tab)
    assert "o.0-0zero" in tab.evaluate("mounted.state()")
    labels = box.locator(".ex-arrow").evaluate_all("all => all.map(one => one.ariaLabel)")
    assert labels
    assert not [label for label in labels if label.startswith("L0H0")]
    assert tab.evaluate("document.activeElement.textContent") == "L0H0 off"  # The focus stays.
    tab.keyboard.press("Enter")
    redrawn(tab)
    assert tab.evaluate("mounted.state()") == "m.toy-2l"


def test_keys_reach_every_arrow_and_a_token_leads_to_the_strip(tab):
    box = circuit(tab)
    assert box.locator("[tabindex='0']").count() == 1
    box.locator("[tabindex='0']").focus()
    tab.keyboard.press("End")
    assert "Press to change it" in tab.evaluate("document.activeElement.ariaLabel")
    tab.keyboard.press("Home")
    first = tab.evaluate("document.activeElement.ariaLabel")
    assert tab.locator(".ex-circuit-box .ex-readout").inner_text() == first
    box.locator(".ex-circuit-token").nth(3).locator("rect").dispatch_event("click")
    tab.keyboard.press("d")
    drawn(tab)
    assert "t.0-1-2-3-1" in tab.evaluate("mounted.state()")


@pytest.mark.parametrize("state", ["t.3", "t.3-3-3-3", "m.toy-1l~t.0-1-2-0-1", f"{REPEATED}~q.0"])
def test_any_row_has_a_drawing(state, tab):
    box = circuit(tab, state)
    assert box.locator(".ex-arrow").count() >= 1
    assert tab.locator(".ex-problem").is_hidden()
