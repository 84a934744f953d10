"""One way to check every hostile submission: the same as for a class, with short limits."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from attacks import LIMITS, Checker
from trial import STEM, WIDTH

from induction_heads.checks.registry import Selection
from induction_heads.grading.checking import check_chapter
from induction_heads.grading.nursery import Nursery
from induction_heads.grading.results import ChapterResult
from induction_heads.grading.submission import Submission


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """The warm process that all attacks are forked from."""
    with Nursery() as warm:
        yield warm


@pytest.fixture(scope="session")
def not_isolated(nursery: Nursery) -> str | None:
    """Why an attack that needs isolation cannot run here, or None if it can."""
    isolation = nursery.isolation
    return None if isolation.complete else f"attacks that need isolation: {isolation.said}"


@pytest.fixture(scope="session")
def checker(nursery: Nursery) -> Checker:
    """`checker(selection, submission, **limits)`: the check that all hostile submissions get."""

    def check(selection: Selection, submission: Submission, **limits: float) -> ChapterResult:
        return check_chapter(
            selection, submission, limits=replace(LIMITS, **limits), nursery=nursery
        )

    # The first model of a judge loads libraries that change its environment.
    check(Selection(STEM, (WIDTH,)), Submission(STEM, "def width(model):\n    return 0\n"))
    return check
