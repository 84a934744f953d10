"""What the pages say of the chapters: the map, openings, check boxes, the gallery, how to work."""

import html
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner
from each import for_each

from induction_heads.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
sys.path.insert(0, str(BOOK / "_ext"))
graph = import_module("chapter_graph")
chapter_map = import_module("chapter_map")
chapter_boxes = import_module("chapter_boxes")
course_data = import_module("course_data")
notebook_cells = import_module("notebook_cells")

LABELS = list(graph.PREREQUISITES)
CHAPTERS = [label for label in LABELS if graph.number(label)]
SVG = "{http://www.w3.org/2000/svg}"

each_label = for_each("label", LABELS)
each_chapter = for_each("label", CHAPTERS)


def prose(label: str) -> str:
    return notebook_cells.prose(graph.notebook(label))


def test_every_notebook_has_its_prerequisites_stated():
    assert {graph.notebook(label) for label in LABELS} == set(BOOK.rglob("*.ipynb"))


@each_label
def test_prerequisites_come_earlier_and_none_follows_from_another(label):
    direct = graph.PREREQUISITES[label]
    order = [each for each in LABELS if graph.number(each)]
    for before in direct:
        assert before in order
        assert label not in order or order.index(before) < order.index(label)
        others = [graph.all_prerequisites(other) for other in direct if other != before]
        assert not any(before in needed for needed in others), f"{before} follows from the others"


# Chapter 7 compares its cuts and writers with scores of chapter 6, and can be read without it.
COMPARED = {("ch07", "ch06"), ("ch07-patching", "ch06")}


@each_chapter
def test_chapter_refers_back_only_to_what_it_builds_on(label):
    referred = set(re.findall(r"\{(?:ref|numref|eq)\}`[^`]*?(ch\d\d)", prose(label)))
    earlier = {other for other in referred if other < label}
    assert {(label, other) for other in earlier - graph.all_prerequisites(label)} <= COMPARED


def test_unknown_label_is_an_error():
    with pytest.raises(ValueError, match="There is no notebook 'ch99'"):
        graph.notebook("ch99")


@pytest.fixture(scope="module")
def drawn() -> ET.Element:
    """The map, which must be well-formed."""
    links = {label: f"{label}.html" for label in LABELS}
    found = chapter_map.chapter_map(links)
    found = found.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ')
    return ET.fromstring(found)


def test_each_box_of_the_map_is_a_link_with_a_name_that_says_what_it_builds_on(drawn):
    boxes = drawn.findall(f".//{SVG}a")
    shown = [box.get("href").removesuffix(".html") for box in boxes]
    assert sorted(shown) == sorted(graph.boxes())
    # Every chapter and study has a box; a page without one is a further page of its chapter.
    assert {label[:4] for label in set(LABELS) - set(shown)} <= set(shown)
    names = {box.get("href"): box.get("aria-label") for box in boxes}
    assert names["ch08.html"] == "8. The phase change. Builds on chapters 6 and 7."
    for box in boxes:  # A name begins with the words that are seen.
        assert box.get("aria-label").startswith(" ".join("".join(box.itertext()).split()))
    assert names["real-text.html"] == "The phase change on real text. Builds on chapter 8."


def test_map_stands_below_in_words(drawn):
    items = ["".join(item.itertext()) for item in drawn.findall("details/ul/li")]
    titles = [item.split(". Builds")[0] for item in items]
    assert titles == [graph.full_title(label) for label in LABELS]
    assert items[1] == "1. Attention. Builds on no other chapter."


def test_boxes_of_the_map_do_not_touch_and_hold_their_titles(drawn):
    width = float(drawn.find(f"{SVG}svg").get("viewBox").split()[2])
    frames = []
    for box in drawn.findall(f".//{SVG}a"):
        rect = box.find(f"{SVG}rect")
        x, y, w, h = (float(rect.get(name)) for name in ("x", "y", "width", "height"))
        assert 0 <= x <= x + w <= width
        for line in box.findall(f"{SVG}text"):
            assert y < float(line.get("y")) < y + h
            assert len(line.text) * 7 <= w
        frames.append((x, y, x + w, y + h))
    for i, (left, top, right, bottom) in enumerate(frames):
        for other_left, other_top, other_right, other_bottom in frames[:i]:
            apart_x = right < other_left or other_right < left
            assert apart_x or bottom < other_top or other_bottom < top


def test_no_arrow_of_the_map_runs_through_a_box():
    places = graph.places()
    for before, after in graph.arrows():
        (row, column), (end, _) = places[before], places[after]
        between = [place for place in places.values() if row < place[0] < end]
        assert column not in [other for _, other in between]
        assert not between or 0.5 not in [other for _, other in between]


def test_a_map_with_three_in_a_row_is_an_error(monkeypatch):
    monkeypatch.setattr(graph, "PREREQUISITES", {"a": (), "b": (), "c": ()})
    with pytest.raises(ValueError, match="has two columns, but 3 notebooks"):
        graph.places()


@each_chapter
def test_opening_has_prerequisites_and_the_minutes_of_the_syllabus(label):
    before, minutes = chapter_boxes.opening_lines(label)
    assert re.findall(r"<(.+?)>", before) == list(graph.PREREQUISITES[label])
    page = course_data.page(label)
    numbers = [page.reading, page.minutes(checked=True), page.minutes(checked=False)]
    assert [int(n) for n in re.findall(r"\d+", minutes)] == [n for n in numbers if n]


@each_label
def test_no_page_takes_more_than_45_minutes_to_read(label):
    assert course_data.reading_minutes(graph.notebook(label)) <= 45


@each_chapter
def test_pages_of_a_chapter_share_its_exercises_and_its_minutes(label):
    chapter = course_data.chapter(label[:4])
    pages = [course_data.page(each) for each in graph.pages(label[:4])]
    assert sum(page.total for page in pages) == chapter.total
    assert sorted(task.name for page in pages for task in page.tasks) == sorted(
        task.name for task in chapter.tasks
    )


def test_opening_of_a_study_says_that_it_has_no_exercises():
    _, minutes = chapter_boxes.opening_lines("real-text")
    assert "there are no exercises" in minutes


@each_chapter
def test_commands_of_a_check_box_name_targets_that_exist(label):
    from induction_heads.course.registry import select

    commands = [line.split()[2:4] for line in chapter_boxes.check_lines(label) if line[0:1] == "$"]
    assert [command for command, _ in commands] == ["check", "check", "check", "hint"]
    for _, target in commands:
        (selection,) = select(target)
        assert selection.stem == graph.notebook(label[:4]).stem


CONF = """\
import sys
sys.path.insert(0, {ext!r})
extensions = ["myst_parser", "course_directives"]
myst_enable_extensions = ["colon_fence", "deflist"]
html_theme = "basic"
html_static_path = [{assets!r}]
numfig = True
suppress_warnings = ["toc.not_included"]
"""
DOT = '<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"><path d="M0 0h4v4z"/></svg>'
FIGURE = """\
```{figure} dot.svg
:name: fig-ch04-dot
:alt: A black square.

The caption, with `code` and {ref}`a link <ch01>`.
```
"""
HOVER = """\
```{raw} html
<figure class="hover-figure"><div class="hover-patterns" id="hover-1"></div>
<figcaption>What hovers &amp; shows.</figcaption></figure>
```
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A small book with the real directives, built by Sphinx without a warning."""
    folder = tmp_path_factory.mktemp("book") / "book"
    (folder / "exercises").mkdir(parents=True)
    ext, assets = str(BOOK / "_ext"), str(BOOK / "assets")
    (folder / "conf.py").write_text(CONF.format(ext=ext, assets=assets))
    (folder / "dot.svg").write_text(DOT)
    for label in LABELS:
        stem = graph.notebook(label).stem
        content = [f"({label})=", f"# {graph.title(label)}", ""]
        content += [f":::{{chapter-opening}} {label}", ":::", ""]
        if label == "ch04":
            content += [FIGURE, HOVER, ":::{check-your-work} ch04", "Write them.", ":::", ""]
        (folder / f"{stem}.md").write_text("\n".join(content), encoding="utf-8")
    (folder.parent / "exercises").mkdir()
    (folder.parent / "exercises" / "ch04_induction_heads.py").write_text("")
    (folder / "how_to_work.md").write_text("(how-to-work)=\n# How to work\n")
    (folder / "gallery.md").write_text((BOOK / "gallery.md").read_text())
    pages = "\n".join([*(graph.notebook(label).stem for label in LABELS), "gallery", "how_to_work"])
    toc = f"```{{toctree}}\n:numbered:\n{pages}\n```\n"
    (folder / "index.md").write_text(f"# Home\n\n{toc}\n```{{chapter-map}}\n```\n")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "-n",
        "-q",
        "-b",
        "html",
        folder,
        folder / "out",
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    return folder / "out"


def page(built: Path, name: str) -> str:
    return (built / f"{name}.html").read_text(encoding="utf-8")


def words(markup: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", markup)).split())


def test_map_links_the_pages(built):
    links = re.findall(r'<a href="([^"]+)" class="(?:chapter|study)"', page(built, "index"))
    assert len(links) == len(graph.boxes())
    assert all((built / link).is_file() for link in links)


def test_opening_links_the_prerequisites(built):
    opening = page(built, "ch08_phase_change").partition("chapter-opening")[2]
    assert 'href="ch06_composition.html#ch06"' in opening
    assert "Builds on 6. Composition and 7. Patching and sufficiency" in words(opening)


def test_check_box_has_its_text_the_commands_and_the_way_on(built):
    box = page(built, "ch04_induction_heads").partition("check-your-work")[2]
    assert "Write them." in box
    assert "$ induction-heads check ch04 --watch" in words(box)
    assert "_downloads/" in box
    assert "blob/notebooks/notebooks/ch04_induction_heads.ipynb" in box
    assert 'href="how_to_work.html#how-to-work"' in box


def test_gallery_has_each_figure_with_caption_alternative_text_and_place(built):
    gallery = page(built, "gallery")
    (image,) = re.findall(r"<img [^>]*>", gallery)
    assert 'alt="A black square."' in image
    assert 'loading="lazy"' in image
    assert gallery.count('href="ch04_induction_heads.html#fig-ch04-dot"') == 2
    section = words(gallery.partition('id="gallery-ch04"')[2].partition('id="gallery-ch05"')[0])
    assert re.search(r"Fig\. \d+(\.\d+)* The caption, with code and a link\.", section)
    assert "Hover figure What hovers & shows." in section
    assert 'href="ch04_induction_heads.html#hover-1"' in gallery


def test_gallery_shows_the_file_that_the_page_shows(built):
    images = [
        re.findall(r'<img [^>]*src="([^"]+)"', page(built, name))
        for name in ("gallery", "ch04_induction_heads")
    ]
    assert images[0] == images[1] == ["_images/dot.svg"]
    assert [path.name for path in (built / "_images").iterdir()] == ["dot.svg"]


def test_gallery_is_written_again_when_any_page_was_read():
    gallery = import_module("figure_gallery")
    env = SimpleNamespace(metadata={"gallery": {gallery.MARK: "yes"}, "ch01_attention": {}})
    assert gallery.galleries(None, env) == ["gallery"]


def test_gallery_has_a_section_for_every_notebook(built):
    titles = re.findall(r"<h2>(.*?)<a", page(built, "gallery"))
    assert [title.split("</span>")[-1].split(". ")[-1] for title in titles] == [
        graph.title(label) for label in LABELS
    ]


def test_example_on_how_to_work_is_what_the_check_prints(tmp_path, monkeypatch):
    text = (BOOK / "how_to_work.md").read_text(encoding="utf-8")
    answer = re.search(r"```python\n(return .*?)\n```", text, flags=re.S).group(1)
    console = re.search(r"```console\n\$ \S+ (.*?)\n(.*?)```", text, flags=re.S)
    stub = (ROOT / "exercises" / "ch01_attention.py").read_text(encoding="utf-8")
    (tmp_path / "exercises").mkdir()
    (tmp_path / "exercises" / "ch01_attention.py").write_text(
        stub.replace("raise NotImplementedError", answer, 1), encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, console.group(1).split())
    assert result.output == console.group(2)


def test_commands_on_how_to_work_exist():
    text = (BOOK / "how_to_work.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`induction-heads (\w+)", text))
    assert named == {"check", "status", "hint", "solution", "reset", "init"}
    assert named <= set(main.list_commands(click.Context(main)))
