"""Results in words: for a terminal, and for the end of a notebook cell."""

import base64
import io
from dataclasses import dataclass

from induction_heads.figures.markup import rendered
from induction_heads.grading.results import STATUSES, ChapterResult, Difference, Result

MARKS = {status.name: status.mark for status in STATUSES.values()}
WORDS = {status.name: status.word for status in STATUSES.values()}
"""Two columns of `STATUSES`, for the templates of pages."""


def result_lines(result: Result) -> list[str]:
    """One exercise: its name and status, then its message, indented."""
    status = STATUSES[result.status]
    head = f"{status.mark} {result.name}: {status.word}"
    return [head, *(f"    {line}" for line in result.message.splitlines())]


def summary_line(chapters: list[ChapterResult]) -> str:
    """The number of exercises by status: `3 of 5 passed, 1 failed, 1 not started.`"""
    statuses = [result.status for chapter in chapters for result in chapter.exercises]
    others = [
        f"{statuses.count(status.name)} {status.word}"
        for status in STATUSES.values()
        if status.name != "passed" and status.name in statuses
    ]
    passed = f"{statuses.count('passed')} of {len(statuses)} passed"
    return ", ".join([passed, *others]) + "."


@dataclass(frozen=True)
class CheckReport:
    """The return value of `check`: readable in a terminal and at the end of a notebook cell."""

    result: Result

    @property
    def passed(self) -> bool:
        """Whether the status is "passed"."""
        return self.result.passed

    @property
    def status(self) -> str:
        """The name of the status: passed, failed, not_started or error."""
        return self.result.status

    @property
    def message(self) -> str:
        """What your function returned, what was expected, and for which input; "" if it passed."""
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
        head, *lines = result_lines(self.result)
        return rendered(
            "grading/templates/report.html.j2",
            head=head,
            lines=[line.strip() for line in lines],
            color=STATUSES[self.result.status].color,
            alt=alternative_text(self.result.difference) if self.result.difference else "",
            drawing=drawing(self.result),
        )


def drawing(result: Result) -> str:
    """The answer beside the expected one as a PNG in base64. Empty if there is nothing to draw."""
    difference = result.difference
    if difference is None or result.passed:
        return ""
    # Imported here because matplotlib takes a second.
    from induction_heads.figures.plots import difference_heatmaps

    figure = difference_heatmaps(
        difference.answer, difference.expected, difference.marked, difference.where
    )
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return base64.b64encode(stream.getvalue()).decode()


def alternative_text(difference: Difference) -> str:
    """The image of `drawing` in words."""
    n_cells = sum(map(len, difference.answer))
    n_marked = sum(map(sum, difference.marked))
    cells = f"{n_marked} of {n_cells} cells differ and are crossed out"
    part = f" ({difference.where})" if difference.where else ""
    finding = cells if n_marked else "the shapes differ"
    return f"Two heatmaps in the same colors{part}: your answer and the expected one; {finding}."
