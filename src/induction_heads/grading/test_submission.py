"""Every exercise of every chapter as one pytest test, graded through the judge."""

from functools import partial

import pytest

from induction_heads.checks.exercise import Exercise
from induction_heads.checks.registry import select
from induction_heads.grading.judge import Sheet, judge
from induction_heads.grading.running import RunningSubmission

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
