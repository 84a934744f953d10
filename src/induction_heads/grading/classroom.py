"""The grading of a class: one task a student, on this machine or on a cluster, safe to kill.

A task grades all chapters of one student and writes the record itself, so a finished student is
safe whatever happens next. Nothing depends on the order of tasks or on how many run at once.
"""

import atexit
import json
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from induction_heads.checks.registry import Selection, chapter_exercises
from induction_heads.grading.checking import check_chapter
from induction_heads.grading.collect import HandIn, Student
from induction_heads.grading.judge import Sheet
from induction_heads.grading.nursery import Nursery, NurseryFailed
from induction_heads.grading.results import Result
from induction_heads.grading.results_folder import ResultsFolder, Settings
from induction_heads.grading.running import Limits, WorkerFailed
from induction_heads.grading.submission import Submission
from induction_heads.grading.weights import Worth
from induction_heads.machines import DEATHS, end_with, machines

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{6,}")
MAX_DEATHS = 2


@dataclass(frozen=True)
class Class:
    """What all tasks of a run share.

    `folder` is where results go. `parent` is the process id of the command, or None where tasks
    run on other machines. `isolated`: whether submissions must be shut in completely.
    """

    folder: Path
    settings: Settings
    worths: Mapping[str, Worth]
    limits: Limits | None = None
    parent: int | None = None
    isolated: bool = True


@cache
def _nursery(process: int) -> Nursery:
    """The warm process that forks the workers of this process, made when first used."""
    nursery = Nursery()
    atexit.register(nursery.close)
    return nursery


def _warm(job: Class) -> Nursery:
    """The nursery of this process. Raises WorkerFailed where it does not isolate as it must."""
    try:
        nursery = _nursery(os.getpid())
    except NurseryFailed as error:
        raise WorkerFailed(str(error)) from error
    if job.isolated and not nursery.isolation.complete:
        raise WorkerFailed(nursery.isolation.said)
    return nursery


@cache
def _sheets(stem: str, seed: int) -> dict[str, Sheet]:
    """The sheets of a chapter, drawn once in each process and used for every student."""
    return {exercise.name: Sheet(exercise, seed) for exercise in chapter_exercises(stem)}


def grade_student(job: Class, name: str, handed_in: HandIn) -> dict[str, Any] | None:
    """Grade one student, unless that has been done, and write the record.

    Returns the record where this process cannot write it, else None. Raises WorkerFailed if
    submissions cannot be run here at all.
    """
    if job.parent not in (None, os.getpid()):
        end_with(job.parent)
    folder = ResultsFolder(job.folder)
    if not (job.folder / "settings.json").is_file() or folder.settings() != job.settings:
        return _graded(job, name, handed_in)
    with folder.only_one(name):
        if folder.record(name, job.settings.digest(), handed_in.digest) is None:
            folder.note(event="started", student=name, submission=handed_in.digest)
            start = time.monotonic()
            folder.write_record(_graded(job, name, handed_in))
            seconds = round(time.monotonic() - start, 3)
            folder.note(event="graded", student=name, submission=handed_in.digest, seconds=seconds)
    return None


def _graded(job: Class, name: str, handed_in: HandIn) -> dict[str, Any]:
    import torch

    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            return _record(job, name, handed_in, _results(job, handed_in))
    except WorkerFailed:
        if not _workers_start(job):
            raise
        return failed_record(job, name, handed_in, "the process that runs it could not be started")
    except Exception as error:  # A fault of the judge with one submission must not end the class.
        return failed_record(job, name, handed_in, f"{type(error).__name__}: {error}"[:300])


def _results(job: Class, handed_in: HandIn) -> list[tuple[str, Result]]:
    found = []
    nursery = _warm(job)
    for submission in handed_in.submissions:
        stem, seed = submission.stem, job.settings.seed
        selection = Selection(stem, chapter_exercises(stem))
        chapter = check_chapter(
            selection,
            submission,
            sheets=_sheets(stem, seed),
            seed=seed,
            limits=job.limits,
            nursery=nursery,
        )
        found += [(stem, result) for result in chapter.exercises]
    return found


def _workers_start(job: Class) -> bool:
    """Whether an empty submission can be run, so that a failure was one student's alone."""
    stem = job.settings.chapters[0]
    selection = Selection(stem, chapter_exercises(stem)[:1])
    with suppress(WorkerFailed):  # The one that failed may have ended: a new one tells.
        _warm(job).close()
    _nursery.cache_clear()
    try:
        check_chapter(selection, Submission(stem), limits=job.limits, nursery=_warm(job))
    except WorkerFailed:
        return False
    return True


def _record(
    job: Class, name: str, handed_in: HandIn, results: Sequence[tuple[str, Result]]
) -> dict[str, Any]:
    exercises = [_exercise(stem, result, job.worths[result.name]) for stem, result in results]
    return _frame(job, name, handed_in, "graded", exercises)


def _frame(
    job: Class, name: str, handed_in: HandIn, status: str, exercises: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "format": job.settings.format,
        "student": name,
        "settings": job.settings.digest(),
        "submission": handed_in.digest,
        "status": status,
        "points": round(sum(exercise["points"] for exercise in exercises), 4),
        "max_points": round(sum(exercise["max_points"] for exercise in exercises), 4),
        "exercises": exercises,
    }


def _exercise(stem: str, result: Result, worth: Worth) -> dict[str, Any]:
    return {
        "chapter": stem,
        "name": result.name,
        "status": result.status,
        # An address in memory differs from run to run and tells nobody anything.
        "message": _ADDRESS.sub("0x…", result.message),
        "mistake": result.mistake,
        "n_right": result.n_right,
        "n_cases": result.n_cases,
        "points": worth.points_for(result.passed, result.n_right, result.n_cases),
        "max_points": worth.points,
    }


def failed_record(job: Class, name: str, handed_in: HandIn, why: str) -> dict[str, Any]:
    """The record of a student whom the judge could not grade: no points, and a sentence."""
    message = f"Not graded: the check itself failed ({why}). Please grade this by hand."
    exercises = [
        _exercise(stem, Result(exercise.name, "error", message), job.worths[exercise.name])
        for stem in job.settings.chapters
        for exercise in chapter_exercises(stem)
    ]
    return _frame(job, name, handed_in, "not graded", exercises)


Work = Sequence[tuple[Student, HandIn]]


def pending(job: Class, work: Work) -> list[tuple[Student, HandIn]]:
    """The students of whom there is no whole record of these settings and this submission."""
    folder, settings = ResultsFolder(job.folder), job.settings.digest()
    return [(s, h) for s, h in work if folder.record(s.name, settings, h.digest) is None]


def grade_class(
    job: Class, work: Work, *, jobs: int, scheduler: str | None = None,
    done: Callable[[], None] = lambda: None,
) -> None:  # fmt: skip
    """Grade all students of `work` that have no record yet, `jobs` at a time.

    With `scheduler`, the address of a Dask scheduler, its workers do it. `done` is called after
    each student. Raises WorkerFailed if submissions cannot be run, OSError without a scheduler.
    """
    deaths: dict[str, int] = {}
    while left := pending(job, work):
        # After a process died, one at a time: then it is known whose submission brought it down.
        alone = [pair for pair in left if pair[0].name in deaths][:1]
        try:
            _run(job, alone or left, 2 if alone else jobs, scheduler, done)
        except Exception as error:
            if type(error).__name__ not in DEATHS:
                raise
            for student, _ in alone or _started(job, left):
                deaths[student.name] = deaths.get(student.name, 0) + 1
            _give_up(job, [p for p in left if deaths.get(p[0].name, 0) >= MAX_DEATHS])
        else:
            if not alone:
                return


def _started(job: Class, left: Work) -> Work:
    """Those of `left` that were being graded, by the journal; all if it tells nothing."""
    text = (job.folder / "journal.jsonl").read_text(encoding="utf-8", errors="replace")
    return [pair for pair in left if f'"student":{json.dumps(pair[0].name)}' in text] or left


def _give_up(job: Class, work: Work) -> None:
    folder, why = ResultsFolder(job.folder), "the process that grades it died twice"
    for student, handed_in in work:
        folder.write_record(failed_record(job, student.name, handed_in, why))
        folder.note(event="given up", student=student.name, submission=handed_in.digest)


def _run(
    job: Class, work: Work, jobs: int, scheduler: str | None, done: Callable[[], None]
) -> None:
    from joblib import Parallel, delayed

    with machines(scheduler, min(jobs, max(len(work), 2))):
        parallel = Parallel(return_as="generator_unordered", batch_size=1)  # type: ignore[arg-type]
        tasks = (delayed(grade_student)(job, student.name, h) for student, h in work)
        for record in parallel(tasks):
            if record is not None:
                ResultsFolder(job.folder).write_record(record)
            done()
