"""Many models and many ablations: run on all cores or a cluster, journaled, safe to kill.

A task is a chunk of models that takes a second or more. Its records come back to the one process
that writes the journal, so a kill loses no more than the chunks that were being worked on. Nothing
depends on the order of tasks or on how many run at once.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from induction_heads.machines import DEATHS, end_with, machines
from induction_heads.sweep_families import Family
from induction_heads.sweep_journal import Record, SweepFolder
from induction_heads.sweep_training import died_record
from induction_heads.swept_model import SweptModel

CHUNK_SECONDS = 1.0
"""A task should take so long, so that sending it costs little beside it."""

MAX_DEATHS = 3
"""After so many deaths of its process a model is recorded as died. From the second on it ran alone,
so that no other model can have been the cause."""

Work = Callable[[Any], Record]


def chunks(models: Sequence[SweptModel]) -> list[tuple[SweptModel, ...]]:
    """The models, the costliest first, in groups of at least `CHUNK_SECONDS` but for the last."""
    found, group, seconds = [], [], 0.0
    for model in sorted(models, key=lambda model: model.cost(), reverse=True):
        group.append(model)
        seconds += model.cost()
        if seconds >= CHUNK_SECONDS:
            found.append(tuple(group))
            group, seconds = [], 0.0
    return [*found, tuple(group)] if group else found


def run_chunk(work: Work, chunk: tuple[SweptModel, ...], parent: int | None) -> list[Record]:
    """The records of a chunk, with one PyTorch thread.

    `parent` is the process to end with, or None where tasks run on other machines.
    """
    import torch

    if parent not in (None, os.getpid()):
        end_with(parent)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [work(model) for model in chunk]
    finally:
        torch.set_num_threads(before)


def run_family(
    family: Family,
    folder: SweepFolder,
    *,
    jobs: int = 1,
    scheduler: str | None = None,
    done: Callable[[Record], None] = lambda record: None,
) -> list[Record]:
    """Run every model that `folder` has no record of, and return all records in their order.

    `jobs` processes share the work, or the workers of the Dask scheduler at the address
    `scheduler`. `done` is called with each new record once it is on the disk. A chunk whose process
    is killed is run again, alone. Raises OSError if the scheduler does not answer.
    """
    deaths: Counter[str] = Counter()
    records = folder.records()

    def keep(record: Record) -> None:
        folder.add(record)
        records[record["model"]] = record
        done(record)

    while left := [model for model in family.models if model.name not in records]:
        # After a process died, one at a time: then it is known which model brought it down.
        alone = [model for model in left if deaths[model.name]][:1]
        parts = [tuple(alone)] if alone else chunks(left)
        started: list[SweptModel] = []
        try:
            _run(parts, 2 if alone else jobs, scheduler, family.record, keep, started)
        except Exception as error:
            if type(error).__name__ not in DEATHS:
                raise
            for model in (m for m in started if m.name not in records):
                deaths[model.name] += 1
                if deaths[model.name] >= MAX_DEATHS:
                    keep(died_record(model, MAX_DEATHS))
    return [records[model.name] for model in family.models]


def _run(
    parts: Sequence[tuple[SweptModel, ...]],
    jobs: int,
    scheduler: str | None,
    work: Work,
    keep: Callable[[Record], None],
    started: list[SweptModel],
) -> None:
    """Run the chunks. `started` is filled with the models handed to a process so far."""
    from joblib import Parallel, delayed

    parent = None if scheduler else os.getpid()

    def tasks() -> Iterator[Any]:
        for chunk in parts:
            started.extend(chunk)
            yield delayed(run_chunk)(work, chunk, parent)

    # No more chunks are handed out than there are processes: the next one waits here.
    options: dict[str, Any] = {"batch_size": 1, "pre_dispatch": "n_jobs"}
    with machines(scheduler, jobs):
        finished: Any = Parallel(return_as="generator_unordered", **options)(tasks())
        for records in finished:
            for record in records:
                keep(record)
