"""Sphinx directive `{cited-works}`: a table of the works and of the pages that cite them."""

import re
from collections.abc import Iterator
from pathlib import Path

import notebook_cells
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

BOOK = Path(__file__).resolve().parents[1]
THIS_PAGE = "literature"
CITATION = re.compile(r"\{cite:\w+\}`([^`]+)`")


class CitedWorks(SphinxDirective):
    """One row for each work that a page other than the literature map cites."""

    def run(self) -> list[nodes.Node]:
        for path in pages():
            self.env.note_dependency(str(path))
        parent = nodes.Element()
        self.state.nested_parse(StringList(table(citations())), self.content_offset, parent)
        return parent.children


def pages() -> list[Path]:
    """The pages of the book: chapters, other notebooks, Markdown pages, each in order of name."""
    paths = [*BOOK.glob("*.ipynb"), *BOOK.glob("*.md")]
    return sorted(paths, key=lambda path: (path.suffix == ".md", not is_chapter(path), path.stem))


def is_chapter(path: Path) -> bool:
    """Whether a page is a chapter, `ch04_induction_heads.ipynb`."""
    return re.match(r"ch\d\d_", path.stem) is not None


def prose(path: Path) -> str:
    """The text of a page, without the code of a notebook."""
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    return notebook_cells.prose(path)


def keys(text: str) -> Iterator[str]:
    """The keys of the works that a text cites, in order and with repetitions."""
    for group in CITATION.findall(text):
        yield from (key.strip() for key in group.split(","))


def citations() -> dict[str, list[Path]]:
    """Key → the pages that cite the work, except the literature map."""
    by_key: dict[str, list[Path]] = {}
    for path in pages():
        if path.stem != THIS_PAGE:
            for key in dict.fromkeys(keys(prose(path))):
                by_key.setdefault(key, []).append(path)
    return dict(sorted(by_key.items()))


def table(cited: dict[str, list[Path]]) -> list[str]:
    """A Markdown table with a row for each work: the work and links to the pages that cite it."""
    rows = [
        f"| {{cite:t}}`{key}` | {', '.join(link(path) for path in paths)} |"
        for key, paths in cited.items()
    ]
    return ["| work | cited in |", "|---|---|", *rows]


def link(path: Path) -> str:
    """A link to a page, with its title as text."""
    if path.stem == "index":
        return "{doc}`home page <index>`"
    if path.suffix == ".md":
        return f"{{doc}}`{path.stem}`"
    label = path.stem[:4] if is_chapter(path) else path.stem.replace("_", "-")
    return f"{{ref}}`{label}`"


def setup(app: Sphinx) -> dict:
    app.add_directive("cited-works", CitedWorks)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
