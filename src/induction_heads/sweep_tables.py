"""The tables and the totals of a sweep, from its records. The same records give the same bytes."""

import csv
import io
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from induction_heads.sweep_family import DATA, Variant
from induction_heads.sweep_journal import Record
from induction_heads.sweep_record import ABLATIONS_PER_HEAD

FORMED = 0.4
"""An induction head is said to have formed at the first snapshot with a score of at least this."""

Row = dict[str, Any]

LOSSES = ("loss", "in_context_learning", "first_copy_loss", "second_copy_loss", "control_loss")
PER_HEAD = ("previous_token", "induction", "rise", "rise_sd", "control_rise", "control_rise_sd")


def best(heads: Sequence[Sequence[float]]) -> float:
    """The highest value of any head."""
    return max(max(layer) for layer in heads)


def formation_step(record: Record) -> int | None:
    """The first snapshot in which a head's induction score reaches `FORMED`, or None."""
    steps = (s["step"] for s in record["snapshots"] if best(s["induction"]) >= FORMED)
    return next(steps, None)


def model_rows(variants: Sequence[Variant], records: Sequence[Record]) -> list[Row]:
    """One row a model: what it is, what became of it, when it formed, its last snapshot."""
    rows = []
    for variant, record in zip(variants, records, strict=True):
        last = record["snapshots"][-1] if record["snapshots"] else None
        rows.append(
            {
                "model": variant.name, "n_layers": variant.n_layers, "n_heads": variant.n_heads,
                "d_model": variant.d_model, "d_head": variant.d_head, "data": variant.data,
                "smeared": int(variant.smeared), "seed": variant.seed, "steps": variant.steps,
                "parameters": record["parameters"], "status": record["status"],
                "snapshots": len(record["snapshots"]), "ablations": record["ablations"],
                "formation_step": formation_step(record),
                **{f"last_{name}": last and last[name] for name in LOSSES},
                **{f"last_{name}": last and best(last[name])
                   for name in ("previous_token", "induction", "rise", "control_rise")},
            }
        )  # fmt: skip
    return rows


def snapshot_rows(records: Iterable[Record]) -> list[Row]:
    """One row a snapshot: its losses, and the highest score and effect of any head."""
    return [
        {"model": record["model"], "step": snapshot["step"]}
        | {name: snapshot[name] for name in LOSSES}
        | {f"best_{name}": best(snapshot[name])
           for name in ("previous_token", "induction", "rise", "control_rise")}
        for record in records
        for snapshot in record["snapshots"]
    ]  # fmt: skip


def head_rows(records: Iterable[Record]) -> list[Row]:
    """One row a head of a snapshot: its scores and what its ablation costs, in nats."""
    return [
        {"model": record["model"], "step": snapshot["step"], "layer": layer, "head": head}
        | {name: snapshot[name][layer][head] for name in PER_HEAD}
        for record in records
        for snapshot in record["snapshots"]
        for layer, heads in enumerate(snapshot["induction"])
        for head in range(len(heads))
    ]


def as_csv(rows: Sequence[Row]) -> str:
    """The rows as text, with a line of names. What is not there is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def summary(variants: Sequence[Variant], records: Sequence[Record]) -> Row:
    """The totals: how many models and ablations, how many formed, and group by group when."""
    groups = dict.fromkeys(variant.group for variant in variants)
    pairs = list(zip(variants, records, strict=True))
    return {
        "models": len(records),
        "ablations": sum(record["ablations"] for record in records),
        "snapshots": sum(len(record["snapshots"]) for record in records),
        "one_ablation": "one head silenced in one snapshot on one batch of probe rows; "
        f"{ABLATIONS_PER_HEAD} for each head of each snapshot, half of them on controls",
        "formed": sum(formation_step(record) is not None for record in records),
        "formed_means": f"a head's induction score reaches {FORMED}",
        "diverged": [r["model"] for r in records if r["status"] == "diverged"],
        "died": [r["model"] for r in records if r["status"] == "died"],
        "cpu_seconds": round(sum(record["seconds"] for record in records), 1),
        "data": {v.data: DATA[v.data].words for v in variants},
        "groups": {group: _group([r for v, r in pairs if v.group == group]) for group in groups},
    }


def _group(records: Sequence[Record]) -> Row:
    steps = [formation_step(record) for record in records]
    last = [record["snapshots"][-1] for record in records if record["snapshots"]]
    scores = [best(snapshot["induction"]) for snapshot in last]
    rises = [best(snapshot["rise"]) for snapshot in last]
    return {
        "models": len(records), "formed": sum(step is not None for step in steps),
        "formation_steps": steps,
        "induction": _mean_and_spread(scores), "rise": _mean_and_spread(rises),
    }  # fmt: skip


def _mean_and_spread(values: Sequence[float]) -> list[float] | None:
    """Mean and standard deviation over seeds."""
    if not values:
        return None
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return [round(statistics.mean(values), 4), round(spread, 4)]
