"""The progress of a running sweep: models, ablations and time left."""

import sys
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from induction_heads.interp.formation import ModelRecord
from induction_heads.sweeps.families import Family


class SweepProgress:
    """A bar on a terminal; elsewhere a line on standard error for each finished model.

    The time left is estimated from the time spent and the costs of the models.
    """

    def __init__(self, family: Family, records: Mapping[str, ModelRecord]):
        self.costs = {model.name: model.cost() for model in family.models}
        self.planned = sum(map(family.planned_ablations, family.models))
        self.done = [record for name, record in records.items() if name in self.costs]
        self.n_resumed = len(self.done)
        self.started = time.monotonic()
        columns = (BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        self.bar = Bar(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())
        self.task = self.bar.add_task(self.line(), total=sum(self.costs.values()))

    def __enter__(self) -> "SweepProgress":
        self.bar.start()
        self._show()
        return self

    def __exit__(self, *_: Any) -> None:
        self.bar.stop()

    def advance(self, record: ModelRecord) -> None:
        """Count a finished model."""
        self.done.append(record)
        self._show()

    def _show(self) -> None:
        finished = sum(self.costs[record["model"]] for record in self.done)
        self.bar.update(self.task, completed=finished, description=self.line())
        if self.bar.disable:
            print(self.line(), file=sys.stderr, flush=True)

    def line(self) -> str:
        """`12 of 60 models, 23,400 of 118,400 ablations, 3 min left`."""
        ablations = sum(record["ablations"] for record in self.done)
        text = (
            f"{len(self.done)} of {len(self.costs)} models, "
            f"{ablations:,} of {self.planned:,} ablations"
        )
        seconds = self.seconds_left()
        if seconds is None or len(self.done) == len(self.costs):
            return text
        left = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
        return f"{text}, {left} left"

    def seconds_left(self) -> float | None:
        """An estimate of the time left; None before the first model of this run is finished."""
        new = self.done[self.n_resumed :]
        if not new:
            return None
        done = sum(self.costs[record["model"]] for record in self.done)
        worked = sum(self.costs[record["model"]] for record in new)
        left = sum(self.costs.values()) - done
        return (time.monotonic() - self.started) * left / worked
