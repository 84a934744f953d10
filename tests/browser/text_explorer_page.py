"""A page from disk with the explorer of a text model, and what a test does on it."""

from pathlib import Path

from induction_heads.explorer.element import data_script, explorer_style, page_script
from induction_heads.explorer.text_element import text_explorer_element
from induction_heads.explorer.text_models import exported_text_model

NAME = "python-2l"

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Explorer</title>
<link rel="stylesheet" href="_static/explorer.css">
<style>body {{ margin: 0; font: 16px/1.5 sans-serif; }}</style>
<main><h1>Explorer</h1>{element}</main><script defer src="_static/explorer.js"></script></html>"""


def write_text_page(folder: Path) -> str:
    """Write the page and the files that it loads, as a build does; return its address."""
    static = folder / "_static"
    (static / "explorer").mkdir(parents=True)
    (static / "explorer.js").write_text(page_script(), encoding="utf-8")
    (static / "explorer.css").write_text(explorer_style(), encoding="utf-8")
    for (kind, name), text in exported_text_model(NAME).items():
        (static / "explorer" / f"{name}-{kind}.js").write_text(data_script(kind, name, text))
    page = folder / "page.html"
    page.write_text(
        _PAGE.format(element=text_explorer_element(NAME, alt="A model of text.")), encoding="utf-8"
    )
    return page.as_uri()
