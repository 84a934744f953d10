"""The output files of a sweep: a summary, three tables and a page of figures."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from induction_heads.files import write_atomically
from induction_heads.interp.formation import ModelRecord
from induction_heads.sweeps.families import Family
from induction_heads.sweeps.page import sweep_html
from induction_heads.sweeps.tables import as_csv, head_rows, model_rows, snapshot_rows, summary
from induction_heads.versions import package_version, versions


def write_outputs(
    out: Path, family: Family, records: Sequence[ModelRecord], run: dict[str, Any]
) -> dict[str, Any]:
    """Write all files and return the summary. The tables depend only on the records.

    `run` has the `family`, the `command` and whatever else belongs in the summary.
    """
    own, joblib = {"induction-heads": package_version()}, {"joblib": version("joblib")}
    date = datetime.now(UTC).date().isoformat()
    totals = run | summary(family, records)
    totals |= {"versions": own | versions() | joblib, "date": date}
    write_atomically(out / "models.csv", as_csv(model_rows(family.models, records)))
    write_atomically(out / "snapshots.csv", as_csv(snapshot_rows(records)))
    write_atomically(out / "table.csv", as_csv(head_rows(records)))
    write_atomically(out / "index.html", sweep_html(family, records, totals))
    write_atomically(out / "summary.json", json.dumps(totals, indent=1) + "\n")
    return totals
