"""A progress bar on a terminal, and silence anywhere else: in notebooks, pipes and log files."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def progress_bar(
    total: int, unit: str, *, done: int = 0, enabled: bool = True
) -> Iterator[Callable[..., Any]]:
    """Draw a bar on standard error if `enabled` and if that is a terminal.

    Yields a function to call after each of the `total` steps; it may be given a note to show.
    `done` steps were finished before.
    """
    if not (enabled and sys.stderr.isatty()):
        yield lambda note="": None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=total, completed=done)
        yield lambda note="": bar.update(task, advance=1, description=note)
