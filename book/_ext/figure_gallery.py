"""Sphinx directive `{figure-gallery}`: every figure of the notebooks, with its caption and a link.

The gallery is filled after all pages are read, so nothing runs twice, and its images are the same
files as on the pages.
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

import chapter_graph as graph
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

BEST_FIRST = ("image/svg+xml", "image/png", "image/jpeg")
DRAWN_BY_SCRIPT = re.compile(
    r'<figure class="(?P<kind>hover-figure|pattern-frames)".*?'
    r"<figcaption>(?P<caption>.*?)</figcaption>",
    flags=re.S,
)
MARK = "figure-gallery"
KINDS = {"hover-figure": "Hover figure", "pattern-frames": "Figure with a slider"}


class gallery_of(nodes.Element):
    """A placeholder for the figures of the page `docname`."""


@dataclass(frozen=True)
class Figure:
    """A figure of a page: its id there, the caption, and the image unless a script draws it."""

    anchor: str
    caption: list[nodes.Node]
    image: nodes.image | None
    kind: str = "Figure"


class FigureGallery(SphinxDirective):
    """One section for each notebook."""

    def run(self) -> list[nodes.Node]:
        self.env.metadata[self.env.docname][MARK] = "yes"
        return [self.section(label) for label in graph.PREREQUISITES]

    def section(self, label: str) -> nodes.section:
        """A section with the title of the notebook and a placeholder for its figures."""
        title = nodes.title("", graph.full_title(label))
        section = nodes.section("", title, ids=[f"gallery-{label}"], names=[f"gallery-{label}"])
        section += gallery_of(docname=graph.notebook(label).stem)
        return section


def figures(doctree: nodes.document) -> Iterator[Figure]:
    """The figures of a page that have a caption, in order."""
    for node in doctree.findall():
        if isinstance(node, nodes.figure) and node["ids"]:
            captions = [child for child in node.children if isinstance(child, nodes.caption)]
            image = best_image(node)
            if captions and image is not None:
                yield Figure(node["ids"][0], captions[0].deepcopy().children, image)
        elif isinstance(node, nodes.raw) and (match := DRAWN_BY_SCRIPT.search(node.astext())):
            anchor = re.search(r'\bid="([^"]+)"', match[0])
            caption = html.unescape(re.sub(r"<[^>]+>", "", match["caption"]))
            if anchor:
                text: list[nodes.Node] = [nodes.Text(caption)]
                yield Figure(anchor[1], text, None, KINDS[match["kind"]])


def best_image(figure: nodes.figure) -> nodes.image | None:
    """The image of a figure, in the best of its formats; None if there is no image."""
    images = list(figure.findall(nodes.image))
    return min(images, key=_rank).deepcopy() if images else None


def _rank(image: nodes.image) -> int:
    kind = image.parent.get("mime_type") if isinstance(image.parent, nodes.Element) else None
    return BEST_FIRST.index(kind) if kind in BEST_FIRST else len(BEST_FIRST)


def entry(app: Sphinx, page: str, docname: str, figure: Figure) -> nodes.list_item:
    """The image and the number, both linked to the figure on its page, then the caption."""
    link = f"{app.builder.get_relative_uri(page, docname)}#{figure.anchor}"
    numbers = app.env.toc_fignumbers.get(docname, {}).get("figure", {}).get(figure.anchor)
    name = f"Fig. {'.'.join(map(str, numbers))}" if numbers else figure.kind
    item = nodes.list_item("", classes=["gallery-figure"])
    if figure.image is not None:
        figure.image["loading"] = "lazy"
        item += nodes.reference("", "", figure.image, refuri=link, internal=True)
    number = nodes.reference("", "", nodes.strong("", name), refuri=link, internal=True)
    item += nodes.paragraph("", "", number, nodes.Text(" "), *figure.caption)
    for pending in list(item.findall(addnodes.pending_xref)):
        pending.replace_self(pending.children)
    return item


def fill(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Replace each placeholder by the figures of its page."""
    for place in list(doctree.findall(gallery_of)):
        doctree_of_page = app.env.get_doctree(place["docname"])
        items = [
            entry(app, docname, place["docname"], figure) for figure in figures(doctree_of_page)
        ]
        if items:
            place.replace_self(nodes.bullet_list("", *items, classes=["figure-gallery"]))
        else:
            place.replace_self(nodes.paragraph("", "This page has no figure with a caption."))


def galleries(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Pages to rebuild after any page has changed, because their figures come from other pages."""
    return sorted(docname for docname, facts in env.metadata.items() if MARK in facts)


def setup(app: Sphinx) -> dict:
    app.add_node(gallery_of)
    app.add_directive("figure-gallery", FigureGallery)
    app.connect("env-updated", galleries)
    app.connect("doctree-resolved", fill)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
