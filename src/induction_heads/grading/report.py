"""Results in words: for a terminal, and for the end of a notebook cell."""

import base64
import html
import io
from dataclasses import dataclass

from induction_heads.grading.results import ChapterResult, Difference, Result

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
        drawn = drawing(self.result) if self.result.difference else ""
        return (
            f'<div style="border-left: 4px solid {color}; padding: 0.2em 0.8em">'
            f'<strong style="color: {color}">{html.escape(head)}</strong>{lines}{drawn}</div>'
        )


def drawing(result: Result) -> str:
    """The answer beside the expected one as an HTML image. Empty if there is nothing to draw."""
    shown = result.difference
    if shown is None or result.passed:
        return ""
    from induction_heads.figures import difference_heatmaps  # Drawing takes a second to import.

    figure = difference_heatmaps(shown.answer, shown.expected, shown.marked, shown.where)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    picture = base64.b64encode(stream.getvalue()).decode()
    return f'<img alt="{html.escape(described(shown))}" src="data:image/png;base64,{picture}">'


def described(shown: Difference) -> str:
    """What the drawing shows, in words."""
    n_rows, n_columns = len(shown.answer), len(shown.answer[0]) if shown.answer else 0
    n_marked = sum(map(sum, shown.marked))
    cells = f"{n_marked} of {n_rows * n_columns} cells differ and are crossed out"
    part = f" ({shown.where})" if shown.where else ""
    about = cells if n_marked else "the shapes differ"
    return f"Two heatmaps in the same colors{part}: your answer and the expected one; {about}."
