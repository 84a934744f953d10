"""The HTML page of a sweep: the totals, the groups, the figures, and what they do not show."""

from collections.abc import Sequence
from html import escape
from typing import Any

from induction_heads.report_page import STYLE, Picture, figures_html, png
from induction_heads.sweep_families import Family
from induction_heads.sweep_figures import all_models, over_training, score_against_effect
from induction_heads.sweep_journal import Record
from induction_heads.sweep_tables import FORMED, formation_step
from induction_heads.swept_model import SweptModel

COLUMNS = ("models", "formed", "formed at steps", "induction score", "effect (nats)")


def pictures(models: Sequence[SweptModel], records: Sequence[Record]) -> list[Picture]:
    """The figures of a sweep, each with a caption that says what is counted in it."""
    pairs = list(zip(models, records, strict=True))
    n_formed = sum(formation_step(record) is not None for record in records)
    n_heads = sum(v.n_layers * v.n_heads * len(r["snapshots"]) for v, r in pairs)
    return [
        Picture(
            "models.png",
            png(all_models(pairs)),
            "A row for each model: formation step, highest scores, effect of silencing each head.",
            f"In {n_formed} of {len(pairs)} models a head reaches an induction score of {FORMED}. "
            "A hollow dot: it did not form. A cross: the training diverged or died. Orange: "
            "smeared keys; gray, blue, green: 1, 2, 3 layers.",
        ),
        Picture(
            "training.png",
            png(over_training(pairs)),
            "Four curves of every model over its training: loss, in-context-learning score, "
            "highest induction score, highest effect of a head.",
            "Every line is a model. The losses of different data have different floors.",
        ),
        Picture(
            "heads.png",
            png(score_against_effect(pairs)),
            "Scatter of induction score and effect of ablation, beside the same on controls.",
            f"Every dot is a head of a snapshot; there are {n_heads:,}. On the right the same "
            "heads where the second block is another one.",
        ),
    ]


def _group_cells(group: dict[str, Any]) -> list[str]:
    steps = ", ".join("–" if step is None else str(step) for step in group["formation_steps"])
    spreads = (group["induction"], group["rise"])
    shown = ["–" if pair is None else f"{pair[0]:.2f} ± {pair[1]:.2f}" for pair in spreads]
    return [str(group["models"]), str(group["formed"]), steps, *shown]


def page(family: Family, records: Sequence[Record], totals: dict[str, Any]) -> str:
    """The whole page as one HTML text. It needs no other file and no network."""
    heading = "".join(f"<th scope='col'>{name}</th>" for name in ("group", *COLUMNS))
    rows = "".join(
        f"<tr><th scope='row'>{escape(name)}</th>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in _group_cells(group))
        + "</tr>"
        for name, group in totals["groups"].items()
    )
    data = "".join(
        f"<li><b>{escape(name)}</b>: {escape(words)}.</li>"
        for name, words in totals["data"].items()
    )
    lost = [
        f"<li>{escape(record['model'])} {escape(record['status'])}: {escape(record['why'])}</li>"
        for record in records
        if record["status"] != "trained"
    ]
    versions = ", ".join(f"{name} {version}" for name, version in totals["versions"].items())
    shown = figures_html(pictures(family.models, records))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Sweep: {escape(totals["family"])}</title><style>{STYLE}</style></head><body>
<h1>Sweep: {escape(totals["family"])}</h1>
<p><b>{totals["models"]} models, {totals["ablations"]:,} head ablations</b>,
{totals["snapshots"]:,} snapshots. One ablation is {escape(totals["one_ablation"])}.</p>
<table><thead><tr>{heading}</tr></thead><tbody>{rows}</tbody></table>
<p>Formed: {escape(totals["formed_means"])}. A dash: it did not, with that seed. Score and effect
are those of the highest head in the last snapshot, mean ± standard deviation over seeds.</p>
{f"<p>Models that did not finish:</p><ul>{''.join(lost)}</ul>" if lost else ""}
{shown}
<h2>How it was measured</h2>
<p>{escape(family.named_for)} Training data:</p>
<ul>{data}</ul>
<p>{escape(family.measured)}</p>
<h2>What this does not show</h2>
<p>{escape(family.limits)}</p>
<p>Made on {escape(totals["date"])} by <code>{escape(totals["command"])}</code> with
{escape(versions)}, in {totals["cpu_seconds"]:,.0f} CPU-seconds.</p>
</body></html>
"""
