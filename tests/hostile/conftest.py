"""Checks hostile submissions as in a class, with short limits."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from attacks import LIMITS, Checker
from trial import STEM, WIDTH

from induction_heads.course.registry import Selection
from induction_heads.grading.checking import check_chapter
from induction_heads.grading.results import ChapterResult
from induction_heads.grading.submission import Submission
from induction_heads.grading.workers import WorkerPool


@pytest.fixture(scope="session")
def pool() -> Iterator[WorkerPool]:
    """The pool whose fork server starts the worker of every attack."""
    with WorkerPool() as warm:
        yield warm


@pytest.fixture(scope="session")
def not_isolated(pool: WorkerPool) -> str | None:
    """Why an attack that needs isolation cannot run here, or None if it can."""
    isolation = pool.isolation
    return None if isolation.complete else f"attacks that need isolation: {isolation.message}"


@pytest.fixture(scope="session")
def checker(pool: WorkerPool) -> Checker:
    """`checker(selection, submission, **limits)`: the check that all hostile submissions get."""

    def check(selection: Selection, submission: Submission, **limits: float) -> ChapterResult:
        return check_chapter(selection, submission, limits=replace(LIMITS, **limits), pool=pool)

    # The first model of a judge loads libraries that change its environment.
    check(Selection(STEM, (WIDTH,)), Submission(STEM, "def width(model):\n    return 0\n"))
    return check
