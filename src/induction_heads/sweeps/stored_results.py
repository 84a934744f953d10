"""The results of sweeps that ship with the package, read back from their tables."""

import csv
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from induction_heads.sweep_families import FAMILIES
from induction_heads.sweep_journal import Record
from induction_heads.sweep_tables import best, formation_step
from induction_heads.swept_model import SweptModel

RESULTS = Path(__file__).parent / "results"

STORED = ("models.csv", "snapshots.csv", "table.csv", "summary.json")
"""What is kept of the folder that a sweep leaves."""


class NoResults(ValueError):
    """No results of that name are stored. The message says which are."""


def stored_names() -> list[str]:
    """The names of the families whose results are stored."""
    return sorted(path.parent.name for path in RESULTS.glob("*/summary.json"))


def stored_summary(name: str) -> dict[str, Any]:
    """The totals of a stored sweep, its command, the versions and the date. Raises NoResults."""
    return json.loads((_folder(name) / "summary.json").read_text(encoding="utf-8"))


def stored_sweep(name: str) -> list[tuple[SweptModel, Record]]:
    """Every model of a stored sweep with its record, in the order of the family.

    The records are those of the run but for the loss curve and the seconds, which the tables leave
    out. Raises NoResults if there are none of that name.
    """
    folder = _folder(name)
    records = read_records(folder)
    return [(model, records[model.name]) for model in FAMILIES[name].models]


def read_records(folder: Path) -> dict[str, Record]:
    """Model → record, from the three tables that a sweep wrote to `folder`."""
    heads: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for row in _rows(folder / "table.csv"):
        heads[row["model"], row["step"]].append(row)
    snapshots: dict[str, list[Record]] = defaultdict(list)
    for row in _rows(folder / "snapshots.csv"):
        losses = {name: float(value) for name, value in row.items()
                  if name not in ("model", "step") and not name.startswith("best_")}  # fmt: skip
        of_heads = _by_layer(heads[row["model"], row["step"]])
        snapshots[row["model"]].append({"step": int(row["step"])} | losses | of_heads)
    return {
        row["model"]: {
            "model": row["model"], "status": row["status"], "why": row["why"],
            "parameters": int(row["parameters"]), "ablations": int(row["ablations"]),
            "snapshots": snapshots[row["model"]],
        }
        for row in _rows(folder / "models.csv")
    }  # fmt: skip


def _by_layer(rows: list[dict[str, str]]) -> dict[str, list[list[float]]]:
    """Name → [layer][head], from the rows of one snapshot, which come layer by layer."""
    found: dict[str, list[list[float]]] = {}
    names = [name for name in rows[0] if name not in ("model", "step", "layer", "head")]
    for name in names:
        layers: dict[str, list[float]] = defaultdict(list)
        for row in rows:
            layers[row["layer"]].append(float(row[name]))
        found[name] = list(layers.values())
    return found


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _folder(name: str) -> Path:
    if name not in stored_names():
        known = ", ".join(stored_names())
        raise NoResults(f"No results called {name!r} are stored. Stored: {known}.")
    return RESULTS / name


MARGINS = {"induction": 0.1, "previous_token": 0.1, "second_copy_loss": 0.3, "loss": 0.1}
"""How far outside the stored seeds of its group the last snapshot of a model may lie."""


def differences(name: str, records: Sequence[Record]) -> list[str]:
    """What sets records apart from the stored sweep, as sentences; empty if they match.

    A model is compared with all stored seeds of its group: see `differences_from_seeds`. Raises
    NoResults if no results of that name are stored.
    """
    stored = stored_sweep(name)
    groups = {model.name: model.group for model, _ in stored}
    found = []
    for record in records:
        group = [other for model, other in stored if model.group == groups[record["model"]]]
        found += differences_from_seeds(record, group)
    return found


def differences_from_seeds(record: Record, group: Sequence[Record]) -> list[str]:
    """What sets a record apart from those of the same recipe with any seed, as sentences.

    Another machine rounds otherwise, so one seed is not compared with itself alone. A model matches
    if it formed where they all formed and did not where none did, if it formed no more than one
    snapshot before the first or after the last of them, and if its last snapshot lies within their
    range, give or take `MARGINS`.
    """
    if record["status"] != "trained" or not all(other["snapshots"] for other in group):
        return _apart_in_status(record, group)
    return _apart_in_time(record, group) + _apart_at_the_end(record, group)


def _apart_in_status(record: Record, group: Sequence[Record]) -> list[str]:
    if record["status"] in {other["status"] for other in group}:
        return []
    return [f"{record['model']} {record['status']}; no stored model of its group did."]


def _apart_in_time(record: Record, group: Sequence[Record]) -> list[str]:
    who, own = record["model"], formation_step(record)
    steps = [formation_step(other) for other in group]
    formed = sorted(step for step in steps if step is not None)
    stored = ", ".join(map(str, formed))
    if own is None:
        return [] if None in steps else [f"{who} did not form; stored: at steps {stored}."]
    if not formed:
        return [f"{who} formed at step {own}; stored: in no seed."]
    taken = [snapshot["step"] for snapshot in group[0]["snapshots"]]
    first = max((step for step in taken if step < formed[0]), default=0)
    last = min((step for step in taken if step > formed[-1]), default=taken[-1])
    return [] if first <= own <= last else [f"{who} formed at step {own}; stored: {stored}."]


def _apart_at_the_end(record: Record, group: Sequence[Record]) -> list[str]:
    found = []
    for measure, margin in MARGINS.items():
        values, value = [_last(other, measure) for other in group], _last(record, measure)
        if not min(values) - margin <= value <= max(values) + margin:
            found.append(
                f"{record['model']}: the last {measure.replace('_', ' ')} is {value:.2f}; "
                f"stored: {min(values):.2f} to {max(values):.2f}."
            )
    return found


def _last(record: Record, measure: str) -> float:
    value = record["snapshots"][-1][measure]
    return best(value) if isinstance(value, list) else value
