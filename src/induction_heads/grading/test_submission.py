"""Every exercise of every chapter as one pytest test, graded through the judge."""

from functools import partial

import pytest

from induction_heads.course.exercise import Exercise
from induction_heads.course.registry import select
from induction_heads.grading.judge import judge
from induction_heads.grading.running_submission import RunningSubmission
from induction_heads.grading.sheet import Sheet

PAIRS = [
    pytest.param(selection.stem, exercise, id=f"{selection.stem}-{exercise.name}")
    for selection in select(None)
    for exercise in selection.exercises
]


@pytest.mark.parametrize(("stem", "exercise"), PAIRS)
def test_submission_passes(
    stem: str, exercise: Exercise, submissions: dict[str, RunningSubmission]
) -> None:
    """The exercise has the status "passed"."""
    result = judge(Sheet(exercise), partial(submissions[stem].call, exercise.name))
    if not result.passed:
        pytest.fail(f"{result.status}: {result.message}", pytrace=False)
