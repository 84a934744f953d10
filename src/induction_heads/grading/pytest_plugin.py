"""Lets pytest grade a folder of answers.

`pytest -p induction_heads.checks.plugin --pyargs induction_heads.checks --submission DIR`
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from induction_heads.grading.running import RunningSubmission


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--submission DIR`."""
    parser.addoption(
        "--submission", default="exercises", metavar="DIR", help="folder with the files to grade"
    )


@pytest.fixture(scope="module")
def submissions(request: pytest.FixtureRequest) -> "Iterator[dict[str, RunningSubmission]]":
    """One worker process per chapter, started when first used."""
    from induction_heads.checks.registry import chapter_stems
    from induction_heads.grading.running import RunningSubmission
    from induction_heads.grading.submission import read_submission

    folder = Path(request.config.getoption("--submission", default=None) or "exercises")
    found = {stem: RunningSubmission(read_submission(folder, stem)) for stem in chapter_stems()}
    yield found
    for submission in found.values():
        submission.close()
