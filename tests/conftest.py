"""Settings shared by all tests."""

import gc
from collections.abc import Iterator
from types import SimpleNamespace

import jaxtyping
import pytest
import torch

from induction_heads.grading import checking
from induction_heads.grading.workers import WorkerPool

NOT_RUN = "NOT RUN: "


@pytest.hookimpl(tryfirst=True)  # Before pytest-xdist reads the marks.
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With `--dist loadgroup`, one process runs the tests that share a module's fixture.

    The many short tests come last, so that all processes end at about the same time.
    """
    for item in items:
        fixtures = getattr(item, "_fixtureinfo", None)
        definitions = fixtures.name2fixturedefs.values() if fixtures else ()
        shares = any(each.scope == "module" for found in definitions for each in found)
        if shares and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    items.sort(
        key=lambda item: (
            item.get_closest_marker("slow") is None,
            item.get_closest_marker("xdist_group") is None,
        )
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Iterator[None]:
    """What is imported by now stays: looking for garbage in it took a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    return (yield)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Without its groups the suite is right but takes much longer, and no test would notice."""
    if getattr(session.config.option, "loadgroup", False):
        grouped = [item for item in session.items if item.get_closest_marker("xdist_group")]
        if any("@" not in item.nodeid for item in grouped):
            raise pytest.UsageError(
                "pytest-xdist did not group the tests: its version does not fit that of pytest. "
                "Install the versions in requirements.txt."
            )


def pytest_terminal_summary(terminalreporter):
    """Say plainly, at the end, what this machine could not test and why."""
    reasons = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        if NOT_RUN in reason:
            reason = reason.split(NOT_RUN, 1)[1]
            reasons[reason] = reasons.get(reason, 0) + 1
    if reasons:
        terminalreporter.section("not run on this machine")
    for reason, count in reasons.items():
        terminalreporter.write_line(f"{count} tests not run: {reason}")


@pytest.fixture(autouse=True)
def same_draws() -> None:
    """A test that draws without a generator gets the same numbers in every run."""
    torch.manual_seed(0)


@pytest.fixture
def as_for_a_reader(monkeypatch):
    """Shape checks off, as outside the tests: bad input reaches the function's own guard."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture(scope="session")
def warm() -> Iterator[WorkerPool]:
    """One process that forks workers, as `check` starts one: importing PyTorch takes seconds."""
    with WorkerPool() as pool:
        yield pool


@pytest.fixture
def one_warm_process(warm: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """`check` and its like, called in this process, share a warm process and do not end it."""
    shared = SimpleNamespace(worker=warm.worker, isolation=warm.isolation, close=lambda: None)
    monkeypatch.setattr(checking, "WorkerPool", lambda: shared)
