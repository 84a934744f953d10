"""Benches for submissions: in forked and isolated workers, and in ones that are started anew."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from trial import Bench

from induction_heads.grading.sandbox import isolation
from induction_heads.grading.workers import WorkerPool


def warm(isolated: bool) -> WorkerPool:
    """A pool that forks. The test is skipped with a reason where it cannot isolate."""
    if isolated and not isolation().complete:
        pytest.skip(f"NOT RUN: {isolation().message}")
    return WorkerPool(isolated=isolated)


@pytest.fixture(scope="session")
def forking() -> Iterator[WorkerPool]:
    with warm(isolated=False) as pool:
        yield pool


@pytest.fixture(scope="session")
def isolating() -> Iterator[WorkerPool]:
    with warm(isolated=True) as pool:
        yield pool


def made(way: str, folder: Path, request: pytest.FixtureRequest) -> Bench:
    names = {"forked": "forking", "isolated": "isolating"}
    return Bench(folder, None if way == "spawned" else request.getfixturevalue(names[way]))


@pytest.fixture(params=["forked", "isolated"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    """What a submission's code gets to see and can do."""
    return made(request.param, tmp_path, request)


@pytest.fixture(params=["spawned", "forked", "isolated"])
def each_bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    """How a worker starts and ends: also where nothing can be forked, which costs seconds."""
    return made(request.param, tmp_path, request)
