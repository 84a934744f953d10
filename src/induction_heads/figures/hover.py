"""Interactive attention patterns, drawn by CircuitsVis without network access."""

import importlib.util
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from uuid import uuid4

from jaxtyping import Float
from torch import Tensor

from induction_heads.figures.markup import (
    BOOK_VARIABLE,
    HtmlFigure,
    function_source,
    rendered,
)

DECIMALS = 3
# CircuitsVis labels its axes with names that this course does not use.
AXES = "Rows (destination) are queries, columns (source) are keys."


def hover_patterns(
    patterns: Float[Tensor, "head query key"],
    labels: Sequence[str],
    head_names: Sequence[str] | None = None,
    alt: str = "Attention patterns",
    caption: str | None = None,
) -> HtmlFigure:
    """The patterns of several heads as an interactive figure, with a text table.

    Row `query` of a pattern shows where the token at that position attends; weights are in
    [0, 1] and rounded to 3 decimals. For readers who cannot see the picture, the table below it
    gives the key with the largest weight for each query and head.

    Args:
        patterns: attention weights, one pattern per head, all on the same tokens.
        labels: the text of each position, in order. Repeated labels are allowed.
        head_names: one name per head, such as "L1H0". Default: "Head 0", "Head 1", …
        alt: alternative text, one sentence.
        caption: the finding, shown below the figure. Plain text.

    Raises:
        ValueError: if the patterns are not square, or the number of labels or names does not match.

    The figure is drawn by `AttentionHeads` of CircuitsVis (Cooney and Nanda, 2023), with the script
    from the installed package.
    """
    names = _names(patterns, labels, head_names)
    texts = [str(label) for label in labels]
    weights = [[_rounded(row) for row in pattern] for pattern in patterns.tolist()]
    html = rendered(
        "figures/templates/hover_patterns.html.j2",
        id=f"hover-{uuid4().hex[:12]}",
        alt=alt,
        caption=f"{caption} {AXES}" if caption else AXES,
        names=names,
        rows=[
            (
                f"{query} {text}",
                [_strongest_key(pattern[query], query, texts) for pattern in weights],
            )
            for query, text in enumerate(texts)
        ],
        draw=function_source("figures/hover_patterns.js"),
        properties={
            "attention": weights,
            "tokens": texts,
            "attentionHeadNames": names,
            "minValue": 0,
            "maxValue": 1,
            "maskUpperTri": True,
        },
        # A notebook may show each output in its own frame, so each output carries the library.
        library=None if os.environ.get(BOOK_VARIABLE) else _library(),
    )
    return HtmlFigure(html)


def _names(patterns: Tensor, labels: Sequence[str], head_names: Sequence[str] | None) -> list[str]:
    """One name per head. Raises ValueError if the sizes do not match."""
    if patterns.ndim != 3 or patterns.shape[1] != patterns.shape[2]:
        raise ValueError(
            f"patterns has shape {tuple(patterns.shape)}; expected [head query key] with as many "
            "queries as keys. Pass patterns[layer, batch], one layer of one prompt."
        )
    n_heads, n_pos, _ = patterns.shape
    if len(labels) != n_pos:
        raise ValueError(
            f"Got {len(labels)} labels for {n_pos} positions. "
            "Pass one label per position, including BOS if the tokens start with it."
        )
    names = [f"Head {head}" for head in range(n_heads)] if head_names is None else head_names
    if len(names) != n_heads:
        raise ValueError(
            f"Got {len(names)} head names for {n_heads} heads. Pass one name per head."
        )
    return [str(name) for name in names]


def _rounded(row: list[float]) -> list[float | int]:
    """Weights to 3 decimals, integers without a decimal point: half the size of full precision."""
    rounded = [round(weight, DECIMALS) for weight in row]
    return [int(weight) if weight == int(weight) else weight for weight in rounded]


def _strongest_key(weights: list[float | int], query: int, labels: list[str]) -> str:
    """The key with the largest weight, with its label and weight: "2 C (0.91)"."""
    key = max(range(query + 1), key=weights.__getitem__)
    return f"{key} {labels[key]} ({weights[key]:.2f})"


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
    code = [line for line in lines if not line.startswith("//# sourceMappingURL")]
    return "\n".join([*code, "return CircuitsVis;"])
