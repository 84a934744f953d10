"""The residual stream of a row, block by block and layer by layer; and a run as a film strip."""

from collections.abc import Sequence
from dataclasses import dataclass

from induction_heads.figures.drawings.parts import (
    SMALL,
    WIDTH,
    Drawing,
    arrow,
    cells,
    drawing,
    head,
    token,
    words,
)

WEAKEST = 0.15
"""What is weaker is not drawn."""

BLOCKS = ("token", "position", "mark", "prediction")


@dataclass(frozen=True)
class Stage:
    """The stream at one depth: for each block, what each position holds there and how strongly.

    A strength runs from 0, nothing, to 1.
    """

    title: str
    blocks: dict[str, Sequence[tuple[str, float]]]


@dataclass(frozen=True)
class ScoreRow:
    """The attention weights of the last query in one head, one for each key."""

    title: str
    kind: str
    weights: Sequence[float]


def trace(stages: Sequence[Stage], scores: Sequence[ScoreRow], alt: str) -> Drawing:
    """Stages from top to bottom, and between two of them the weights of the head that writes."""
    count = len(next(iter(stages[0].blocks.values())))
    left, step = 84.0, (WIDTH - 90) / count
    parts, y = [], 10.0
    for index, stage in enumerate(stages):
        parts.append(words(2, y, stage.title, size=12, kind="strong"))
        y += 12
        for block in BLOCKS:
            parts.append(words(2, y + 11, block, size=SMALL))
            for place, (value, strength) in enumerate(stage.blocks[block]):
                x, shown = left + step * place, strength >= WEAKEST
                frame = f'x="{x + 1:.1f}" y="{y:g}" width="{step - 2:.1f}" height="22" rx="3"'
                parts.append(f'<rect class="block empty" {frame}/>')
                if shown:
                    opacity = min(strength, 1.0)
                    parts.append(
                        f'<rect class="block {block}" fill-opacity="{opacity:.2f}" {frame}/>'
                    )
                    colored = block in ("mark", "prediction") and strength > 0.7
                    kind = "on-mark" if colored else ""
                    parts.append(words(x + step / 2, y + 11, value, kind=kind, anchor="middle"))
            y += 25
        y += 8
        if index < len(scores):
            y = _score_row(parts, scores[index], y, left, step) + 12
    return drawing(parts, y, alt)


def _score_row(parts: list[str], row: ScoreRow, y: float, left: float, step: float) -> float:
    parts.append(words(2, y + 6, row.title, size=SMALL))
    y += 18
    parts.append(words(2, y + 9, "weights", size=SMALL))
    for place, weight in enumerate(row.weights):
        x = left + step * place
        parts.append(cells([[max(weight, 0.0)]], x + 1, y, 18, row.kind))
        parts.append(words(x + 23, y + 9, f"{weight:.1f}", size=SMALL))
    return y + 24


@dataclass(frozen=True)
class Frame:
    """One snapshot of training: its step and the pattern of a head."""

    step: int
    pattern: Sequence[Sequence[float]]


def film_strip(
    frames: Sequence[Frame],
    curve: Sequence[tuple[int, float]],
    alt: str,
    labels: tuple[str, str],
) -> Drawing:
    """Patterns of a head above the loss curve of (step, loss), each joined to its step."""
    count, gap = len(frames), 6.0
    side = (WIDTH - 2 - gap * (count - 1)) / count
    size = side / len(frames[0].pattern)
    top, curve_top, curve_high = 20.0, 44.0 + side + 26, 90.0
    highest, steps = max(loss for _, loss in curve), curve[-1][0]

    def place(step: int) -> tuple[float, float]:
        loss = min(curve, key=lambda point: abs(point[0] - step))[1]
        return 26 + (WIDTH - 32) * step / steps, curve_top + curve_high * (1 - loss / highest)

    parts = [words(0, 8, labels[0], size=SMALL)]
    for index, frame in enumerate(frames):
        x = 1 + index * (side + gap)
        parts.append(cells(frame.pattern, x, top, size, "induction", causal=True))
        at = place(frame.step)
        parts.append(
            f'<path class="line faint" d="M{x + side / 2:.1f} {top + side + 16:.1f}L{at[0]:.1f} '
            f'{at[1] - 3:.1f}"/>'
        )
        parts.append(
            words(x + side / 2, top + side + 9, str(frame.step), size=SMALL, anchor="middle")
        )
    points = " ".join("{:.1f},{:.1f}".format(*place(step)) for step, _ in curve)
    parts.append(f'<polyline class="curve" points="{points}"/>')
    bottom = curve_top + curve_high
    parts.append(f'<path class="line" d="M26 {curve_top:g}V{bottom:g}H{WIDTH - 6}"/>')
    for value in (0.0, float(int(highest))):
        y = curve_top + curve_high * (1 - value / highest)
        parts.append(words(20, y, f"{value:g}", size=SMALL, anchor="end"))
    parts.append(words(WIDTH - 6, bottom + 12, labels[1], size=SMALL, anchor="end"))
    return drawing(parts, bottom + 22, alt)


def ghost_graph(
    letters: tuple[str, str, str], flows: Sequence[tuple[str, float]], ghost: str, alt: str
) -> Drawing:
    """A kept attribution graph: what flows from the key, and the head that is missing.

    `letters` are the token before the key, the token at the key and the predicted token; `flows`
    has each head with its flow to the logit.
    """
    largest = max(abs(flow) for _, flow in flows)
    before, key, predicted = letters
    parts = [
        token(56, 150, before),
        token(140, 150, key),
        token(290, 8, predicted, kind="prediction"),
    ]
    spacing = 110.0
    for index, (name, flow) in enumerate(flows):
        x, y = 130 + spacing * index, 86.0
        weight = abs(flow) / largest
        parts.append(arrow((140, 149), (x, y + 18), "induction", weight=weight))
        parts.append(arrow((x, y - 18), (282, 38), "induction", weight=weight))
        parts.append(head(x, y, name, "induction"))
        parts.append(words(x + 21, y - 8, f"{flow:.1f}", size=SMALL))
    parts.append(head(56, 86, ghost, "previous ghost"))
    parts.append(arrow((56, 149), (56, 104), "previous ghost", weight=0.1))
    parts.append(words(4, 54, "not in the graph", size=SMALL))
    parts.append(words(4, 192, "token before the key, and key", size=SMALL))
    parts.append(words(268, 22, "logit of the right token", size=SMALL, anchor="end"))
    return drawing(parts, 202, alt)
