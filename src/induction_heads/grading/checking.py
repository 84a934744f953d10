"""The check of one chapter of a submission: every asked exercise, in a process of its own."""

from collections.abc import Callable, Mapping
from functools import partial

from induction_heads.checks.registry import Selection
from induction_heads.grading.judge import Sheet, judge
from induction_heads.grading.nursery import Nursery
from induction_heads.grading.results import ChapterResult, Result
from induction_heads.grading.running import Limits, RunningSubmission
from induction_heads.grading.submission import Submission

Progress = Callable[[str, Result | None], None]
"""`progress(name, None)` before an exercise is checked, `progress(name, result)` after."""


def check_chapter(
    selection: Selection,
    submission: Submission,
    *,
    sheets: Mapping[str, Sheet] | None = None,
    seed: int = 0,
    limits: Limits | None = None,
    nursery: Nursery | None = None,
    progress: Progress = lambda name, result: None,
) -> ChapterResult:
    """Check the selected exercises of one chapter's file, in a process of its own.

    The process comes from `nursery`, or is started anew without one. `sheets` holds sheets by
    exercise name whose answers may be known already, as when many submissions get the same inputs.
    Where it has none, one is drawn from `seed`.
    """
    results = []
    known = sheets or {}
    drawn = [known.get(exercise.name) or Sheet(exercise, seed) for exercise in selection.exercises]
    models = any(sheet.has_models for sheet in drawn)
    with RunningSubmission(submission, limits, nursery, models) as running:
        for sheet in drawn:
            name = sheet.exercise.name
            progress(name, None)
            result = judge(sheet, partial(running.call, name))
            progress(name, result)
            results.append(result)
    return ChapterResult(selection.stem, tuple(results))
