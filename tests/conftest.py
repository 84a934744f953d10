"""Settings shared by all tests."""

import jaxtyping
import pytest

NOT_RUN = "NOT RUN: "


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


@pytest.fixture
def as_for_a_reader(monkeypatch):
    """Shape checks off, as outside the tests: bad input reaches the function's own guard."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
