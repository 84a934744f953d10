"""An attention pattern over training, with a slider that needs no kernel and no network."""

import html
import json
from collections.abc import Mapping, Sequence
from uuid import uuid4

from jaxtyping import Float
from torch import Tensor

from induction_heads.hover import HoverFigure

CELL = 12
"""Pixels of a cell of the pattern on the canvas, which the page may scale."""

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
) -> HoverFigure:
    """Return one head's pattern at several snapshots as a figure with a slider and a text table.

    All frames are in the figure: it moves on a static page, from disk and without a network. The
    line below the slider tells the facts of the frame, also to a screen reader.

    Args:
        patterns: attention weights in [0, 1], one pattern a frame.
        facts: what is known of each frame by name, in order, such as `{"step": 40, "loss": 3.1}`.
        period: with it, the induction stripe of the last copy is outlined.
        label: the name of the slider.
        alt: what the figure shows, in one sentence.
        caption: what the reader should take from it, printed below. Plain text.

    Raises:
        ValueError: if patterns are not square, if there is no frame, or if facts do not match the
            frames in number or differ in their names.
    """
    _require_frames(patterns, facts)
    n_frames, n_pos, _ = patterns.shape
    names = [f"{name} {_shown(value)}" for name, value in facts[0].items()]
    figure_id, said = f"frames-{uuid4().hex[:12]}", ", ".join(names)
    data = {
        "frames": [_hundredths(pattern) for pattern in patterns.tolist()],
        "facts": [", ".join(f"{name} {_shown(v)}" for name, v in fact.items()) for fact in facts],
        "n": n_pos, "cell": CELL, "stripe": _stripe(n_pos, period),
    }  # fmt: skip
    size = n_pos * CELL
    shown = html.escape(f"{caption} {AXES}" if caption else AXES)
    parts = [
        f'<figure class="pattern-frames" id="{figure_id}">',
        f'<canvas width="{size}" height="{size}" role="img" aria-label="{html.escape(alt)}"',
        ' style="max-width: 100%; border: 1px solid #999999;"></canvas>',
        f'<div><label for="{figure_id}-slider">{html.escape(label)}</label> ',
        f'<input type="range" id="{figure_id}-slider" min="0" max="{n_frames - 1}" value="0"',
        f' step="1" aria-valuetext="{html.escape(said)}" style="width: 60%; max-width: 22rem;">',
        "</div>",
        f'<output for="{figure_id}-slider" aria-live="polite">{html.escape(said)}</output>',
        f"<figcaption>{shown}</figcaption>",
        _text_table(facts),
        "</figure>",
        f"<script>{_SCRIPT}({json.dumps(figure_id)},{_json(data)});</script>",
    ]
    return HoverFigure("".join(parts))


def _require_frames(patterns: Tensor, facts: Sequence[Mapping[str, float]]) -> None:
    if patterns.ndim != 3 or not len(patterns) or patterns.shape[1] != patterns.shape[2]:
        raise ValueError(
            f"patterns has shape {tuple(patterns.shape)}; expected [frame query key] with one "
            "frame or more and as many queries as keys."
        )
    if len(facts) != len(patterns):
        raise ValueError(
            f"{len(facts)} facts arrived for {len(patterns)} frames. Pass one mapping a frame."
        )
    if any(list(fact) != list(facts[0]) for fact in facts):
        raise ValueError("All frames need facts of the same names, in the same order.")


def _shown(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.2f}"


def _hundredths(pattern: list[list[float]]) -> list[int]:
    """The weights that a query may give, row after row, in hundredths: 0 to 100."""
    return [round(100 * weight) for query, row in enumerate(pattern) for weight in row[: query + 1]]


def _stripe(n_pos: int, period: int | None) -> list[list[int]]:
    """[query, key] of the cells of the induction stripe of the last copy."""
    if period is None:
        return []
    if not 1 <= period <= n_pos // 2:
        raise ValueError(f"period={period} does not fit twice in {n_pos} positions.")
    return [[query, query - period + 1] for query in range(n_pos - period, n_pos)]


def _text_table(facts: Sequence[Mapping[str, float]]) -> str:
    """The facts of all frames, as a folded HTML table."""
    header = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in facts[0])
    rows = "".join(
        f"<tr>{''.join(f'<td>{_shown(value)}</td>' for value in fact.values())}</tr>"
        for fact in facts
    )
    return (
        "<details><summary>The same figure as text: a row for each frame</summary>"
        f'<div style="overflow-x: auto;"><table><thead><tr>{header}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></details>"
    )


def _json(data: dict[str, object]) -> str:
    # "</" would end the script element early if a fact's name held "</script>".
    return json.dumps(data, separators=(",", ":")).replace("</", "<\\/")


_SCRIPT = """(function (id, data) {
  const figure = document.getElementById(id), canvas = figure.querySelector("canvas");
  const slider = figure.querySelector("input"), said = figure.querySelector("output");
  const pen = canvas.getContext("2d"), cell = data.cell;
  function shade(weight) {
    const part = weight / 100, mix = (end) => Math.round(255 + (end - 255) * part);
    return "rgb(" + mix(8) + "," + mix(48) + "," + mix(107) + ")";
  }
  function draw() {
    const frame = data.frames[slider.value];
    pen.fillStyle = "#d9d9d9";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    let place = 0;
    for (let query = 0; query < data.n; query++)
      for (let key = 0; key <= query; key++) {
        pen.fillStyle = shade(frame[place++]);
        pen.fillRect(key * cell, query * cell, cell, cell);
      }
    pen.strokeStyle = "STRIPE";
    for (const [query, key] of data.stripe)
      pen.strokeRect(key * cell + 0.5, query * cell + 0.5, cell - 1, cell - 1);
    said.textContent = data.facts[slider.value];
    slider.setAttribute("aria-valuetext", data.facts[slider.value]);
  }
  slider.addEventListener("input", draw);
  draw();
})""".replace("STRIPE", STRIPE)
