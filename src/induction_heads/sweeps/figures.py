"""Figures of a sweep: formation steps, scores, effects of ablations."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from induction_heads.interp.formation import FORMED, ModelRecord, best, formation_step
from induction_heads.training.spec import SweptModel

BLUE, ORANGE, GREEN, GRAY = "#0072B2", "#D55E00", "#009E73", "#999999"
LAYER_COLORS = {1: GRAY, 2: BLUE, 3: GREEN}
SMEARED = ORANGE
MODEL_COLORS = {"1 layer": GRAY, "2 layers": BLUE, "3 layers": GREEN, "smeared keys": SMEARED}
"""Kind of model → color."""

Pairs = Sequence[tuple[SweptModel, ModelRecord]]


def color_of(model: SweptModel) -> str:
    """Orange for smeared keys; otherwise gray, blue, green for 1, 2, and 3 or more layers."""
    return SMEARED if model.smeared else LAYER_COLORS[min(model.n_layers, 3)]


def all_models(pairs: Pairs) -> Figure:
    """One row per model: its formation step, its highest scores, the effect of every head."""
    figure = Figure(figsize=(10, 2 + 0.17 * len(pairs)), layout="constrained")
    axes = figure.subplots(1, 3, sharey=True)
    _formation(axes[0], pairs)
    _scores(axes[1], pairs)
    _effects(axes[2], pairs)
    axes[0].set_yticks(range(len(pairs)), [v.name for v, _ in pairs], fontsize=7)
    axes[0].set_ylim(len(pairs) - 0.5, -0.5)
    for ax in axes:
        _lines_between_groups(ax, [variant.group for variant, _ in pairs])
        below = ax.transAxes + ScaledTranslation(0, -0.5, figure.dpi_scale_trans)
        ax.legend(
            frameon=False,
            fontsize=7,
            ncols=2,
            loc="upper center",
            bbox_to_anchor=(0.5, 0),
            bbox_transform=below,
            borderaxespad=0,
        )
    return figure


def _lines_between_groups(ax: Axes, groups: Sequence[str]) -> None:
    for row in range(1, len(groups)):
        if groups[row] != groups[row - 1]:
            ax.axhline(row - 0.5, color="#dddddd", linewidth=0.6, zorder=0)


def _formation(ax: Axes, pairs: Pairs) -> None:
    most = max([20, *(variant.steps for variant, _ in pairs)])
    never = 1.8 * most
    for row, (variant, record) in enumerate(pairs):
        step, color = formation_step(record), color_of(variant)
        if step is not None:
            ax.plot(max(step, 10), row, "o", color=color, markersize=4)
        elif record["status"] == "trained":
            ax.plot(never, row, "o", mfc="none", color=color, markersize=4)
        else:
            ax.plot(never, row, "x", color="black", markersize=4)
    for label, color in MODEL_COLORS.items():
        ax.plot([], [], "o", color=color, label=label)
    ax.axvline(1.25 * most, color="#dddddd", linewidth=0.8)
    ax.text(never, -0.6, "not", ha="center", va="bottom", fontsize=7)
    ax.set(xlabel="training step", xscale="log", xlim=(9, 2.6 * most))
    ax.set_title(f"First snapshot with\ninduction score ≥ {FORMED}", fontsize=9)


def _scores(ax: Axes, pairs: Pairs) -> None:
    for row, (_, record) in enumerate(pairs):
        if record["snapshots"]:
            last = record["snapshots"][-1]
            ax.plot(best(last["previous_token"]), row, "s", color=BLUE, mfc="none", markersize=4)
            ax.plot(best(last["induction"]), row, "o", color=ORANGE, markersize=4)
    ax.plot([], [], "s", color=BLUE, mfc="none", label="previous-token")
    ax.plot([], [], "o", color=ORANGE, label="induction")
    ax.axvline(FORMED, color="#dddddd", linewidth=0.8)
    ax.set(xlabel="score", xlim=(-0.03, 1.03))
    ax.set_title("Highest score of a head,\nlast snapshot", fontsize=9)


def _effects(ax: Axes, pairs: Pairs) -> None:
    for row, (_, record) in enumerate(pairs):
        if record["snapshots"]:
            last = record["snapshots"][-1]
            control, rises = np.ravel(last["control_rise"]), np.ravel(last["rise"])
            ax.plot(control, [row + 0.2] * len(control), "|", color=GRAY, markersize=5)
            ax.plot(rises, [row] * len(rises), "|", color=ORANGE, markersize=7)
    ax.plot([], [], "|", color=ORANGE, label="second copy")
    ax.plot([], [], "|", color=GRAY, label="control: no copy")
    ax.set(xlabel="rise of the loss (nats)")
    ax.set_title("Effect of ablating each head,\nlast snapshot", fontsize=9)


CURVES = {
    "loss": "loss on held-out data (nats)",
    "in_context_learning": "in-context-learning score (nats)",
    "induction": "highest induction score",
    "rise": "highest effect of a head (nats)",
}
"""Measure drawn over training → label of its axis."""


def over_training(pairs: Pairs) -> Figure:
    """Four curves of every model over the course of its training."""
    figure = Figure(figsize=(10, 6.5), layout="constrained")
    for ax, (name, label) in zip(
        figure.subplots(2, 2, sharex=True).flat, CURVES.items(), strict=True
    ):
        for variant, record in pairs:
            values = [
                s[name] if isinstance(s[name], float) else best(s[name])
                for s in record["snapshots"]
            ]
            progress = [s["step"] / variant.steps for s in record["snapshots"]]
            ax.plot(progress, values, color=color_of(variant), linewidth=0.8, alpha=0.7)
        ax.set_ylabel(label)
    for ax in figure.axes[2:]:
        ax.set_xlabel("share of the training steps")
    for label, color in MODEL_COLORS.items():
        figure.axes[0].plot([], [], color=color, label=label)
    figure.axes[0].legend(frameon=False, fontsize=8)
    return figure


def score_against_effect(pairs: Pairs) -> Figure:
    """The induction score of every head in every snapshot, against the effect of its ablation."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    panels = {"rise": "second copy", "control_rise": "control: no copy"}
    for ax, (name, title) in zip(figure.subplots(1, 2, sharey=True), panels.items(), strict=True):
        for layer, color in ((0, GRAY), (1, BLUE), (2, GREEN)):
            heads = [
                (score, effect)
                for _, record in pairs
                for s in record["snapshots"]
                if len(s["induction"]) > layer
                for score, effect in zip(s["induction"][layer], s[name][layer], strict=True)
            ]
            if heads:
                # Thousands of dots are smaller and faster as pixels than as vectors.
                ax.plot(
                    *zip(*heads, strict=True),
                    ".",
                    color=color,
                    markersize=2,
                    alpha=0.5,
                    rasterized=True,
                )
            ax.plot([], [], "o", color=color, label=f"heads of layer {layer}")
        ax.set(xlabel="induction score", xlim=(-0.03, 1.03), title=title)
    figure.axes[0].set_ylabel("rise of the loss (nats)")
    figure.axes[0].legend(frameon=False, fontsize=8)
    return figure
