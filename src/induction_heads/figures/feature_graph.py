"""A graph of features as a drawing in rows, and in words for readers who cannot see it."""

import math
from collections.abc import Iterable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from induction_heads.figures.graph import NEGATIVE, POSITIVE
from induction_heads.interp.attribution_graph import Edge, Node

REASON = "#6A3D9A"
WIDTH, BOX = 7.0, (0.4, 0.22)
"""Units across the drawing, and half the width and height of a node; rows are 1 apart."""

Point = tuple[float, float]


def draw_feature_graph(
    ax: Axes, flows: Mapping[Edge, float], reasons: Mapping[Edge, float], labels: Sequence[str]
) -> None:
    """Draw flows as lines as wide as they are large: blue raises the logit, orange lowers it.

    From the bottom: inputs, what layer 0 wrote, the heads of layer 1, the features of its MLP, the
    logit. Error nodes are dashed. In a row, nodes are in order of their positions, which `labels`
    name. `reasons` are dotted, with their numbers: why a head looks there, not what it moves. Pass
    only the edges to draw.
    """
    places = _places([*flows, *reasons])
    widest = max(map(abs, flows.values()))
    for (sender, receiver), flow in sorted(flows.items(), key=lambda item: abs(item[1])):
        start, end = places[sender], places[receiver]
        others = [place for node, place in places.items() if node not in (sender, receiver)]
        curve = Path([start, _bend(start, end, others), end], [1, 3, 3])
        color, width = POSITIVE if flow > 0 else NEGATIVE, 0.7 + 5.3 * abs(flow) / widest
        line = PathPatch(curve, edgecolor=color, facecolor="none", linewidth=width, alpha=0.75)
        ax.add_patch(line)
    for (sender, receiver), value in reasons.items():
        (x, y), (to_x, to_y) = places[sender], places[receiver]
        ax.plot([x, to_x], [y, to_y], ":", color=REASON, linewidth=1.6)
        middle, box = (0.6 * x + 0.4 * to_x, 0.6 * y + 0.4 * to_y), {"facecolor": "white"}
        box |= {"edgecolor": "none", "pad": 0.3}
        ax.text(*middle, f"{value:+.1f}", color=REASON, ha="center", va="center", bbox=box)
    for node, place in places.items():
        is_error = node[0].startswith("error")
        box = {"facecolor": "#DDDDDD" if is_error else "white", "linewidth": 0.8}
        box |= {"linestyle": "--" if is_error else "-", "boxstyle": "round,pad=0.25"}
        shown = _shown(node, labels)  # Tokens may hold a $.
        ax.text(*place, shown, ha="center", va="center", bbox=box, parse_math=False)
    top = max(y for _, y in places.values())
    ax.set(xlim=(0, WIDTH), ylim=(-0.3, top + 0.3))
    ax.axis("off")


def _places(edges: Iterable[Edge]) -> dict[Node, Point]:
    """The middle of each node: rows from the bottom up, and each row spread over the width."""
    nodes = {node for edge in edges for node in edge}
    rows: dict[int, list[Node]] = {}
    for node in sorted(nodes, key=lambda node: (node[1], node[0].startswith("error"), node[0])):
        rows.setdefault(_row(node[0]), []).append(node)
    return {
        node: (WIDTH * (index + 0.5) / len(row), float(height))
        for height, row in rows.items()
        for index, node in enumerate(row)
    }


def _row(name: str) -> int:
    if name in ("in", "logit"):
        return 0 if name == "in" else 4
    if name.startswith("L1"):
        return 2
    return 3 if name.startswith(("F1", "error 1")) else 1


def _bend(start: Point, end: Point, others: Sequence[Point]) -> Point:
    """Where to pull a curve so that it passes no other node, by as little as possible."""
    (x, y), (to_x, to_y) = start, end
    steps = [step / 20 for step in range(1, 20)]

    def passes(pull: Point) -> int:
        points = (
            (
                (x + pull[0] * 2 * t * (1 - t) + (to_x - x) * t),
                y + pull[1] * 2 * t * (1 - t) + (to_y - y) * t,
            )
            for t in steps
        )
        return sum(
            abs(px - ox) < BOX[0] and abs(py - oy) < BOX[1]
            for px, py in points
            for ox, oy in others
        )

    sizes = [0.25 * size for size in range(-12, 13)]
    pulls = [(dx, dy) for dx in sizes for dy in (-0.7, -0.35, 0.0, 0.35, 0.7)]
    dx, dy = min(pulls, key=lambda pull: (passes(pull), math.hypot(*pull)))
    return (x + to_x) / 2 + dx, (y + to_y) / 2 + dy


def _shown(node: Node, labels: Sequence[str]) -> str:
    name, position = node
    where = f"{labels[position]} ({position})"
    if name == "in":
        return where
    return name if name == "logit" or name.startswith("L1") else f"{name}\n{where}"


def describe_feature_graph(
    flows: Mapping[Edge, float], reasons: Mapping[Edge, float], labels: Sequence[str]
) -> str:
    """The edges in words, largest first: "F1:25 at x5 (15) to logit 0.32; …"."""

    def name(node: Node) -> str:
        return "input " * (node[0] == "in") + _shown(node, labels).replace("\n", " at ")

    def listed(edges: Mapping[Edge, float]) -> str:
        largest = sorted(edges.items(), key=lambda item: -abs(item[1]))
        return "; ".join(f"{name(a)} to {name(b)} {value:.2f}" for (a, b), value in largest)

    return f"{listed(flows)}. Why the heads look there: {listed(reasons)}."
