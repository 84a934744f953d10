"""The results of a check as data: one per exercise, and one list of them per chapter."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Status:
    """One outcome of an exercise, and how it is shown.

    `style` is for a terminal and `color` for HTML. `state` is the coarser word of
    `induction-heads status`: done, failing or not started.
    """

    name: str
    word: str
    mark: str
    style: str
    color: str
    state: str


STATUSES = {
    status.name: status
    for status in (
        Status("passed", "passed", "✓", "green", "#1a7f37", "done"),
        Status("failed", "failed", "✗", "red", "#c0392b", "failing"),
        Status("not_started", "not started", "·", "dim", "#666666", "not started"),
        Status("error", "error", "!", "red", "#c0392b", "failing"),
        Status("timeout", "timeout", "⧖", "red", "#c0392b", "failing"),
    )
}
"""Every status by name, in the order in which they are counted."""

STATE_STYLES = {status.state: status.style for status in STATUSES.values()}
"""The states and their terminal styles, in the same order."""

Table = tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Difference:
    """A table of an answer beside the expected one, to be drawn.

    `marked` is true for the cells that differ. `where` says which part of larger arrays this is.
    """

    answer: Table
    expected: Table
    marked: Table
    where: str = ""


@dataclass(frozen=True)
class Result:
    """The result of one exercise. `status` is a key of `STATUSES`.

    `mistake` names the known mistake that the answers equal. `seconds` is the time spent in the
    function, over all cases. `n_right` of `n_cases` answers were right. `share` is the share of the
    points that they earn where partial credit is given. `difference` is set if the first wrong
    answer can be drawn.
    """

    name: str
    status: str
    message: str = ""
    mistake: str | None = None
    seconds: float = 0.0
    n_right: int = 0
    n_cases: int = 0
    share: float = 0.0
    difference: Difference | None = None

    @property
    def passed(self) -> bool:
        """Whether the status is "passed"."""
        return self.status == "passed"

    def as_json(self) -> dict[str, Any]:
        """The result as `--json` prints it."""
        return {
            "name": self.name,
            "status": self.status,
            "message": self.message,
            "mistake": self.mistake,
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True)
class ChapterResult:
    """The results of the checked exercises of one chapter."""

    chapter: str
    exercises: tuple[Result, ...]

    @property
    def passed(self) -> bool:
        """Whether every checked exercise passed."""
        return all(result.passed for result in self.exercises)

    def as_json(self) -> dict[str, Any]:
        """The chapter as `--json` prints it."""
        return {
            "chapter": self.chapter,
            "passed": self.passed,
            "exercises": [result.as_json() for result in self.exercises],
        }
