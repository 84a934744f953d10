"""Progress of long work: a bar on a terminal, and lines in a log where a command wants them."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SECONDS_BETWEEN_LINES = 10.0
"""Work that takes less than this writes no line to a log."""


@contextmanager
def progress_bar(
    total: int, unit: str, *, done: int = 0, enabled: bool = True, lines: bool = False
) -> Iterator[Callable[..., Any]]:
    """Draw a bar with the time left on standard error if `enabled` and if that is a terminal.

    With `lines`, and if it is not a terminal, a plain line says every ten seconds how far the work
    is. Yields a function to call after each of the `total` steps; it may be given a note to show.
    `done` steps were finished before.
    """
    if not (enabled and sys.stderr.isatty()):
        yield _lines(total, unit, done) if enabled and lines else lambda note="": None
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


def _lines(total: int, unit: str, done: int) -> Callable[..., None]:
    """A function that writes a line to standard error when one is due."""
    start = last = time.monotonic()
    finished = done

    def step(note: str = "") -> None:
        nonlocal finished, last
        finished += 1
        now = time.monotonic()
        if now - last < SECONDS_BETWEEN_LINES:
            return
        last = now
        left = (now - start) / (finished - done) * (total - finished)
        words = f"{finished} of {total} {unit}, {_duration(now - start)}"
        words += f", about {_duration(left)} left" if finished < total else ""
        print(f"{words} {note}".rstrip(), file=sys.stderr, flush=True)

    return step


def _duration(seconds: float) -> str:
    """Seconds as text.

    >>> _duration(7.6), _duration(190), _duration(7300)
    ('8 s', '3 min 10 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
