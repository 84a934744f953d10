"""An attention pattern over training, with a slider that needs no kernel and no network."""

from collections.abc import Mapping, Sequence
from uuid import uuid4

from jaxtyping import Float
from torch import Tensor

from induction_heads.figures.markup import HtmlFigure, function_source, rendered

CELL = 12
"""Pixels per cell of the pattern on the canvas. The page may scale the canvas."""

STRIPE = "#D55E00"
AXES = "Rows are queries, columns are keys; white is 0, dark blue is 1. Move with the arrow keys."


def pattern_frames(
    patterns: Float[Tensor, "frame query key"],
    facts: Sequence[Mapping[str, float]],
    *,
    period: int | None = None,
    label: str = "Snapshot",
    alt: str = "An attention pattern over training",
    caption: str | None = None,
) -> HtmlFigure:
    """One head's pattern at several snapshots as a figure with a slider and a text table.

    The figure holds all frames, so the slider also works on a static page, from disk and offline.
    The line below the slider gives the facts of the current frame, also to a screen reader.

    Args:
        patterns: attention weights in [0, 1], one pattern per frame.
        facts: named numbers for each frame, in order, such as `{"step": 40, "loss": 3.1}`.
        period: if set, the induction stripe of the last copy is outlined.
        label: the name of the slider.
        alt: alternative text, one sentence.
        caption: the finding, shown below the figure. Plain text.

    Raises:
        ValueError: if the patterns are not square, there is no frame, the number of facts differs
            from the number of frames, or the facts have different names.
    """
    _require_frames(patterns, facts)
    n_pos = patterns.shape[1]
    rows = [[_formatted(value) for value in of_frame.values()] for of_frame in facts]
    html = rendered(
        "figures/templates/pattern_frames.html.j2",
        id=f"frames-{uuid4().hex[:12]}",
        size=n_pos * CELL,
        alt=alt,
        label=label,
        caption=f"{caption} {AXES}" if caption else AXES,
        names=list(facts[0]),
        rows=rows,
        draw=function_source("figures/pattern_frames.js"),
        data={
            "frames": [_hundredths(pattern) for pattern in patterns.tolist()],
            "facts": [
                ", ".join(f"{name} {value}" for name, value in zip(facts[0], row, strict=True))
                for row in rows
            ],
            "nPos": n_pos,
            "cell": CELL,
            "stripe": _stripe(n_pos, period),
            "stripeColor": STRIPE,
        },
    )
    return HtmlFigure(html)


def _require_frames(patterns: Tensor, facts: Sequence[Mapping[str, float]]) -> None:
    if patterns.ndim != 3 or not len(patterns) or patterns.shape[1] != patterns.shape[2]:
        raise ValueError(
            f"patterns has shape {tuple(patterns.shape)}; expected [frame query key] with at "
            "least one frame and as many queries as keys."
        )
    if len(facts) != len(patterns):
        raise ValueError(
            f"Got {len(facts)} facts for {len(patterns)} frames. Pass one mapping per frame."
        )
    if any(list(fact) != list(facts[0]) for fact in facts):
        raise ValueError("The facts of all frames must have the same names, in the same order.")


def _formatted(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.2f}"


def _hundredths(pattern: list[list[float]]) -> list[int]:
    """The weights on and below the diagonal, row by row, in hundredths: 0 to 100."""
    return [round(100 * weight) for query, row in enumerate(pattern) for weight in row[: query + 1]]


def _stripe(n_pos: int, period: int | None) -> list[list[int]]:
    """[query, key] of each cell of the induction stripe of the last copy."""
    if period is None:
        return []
    if not 1 <= period <= n_pos // 2:
        raise ValueError(
            f"period={period} does not fit twice in {n_pos} positions. Pass the length of one copy."
        )
    return [[query, query - period + 1] for query in range(n_pos - period, n_pos)]
