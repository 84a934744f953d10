"""The explorer as a notebook shows it, as a widget or only as HTML, and several in one page."""

import json

import pytest

from induction_heads import explore
from induction_heads.explorer.element import Explorer, data_script, explorer_element, page_script

FAKE_MODEL = """
traits => {
  const listeners = {};
  globalThis.saved = [];
  globalThis.fake = {
    get: name => traits[name],
    set(name, value) { traits[name] = value; },
    save_changes() { saved.push(traits.state); },
    on(event, does) { (listeners[event] ??= []).push(does); },
    off(event, does) { listeners[event] = listeners[event].filter(one => one !== does); },
    fromKernel(name, value) {
      traits[name] = value;
      (listeners[`change:${name}`] ?? []).forEach(does => does());
    },
    count: () => Object.values(listeners).flat().length,
  };
}
"""
RENDER = """
async esm => {
  const address = URL.createObjectURL(new Blob([esm], { type: "text/javascript" }));
  const widget = (await import(address)).default;
  globalThis.undo = widget.render({ model: fake, el: document.getElementById("cell") });
}
"""


@pytest.fixture(scope="module")
def widget():
    return explore("toy-2l", "A B C A B", head=(1, 0), query=3, alt="Two layers.", caption="Look.")


@pytest.fixture
def page(visit, tmp_path):
    (tmp_path / "page.html").write_text("<!doctype html><meta charset=utf-8><div id=cell></div>")
    seen = visit()
    seen.tab.goto((tmp_path / "page.html").as_uri())
    yield seen
    assert seen.errors == []
    assert seen.requests_outside("file:") == []


def test_state_of_the_widget_and_of_the_page_follow_each_other(page, widget):
    names = ("options", "data", "alt", "caption", "state")
    traits = json.loads(json.dumps({name: getattr(widget, name) for name in names}))
    page.tab.evaluate(FAKE_MODEL, traits)
    page.tab.evaluate(RENDER, widget._esm)
    root = page.tab.get_by_role("group", name="Two layers.")
    root.locator("canvas").first.wait_for()
    assert page.tab.locator(".ex-embed > figcaption").inner_text() == "Look."
    opened = page.tab.evaluate("fake.get('state')")
    assert {"h.1-0", "q.3"} <= set(opened.split("~"))

    page.tab.evaluate("fake.fromKernel('state', 't.0-1-0~h.0-1')")
    page.tab.wait_for_function("document.querySelectorAll('.ex-token:not(.ex-next)').length === 3")
    assert page.tab.evaluate("fake.get('state')").endswith("t.0-1-0~h.0-1")

    page.tab.evaluate("saved.length = 0")
    root.get_by_role("button", name="L1H1", exact=True).click()
    page.tab.wait_for_function("saved.some(state => state.includes('h.1-1'))")

    page.tab.evaluate("fake.fromKernel('state', 'nonsense')")
    page.tab.get_by_text("The link could not be read").wait_for()

    # The worker that trains starts from a module, too.
    root.get_by_role("tab", name="Train one here").click()
    root.get_by_role("button", name="1 step", exact=True).click()
    root.get_by_text("Step 1 of").first.wait_for()

    page.tab.evaluate("undo()")
    assert page.tab.evaluate("[fake.count(), cell.childElementCount]") == [0, 0]

    page.tab.evaluate(FAKE_MODEL, traits | {"state": ""})
    page.tab.evaluate(RENDER, widget._esm)
    assert page.tab.evaluate("saved") == ["m.toy-2l"]


def test_output_without_widgets_is_an_explorer_too(visit, widget, tmp_path):
    """Two outputs in one page, from disk, with nothing beside them."""
    outputs = [widget._html() for _ in range(2)]
    (tmp_path / "page.html").write_text(f"<!doctype html><meta charset=utf-8>{''.join(outputs)}")
    seen = visit()
    seen.tab.goto((tmp_path / "page.html").as_uri())
    for number in range(2):
        seen.tab.locator(".ex-explorer").nth(number).locator("canvas").first.wait_for()
    assert seen.errors == []
    assert len(seen.requests_outside("blob:")) == 1


def test_a_link_addresses_one_explorer_of_the_page(page, widget, tmp_path):
    element = explorer_element(Explorer((("toy-2l", "toy-2l"),), tokens=(0, 1, 0)))
    broken = element.replace("&#34;models&#34;", "&#34;none&#34;")
    script = data_script("model", "toy-2l", widget.data["model toy-2l"]) + page_script()
    (tmp_path / "several.html").write_text(
        f"<!doctype html><meta charset=utf-8><script>{script}</script>{element}{element}{broken}"
    )
    tokens = "[...document.querySelectorAll('{}')].map(one => one.querySelectorAll('{}').length)"
    counts = tokens.format("[data-explorer]", ".ex-token:not(.ex-next)")
    page.tab.goto((tmp_path / "several.html").as_uri() + "#explorer-2=t.0-1-2-0")
    page.tab.wait_for_function(f"String({counts}) === '3,4,0'")
    page.tab.evaluate("location.hash = 'explorer=t.1-2'")
    page.tab.wait_for_function(f"String({counts}) === '2,4,0'")
    page.tab.get_by_role("alert").filter(has_text="The explorer could not start").wait_for()
