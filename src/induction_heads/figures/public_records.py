"""Figures of records of public models: what was measured here, beside what others reported."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from induction_heads.interp.reference import heads_of_kind, reported_findings

Record = Mapping[str, Any]


def drawings(records: Sequence[Record]) -> list[Figure]:
    """The maps of single models, and a curve for each model with two or more checkpoints."""
    curves = checkpoints(records)
    single = _single(records)
    figures = [induction_maps(single)] if single else []
    for name, steps in curves.items():
        figure, ax = plt.subplots(figsize=(4.8, 2.8), layout="constrained")
        formation_curves(ax, steps)
        ax.set_title(name)
        figures.append(figure)
    for figure in figures:
        plt.close(figure)  # Shown once, by who asked for them.
    return figures


def comparisons(records: Sequence[Record]) -> list[str]:
    """`comparison_lines` of every record that is not one of several checkpoints."""
    return [line for record in _single(records) for line in comparison_lines(record)]


def _single(records: Sequence[Record]) -> list[Record]:
    curves = checkpoints(records)
    return [record for record in records if record["model"].partition("@")[0] not in curves]


def induction_maps(records: Sequence[Record]) -> Figure:
    """The induction score of every head of each record; heads that others reported are outlined."""
    size = (3.2 * len(records) + 0.8, 3.2)
    figure, axes = plt.subplots(1, len(records), figsize=size, layout="constrained", squeeze=False)
    for ax, record in zip(axes[0], records, strict=True):
        image = _induction_map(ax, record)
    figure.colorbar(image, ax=axes, label="attention to matches")
    return figure


def _induction_map(ax: Axes, record: Record) -> Any:
    sizes = record["sizes"]
    scores = np.full((sizes["n_layers"], sizes["n_heads"]), np.nan)
    for head in record["heads"]:
        scores[head["layer"], head["head"]] = head["score"]["induction"]
    image = ax.imshow(scores, cmap="viridis", vmin=0, vmax=1, aspect="auto")
    for finding in reported_findings(record["model"]):
        for name in finding["heads"] if finding["kind"] == "induction" else ():
            layer, head = map(int, name[1:].split("H"))
            corner = (head - 0.5, layer - 0.5)
            ax.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor="#D55E00", linewidth=1.6))
    ax.set(title=record["model"], xlabel="head", ylabel="layer")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    return image


def comparison_lines(record: Record) -> list[str]:
    """For each kind that others reported: their heads, those found here, and what is in both.

    Without a report, the heads that were found here.
    """
    lines = [f"{record['model']}: {_conditions(record)}"]
    findings = reported_findings(record["model"])
    for finding in findings:
        found, reported = heads_of_kind(record, finding["kind"]), finding["heads"]
        both = [name for name in reported if name in found]
        kind = finding["kind"].replace("_", "-")
        lines.append(
            f"  {kind}, reported by {finding['citation']} ({finding['how']}): "
            f"{', '.join(reported)}; here: {', '.join(found) or 'none'}; "
            f"in both: {', '.join(both) or 'none'}"
        )
    if not findings:
        for kind in ("previous_token", "induction"):
            found = ", ".join(heads_of_kind(record, kind)) or "none"
            lines.append(f"  {kind.replace('_', '-')}: {found} (nothing reported to compare with)")
    return lines


def _conditions(record: Record) -> str:
    commit = f"commit {record['revision'][:8]}" if record["revision"] else "not from the hub"
    n_seeds = len({probe["seed"] for probe in record["probes"]["shapes"]})
    return f"{commit}, {record['number_type']}, {n_seeds} seeds, {record['probes']['tokens']}"


def checkpoints(records: Sequence[Record]) -> dict[str, dict[int, Record]]:
    """Model → step → record, for the models with records of two or more checkpoints."""
    found: dict[str, dict[int, Record]] = {}
    for record in records:
        base, _, step = record["model"].partition("@")
        if step.removeprefix("step").isdecimal():
            found.setdefault(base, {})[int(step.removeprefix("step"))] = record
    return {base: dict(sorted(steps.items())) for base, steps in found.items() if len(steps) > 1}


def formation_curves(ax: Axes, steps: Mapping[int, Record]) -> None:
    """Against the training step: the highest induction score, and the loss of the second copy."""
    best = [max(h["score"]["induction"] for h in r["heads"]) for r in steps.values()]
    gains = [
        (record["losses"]["control"]["mean"] - record["losses"]["repeats"]["mean"])
        / record["losses"]["chance"]
        for record in steps.values()
    ]
    ax.plot(list(steps), best, color="#D55E00", marker=".", label="highest induction score")
    ax.plot(list(steps), gains, color="#0072B2", marker=".", label="gain from the repeat / log V")
    ax.set(xscale="symlog", xlabel="step", ylim=(-0.1, 1.05))
    ax.legend(frameon=False)
