"""How far a sweep is: models, ablations and the time that is left, while it runs."""

import sys
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from induction_heads.sweep_families import Family
from induction_heads.sweep_journal import Record


class Progress:
    """A bar on a terminal, else a line on standard error for each finished model.

    The time left is the time spent, times the cost of what is left over the cost of what was done.
    """

    def __init__(self, family: Family, kept: Mapping[str, Record]):
        self.costs = {model.name: model.cost() for model in family.models}
        self.planned = sum(map(family.planned_ablations, family.models))
        self.done = [record for name, record in kept.items() if name in self.costs]
        self.n_kept = len(self.done)
        self.started = time.monotonic()
        columns = (BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        self.bar = Bar(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())
        self.task = self.bar.add_task(self.line(), total=sum(self.costs.values()))

    def __enter__(self) -> "Progress":
        self.bar.start()
        self._show()
        return self

    def __exit__(self, *_: Any) -> None:
        self.bar.stop()

    def advance(self, record: Record) -> None:
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
        told = (
            f"{len(self.done)} of {len(self.costs)} models, "
            f"{ablations:,} of {self.planned:,} ablations"
        )
        seconds = self.seconds_left()
        if seconds is None or len(self.done) == len(self.costs):
            return told
        left = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
        return f"{told}, {left} left"

    def seconds_left(self) -> float | None:
        """About how long it will take; None before the first model of this run is finished."""
        new = self.done[self.n_kept :]
        if not new:
            return None
        done = sum(self.costs[record["model"]] for record in self.done)
        worked = sum(self.costs[record["model"]] for record in new)
        left = sum(self.costs.values()) - done
        return (time.monotonic() - self.started) * left / worked
