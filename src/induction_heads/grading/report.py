"""Results in words: for a terminal, and for the end of a notebook cell."""

import html
from dataclasses import dataclass

from induction_heads.grading.results import ChapterResult, Result

MARKS = {"passed": "✓", "failed": "✗", "not_started": "·", "error": "!", "timeout": "⧖"}
WORDS = {
    "passed": "passed",
    "failed": "failed",
    "not_started": "not started",
    "error": "error",
    "timeout": "timeout",
}
COLORS = {
    "passed": "#1a7f37",
    "failed": "#c0392b",
    "not_started": "#666666",
    "error": "#c0392b",
    "timeout": "#c0392b",
}
STYLES = {
    "passed": "green",
    "failed": "red",
    "not_started": "dim",
    "error": "red",
    "timeout": "red",
}


def result_lines(result: Result) -> list[str]:
    """One exercise: its status, then what is to be said about it."""
    head = f"{MARKS[result.status]} {result.name}: {WORDS[result.status]}"
    return [head, *(f"    {line}" for line in result.message.splitlines())]


def summary_line(chapters: list[ChapterResult]) -> str:
    """How many passed and how many did not: `3 of 5 passed, 1 failed, 1 not started.`"""
    statuses = [result.status for chapter in chapters for result in chapter.exercises]
    others = [
        f"{statuses.count(status)} {word}"
        for status, word in WORDS.items()
        if status != "passed" and status in statuses
    ]
    passed = f"{statuses.count('passed')} of {len(statuses)} passed"
    return ", ".join([passed, *others]) + "."


@dataclass(frozen=True)
class Report:
    """What `check` returns: readable in a terminal and at the end of a notebook cell."""

    result: Result

    @property
    def passed(self) -> bool:
        """Whether the status is "passed"."""
        return self.result.passed

    @property
    def status(self) -> str:
        """One of passed, failed, not_started, error."""
        return self.result.status

    @property
    def message(self) -> str:
        """What came back, what was expected, on which input. Empty if your function passed."""
        return self.result.message

    @property
    def mistake(self) -> str | None:
        """The known mistake that the answers equal, if any."""
        return self.result.mistake

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        return "\n".join(result_lines(self.result))

    def _repr_html_(self) -> str:
        head, *rest = result_lines(self.result)
        color = COLORS[self.result.status]
        lines = "".join(f"<div>{html.escape(line.strip())}</div>" for line in rest)
        return (
            f'<div style="border-left: 4px solid {color}; padding: 0.2em 0.8em">'
            f'<strong style="color: {color}">{html.escape(head)}</strong>{lines}</div>'
        )
