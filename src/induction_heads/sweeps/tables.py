"""The tables and totals of a sweep. The same records give the same bytes."""

import csv
import io
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from induction_heads.interp.formation import FORMED, ModelRecord, best, formation_step
from induction_heads.sweeps.families import Family
from induction_heads.training.spec import SweptModel

Row = dict[str, Any]


def per_head(snapshot: ModelRecord) -> list[str]:
    """The names of the measures that a snapshot has for every head."""
    return sorted(name for name, value in snapshot.items() if isinstance(value, list))


def of_the_model(snapshot: ModelRecord) -> list[str]:
    """The names of the measures that a snapshot has for the model as a whole."""
    return sorted(set(snapshot) - {"step"} - set(per_head(snapshot)))


def model_rows(models: Sequence[SweptModel], records: Sequence[ModelRecord]) -> list[Row]:
    """One row per model: its description, status, formation step and last snapshot."""
    names = _names(records)
    rows = []
    for model, record in zip(models, records, strict=True):
        last = record["snapshots"][-1] if record["snapshots"] else None
        rows.append(
            {"model": model.name, "group": model.group}
            | {name: value for name, value in vars(model).items() if name != "snapshots"}
            | {"smeared": int(model.smeared)}
            | {name: record[name] for name in ("parameters", "status", "why", "ablations")}
            | {"snapshots": len(record["snapshots"]), "formation_step": formation_step(record)}
            | {f"last_{name}": last and last[name] for name in names["of_the_model"]}
            | {f"last_{name}": last and best(last[name]) for name in names["per_head"]}
        )
    return rows


def snapshot_rows(records: Iterable[ModelRecord]) -> list[Row]:
    """One row per snapshot: its losses, and the highest score and effect of any head."""
    return [
        {"model": record["model"], "step": snapshot["step"]}
        | {name: snapshot[name] for name in of_the_model(snapshot)}
        | {f"best_{name}": best(snapshot[name]) for name in per_head(snapshot)}
        for record in records
        for snapshot in record["snapshots"]
    ]


def head_rows(records: Iterable[ModelRecord]) -> list[Row]:
    """One row per head and snapshot: its scores and the effects of its ablation, in nats."""
    return [
        {"model": record["model"], "step": snapshot["step"], "layer": layer, "head": head}
        | {name: snapshot[name][layer][head] for name in per_head(snapshot)}
        for record in records
        for snapshot in record["snapshots"]
        for layer, heads in enumerate(snapshot["induction"])
        for head in range(len(heads))
    ]


def _names(records: Iterable[ModelRecord]) -> dict[str, list[str]]:
    """The names of the measures, from the first snapshot of any model."""
    first = next((s for record in records for s in record["snapshots"]), {})
    return {"of_the_model": of_the_model(first), "per_head": per_head(first)}


def as_csv(rows: Sequence[Row]) -> str:
    """The rows as CSV text with a header. A missing value is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def summary(family: Family, records: Sequence[ModelRecord]) -> Row:
    """The totals: numbers of models, ablations and formed models, and the same for each group."""
    groups = dict.fromkeys(model.group for model in family.models)
    pairs = list(zip(family.models, records, strict=True))
    return {
        "models": len(records),
        "ablations": sum(record["ablations"] for record in records),
        "snapshots": sum(len(record["snapshots"]) for record in records),
        "one_ablation": "one head zero-ablated in one snapshot on one batch of rows; "
        f"{family.ablations_per_head} for each head of each snapshot, including controls",
        "formed": sum(formation_step(record) is not None for record in records),
        "formed_means": f"a head's induction score reaches {FORMED}",
        "diverged": [r["model"] for r in records if r["status"] == "diverged"],
        "died": [r["model"] for r in records if r["status"] == "died"],
        "cpu_seconds": round(sum(record["seconds"] for record in records), 1),
        "data": {model.data: model.data_words for model in family.models},
        "groups": {group: _group([r for m, r in pairs if m.group == group]) for group in groups},
    }


def _group(records: Sequence[ModelRecord]) -> Row:
    steps = [formation_step(record) for record in records]
    last = [record["snapshots"][-1] for record in records if record["snapshots"]]
    scores = [best(snapshot["induction"]) for snapshot in last]
    rises = [best(snapshot["rise"]) for snapshot in last]
    return {
        "models": len(records),
        "formed": sum(step is not None for step in steps),
        "formation_steps": steps,
        "induction": _mean_and_spread(scores),
        "rise": _mean_and_spread(rises),
    }


def _mean_and_spread(values: Sequence[float]) -> list[float] | None:
    """Mean and standard deviation over seeds."""
    if not values:
        return None
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return [round(statistics.mean(values), 4), round(spread, 4)]
