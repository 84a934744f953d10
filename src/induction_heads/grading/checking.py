"""The check of one chapter of a submission: every asked exercise, in a process of its own."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from induction_heads.checks.registry import Selection
from induction_heads.grading.judge import Sheet, judge
from induction_heads.grading.process import Wrap
from induction_heads.grading.results import ChapterResult, Result
from induction_heads.grading.running import Limits, RunningSubmission
from induction_heads.grading.submission import read_submission

Progress = Callable[[str, Result | None], None]
"""`progress(name, None)` before an exercise is checked, `progress(name, result)` after."""


def check_chapter(
    selection: Selection,
    folder: Path,
    *,
    seed: int = 0,
    limits: Limits | None = None,
    wrap: Wrap = lambda command, folder: command,
    progress: Progress = lambda name, result: None,
) -> ChapterResult:
    """Check the selected exercises of one chapter's file in `folder`, in a process of its own."""
    results = []
    with RunningSubmission(read_submission(folder, selection.stem), limits, wrap) as running:
        for exercise in selection.exercises:
            progress(exercise.name, None)
            result = judge(Sheet(exercise, seed), partial(running.call, exercise.name))
            progress(exercise.name, result)
            results.append(result)
    return ChapterResult(selection.stem, tuple(results))
