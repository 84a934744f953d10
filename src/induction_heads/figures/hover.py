"""Attention patterns to hover over, drawn by CircuitsVis without any network access."""

import html
import importlib.util
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from uuid import uuid4

from jaxtyping import Float
from torch import Tensor

# Set while the site is built: its pages load the CircuitsVis script themselves, once each.
BOOK_VARIABLE = "INDUCTION_HEADS_BOOK"
DECIMALS = 3
# CircuitsVis labels its axes itself, with names that this course does not use.
AXES = "Rows (destination) are queries, columns (source) are keys."


@dataclass(frozen=True)
class HoverFigure:
    """A figure that a notebook or a web page displays; `html` holds all of it."""

    html: str

    def _repr_html_(self) -> str:
        return self.html


def hover_patterns(
    patterns: Float[Tensor, "head query key"],
    labels: Sequence[str],
    head_names: Sequence[str] | None = None,
    alt: str = "Attention patterns",
    caption: str | None = None,
) -> HoverFigure:
    """Return the patterns of several heads as a figure to hover over, with a text table.

    Row `query` of a pattern shows where the token at that position looks; weights are in
    [0, 1] and rounded to 3 decimals. The table below the figure gives, for each query and head,
    the key with the largest weight, for readers who do not see the picture.

    Args:
        patterns: attention weights, one pattern a head; all heads share the tokens.
        labels: the text of each position, in order. Repeated labels are allowed.
        head_names: one name a head, such as "L1H0". Default: "Head 0", "Head 1", …
        alt: what the figure shows, in one sentence.
        caption: what the reader should take from it, printed below. Plain text.

    Raises:
        ValueError: if patterns are not square, or labels or names do not match them in number.

    The drawing is CircuitsVis' `AttentionHeads` (Cooney and Nanda, 2023), from the copy of its
    script inside the installed package.
    """
    names = _names(patterns, labels, head_names)
    weights = [[_rounded(row) for row in pattern] for pattern in patterns.tolist()]
    properties = {
        "attention": weights,
        "tokens": [str(label) for label in labels],
        "attentionHeadNames": names,
        "minValue": 0,
        "maxValue": 1,
        "maskUpperTri": True,
    }
    figure_id = f"hover-{uuid4().hex[:12]}"
    parts = [
        '<figure class="hover-figure">',
        # The drawing says nothing to a screen reader, so its parts are hidden from one.
        f'<div role="img" aria-label="{html.escape(alt)}">',
        f'<div class="hover-patterns" id="{figure_id}" aria-hidden="true"',
        ' style="overflow-x: auto;"></div></div>',
        f"<figcaption>{html.escape(f'{caption} {AXES}' if caption else AXES)}</figcaption>",
        _text_table(weights, [str(label) for label in labels], names),
        "</figure>",
        _script(figure_id, properties),
    ]
    return HoverFigure("".join(parts))


def _names(patterns: Tensor, labels: Sequence[str], head_names: Sequence[str] | None) -> list[str]:
    """Check the sizes against each other and return one name a head."""
    if patterns.ndim != 3 or patterns.shape[1] != patterns.shape[2]:
        raise ValueError(
            f"patterns has shape {tuple(patterns.shape)}; expected [head query key] with as many "
            "queries as keys. Pass patterns[layer, batch], one layer of one prompt."
        )
    n_heads, n_pos, _ = patterns.shape
    if len(labels) != n_pos:
        raise ValueError(
            f"{len(labels)} labels arrived for {n_pos} positions. "
            "Pass one label a position, with the label of BOS if the tokens start with it."
        )
    names = [f"Head {head}" for head in range(n_heads)] if head_names is None else head_names
    if len(names) != n_heads:
        raise ValueError(
            f"{len(names)} head names arrived for {n_heads} heads. Pass one name a head."
        )
    return [str(name) for name in names]


def _rounded(row: list[float]) -> list[float | int]:
    """Weights to 3 decimals, whole numbers without a point: half the size of the raw figure."""
    rounded = [round(weight, DECIMALS) for weight in row]
    return [int(weight) if weight == int(weight) else weight for weight in rounded]


def _text_table(weights: list[list[list[float | int]]], labels: list[str], names: list[str]) -> str:
    """The strongest key of each query and head, as a folded HTML table."""
    header = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in names)
    rows = []
    for query, label in enumerate(labels):
        cells = []
        for pattern in weights:
            key = max(range(query + 1), key=pattern[query].__getitem__)
            cells.append(f"<td>{key} {html.escape(labels[key])} ({pattern[query][key]:.2f})</td>")
        rows.append(f'<tr><th scope="row">{query} {html.escape(label)}</th>{"".join(cells)}</tr>')
    return (
        "<details><summary>The same figure as text: the key with the largest weight</summary>"
        '<div style="overflow-x: auto;"><table>'
        f'<thead><tr><th scope="col">query</th>{header}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div></details>"
    )


def _script(figure_id: str, properties: dict[str, object]) -> str:
    """The script that draws the figure, with the library before it unless the page has it."""
    # "</" would end the script element early if a token held "</script>".
    data = json.dumps(properties, separators=(",", ":")).replace("</", "<\\/")
    draw = f'CircuitsVis.render("{figure_id}",CircuitsVis.AttentionHeads,{data});'
    if os.environ.get(BOOK_VARIABLE):
        # The page's own copy arrives after the text, so that nobody waits for it.
        return f'<script>addEventListener("DOMContentLoaded",()=>{{{draw}}});</script>'
    # A notebook may show each output in a frame of its own, so each output carries the library;
    # a page that has it already does not run it again.
    library = json.dumps(_library()).replace("</", "<\\/")
    load = f"if(!window.CircuitsVis){{window.CircuitsVis=new Function({library})();}}"
    return f"<script>{load}{draw}</script>"


@cache
def _library() -> str:
    """The source of the CircuitsVis script, ending in a statement that returns the library."""
    spec = importlib.util.find_spec("circuitsvis")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            "Hover figures need circuitsvis, which is not installed. Run `pip install circuitsvis`."
        )
    source = Path(spec.origin).parent / "dist" / "cdn" / "iife.js"
    lines = source.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith("//# sourceMappingURL")]
    return "\n".join([*kept, "return CircuitsVis;"])
