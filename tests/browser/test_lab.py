"""The training panel and the weights view in Chromium, from disk, as a reader uses them."""

import re

import pytest

from induction_heads.explorer.export import exported_model
from induction_heads.explorer.script import FOLDER, explorer_script
from induction_heads.models.loading import load_attention_only

from .conftest import Visit

COLORS = """
.ex-explorer { --ex-text: #111111; --ex-background: #ffffff; --ex-low: #ffffff; --ex-high: #08306b;
  --ex-negative: #d55e00; --ex-masked: #dddddd; }
html[data-theme="dark"] .ex-explorer { --ex-low: #101010; }
"""
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Panels</title>
<style>{style}</style><div class="ex-explorer"><div id="lab"></div><div id="weights"></div></div>
<script src="script.js"></script><script>
const messages = [];
const host = {{ announce: (text) => messages.push(text), changed: () => messages.push("changed") }};
const model = explorer.modelFrom({model}), tokens = [0, 1, 2, 0, 1];
const view = {{ model, name: "toy-2l", title: "toy-2l", out: explorer.run(model, tokens), tokens,
  words: [..."ABCDEFGH"], head: [1, 0] }};
const panels = {{ lab: explorer.labPanel(host), weights: explorer.weightsPanel(host) }};
for (const [name, panel] of Object.entries(panels)) {{
  document.getElementById(name).append(panel.element);
  panel.show(view);
}}
</script></html>"""


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    """One page for all tests of a process."""
    folder = tmp_path_factory.mktemp("lab")
    model = exported_model(load_attention_only("toy-2l"), "toy-2l")
    style = COLORS + (FOLDER / "page" / "lab.css").read_text()
    (folder / "script.js").write_text(explorer_script())
    (folder / "page.html").write_text(PAGE.format(style=style, model=model))
    seen = Visit(browser)
    seen.tab.goto((folder / "page.html").as_uri())
    yield seen
    seen.tab.evaluate("Object.values(panels).forEach((panel) => panel.destroy())")
    assert seen.errors == []
    assert seen.requests_outside("file:") == []
    seen.tab.close()


@pytest.fixture
def tab(page):
    """The page with no run, the first settings, nothing announced."""
    page.tab.set_viewport_size({"width": 1280, "height": 900})
    page.tab.evaluate("""() => {
        document.documentElement.dataset.theme = "light";
        panels.lab.restore("l1h1kpr1n0e1zs");
        panels.lab.restore("");
        panels.weights.restore("");
        messages.length = 0;
    }""")
    return page.tab


def wait_for_words(tab, start, seconds=600):
    """The first text for the live region that starts so."""
    tab.wait_for_function(
        "start => messages.some((text) => text.startsWith(start))",
        arg=start,
        timeout=1000 * seconds,
    )
    return tab.evaluate("start => messages.find((text) => text.startsWith(start))", start)


def table_rows(tab):
    """Step → the numbers of the table under the charts."""
    rows = tab.locator(".ex-lab-table tbody tr").all_inner_texts()
    return {int(row.split()[0]): row.split()[1:] for row in rows}


def choice(tab, name):
    return tab.get_by_role("combobox", name=name, exact=True)


def wait_for_step(tab, step):
    tab.locator(".ex-lab-standing").filter(has_text=re.compile(rf"^Step {step} of")).wait_for()


def test_keyboard_trains_the_default_to_the_phase_change_and_back(tab):
    """Rewinding and training again gives the same numbers."""
    assert "Decide, then train" in tab.locator(".ex-lab-expected").inner_text()
    tab.get_by_text("None forms").click()
    tab.get_by_role("button", name="Train").focus()
    tab.keyboard.press("Enter")
    assert wait_for_words(tab, "Training started") == "Training started: two layers, seed 0."
    message = wait_for_words(tab, "Phase change")
    formed = int(re.search(r"at step (\d+): an induction head has formed.$", message)[1])
    assert 150 <= formed <= 450
    assert tab.get_by_role("button", name="Pause").evaluate("b => b === document.activeElement")
    tab.keyboard.press("Enter")
    wait_for_words(tab, "Paused at step")
    conclusion = tab.locator(".ex-lab-conclusion").inner_text()
    assert f"at step {formed}" in conclusion
    assert conclusion.endswith("You expected none.")
    assert tab.locator(".ex-lab-formed-text").first.inner_text() == f"formed: step {formed}"
    assert "this model expects" in tab.locator(".ex-lab-tried").inner_text()

    tab.locator(".ex-lab-table").evaluate("details => { details.open = true; }")
    tab.wait_for_function("document.querySelectorAll('.ex-lab-table tbody tr').length > 10")
    before = table_rows(tab)
    tab.locator(".ex-lab-rewind input").focus()
    tab.keyboard.press("Home")
    tab.get_by_role("button", name="Train on from step 0").wait_for()
    wait_for_step(tab, 0)
    assert table_rows(tab) == before, "looking back forgets nothing"
    for step in (10, 20):
        tab.get_by_role("button", name="10 steps").click()
        wait_for_step(tab, step)
    assert table_rows(tab) == {step: before[step] for step in (0, 10, 20)}
    tab.get_by_role("button", name="1 step", exact=True).click()
    wait_for_step(tab, 21)


def test_one_layer_without_repeats_forms_nothing_beside_the_run_before(tab):
    tab.locator(".ex-lab-table").evaluate("details => { details.open = true; }")
    for step in (10, 20):
        tab.get_by_role("button", name="10 steps").click()
        wait_for_step(tab, step)
    choice(tab, "Layers").select_option("1")
    choice(tab, "Rows").select_option("none")
    assert tab.evaluate("panels.lab.settings()") == "l1h2kpr0n0e0zs"
    assert "changed" in tab.evaluate("messages")
    assert "No token repeats within a row" in tab.locator(".ex-lab-expected").inner_text()
    for step in (10, 20, 30):
        tab.get_by_role("button", name="10 steps").click()
        wait_for_step(tab, step)
    assert all(float(numbers[-1]) < 0.2 for numbers in table_rows(tab).values())
    assert tab.locator(".ex-lab-conclusion").inner_text() == ""
    before = tab.locator("path.ex-lab-induction.ex-lab-before").get_attribute("d")
    assert before.count("L") >= 2


def test_settings_of_a_link_are_restored_and_bad_ones_are_named(tab):
    tab.evaluate("panels.lab.restore('l1h4ksr1n15e3zt')")
    assert tab.get_by_label("Noise").input_value() == "15"
    assert choice(tab, "Size").input_value() == "toy"
    assert "Smeared keys." in tab.locator(".ex-lab-meanings").inner_text()
    tab.evaluate("panels.lab.restore('nonsense')")
    assert "(nonsense) cannot be read" in tab.locator(".ex-lab-message").inner_text()
    assert tab.evaluate("panels.lab.settings()") == ""


def test_a_browser_without_workers_is_told(tab):
    tab.evaluate("window.ownWorker = window.Worker; window.Worker = undefined; 0")
    tab.get_by_role("button", name="Train").click()
    assert "no Web Workers" in tab.locator(".ex-lab-message").inner_text()
    tab.evaluate("window.Worker = window.ownWorker; 0")
    tab.get_by_role("button", name="1 step", exact=True).click()
    wait_for_step(tab, 1)
    assert tab.locator(".ex-lab-message").inner_text() == ""


def test_weights_view_shows_a_diagonal_through_the_earlier_head_alone(tab):
    composed, direct, ov = tab.locator(".ex-weights-share").all_inner_texts()
    assert "in 64 of 64 rows" in composed
    assert "in 64 of 64 rows" in ov
    assert int(re.search(r"in (\d+) of 64", direct)[1]) < 7
    canvas = tab.locator(".ex-weights-table canvas").first
    box = canvas.bounding_box()
    canvas.click(position={"x": 3.5 * box["width"] / 64, "y": 2.5 * box["height"] / 64})
    pointed = tab.locator(".ex-weights .ex-lab-hover").inner_text()
    assert re.search(r"query token C, token moved to the key D: [+−]\d+\.\d\d$", pointed)
    assert choice(tab, "Row").input_value() == "2"
    assert tab.locator(".ex-weights-table ol").first.locator("li").first.inner_text()[0] == "C"
    assert tab.evaluate("panels.weights.settings()") == "r2"
    tab.evaluate("panels.weights.restore('h1x1p0x1r5')")
    assert choice(tab, "Head").input_value() == "1.1"
    choice(tab, "Head").select_option("0.1")
    assert tab.locator(".ex-weights-table:visible").count() == 2
    assert "L0H1 is in the first layer" in tab.locator(".ex-weights").inner_text()


def test_canvases_follow_the_color_mode_and_a_phone_needs_no_sideways_scroll(tab):
    lightest = """() => {
        const canvas = document.querySelectorAll(".ex-weights-table canvas")[1];
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return Math.max(...Array.from({ length: 4096 }, (_, i) => data[4 * 3 * i]));
    }"""
    assert tab.evaluate(lightest) > 230
    tab.evaluate("document.documentElement.dataset.theme = 'dark'; 0")
    tab.wait_for_function(f"({lightest})() < 230")
    tab.set_viewport_size({"width": 390, "height": 800})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
