"""The files that a finished sweep leaves: a summary, three tables and a page of figures."""

import json
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import induction_heads
from induction_heads.durable import write_atomically
from induction_heads.sweep_families import Family
from induction_heads.sweep_journal import Record
from induction_heads.sweep_page import page
from induction_heads.sweep_tables import as_csv, head_rows, model_rows, snapshot_rows, summary


def versions() -> dict[str, str]:
    """The versions of what made the numbers and the figures."""
    return {
        "induction-heads": induction_heads.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__.split("+")[0],
        "joblib": version("joblib"),
    }


def write_outputs(
    out: Path, family: Family, records: Sequence[Record], run: dict[str, Any]
) -> dict[str, Any]:
    """Write all files and return the summary. The tables depend on the records alone.

    `run` says what was run: `family`, `command` and whatever else belongs into the summary.
    """
    date = datetime.now(UTC).date().isoformat()
    totals = run | summary(family, records) | {"versions": versions(), "date": date}
    write_atomically(out / "models.csv", as_csv(model_rows(family.models, records)))
    write_atomically(out / "snapshots.csv", as_csv(snapshot_rows(records)))
    write_atomically(out / "table.csv", as_csv(head_rows(records)))
    write_atomically(out / "index.html", page(family, records, totals))
    write_atomically(out / "summary.json", json.dumps(totals, indent=1) + "\n")
    return totals
