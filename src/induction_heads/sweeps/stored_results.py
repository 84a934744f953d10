"""The results of sweeps that ship with the package, read from their tables."""

import csv
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from induction_heads.interp.formation import ModelRecord
from induction_heads.sweeps.families import FAMILIES
from induction_heads.training.differences import differences_from_seeds
from induction_heads.training.spec import SweptModel

RESULTS = Path(__file__).parents[1] / "results"


class NoResults(ValueError):
    """There are no stored results of this name. The message lists the names."""


def stored_names() -> list[str]:
    """The names of the families whose results are stored."""
    return sorted(path.parent.name for path in RESULTS.glob("*/summary.json"))


def stored_summary(name: str) -> dict[str, Any]:
    """The totals, the command, the versions and the date of a stored sweep. Raises NoResults."""
    return json.loads((_folder(name) / "summary.json").read_text(encoding="utf-8"))


def stored_sweep(name: str) -> list[tuple[SweptModel, ModelRecord]]:
    """Every model of a stored sweep with its record, in the order of the family.

    The records lack the loss curve and the seconds, which are not in the tables. Raises NoResults
    for an unknown name.

    >>> sweep = stored_sweep("replication")
    >>> len(sweep)
    60
    >>> model, record = sweep[0]
    >>> model.name, record["status"], len(record["snapshots"])
    ('1l-2h-64-tiled-s0', 'trained', 25)
    >>> record["snapshots"][-1]["induction"]  # [layer][head]
    [[0.1307, 0.1301]]
    """
    folder = _folder(name)
    records = read_records(folder)
    return [(model, records[model.name]) for model in FAMILIES[name].models]


def read_records(folder: Path) -> dict[str, ModelRecord]:
    """Model → record, from the three tables of the sweep in `folder`."""
    heads: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for row in _rows(folder / "table.csv"):
        heads[row["model"], row["step"]].append(row)
    snapshots: dict[str, list[ModelRecord]] = defaultdict(list)
    for row in _rows(folder / "snapshots.csv"):
        losses = {
            name: float(value)
            for name, value in row.items()
            if name not in ("model", "step") and not name.startswith("best_")
        }
        heads_by_layer = _by_layer(heads[row["model"], row["step"]])
        snapshots[row["model"]].append({"step": int(row["step"])} | losses | heads_by_layer)
    return {
        row["model"]: {
            "model": row["model"],
            "status": row["status"],
            "why": row["why"],
            "parameters": int(row["parameters"]),
            "ablations": int(row["ablations"]),
            "snapshots": snapshots[row["model"]],
        }
        for row in _rows(folder / "models.csv")
    }


def _by_layer(rows: list[dict[str, str]]) -> dict[str, list[list[float]]]:
    """Name → [layer][head], from the rows of one snapshot in the order of layers."""
    values: dict[str, list[list[float]]] = {}
    names = [name for name in rows[0] if name not in ("model", "step", "layer", "head")]
    for name in names:
        layers: dict[str, list[float]] = defaultdict(list)
        for row in rows:
            layers[row["layer"]].append(float(row[name]))
        values[name] = list(layers.values())
    return values


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _folder(name: str) -> Path:
    if name not in stored_names():
        known = ", ".join(stored_names())
        raise NoResults(f"There are no stored results called {name!r}. Stored: {known}.")
    return RESULTS / name


def differences_from_stored(name: str, records: Sequence[ModelRecord]) -> list[str]:
    """How records differ from the stored sweep, as sentences; empty if they match.

    A model is compared with all stored seeds of its group: see `differences_from_seeds`. Raises
    NoResults for an unknown name.
    """
    stored = stored_sweep(name)
    groups = {model.name: model.group for model, _ in stored}
    sentences = []
    for record in records:
        group = [other for model, other in stored if model.group == groups[record["model"]]]
        sentences += differences_from_seeds(record, group)
    return sentences
