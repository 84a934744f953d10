"""Figures of patterns and scores. These functions only draw.

All but `head_grid` and `difference_heatmaps` draw on the given Axes. Color ranges are fixed, so
that figures can be compared: attention and scores always run from 0 to 1.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from induction_heads.figures.hover import hover_patterns

__all__ = [
    "attention_heatmap",
    "difference_heatmaps",
    "head_grid",
    "head_type_distribution",
    "hover_patterns",
    "layer_maximum",
    "loss_by_position",
    "score_heatmap",
    "stripe_heatmap",
]

TYPE_COLORS = {
    "previous_token": "#0072B2",
    "induction": "#D55E00",
    "duplicate_token": "#CC79A7",
    "first_token": "#009E73",
    "current_token": "#E69F00",
    "anti_induction": "#56B4E9",
    "induction_pattern_only": "#F0E442",
}
"""One color per type of head, from a palette for color-blind readers."""

_FUTURE = "#d9d9d9"


def attention_heatmap(
    ax: Axes,
    pattern: Float[Tensor, "query key"],
    labels: Sequence[str] | None = None,
    title: str | None = None,
) -> None:
    """One head's pattern: queries down, keys across, white is 0, dark is 1, the future is gray."""
    n_pos = pattern.shape[-1]
    future = np.triu(np.ones((n_pos, n_pos), dtype=bool), k=1)
    masked = np.ma.array(pattern.detach().float().numpy(), mask=future)
    image = ax.imshow(masked, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    ax.set_facecolor(_FUTURE)
    ax.set(xlabel="key", ylabel="query")
    if title:
        ax.set_title(title)
    if labels is not None:
        # A token such as "$$" is text, not the beginning of a formula.
        ax.set_xticks(range(n_pos), labels, rotation=90, parse_math=False)
        ax.set_yticks(range(n_pos), labels, parse_math=False)
    ax.figure.colorbar(image, ax=ax, fraction=0.046, label="attention")


def stripe_heatmap(
    ax: Axes,
    pattern: Float[Tensor, "query key"],
    period: int,
    labels: Sequence[str] | None = None,
    title: str | None = None,
) -> None:
    """The pattern with the induction stripe outlined: key = query − period + 1 in the last copy."""
    attention_heatmap(ax, pattern, labels, title)
    last = pattern.shape[-1] - 1
    first = last - period + 1
    key = first - period + 1
    end = last - period + 1
    top, bottom = first - 0.5, last + 0.5
    corners = [
        (key - 0.5, top),
        (key + 0.5, top),
        (end + 0.5, bottom - 1),
        (end + 0.5, bottom),
        (end - 0.5, bottom),
        (key - 0.5, top + 1),
    ]
    ax.add_patch(Polygon(corners, fill=False, edgecolor="#D55E00", linewidth=1.2))


def head_grid(
    patterns: Float[Tensor, "layer head query key"], labels: Sequence[str] | None = None
) -> Figure:
    """The patterns of all heads in a grid, a row per layer. The figure is already closed."""
    n_layers, n_heads = patterns.shape[:2]
    figure, axes = plt.subplots(
        n_layers,
        n_heads,
        figsize=(min(4.6, 1.6 * n_heads + 0.6), 1.6 * n_layers + 0.2),
        squeeze=False,
        sharex=True,
        sharey=True,
        layout="constrained",
    )
    for layer, row in enumerate(axes):
        for head, ax in enumerate(row):
            attention_heatmap(ax, patterns[layer, head], labels, f"L{layer}H{head}")
            ax.images[0].colorbar.remove()
            ax.label_outer()
    image = axes[0, 0].images[0]
    figure.colorbar(image, ax=axes, fraction=0.05, label="attention")
    plt.close(figure)
    return figure


def score_heatmap(ax: Axes, scores: Float[Tensor, "layer head"], title: str | None = None) -> None:
    """One number per head, 0 to 1: layers down, heads across, the value in each cell."""
    values = scores.detach().float().numpy()
    image = ax.imshow(values, cmap="viridis", vmin=0, vmax=1, aspect="auto")
    n_layers, n_heads = values.shape
    if values.size <= 64:
        for layer in range(n_layers):
            for head in range(n_heads):
                color = "white" if values[layer, head] < 0.6 else "black"
                ax.text(
                    head, layer, f"{values[layer, head]:.2f}", ha="center", va="center", color=color
                )
    ax.set(xlabel="head", ylabel="layer")
    if title:
        ax.set_title(title)
    if n_heads <= 16:
        ax.set_xticks(range(n_heads))
    if n_layers <= 24:
        ax.set_yticks(range(n_layers))
    ax.figure.colorbar(image, ax=ax, fraction=0.046, label="score")


def layer_maximum(ax: Axes, scores: Float[Tensor, "layer head"], label: str | None = None) -> None:
    """The highest score of each layer, as a line over the layers."""
    highest = scores.detach().float().amax(dim=1).numpy()
    ax.plot(range(len(highest)), highest, marker="o", label=label)
    ax.set(xlabel="layer", ylabel="highest score", ylim=(0, 1.02), xticks=range(len(highest)))
    if label:
        ax.legend(frameon=False)


def head_type_distribution(
    ax: Axes, types: Mapping[tuple[int, int], str], n_layers: int, n_heads: int
) -> None:
    """The number of heads of each type in each layer, as stacked bars; the rest have no type."""
    base = np.zeros(n_layers)
    for kind in sorted(set(types.values())):
        counts = np.zeros(n_layers)
        for (layer, _), name in types.items():
            counts[layer] += name == kind
        ax.bar(
            range(n_layers),
            counts,
            bottom=base,
            label=kind.replace("_", "-"),
            color=TYPE_COLORS.get(kind, "#999999"),
        )
        base += counts
    ax.bar(range(n_layers), n_heads - base, bottom=base, label="no type", color="#eeeeee")
    ax.set(xlabel="layer", ylabel="heads", xticks=range(n_layers), ylim=(0, n_heads))
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))


def difference_heatmaps(
    answer: Sequence[Sequence[float]],
    expected: Sequence[Sequence[float]],
    marked: Sequence[Sequence[bool]],
    title: str = "",
) -> Figure:
    """An answer beside the expected values, in the same colors, with a cross on each marked cell.

    Values that are not finite are gray. The figure is already closed.
    """
    tables = {"yours": np.array(answer, dtype=float), "expected": np.array(expected, dtype=float)}
    finite = np.concatenate([table[np.isfinite(table)] for table in tables.values()])
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    n_rows = max(len(table) for table in tables.values())
    height = 1.4 if n_rows == 1 else 2.6
    figure, axes = plt.subplots(1, 2, figsize=(5.2, height), layout="constrained")
    rows, columns = np.array(marked, dtype=bool).nonzero()
    size = max(1.4, min(6.0, 70 / max(n_rows, *(len(row) for row in answer))))  # points
    for ax, (name, table) in zip(axes, tables.items(), strict=True):
        masked = np.ma.masked_invalid(table)
        ax.imshow(masked, cmap="viridis", vmin=low, vmax=high, interpolation="nearest")
        ax.set_facecolor(_FUTURE)
        ax.set_title(name)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.yaxis.set_major_locator(MaxNLocator(integer=True))
        ax.scatter(columns, rows, marker="x", color="#d62728", s=min(40, size**2), lw=size / 5)
    figure.colorbar(axes[0].images[0], ax=axes, fraction=0.05)
    if title:
        figure.suptitle(title, fontsize="small")
    plt.close(figure)
    return figure


def loss_by_position(
    ax: Axes,
    losses: Float[Tensor, " pos"],
    period: int | None = None,
    label: str | None = None,
) -> None:
    """Loss in nats at each position; entry i of `losses` is the loss of the token at i + 1.

    With `period`, a dashed line marks where the last copy of a block begins.
    """
    n_pos = len(losses) + 1
    ax.plot(range(1, n_pos), losses.detach().float().numpy(), marker=".", label=label)
    if period is not None:
        ax.axvline(n_pos - period - 0.5, color="gray", linestyle="--", linewidth=1)
    ax.set(xlabel="position", ylabel="loss (nats)")
    ax.set_ylim(bottom=0)
    if label:
        ax.legend(frameon=False)
