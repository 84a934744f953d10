"""The HTML page of a sweep: the totals, the groups, the figures, and what they do not show."""

from collections.abc import Sequence
from typing import Any

from induction_heads.figures.markup import rendered
from induction_heads.figures.pictures import Picture, png
from induction_heads.interp.formation import FORMED, ModelRecord, formation_step
from induction_heads.sweeps.families import Family
from induction_heads.sweeps.figures import all_models, over_training, score_against_effect
from induction_heads.training.spec import SweptModel

COLUMNS = ("group", "models", "formed", "formed at steps", "induction score", "effect (nats)")


def pictures(models: Sequence[SweptModel], records: Sequence[ModelRecord]) -> list[Picture]:
    """The figures of a sweep. Each caption gives the number of models or heads it shows."""
    pairs = list(zip(models, records, strict=True))
    n_formed = sum(formation_step(record) is not None for record in records)
    n_heads = sum(v.n_layers * v.n_heads * len(r["snapshots"]) for v, r in pairs)
    return [
        Picture(
            "models.png",
            png(all_models(pairs)),
            "A row for each model: formation step, highest scores, effect of silencing each head.",
            f"In {n_formed} of {len(pairs)} models a head reaches an induction score of {FORMED}. "
            "Hollow dot: no induction head formed. Cross: training diverged or died. Orange: "
            "smeared keys; gray, blue, green: 1, 2, 3 layers.",
        ),
        Picture(
            "training.png",
            png(over_training(pairs)),
            "Four curves of every model over its training: loss, in-context-learning score, "
            "highest induction score, highest effect of a head.",
            "Each line is a model. Losses on different data have different floors.",
        ),
        Picture(
            "heads.png",
            png(score_against_effect(pairs)),
            "Scatter plots of induction score against ablation effect, on repeats and on controls.",
            f"Each of the {n_heads:,} dots is a head in one snapshot. Right: the same heads on "
            "rows whose second block differs from the first.",
        ),
    ]


def _group_cells(group: dict[str, Any]) -> list[str]:
    steps = ", ".join("–" if step is None else str(step) for step in group["formation_steps"])
    spreads = (group["induction"], group["rise"])
    means = ["–" if pair is None else f"{pair[0]:.2f} ± {pair[1]:.2f}" for pair in spreads]
    return [str(group["models"]), str(group["formed"]), steps, *means]


def sweep_html(family: Family, records: Sequence[ModelRecord], totals: dict[str, Any]) -> str:
    """The whole page as one HTML text. It needs no other file and no network."""
    return rendered(
        "sweeps/templates/sweep.html.j2",
        family=family,
        totals=totals,
        columns=COLUMNS,
        groups={name: _group_cells(group) for name, group in totals["groups"].items()},
        unfinished=[record for record in records if record["status"] != "trained"],
        pictures=pictures(family.models, records),
    )
