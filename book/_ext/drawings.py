"""Sphinx directive `{drawing}`: a drawing of `drawing_data`, with its content as the caption."""

import hashlib
from pathlib import Path

import drawing_data
import feature_drawings
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

DATA = [Path(str(module.__file__)) for module in (drawing_data, feature_drawings)]
PACKAGE = Path(__file__).parents[2] / "src" / "induction_heads"


class drawing_figure(nodes.General, nodes.Element):
    """A drawing; the children are its caption."""


class DrawingDirective(SphinxDirective):
    """The argument names the drawing; the content, if any, is its caption."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        if name not in drawing_data.DRAWINGS:
            known = ", ".join(drawing_data.DRAWINGS)
            raise self.error(f"There is no drawing {name!r}. Drawings: {known}.")
        for file in [*DATA, *sorted(drawing_files())]:
            self.env.note_dependency(str(file))
        caption = nodes.Element()
        self.state.nested_parse(self.content, self.content_offset, caption)
        return [drawing_figure("", *caption.children, svg=svg(name, self.env.doctreedir))]


def drawing_files() -> list[Path]:
    return list((PACKAGE / "figures" / "drawings").glob("*.py"))


def svg(name: str, folder: str | Path) -> str:
    """The drawing as SVG, kept in a folder until a file of the package changes."""
    kept = Path(folder) / "drawings" / f"{name}-{package_hash()}.svg"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(drawing_data.DRAWINGS[name]().svg, encoding="utf-8")
    return kept.read_text(encoding="utf-8")


def package_hash() -> str:
    """A fingerprint of the code that computes and draws."""
    files = [*PACKAGE.rglob("*.py"), *DATA]
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def visit_figure(self, node: drawing_figure) -> None:
    caption = "<figcaption>\n" if node.children else ""
    self.body.append(f'<figure class="drawing">\n{node["svg"]}\n{caption}')


def depart_figure(self, node: drawing_figure) -> None:
    caption = "</figcaption>\n" if node.children else ""
    self.body.append(f"{caption}</figure>\n")


def skip_figure(self, node: drawing_figure) -> None:
    """Other writers print the caption only."""


def setup(app: Sphinx) -> dict:
    skip = (skip_figure, skip_figure)
    app.add_node(drawing_figure, html=(visit_figure, depart_figure), latex=skip, text=skip)
    app.add_directive("drawing", DrawingDirective)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
