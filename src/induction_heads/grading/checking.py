"""The check of one chapter of a submission, and of a reader's folder again after every save."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from induction_heads.course.registry import FOLDER, Selection, chapter_exercises, chapter_stems
from induction_heads.grading.judge import judge
from induction_heads.grading.progress import record_results
from induction_heads.grading.results import ChapterResult, Result
from induction_heads.grading.running_submission import Budget, Limits, RunningSubmission
from induction_heads.grading.sheet import Sheet
from induction_heads.grading.source_code import called_by, digest, function_digests, remarks
from induction_heads.grading.submission import Submission, read_submission
from induction_heads.grading.workers import WorkerPool, WorkerPoolFailed

Progress = Callable[[str, Result | None], None]
"""`progress(name, None)` before an exercise is checked, `progress(name, result)` after."""


def silent(name: str, result: Result | None) -> None:
    """Shows nothing."""


def check_chapter(
    selection: Selection,
    submission: Submission,
    *,
    sheets: Mapping[str, Sheet] | None = None,
    seed: int = 0,
    limits: Limits | None = None,
    pool: WorkerPool | None = None,
    progress: Progress = silent,
    refused: Mapping[str, str] | None = None,
    budget: Budget | None = None,
) -> ChapterResult:
    """Check the selected exercises of one chapter's file in a separate process.

    The process comes from `pool`; without one, a new process is started. `sheets` maps exercise
    names to sheets, so that many submissions can share inputs and expected answers. An exercise
    that is not in `sheets` gets a sheet drawn from `seed`. `refused` names library functions that
    the submission must not call, with their modules. `budget` is the time of one student for
    several chapters.
    """
    results = []
    shared = sheets or {}
    drawn = [shared.get(exercise.name) or Sheet(exercise, seed) for exercise in selection.exercises]
    models = any(sheet.has_models for sheet in drawn)
    names = _names(selection)
    with RunningSubmission(
        submission, limits, pool, models, refused=refused, budget=budget
    ) as running:
        for sheet in drawn:
            name = sheet.exercise.name
            progress(name, None)
            result = judge(sheet, partial(running.call, name))
            result = _with_remarks(result, submission, names, results)
            progress(name, result)
            results.append(result)
    return ChapterResult(selection.stem, tuple(results))


def _names(selection: Selection) -> set[str]:
    """The names of the selected exercises and of all others of the chapter."""
    known = chapter_exercises(selection.stem) if selection.stem in chapter_stems() else ()
    return {exercise.name for exercise in (*known, *selection.exercises)}


def _with_remarks(
    result: Result, submission: Submission, names: Collection[str], before: Sequence[Result]
) -> Result:
    """A result that is not passed, with what the file itself or earlier results may explain."""
    if result.passed or submission.problem is not None:
        return result
    lines = remarks(submission.source, result.name, names)
    if result.status != "not_started":
        failing = [each.name for each in before if not each.passed]
        for called in called_by(submission.source, result.name, failing)[:2]:
            if f"calls `{called}`" not in result.message:
                lines.append(f"It calls `{called}`, which does not pass either. Start there.")
    return replace(result, message="\n".join([result.message, *lines])) if lines else result


class FolderChecker:
    """Checks chapters of one folder and records the results in the folder's progress file.

    Inputs and expected answers are computed once. Each check has a fresh worker, forked from a
    process that stays warm until `close`. `problem` says what was wrong with the progress file when
    it was read, or is None.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.problem: str | None = None
        self._sheets: dict[str, Sheet] = {}
        self._pool: WorkerPool | None = None

    def __enter__(self) -> "FolderChecker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the warm process, if one is running."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def _warm(self) -> WorkerPool:
        if self._pool is None:
            self._pool = WorkerPool()
        return self._pool

    def read(self, stem: str) -> Submission:
        """The chapter's file as it is now. A file that disappears meanwhile counts as missing."""
        try:
            return read_submission(self.folder, stem)
        except OSError as error:
            return Submission(stem, problem=f"{stem}.py cannot be read: {error.strerror}.")

    def digests(self, selection: Selection, submission: Submission) -> dict[str, str]:
        """For each exercise, a digest of the code and of the check that decide its result."""
        names = [exercise.name for exercise in selection.exercises]
        beside = digest(repr(submission.beside)) if submission.beside else ""
        own = function_digests(submission.source, names)
        own = {name: f"{code}{beside}" for name, code in own.items()}
        return {name: f"{own[name]}{_check_digest(selection.stem)}" for name in names}

    def check(
        self,
        selection: Selection,
        progress: Progress = silent,
        submission: Submission | None = None,
    ) -> ChapterResult:
        """Check the exercises in a separate process and record the results."""
        submission = submission or self.read(selection.stem)
        for exercise in selection.exercises:
            self._sheets.setdefault(exercise.name, Sheet(exercise))
        check = partial(
            check_chapter, selection, submission, sheets=self._sheets, progress=progress
        )
        # No process is needed to report that a file cannot be read.
        pool = None if submission.problem else self._warm()
        try:
            result = check(pool=pool)
        except WorkerPoolFailed:  # The warm process has ended: try once more with a new one.
            self.close()
            result = check(pool=self._warm())
        if submission.problem is None:
            digests = self.digests(selection, submission)
            written = record_results(self.folder, result.exercises, digests)
            self.problem = self.problem or written.problem
        return result


def _check_digest(stem: str) -> str:
    """A digest of the chapter's checks: an old result is no longer valid under a new check."""
    files = sorted((FOLDER / stem).glob("*.py"))
    return digest("".join(file.read_text(encoding="utf-8") for file in files))
