"""Running a family of models on all cores or a cluster, with a journal that survives a kill.

A task is a chunk of models that takes a second or more. Its records return to the one process that
writes the journal, so a kill loses only the chunks in progress. No result depends on the order of
tasks or on the number of processes.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from induction_heads.interp.formation import ModelRecord
from induction_heads.parallel import DEATHS, end_with, machines
from induction_heads.sweeps.families import Family
from induction_heads.sweeps.journal import SweepFolder
from induction_heads.training.measurement import died_record
from induction_heads.training.spec import SweptModel

CHUNK_SECONDS = 1.0
"""The shortest task for which the cost of sending it is negligible."""

MAX_DEATHS = 3
"""A model is recorded as died after this number of deaths of its process. From the second on it ran
alone, so no other model can be the cause."""

Work = Callable[[Any], ModelRecord]


def chunks(models: Sequence[SweptModel]) -> list[tuple[SweptModel, ...]]:
    """The models, most expensive first, in groups of at least `CHUNK_SECONDS` except the last."""
    groups, group, seconds = [], [], 0.0
    for model in sorted(models, key=lambda model: model.cost(), reverse=True):
        group.append(model)
        seconds += model.cost()
        if seconds >= CHUNK_SECONDS:
            groups.append(tuple(group))
            group, seconds = [], 0.0
    return [*groups, tuple(group)] if group else groups


def run_chunk(work: Work, chunk: tuple[SweptModel, ...], parent: int | None) -> list[ModelRecord]:
    """The records of a chunk, with one PyTorch thread.

    The process ends when `parent` does; None if tasks run on other machines.
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
    done: Callable[[ModelRecord], None] = lambda record: None,
) -> list[ModelRecord]:
    """Run every model without a record in `folder` and return all records, in their order.

    The work is done by `jobs` processes, or by the workers of the Dask scheduler at the address
    `scheduler`. `done` is called with each new record once it is on the disk. If the process of a
    chunk is killed, each of its models runs again, alone. Raises OSError if the scheduler does not
    answer.
    """
    deaths: Counter[str] = Counter()
    records = folder.records()

    def keep(record: ModelRecord) -> None:
        folder.add(record)
        records[record["model"]] = record
        done(record)

    while left := [model for model in family.models if model.name not in records]:
        # After a process died, one at a time, to find the model that killed it.
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
    keep: Callable[[ModelRecord], None],
    started: list[SweptModel],
) -> None:
    """Run the chunks. Adds the models handed to a process to `started`."""
    from joblib import Parallel, delayed

    parent = None if scheduler else os.getpid()

    def tasks() -> Iterator[Any]:
        for chunk in parts:
            started.extend(chunk)
            yield delayed(run_chunk)(work, chunk, parent)

    # Hand out at most one chunk per process.
    options: dict[str, Any] = {"batch_size": 1, "pre_dispatch": "n_jobs"}
    with machines(scheduler, jobs):
        finished: Any = Parallel(return_as="generator_unordered", **options)(tasks())
        for records in finished:
            for record in records:
                keep(record)
