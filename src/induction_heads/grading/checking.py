"""The check of one chapter of a submission: every asked exercise, in a process of its own."""

from collections.abc import Callable, Mapping
from functools import partial

from induction_heads.checks.registry import Selection
from induction_heads.grading.judge import Sheet, judge
from induction_heads.grading.process import Wrap
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
    wrap: Wrap = lambda command, folder: command,
    progress: Progress = lambda name, result: None,
) -> ChapterResult:
    """Check the selected exercises of one chapter's file, in a process of its own.

    `sheets` holds sheets by exercise name whose answers may be known already, as when many
    submissions get the same inputs. Where it has none, one is drawn from `seed`.
    """
    results = []
    with RunningSubmission(submission, limits, wrap) as running:
        for exercise in selection.exercises:
            progress(exercise.name, None)
            sheet = (sheets or {}).get(exercise.name) or Sheet(exercise, seed)
            result = judge(sheet, partial(running.call, exercise.name))
            progress(exercise.name, result)
            results.append(result)
    return ChapterResult(selection.stem, tuple(results))
