"""Sphinx directive `{chapter-map}`: the chapters and their prerequisites, drawn and in words."""

import html
import textwrap

import chapter_graph as graph
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

# In units of the drawing, which is as wide as the text column on a phone, in pixels.
WIDTH = 352
BOX = (170, 46)
STEP = 70
LINE = 16
LETTERS = 23  # The most that fit in a line of a box.


class ChapterMap(SphinxDirective):
    """The map. Each box is a link; the same information follows in words."""

    def run(self) -> list[nodes.Node]:
        notebooks = map(graph.notebook, graph.PREREQUISITES)
        for file in (__file__, graph.__file__, *notebooks):
            self.env.note_dependency(str(file))
        builder = self.env.app.builder
        links = {
            label: builder.get_relative_uri(self.env.docname, graph.notebook(label).stem)
            for label in graph.PREREQUISITES
        }
        return [nodes.raw("", chapter_map(links), format="html")]


def chapter_map(links: dict[str, str]) -> str:
    """The map as HTML. `links` maps each label to an address."""
    words = "".join(
        f'<li><a href="{html.escape(links[label])}">{html.escape(graph.full_title(label))}</a>. '
        f"{html.escape(in_words(label))}</li>"
        for label in graph.PREREQUISITES
    )
    return (
        '<nav class="chapter-map" aria-label="Map of the chapters">\n'
        f"{drawing(links)}\n"
        f"<details><summary>The map in words</summary><ul>{words}</ul></details>\n"
        "</nav>"
    )


def in_words(label: str) -> str:
    """`Builds on chapters 6 and 7.`"""
    numbers = [str(graph.number(before)) for before in graph.PREREQUISITES[label]]
    if not numbers:
        return "Builds on no other chapter."
    return f"Builds on chapter{'s' * (len(numbers) > 1)} {' and '.join(numbers)}."


def drawing(links: dict[str, str]) -> str:
    """The map as SVG: first the arrows, then a box for each notebook."""
    places = graph.places()
    height = (max(row for row, _ in places.values()) + 1) * STEP - (STEP - BOX[1]) + 2
    lines = [arrow(places[before], places[after]) for before, after in graph.arrows()]
    boxes = [box(label, place, links[label]) for label, place in places.items()]
    return "\n".join(
        [
            f'<svg viewBox="0 0 {WIDTH} {height}" role="group" aria-label="Chapters, each a link">',
            '<defs><marker id="chapter-map-head" viewBox="0 0 8 8" refX="7" refY="4" '
            'markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z"/></marker>'
            "</defs>",
            f'<g class="arrows" aria-hidden="true">{"".join(lines)}</g>',
            *boxes,
            "</svg>",
        ]
    )


def arrow(start: graph.Place, end: graph.Place) -> str:
    """From the bottom of one box to the top of another: straight down, then across."""
    (x, _, _, bottom), (to_x, top, _, _) = corners(start), corners(end)
    x, to_x = x + BOX[0] / 2, to_x + BOX[0] / 2
    turn = top - (STEP - BOX[1])
    middle = (turn + top) / 2
    path = f"M{x:g} {bottom:g}V{turn:g}C{x:g} {middle:g} {to_x:g} {middle:g} {to_x:g} {top:g}"
    return f'<path d="{path}" marker-end="url(#chapter-map-head)"/>'


def box(label: str, place: graph.Place, link: str) -> str:
    """A link with a frame and the title in one or two lines."""
    left, top, right, bottom = corners(place)
    kind = "chapter" if graph.number(label) else "study"
    lines = textwrap.wrap(graph.full_title(label), LETTERS, break_on_hyphens=False)
    first = (top + bottom) / 2 - (len(lines) - 1) * LINE / 2
    # The space keeps two lines apart where only the text is read.
    text = " ".join(
        f'<text x="{(left + right) / 2:g}" y="{first + index * LINE:g}">{html.escape(line)}</text>'
        for index, line in enumerate(lines)
    )
    name = html.escape(f"{graph.full_title(label)}. {in_words(label)}", quote=True)
    return (
        f'<a href="{html.escape(link)}" class="{kind}" aria-label="{name}">'
        f'<rect x="{left:g}" y="{top:g}" width="{BOX[0]}" height="{BOX[1]}" rx="6"/>{text}</a>'
    )


def corners(place: graph.Place) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a box."""
    row, column = place
    left, top = 1 + column * (WIDTH - BOX[0] - 2), 1 + row * STEP
    return left, top, left + BOX[0], top + BOX[1]


def setup(app: Sphinx) -> dict:
    app.add_directive("chapter-map", ChapterMap)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
