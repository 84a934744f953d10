"""The explorer in Chromium, from disk: what a reader does, and what the page answers."""

import pytest
import torch

from induction_heads.models.loading import load_attention_only

from .explorer_page import REPEATED, click, drawn, mount, press, set_state


def tokens(tab):
    return "".join(tab.locator(".ex-token:not(.ex-next) .ex-token-text").all_inner_texts())


def prediction(tab):
    return tab.locator(".ex-next .ex-token-text").inner_text()


def test_opens_with_a_question_and_predicts_c(tab):
    assert tokens(tab) == "ABCAB"
    assert prediction(tab) == "?"
    assert "What comes after the second B?" in tab.inner_text(".ex-prediction")
    assert not tab.locator(".ex-tabs").is_visible()
    click(tab, "Show the answer")
    assert prediction(tab) == "C"
    first = tab.locator(".ex-bar").first
    assert first.locator(".ex-bar-token").inner_text() == "C"
    assert first.locator(".ex-bar-mark").inner_text() == "induction"
    assert "The model predicts C (93%)." in tab.inner_text(".ex-prediction")
    assert tab.evaluate("document.activeElement.className") == "ex-heading"
    assert tab.locator("canvas:visible").count() == 4
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_keys_edit_the_tokens(tab):
    tab.locator(".ex-token").nth(1).click()
    press(tab, "x")
    assert tokens(tab) == "AXCAB"
    assert prediction(tab) != "C"
    press(tab, "ArrowRight", "End", "c", "a")
    assert tokens(tab) == "AXCABCA"
    press(tab, "ArrowLeft", "Alt+ArrowLeft")
    assert tokens(tab) == "AXCABAC"
    press(tab, "Delete")
    assert tokens(tab) == "AXCABC"
    assert tab.evaluate("document.activeElement.ariaLabel").startswith("Position 5: C")
    press(tab, "Backspace", "Backspace")
    assert tokens(tab) == "AXCA"
    assert tab.evaluate("document.activeElement.ariaLabel").startswith("Next token")
    press(tab, "?")
    assert tab.inner_text("[role=status] >> nth=-1") == "? is not a token of this model."
    tab.locator(".ex-strip-buttons select").select_option(label="37")
    drawn(tab)
    assert tokens(tab) == "AXC37"


def test_a_token_is_dragged_to_another_place(tab):
    boxes = [tab.locator(".ex-token").nth(at).bounding_box() for at in (0, 3)]
    (x, y), (to_x, to_y) = ((box["x"] + 20, box["y"] + 20) for box in boxes)
    tab.mouse.move(x, y)
    tab.mouse.down()
    tab.mouse.move(to_x, to_y, steps=4)
    tab.mouse.up()
    drawn(tab)
    assert tokens(tab) == "BCAAB"


def test_buttons_change_the_whole_row(tab):
    for name, expected in (
        ("Repeat", "ABCABCAB"),
        ("Break the repeat", "ABCABCDB"),
        ("Shorter", "ABCABCD"),
        ("Reset", "ABCAB"),
        ("Longer", "ABCABC"),
    ):
        click(tab, name)
        assert tokens(tab) == expected, name
    click(tab, "Shuffle")
    shuffled = tokens(tab)
    assert shuffled[:3] == shuffled[3:] != "ABC"
    assert sorted(shuffled[:3]) == list("ABC")
    set_state(tab, "m.toy-2l~t." + "-".join(map(str, range(20))))
    tab.get_by_role("button", name="Repeat", exact=True).click(force=True)
    drawn(tab)
    assert "takes at most 32 tokens" in tab.inner_text("[role=alert]")
    tab.get_by_role("button", name="Break the repeat").click(force=True)
    drawn(tab)
    assert "Nothing repeats" in tab.inner_text("[role=alert]")
    assert len(tab.locator(".ex-token").all()) == 21


def test_a_press_on_a_pattern_selects_its_head_and_query(tab):
    set_state(tab, "m.toy-2l")
    canvas = tab.locator("canvas:visible").nth(2)
    box = canvas.bounding_box()
    canvas.click(position={"x": box["width"] * 0.1, "y": box["height"] * 0.7})
    drawn(tab)
    assert tab.evaluate("mounted.state()") == "m.toy-2l~q.3"
    assert tab.inner_text(".ex-prediction .ex-heading") == "After A at position 3"
    canvas.hover(position={"x": box["width"] * 0.3, "y": box["height"] * 0.9})
    text = tab.inner_text(".ex-patterns .ex-readout")
    assert text.startswith("L1H0: query 4 (B) gives key 1 (B) the weight 0.")
    canvas.hover(position={"x": box["width"] * 0.9, "y": box["height"] * 0.1})
    assert "cannot see" in tab.inner_text(".ex-patterns .ex-readout")


def test_parts_of_a_logit_add_up(tab):
    set_state(tab, "m.toy-2l~q.4~g.2")
    totals = [
        float(text.replace("−", "-"))
        for text in tab.locator(".ex-sources td.ex-total").all_inner_texts()
    ]
    assert len(totals) == 7
    assert sum(totals[:-1]) == pytest.approx(totals[-1], abs=0.04)
    with torch.inference_mode():
        logit = load_attention_only("toy-2l")(torch.tensor([[0, 1, 2, 0, 1]]))[0, 4, 2].item()
    assert totals[-1] == pytest.approx(logit, abs=0.006)
    from_c = tab.locator(".ex-sources tbody tr").nth(2).locator("td").nth(3).inner_text()
    assert from_c == "weight 0.95, adds\n+3.9"


def test_missing_snapshots_are_reported_and_can_be_requested_again(tab):
    set_state(tab, "m.toy-1l~v.time")
    tab.locator(".ex-time").get_by_text("there are no snapshots of toy-1l").wait_for()
    assert tab.locator(".ex-time").get_by_role("button", name="Try again").is_visible()
    set_state(tab, "m.toy-1l~s.3")
    tab.locator("[role=alert]").get_by_text("so this is the trained model").wait_for()
    assert tab.evaluate("mounted.state()") == "m.toy-1l~h.0-0"


def test_one_layer_beside_two(tab):
    click(tab, "Show the answer")
    tab.get_by_label("compare with toy-1l").check()
    drawn(tab)
    text = tab.inner_text(".ex-prediction")
    assert "Second-copy loss: toy-2l: 0.90 nats; toy-1l: 2.70." in text
    grids = tab.locator(".ex-grid")
    assert [grid.locator("canvas").count() for grid in grids.all()] == [4, 2]
    headings = tab.locator(".ex-patterns .ex-heading").all_inner_texts()
    assert [text.partition(": ")[2] for text in headings] == [
        "toy-2l",
        "toy-1l, trained, no change",
    ]
    tab.get_by_role("radio", name="toy-1l").check(force=True)
    drawn(tab)
    assert [grid.locator("canvas").count() for grid in grids.all()] == [2, 4]
    assert prediction(tab) == "A"
    assert tab.evaluate("mounted.state()") == "m.toy-1l~h.0-0~b.1"


def test_state_is_taken_from_a_text_and_given_back(tab):
    text = "m.toy-2l~t.5-6-7-5-6~h.0-1~q.2~g.9~o.1-0mean_1-1zero~c.0-1_QV_all~s.8~b.1~v.change"
    mount(tab, state=text)
    tab.wait_for_function("document.querySelector('.ex-badge').textContent === 'training step 109'")
    assert tab.evaluate("mounted.state()") == text
    assert tokens(tab) == "FGHFG"
    assert tab.get_by_role("group", name="L1H1").get_by_label("zero").is_checked()
    assert tab.get_by_label("query", exact=True).is_checked()
    mount(tab, state="t.oops", tokens=[3, 3])
    assert "The link could not be read" in tab.inner_text("[role=alert]")
    assert tokens(tab) == "DD"
    mount(tab, state="m.another~t.0-90-1")
    assert "no model another" in tab.inner_text("[role=alert]")
    assert tokens(tab) == "AB"


def test_link_holds_the_state(tab, explorer_page):
    explorer_page.tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    set_state(tab, "m.toy-2l~t.5-6")
    click(tab, "Copy link to this")
    tab.get_by_text("Link copied", exact=True).wait_for()
    link = tab.evaluate("navigator.clipboard.readText()")
    assert link.endswith("page.html#explorer=m.toy-2l~t.5-6")
    mount(tab, address="explorer-2")  # The second explorer of a page has its own link.
    click(tab, "Copy link to this")
    tab.get_by_text("Link copied", exact=True).wait_for()
    assert "#explorer-2=m.toy-2l" in tab.evaluate("navigator.clipboard.readText()")


def test_a_screen_reader_is_told_when_the_reader_stops(tab):
    set_state(tab, f"{REPEATED}~v.change")
    tab.get_by_role("group", name="L0H0").get_by_label("zero").check()
    live = tab.locator(".ex-explorer > [role=status]")
    tab.wait_for_function(
        "document.querySelector('.ex-explorer > [role=status]').textContent.includes('change')"
    )
    text = live.inner_text()
    assert text.startswith("After D at position 7: The model predicts ")
    assert "without the change: +" in text
    assert text.endswith("One change is active.")
    assert live.get_attribute("aria-live") == "polite"


def test_tab_key_reaches_every_control_once(tab):
    set_state(tab, f"{REPEATED}~v.change~o.0-0zero")
    tab.locator(".ex-circuit [tabindex='0']").wait_for(state="attached")
    wanted = tab.evaluate(
        """() => [...document.querySelectorAll("#root :is(button, input, select, summary, svg g)")]
            .filter((one) => one.checkVisibility() && !one.disabled && one.tabIndex >= 0).length"""
    )
    tab.evaluate("document.activeElement.blur()")
    reached = tab.evaluate("[]")
    for _ in range(wanted + 10):
        tab.keyboard.press("Tab")
        reached.append(
            tab.evaluate(
                """() => { const one = document.activeElement;
                    const inside = one.closest("#root");
                    return inside && (one.ariaLabel || one.value || one.textContent); }"""
            )
        )
        if not reached[-1]:
            break
    inside = [name for name in reached if name]
    # Radio buttons of one group are one stop: two of the model, three of each head.
    assert len(inside) == wanted - 1 - 4 * 2
    for name in ("Next token: the model predicts A", "Shuffle", "L1H0", "Change it", "Undo all"):
        assert any(name in one for one in inside), name


def test_arrow_keys_move_inside_the_groups(tab):
    set_state(tab, "m.toy-2l")
    tab.get_by_role("tab", name="Where it looks").focus()
    press(tab, "ArrowRight")
    assert tab.get_by_role("tab", name="Change it").get_attribute("aria-selected") == "true"
    tab.get_by_role("button", name="L1H0", exact=True).focus()
    press(tab, "ArrowUp", "ArrowRight")
    assert tab.evaluate("mounted.state()") == "m.toy-2l~h.0-1~v.change"


def test_colors_follow_the_page(tab):
    pixel = """() => Array.from(document.querySelector(".ex-grid canvas").getContext("2d")
        .getImageData(30, 2, 1, 1).data)"""
    light = tab.evaluate(pixel)
    tab.evaluate("document.documentElement.dataset.theme = 'dark'")
    drawn(tab)
    dark = tab.evaluate(pixel)
    tab.evaluate("delete document.documentElement.dataset.theme")
    drawn(tab)
    assert sum(light) < sum(dark)
    assert tab.evaluate(pixel) == light


def test_nothing_scrolls_sideways_on_a_phone(tab):
    tab.set_viewport_size({"width": 390, "height": 844})
    try:
        for section in ("patterns", "change", "time", "weights", "train"):
            state = "m.toy-2l~b.1~t." + "-".join(str(at % 8) for at in range(32))
            set_state(tab, f"{state}~v.{section}")
            assert tab.evaluate("document.documentElement.scrollWidth") <= 390, section
    finally:
        tab.set_viewport_size({"width": 1280, "height": 900})


def test_only_the_wanted_sections_are_there(tab):
    mount(tab, parts=["time", "patterns"], open="time")
    assert tab.get_by_role("tab").all_inner_texts() == ["Where it looks", "Training"]
    assert tab.get_by_role("tab", name="Training").get_attribute("aria-selected") == "true"
    mount(tab, parts=[], models=[{"name": "toy-1l", "title": "One layer"}])
    assert tab.get_by_role("tab").count() == 0
    assert tab.get_by_role("radio").count() == 0
    assert "One layer" in tab.inner_text(".ex-top")


def test_a_model_that_does_not_load_is_reported(explorer_page):
    tab = explorer_page.tab
    tab.evaluate(
        """() => {
            mounted.destroy();
            const root = document.getElementById("root");
            const models = [{ name: "none", title: "none" }];
            mounted = explorer.mountExplorer(root, { ...options, models });
        }"""
    )
    tab.locator(".ex-problem").wait_for()
    assert "there are no model of none" in tab.inner_text(".ex-problem")
    with pytest.raises(Exception, match="`models` is empty"):
        tab.evaluate("explorer.mountExplorer(document.getElementById('root'), { models: [] })")
