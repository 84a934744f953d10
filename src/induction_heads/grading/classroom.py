"""The grading of a class: one task for each student, on this machine or on a cluster.

A task grades all chapters of one student and writes the record itself, so a finished student stays
graded whatever happens next. The grades depend neither on the order of tasks nor on how many run at
once.
"""

import atexit
import json
import os
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from induction_heads.course.registry import Selection, chapter_exercises, exercise_names
from induction_heads.grading.checking import check_chapter
from induction_heads.grading.own_code import exercises_in_library
from induction_heads.grading.pictures import stored_picture
from induction_heads.grading.points import ExercisePoints
from induction_heads.grading.results import Result
from induction_heads.grading.results_folder import GradingSettings, ResultsFolder
from induction_heads.grading.running_submission import Budget, Limits, WorkerFailed
from induction_heads.grading.sheet import Sheet
from induction_heads.grading.students import HandIn, Student
from induction_heads.grading.submission import Submission
from induction_heads.grading.workers import WorkerPool, WorkerPoolFailed
from induction_heads.parallel import DEATHS, end_with, machines

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{6,}")
MAX_DEATHS = 2


@dataclass(frozen=True)
class GradingJob:
    """What all tasks of a run share.

    `folder` is the results folder. `exercise_points` has the points of each exercise by name.
    `parent` is the process id of the command, or None if tasks run on other machines. `isolated`:
    whether submissions must be fully sandboxed. `user`: who runs them without a sandbox, if not
    the user of the command. `regrade`: what to grade again in earlier records, or None.
    """

    folder: Path
    settings: GradingSettings
    exercise_points: Mapping[str, ExercisePoints]
    limits: Limits | None = None
    parent: int | None = None
    isolated: bool = True
    user: str | None = None
    regrade: "Regrade | None" = None

    @property
    def refused(self) -> dict[str, str]:
        """The library functions that submissions must not call, as name → module."""
        return exercises_in_library(exercise_names()) if self.settings.own_code else {}


@dataclass(frozen=True)
class Regrade:
    """Exercises to grade again in the records whose settings have the digest `before`."""

    exercises: tuple[str, ...]
    before: str


@cache
def _pool(process: int, user: str | None = None) -> WorkerPool:
    """The worker pool of a process, started on first use."""
    pool = WorkerPool(user=user)
    atexit.register(pool.close)
    return pool


def _warm(job: GradingJob) -> WorkerPool:
    """The worker pool of this process. Raises WorkerFailed if it cannot isolate as required."""
    try:
        pool = _pool(os.getpid(), job.user)
    except WorkerPoolFailed as error:
        raise WorkerFailed(str(error)) from error
    if job.isolated and not pool.isolation.complete:
        raise WorkerFailed(pool.isolation.message)
    return pool


@cache
def _sheets(stem: str, seed: int) -> dict[str, Sheet]:
    """The sheets of a chapter, made once in each process and used for every student."""
    return {exercise.name: Sheet(exercise, seed) for exercise in chapter_exercises(stem)}


def grade_student(job: GradingJob, name: str, hand_in: HandIn) -> dict[str, Any] | None:
    """Grade one student who has no record yet, and write the record.

    Returns the record if this process cannot write it, else None. Raises WorkerFailed if no
    submission can be run here.
    """
    if job.parent not in (None, os.getpid()):
        end_with(job.parent)
    folder = ResultsFolder(job.folder)
    if not (job.folder / "settings.json").is_file() or folder.settings() != job.settings:
        return _graded(job, name, hand_in)
    with folder.only_one(name):
        if folder.record(name, job.settings.digest(), hand_in.digest) is None:
            folder.note(event="started", student=name, submission=hand_in.digest)
            start = time.monotonic()
            folder.write_record(_graded(job, name, hand_in))
            seconds = round(time.monotonic() - start, 3)
            folder.note(event="graded", student=name, submission=hand_in.digest, seconds=seconds)
    return None


def _graded(job: GradingJob, name: str, hand_in: HandIn) -> dict[str, Any]:
    import torch

    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            earlier = _earlier(job, name, hand_in)
            if earlier is not None and job.regrade is not None:
                again = _results(job, hand_in, job.regrade.exercises)
                return _merged(job, name, hand_in, earlier, again)
            return _record(job, name, hand_in, _results(job, hand_in))
    except WorkerFailed:
        if not _workers_start(job):
            raise
        return failed_record(job, name, hand_in, "its worker process could not be started")
    except Exception as error:  # A failure of the judge on one submission must not stop the class.
        return failed_record(job, name, hand_in, f"{type(error).__name__}: {error}"[:300])


def _results(
    job: GradingJob, hand_in: HandIn, only: Collection[str] | None = None
) -> list[tuple[str, Result]]:
    """The results by chapter: of all exercises, or of those named in `only`."""
    results = []
    pool = _warm(job)
    limits = job.limits or Limits()
    budget = Budget(limits.student)
    for submission in hand_in.submissions:
        stem, seed = submission.stem, job.settings.seed
        exercises = [e for e in chapter_exercises(stem) if only is None or e.name in only]
        if not exercises:
            continue
        selection = Selection(stem, tuple(exercises))
        chapter = check_chapter(
            selection,
            submission,
            sheets=_sheets(stem, seed),
            seed=seed,
            limits=limits,
            pool=pool,
            refused=job.refused,
            budget=budget,
        )
        results += [(stem, result) for result in chapter.exercises]
    return results


def _earlier(job: GradingJob, name: str, hand_in: HandIn) -> dict[str, Any] | None:
    """The intact record to regrade, if the student was graded with this submission before."""
    if job.regrade is None:
        return None
    record = ResultsFolder(job.folder).record(name, job.regrade.before, hand_in.digest)
    return record if record is not None and record["status"] == "graded" else None


def _merged(
    job: GradingJob,
    name: str,
    hand_in: HandIn,
    earlier: dict[str, Any],
    again: Sequence[tuple[str, Result]],
) -> dict[str, Any]:
    """The earlier record with new results for some exercises, and the current points for all."""
    new = {result.name: (stem, result) for stem, result in again}
    exercises = []
    for row in earlier["exercises"]:
        points = job.exercise_points[row["name"]]
        if row["name"] in new:
            stem, result = new[row["name"]]
            exercises.append(_exercise(stem, result, points))
        else:
            passed = row["status"] == "passed"
            earned = points.earned(passed, row["share"])
            exercises.append(row | {"points": earned, "max_points": points.maximum})
    return _frame(job, name, hand_in, "graded", exercises)


def _workers_start(job: GradingJob) -> bool:
    """Whether an empty submission can be run: then the failure concerns one student only."""
    stem = job.settings.chapters[0]
    selection = Selection(stem, chapter_exercises(stem)[:1])
    with suppress(WorkerFailed):  # The old pool may have ended, so a new one is tried.
        _warm(job).close()
    _pool.cache_clear()
    try:
        check_chapter(selection, Submission(stem), limits=job.limits, pool=_warm(job))
    except WorkerFailed:
        return False
    return True


def _record(
    job: GradingJob, name: str, hand_in: HandIn, results: Sequence[tuple[str, Result]]
) -> dict[str, Any]:
    exercises = [
        _exercise(stem, result, job.exercise_points[result.name]) for stem, result in results
    ]
    return _frame(job, name, hand_in, "graded", exercises)


def _frame(
    job: GradingJob, name: str, hand_in: HandIn, status: str, exercises: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "format": job.settings.format,
        "student": name,
        "settings": job.settings.digest(),
        "submission": hand_in.digest,
        "status": status,
        "absent": list(hand_in.absent),
        "points": round(sum(exercise["points"] for exercise in exercises), 4),
        "max_points": round(sum(exercise["max_points"] for exercise in exercises), 4),
        "exercises": exercises,
    }


def _exercise(stem: str, result: Result, points: ExercisePoints) -> dict[str, Any]:
    return {
        "chapter": stem,
        "name": result.name,
        "status": result.status,
        # Memory addresses differ from run to run.
        "message": _ADDRESS.sub("0x…", result.message),
        "mistake": result.mistake,
        "n_right": result.n_right,
        "n_cases": result.n_cases,
        "share": result.share,
        "points": points.earned(result.passed, result.share),
        "max_points": points.maximum,
        "picture": stored_picture(result),
    }


def failed_record(job: GradingJob, name: str, hand_in: HandIn, reason: str) -> dict[str, Any]:
    """The record of a student whom the judge could not grade: no points, and a message."""
    message = f"Not graded: the check itself failed ({reason}). Please grade this by hand."
    exercises = [
        _exercise(stem, Result(exercise.name, "error", message), job.exercise_points[exercise.name])
        for stem in job.settings.chapters
        for exercise in chapter_exercises(stem)
    ]
    return _frame(job, name, hand_in, "not graded", exercises)


Work = Sequence[tuple[Student, HandIn]]


def pending(job: GradingJob, work: Work) -> list[tuple[Student, HandIn]]:
    """The students without a complete record for these settings and this submission."""
    folder, settings = ResultsFolder(job.folder), job.settings.digest()
    return [(s, h) for s, h in work if folder.record(s.name, settings, h.digest) is None]


def grade_class(
    job: GradingJob,
    work: Work,
    *,
    jobs: int,
    scheduler: str | None = None,
    done: Callable[[], None] = lambda: None,
) -> None:
    """Grade all students in `work` that have no record yet, `jobs` at a time.

    With `scheduler`, the address of a Dask scheduler, its workers run the tasks. `done` is called
    after each student. Raises WorkerFailed if submissions cannot be run, and OSError if the
    scheduler cannot be reached.
    """
    deaths: dict[str, int] = {}
    while left := pending(job, work):
        # After a process has died, suspects run one at a time, to learn whose submission it was.
        suspect = [pair for pair in left if pair[0].name in deaths][:1]
        try:
            _run(job, suspect or left, 2 if suspect else jobs, scheduler, done)
        except Exception as error:
            if type(error).__name__ not in DEATHS:
                raise
            for student, _ in suspect or _started(job, left):
                deaths[student.name] = deaths.get(student.name, 0) + 1
            _give_up(job, [p for p in left if deaths.get(p[0].name, 0) >= MAX_DEATHS])
        else:
            if not suspect:
                return


def _started(job: GradingJob, left: Work) -> Work:
    """The students of `left` that the journal says were started, or all if it names none."""
    text = (job.folder / "journal.jsonl").read_text(encoding="utf-8", errors="replace")
    return [pair for pair in left if f'"student":{json.dumps(pair[0].name)}' in text] or left


def _give_up(job: GradingJob, work: Work) -> None:
    folder, reason = ResultsFolder(job.folder), "the grading process died twice"
    for student, hand_in in work:
        folder.write_record(failed_record(job, student.name, hand_in, reason))
        folder.note(event="given up", student=student.name, submission=hand_in.digest)


def _run(
    job: GradingJob, work: Work, jobs: int, scheduler: str | None, done: Callable[[], None]
) -> None:
    from joblib import Parallel, delayed

    with machines(scheduler, min(jobs, max(len(work), 2))):
        parallel = Parallel(return_as="generator_unordered", batch_size=1)  # type: ignore[arg-type]
        tasks = (delayed(grade_student)(job, student.name, h) for student, h in work)
        for record in parallel(tasks):
            if record is not None:
                ResultsFolder(job.folder).write_record(record)
            done()
