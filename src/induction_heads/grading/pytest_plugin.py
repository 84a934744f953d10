"""Grades a folder of answers with pytest:

pytest -p induction_heads.grading.pytest_plugin \
      --pyargs induction_heads.grading.test_submission --submission DIR
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from induction_heads.grading.running_submission import RunningSubmission


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--submission DIR`."""
    parser.addoption(
        "--submission", default="exercises", metavar="DIR", help="folder with your files"
    )


@pytest.fixture(scope="module")
def submissions(request: pytest.FixtureRequest) -> "Iterator[dict[str, RunningSubmission]]":
    """One worker process for each chapter, started on first use."""
    from induction_heads.course.registry import chapter_stems
    from induction_heads.grading.running_submission import RunningSubmission
    from induction_heads.grading.submission import read_submission

    folder = Path(request.config.getoption("--submission", default=None) or "exercises")
    running = {stem: RunningSubmission(read_submission(folder, stem)) for stem in chapter_stems()}
    yield running
    for submission in running.values():
        submission.close()
