"""The parts of a drawing: token, mark, head, arrow, cut, cells.

Every part is a piece of SVG without colors. The page's style sheet gives them by class: what a
previous-token head does is `previous`, what an induction head does `induction`, and the rest has
the color of the text, so a drawing follows a light or a dark page. A unit is a pixel on a phone.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 352
"""Units across a drawing: the text column of a phone, in pixels."""

TOKEN = (30.0, 28.0)
"""Width and height of a token."""

SMALL = 11
"""The smallest text, in units."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Drawing:
    """SVG and what it shows in words."""

    svg: str
    alt: str


def drawing(parts: Iterable[str], height: float, alt: str, width: float = WIDTH) -> Drawing:
    """Parts on a sheet of `width` × `height` units.

    >>> drawing([words(0, 10, "hello")], 20, "A word.").svg[:31]
    '<svg viewBox="0 0 352 20" role='
    """
    name = escape(alt, quote=True)
    body = "\n".join(parts)
    svg = f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{name}">\n{body}\n</svg>'
    return Drawing(svg, alt)


def words(
    x: float, y: float, text: str, *, kind: str = "", size: float = 13, anchor: str = "start"
) -> str:
    """Text whose middle line is at `y`; `anchor` is "start", "middle" or "end"."""
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" text-anchor="{anchor}" '
        f'class="{kind}">{escape(text)}</text>'
    )


def token(x: float, y: float, letter: str, *, mark: str | None = None, kind: str = "") -> str:
    """A token whose top middle is at (x, y), and below it its mark: the token before, if known."""
    width, height = TOKEN
    left = x - width / 2
    parts = [
        f'<rect class="token {kind}" x="{left:g}" y="{y:g}" width="{width:g}" '
        f'height="{height:g}" rx="4"/>',
        words(x, y + height / 2, letter, size=15, anchor="middle"),
    ]
    if mark is not None:
        top = y + height
        parts += [
            f'<rect class="mark" x="{left:g}" y="{top:g}" width="{width:g}" height="22" rx="4"/>',
            words(x, top + 11, mark, kind="on-mark", anchor="middle"),
        ]
    return "".join(parts)


def head(x: float, y: float, name: str, kind: str, *, radius: float = 17) -> str:
    """A head with its name, centered at (x, y)."""
    return (
        f'<circle class="head {kind}" cx="{x:g}" cy="{y:g}" r="{radius:g}"/>'
        f"{words(x, y, name, size=SMALL, anchor='middle', kind='on-head')}"
    )


def arrow(
    start: Point,
    end: Point,
    kind: str = "",
    *,
    weight: float = 1.0,
    bend: Point = (0.0, 0.0),
    cut: bool = False,
) -> str:
    """An arrow as wide as its weight (0 to 1), bent by `bend`; a cut one is crossed out.

    Information flows along it: an arrow of attention leads from the key to the query.
    """
    (x, y), (to_x, to_y) = start, end
    mid_x, mid_y = (x + to_x) / 2 + bend[0], (y + to_y) / 2 + bend[1]
    angle = math.atan2(to_y - mid_y, to_x - mid_x)
    width = 1 + 2.5 * weight
    size = 4 + width
    # The line ends inside the head, so that its square end does not show.
    tip_x, tip_y = to_x - size * math.cos(angle), to_y - size * math.sin(angle)
    sides = [
        f"{tip_x + side * size * 0.6 * math.sin(angle):.1f} "
        f"{tip_y - side * size * 0.6 * math.cos(angle):.1f}"
        for side in (1, -1)
    ]
    status = f"arrow {kind} cut" if cut else f"arrow {kind}"
    parts = [
        f'<g class="{status}">'
        f'<path d="M{x:.1f} {y:.1f}Q{mid_x:.1f} {mid_y:.1f} {tip_x:.1f} {tip_y:.1f}" '
        f'stroke-width="{width:.1f}"/>'
        f'<polygon points="{sides[0]} {sides[1]} {to_x:.1f} {to_y:.1f}"/>'
    ]
    if cut:
        # The middle of the curve, not of its control point.
        cross_x, cross_y = (x + 2 * mid_x + to_x) / 4, (y + 2 * mid_y + to_y) / 4
        parts.append(cross(cross_x, cross_y))
    return "".join([*parts, "</g>"])


def cross(x: float, y: float, size: float = 6) -> str:
    """The mark of a cut."""
    return (
        f'<path class="cross" d="M{x - size:.1f} {y - size:.1f}L{x + size:.1f} {y + size:.1f}'
        f'M{x - size:.1f} {y + size:.1f}L{x + size:.1f} {y - size:.1f}"/>'
    )


def dot(x: float, y: float, kind: str = "") -> str:
    """A point; a `hollow` one is only outlined."""
    return f'<circle class="dot {kind}" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>'


def line(start: Point, end: Point, kind: str = "", *, weight: float = 0.2) -> str:
    """A straight line without a head."""
    (x, y), (to_x, to_y) = start, end
    return (
        f'<path class="line {kind}" d="M{x:.1f} {y:.1f}L{to_x:.1f} {to_y:.1f}" '
        f'stroke-width="{1 + 2.5 * weight:.1f}"/>'
    )


def cells(
    table: Sequence[Sequence[float]],
    x: float,
    y: float,
    size: float,
    kind: str = "",
    *,
    causal: bool = False,
) -> str:
    """A table of numbers from 0 to 1 as squares: the larger, the darker. (x, y) is its corner."""
    rows, columns = len(table), len(table[0])
    parts = [
        f'<rect class="frame" x="{x:g}" y="{y:g}" width="{columns * size:g}" '
        f'height="{rows * size:g}"/>'
    ]
    for i, row in enumerate(table):
        for j, value in enumerate(row):
            if value >= 0.02 and not (causal and j > i):
                parts.append(
                    f'<rect class="cell {kind}" x="{x + j * size:g}" y="{y + i * size:g}" '
                    f'width="{size:g}" height="{size:g}" fill-opacity="{min(value, 1):.2f}"/>'
                )
    return "".join(parts)
