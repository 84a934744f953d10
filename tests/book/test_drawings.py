"""The drawings: computed, well-formed, readable on a phone, and described in words."""

import re
import sys
import xml.etree.ElementTree as ET
from importlib import import_module
from pathlib import Path

import pytest

from induction_heads import load_model

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))
drawing_data = import_module("drawing_data")
notebook_cells = import_module("notebook_cells")

CHAPTERS = sorted((ROOT / "book").glob("ch[0-9][0-9]_*.ipynb"))
SVG = "{http://www.w3.org/2000/svg}"
SMALLEST = 9  # px at phone width, where a unit of the drawing is a pixel.


def used(text: str) -> list[str]:
    return re.findall(r"^:::\{drawing\} (.+)$", text, re.M)


def test_every_chapter_has_a_drawing_on_its_first_screen():
    stems = {path.stem for path in (ROOT / "exercises").glob("ch*.py")}
    first = {path.stem: used(notebook_cells.cells(path)[0].source) for path in CHAPTERS}
    assert all(len(first[stem]) == 1 for stem in stems), first
    assert all(len(names) <= 1 for names in first.values()), first


def test_every_drawing_is_on_a_page():
    pages = [notebook_cells.prose(path) for path in CHAPTERS]
    pages += [path.read_text(encoding="utf-8") for path in (ROOT / "book").glob("*.md")]
    assert {name for text in pages for name in used(text)} == set(drawing_data.DRAWINGS)


@pytest.fixture(scope="module")
def drawn() -> dict:
    return {name: function() for name, function in drawing_data.DRAWINGS.items()}


def root_of(drawing) -> ET.Element:
    return ET.fromstring(
        drawing.svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    )


def test_drawings_have_alternative_text_no_colors_and_no_small_text(drawn):
    for name, drawing in drawn.items():
        root = root_of(drawing)
        assert root.get("role") == "img"
        assert root.get("aria-label") == drawing.alt
        assert drawing.alt.endswith("."), name
        assert not re.search(r"(?:fill|stroke)=", drawing.svg), f"{name} has a color of its own"
        sizes = [float(text.get("font-size", 0)) for text in root.iter(f"{SVG}text")]
        assert min(sizes, default=SMALLEST) >= SMALLEST, name


def test_texts_stay_on_the_sheet(drawn):
    """By a width of 0.62 of the size for each letter, which is wide for the page's font."""
    for name, drawing in drawn.items():
        root = root_of(drawing)
        width = float(root.get("viewBox").split()[2])
        for group in [root, *root.iter(f"{SVG}g")]:
            shift = re.match(r"translate\(([\d.]+) ", group.get("transform", ""))
            for text in group.findall(f"{SVG}text"):
                x = float(text.get("x")) + (float(shift[1]) if shift else 0)
                long = 0.62 * float(text.get("font-size")) * len(text.text or "")
                share = {"start": 0, "middle": 0.5, "end": 1}[text.get("text-anchor")]
                assert x - share * long >= -1, (name, text.text)
                assert x + (1 - share) * long <= width + 1, (name, text.text)


def test_circuit_is_that_of_the_hand_built_model():
    found = drawing_data.on_row()
    assert found.tokens == ["A", "B", "C", "A", "B"]
    assert found.marks == [None, "A", "B", "C", "A"]
    assert (found.query, found.key, found.prediction) == (4, 2, "C")
    assert found.weight > 0.99
    assert min(found.one_back[1:]) > 0.99


def test_trace_says_what_each_block_holds(drawn):
    alt = drawn["trace"].alt
    assert "After layer 0: token A B C A B, position 0 1 2 3 4, mark A A B C A." in alt
    assert alt.endswith("position 3 in layer 0 and at position 2 in layer 1.")
    assert re.search(r"prediction (\S ){4}C\.", alt)


def test_only_k_composition_scores_above_unrelated_heads(drawn):
    found = re.findall(r"([QKV]) ([+-]\d\.\d{3})", drawn["compositions-measured"].alt)
    assert [side for side, value in found if float(value) > 0] == ["K"]


def test_first_screens_do_not_tell_what_the_chapters_measure(drawn):
    names = ["interventions", "patching", "compositions", "data-kinds", "head-kinds"]
    names += ["probe", "stand-in", "lenses", "unknown-heads"]
    for name in names:
        shown = " ".join(text.text or "" for text in root_of(drawn[name]).iter(f"{SVG}text"))
        assert not re.search(r"\d\.\d", shown), name


def test_lens_says_at_the_last_depth_what_the_model_says(drawn):
    model = load_model("pythia-4l")
    tokens = model.to_tokens("import os\nimport sys\n\nif name not in")
    answer = model.to_str_tokens(model(tokens)[0, -1].argmax()[None])[-1]
    assert f"layer 3 {answer.replace(' ', '␣')}." in drawn["lenses"].alt


def test_probe_separates_the_token_from_the_others(drawn):
    circles = root_of(drawn["probe"]).iter(f"{SVG}circle")
    places = {True: [], False: []}
    for circle in circles:
        places["hollow" in circle.get("class")].append(float(circle.get("cx")))
    assert len(places[False]) >= 10 < len(places[True])
    assert min(places[False]) > max(places[True])


def test_stand_in_has_the_features_that_may_be_on_and_one_node_for_the_rest(drawn):
    kinds = [circle.get("class") for circle in root_of(drawn["stand-in"]).iter(f"{SVG}circle")]
    assert kinds == ["head induction"] * 8 + ["head ghost"]


def test_cuts_cost_what_the_chapter_finds(drawn):
    costs = dict(
        re.findall(
            r"(no L0H0|patterns held|K path cut|Q path cut).*?([+-]\d\.\d\d) nats",
            drawn["interventions-measured"].alt,
        )
    )
    assert float(costs["no L0H0"]) > 3
    assert float(costs["K path cut"]) > 1
    assert abs(float(costs["Q path cut"])) < 0.1
    assert abs(float(costs["patterns held"])) < 0.1
