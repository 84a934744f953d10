"""A reader's folder, checked again and again: inputs and expected answers are computed once."""

from pathlib import Path

from induction_heads.checks.registry import FOLDER, Selection
from induction_heads.grading.checking import Progress as Show
from induction_heads.grading.checking import check_chapter
from induction_heads.grading.judge import Sheet
from induction_heads.grading.nursery import Nursery, NurseryFailed
from induction_heads.grading.progress import record_results
from induction_heads.grading.results import ChapterResult, Result
from induction_heads.grading.sources import digest, function_digests
from induction_heads.grading.submission import Submission, read_submission


def silent(name: str, result: Result | None) -> None:
    """Shows nothing."""


class Rechecking:
    """Checks chapters of one folder and records what it finds in the progress file.

    Each check has a fresh worker, forked from a process that is kept warm until `close`.
    `problem` says what was wrong with that file when it was read, if anything was.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.problem: str | None = None
        self._sheets: dict[str, Sheet] = {}
        self._nursery: Nursery | None = None

    def __enter__(self) -> "Rechecking":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the warm process, if one runs."""
        if self._nursery is not None:
            self._nursery.close()
            self._nursery = None

    def _warm(self) -> Nursery:
        if self._nursery is None:
            self._nursery = Nursery()
        return self._nursery

    def read(self, stem: str) -> Submission:
        """The chapter's file as it is now. A file that vanishes meanwhile is a missing one."""
        try:
            return read_submission(self.folder, stem)
        except OSError as error:
            return Submission(stem, problem=f"{stem}.py cannot be read: {error.strerror}.")

    def digests(self, selection: Selection, submission: Submission) -> dict[str, str]:
        """For each exercise, a digest of the code and of the check that decide its result."""
        names = [exercise.name for exercise in selection.exercises]
        own = function_digests(submission.source, names)
        return {name: f"{own[name]}{_check_digest(selection.stem)}" for name in names}

    def check(
        self, selection: Selection, show: Show = silent, submission: Submission | None = None
    ) -> ChapterResult:
        """Check the exercises in a process of their own, and record the results."""
        submission = submission or self.read(selection.stem)
        for exercise in selection.exercises:
            self._sheets.setdefault(exercise.name, Sheet(exercise))
        # A file that cannot be read needs no process to say so.
        nursery = None if submission.problem else self._warm()
        try:
            result = _check(selection, submission, self._sheets, show, nursery)
        except NurseryFailed:  # It has ended: a new one, once.
            self.close()
            result = _check(selection, submission, self._sheets, show, self._warm())
        if submission.problem is None:
            digests = self.digests(selection, submission)
            written = record_results(self.folder, result.exercises, digests)
            self.problem = self.problem or written.problem
        return result


def _check(
    selection: Selection,
    submission: Submission,
    sheets: dict[str, Sheet],
    show: Show,
    nursery: Nursery | None,
) -> ChapterResult:
    return check_chapter(selection, submission, sheets=sheets, nursery=nursery, progress=show)


def _check_digest(stem: str) -> str:
    """A digest of the chapter's checks: a new check makes an old result void."""
    files = sorted(FOLDER.glob(f"**/{stem[:4]}_*.py"))
    return digest("".join(file.read_text(encoding="utf-8") for file in files))
