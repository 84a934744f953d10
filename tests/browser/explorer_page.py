"""A page from disk with the explorer and the toys in it, and what a test does on it."""

import json
from pathlib import Path

from induction_heads.explorer.export import exported_model, exported_snapshots
from induction_heads.explorer.script import FOLDER, explorer_script
from induction_heads.models.loading import load_attention_only, load_snapshots

TOYS = ("toy-2l", "toy-1l")
ROW = [0, 1, 2, 3, 0, 1, 2, 3]
REPEATED = "m.toy-2l~t." + "-".join(map(str, ROW))
"""A state: one block of four tokens, twice."""

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Explorer</title>
<style>body {{ margin: 0; font: 16px/1.5 sans-serif; }}</style><style>{style}</style>
<main><h1>Explorer</h1><h2>A model in the page</h2><div id="root"></div></main>
<script>{script}</script><script>
const data = {data};
const states = [];
const options = {{
  models: {models},
  load: async (kind, name) => {{
    if (!data[kind + " " + name]) throw new Error(`there are no ${{kind}} of ${{name}}`);
    return data[kind + " " + name];
  }},
  onState: (text) => states.push(text),
  ...{options},
}};
let mounted = explorer.mountExplorer(document.getElementById("root"), options);
</script></html>"""


def write_page(path: Path, **options: object) -> str:
    """Write the page; return its address. `options` are those of `mountExplorer`."""
    data = {
        f"model {name}": json.loads(exported_model(load_attention_only(name), name))
        for name in TOYS
    }
    data["snapshots toy-2l"] = json.loads(exported_snapshots(load_snapshots("toy-2l"), "toy-2l"))
    path.write_text(
        _PAGE.format(
            style="\n".join(file.read_text() for file in sorted(FOLDER.glob("page/*.css"))),
            script=explorer_script(),
            data=json.dumps(data),
            models=json.dumps([{"name": name, "title": name} for name in TOYS]),
            options=json.dumps(options),
        ),
        encoding="utf-8",
    )
    return path.as_uri()


def mount(tab, **options):
    """Mount the explorer anew with these options besides those of the page; wait until it shows."""
    tab.evaluate(
        """more => {
            mounted.destroy();
            states.length = 0;
            const root = document.getElementById("root");
            mounted = explorer.mountExplorer(root, { ...options, ...more });
        }""",
        options,
    )
    tab.locator(".ex-body").wait_for()
    drawn(tab)


def drawn(tab):
    """Wait for the frame that shows the last edit, and for the one after it."""
    tab.evaluate("() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))")


def set_state(tab, text):
    tab.evaluate("text => mounted.setState(text)", text)
    drawn(tab)


def press(tab, *keys):
    for key in keys:
        tab.keyboard.press(key)
    drawn(tab)


def click(tab, name, role="button"):
    tab.get_by_role(role, name=name, exact=True).click()
    drawn(tab)


def effect(tab):
    """The second-copy loss without and with the change."""
    return [
        float(cell)
        for cell in tab.locator(".ex-change tbody tr").first.locator("td").all_inner_texts()[:2]
    ]
