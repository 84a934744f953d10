"""A bench for submissions in each of the three ways in which a worker comes to be."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from trial import Bench

from induction_heads.grading.nursery import Nursery
from induction_heads.grading.sandbox import isolation


def warm(isolated: bool) -> Nursery:
    """A nursery that forks. Where it cannot be as asked, the test says what it did not run."""
    if isolated and not isolation().complete:
        pytest.skip(f"NOT RUN: {isolation().said}")
    return Nursery(isolated=isolated)


@pytest.fixture(scope="session")
def forking() -> Iterator[Nursery]:
    with warm(isolated=False) as nursery:
        yield nursery


@pytest.fixture(scope="session")
def isolating() -> Iterator[Nursery]:
    with warm(isolated=True) as nursery:
        yield nursery


@pytest.fixture(params=["spawned", "forked", "isolated"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    names = {"forked": "forking", "isolated": "isolating"}
    if request.param == "spawned":
        return Bench(tmp_path, None)
    return Bench(tmp_path, request.getfixturevalue(names[request.param]))
