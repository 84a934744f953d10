"""An attribution graph as a drawing, and in words for readers who cannot see it."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from induction_heads.interp.attribution_graph import Edge, Node

POSITIVE, NEGATIVE = "#0072B2", "#D55E00"
ROWS = {"in": 0.0, "L0": 1.0, "L1": 2.0, "logit": 3.0}
HEIGHTS = ("input", "layer 0", "layer 1", "logit")


def draw_graph(ax: Axes, flows: Mapping[Edge, float], labels: Sequence[str]) -> None:
    """Draw edges whose width is |flow|: blue raises the logit, orange lowers it.

    Positions run to the right, with `labels` below them; the logit is at the top. Heads at the same
    position are side by side. Pass only the edges to draw.
    """
    widest = max(map(abs, flows.values()))
    points = {node: _point(node) for edge in flows for node in edge}
    for (sender, receiver), flow in sorted(flows.items(), key=lambda item: abs(item[1])):
        (x, y), (to_x, to_y) = points[sender], points[receiver]
        color = POSITIVE if flow > 0 else NEGATIVE
        ax.plot([x, to_x], [y, to_y], color=color, linewidth=0.8 + 3.2 * abs(flow) / widest)
        ax.text(
            (x + to_x) / 2,
            (y + to_y) / 2,
            f"{flow:.1f}",
            fontsize=6,
            ha="center",
            va="center",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )
    for node, (x, y) in points.items():
        if node[0] != "in":
            ax.text(
                x,
                y,
                node[0],
                fontsize=7,
                ha="center",
                va="center",
                bbox={
                    "facecolor": "white",
                    "edgecolor": "black",
                    "linewidth": 0.6,
                    "boxstyle": "round,pad=0.2",
                },
            )
    ax.set_yticks(range(4), HEIGHTS)
    ax.set_xticks(range(len(labels)), labels, parse_math=False)  # Tokens may hold a $.
    ax.set(xlim=(-0.6, len(labels) + 0.4), ylim=(-0.2, 3.25), xlabel="token")
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.tick_params(length=0)


def _point(node: Node) -> tuple[float, float]:
    """The point where a node is drawn. Heads of one layer are on both sides of their position."""
    kind, position = node
    if kind in ("in", "logit"):
        return float(position), ROWS[kind]
    return position + 1.1 * (int(kind[3:]) - 0.5), ROWS[kind[:2]]


def describe_graph(flows: Mapping[Edge, float], labels: Sequence[str]) -> str:
    """The edges in words, largest first: "L1H0 to the logit 4.0; …"."""

    def name(node: Node) -> str:
        kind, position = node
        if kind == "logit":
            return "the logit"
        at = f"position {position} (token {labels[position]})"
        return f"the input at {at}" if kind == "in" else f"{kind} at {at}"

    largest = sorted(flows.items(), key=lambda item: -abs(item[1]))
    return "; ".join(f"{name(a)} to {name(b)} {flow:.1f}" for (a, b), flow in largest) + "."
