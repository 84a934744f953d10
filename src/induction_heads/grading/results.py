"""What a check found, as data: one result per exercise, one list of them per chapter."""

from dataclasses import dataclass
from typing import Any

STATUSES = ("passed", "failed", "not_started", "error", "timeout")


Table = tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Difference:
    """A table of an answer beside the expected one, to be drawn.

    `marked` says which cells differ. `where` says which part of larger arrays this is.
    """

    answer: Table
    expected: Table
    marked: Table
    where: str = ""


@dataclass(frozen=True)
class Result:
    """The outcome of one exercise. `mistake` names the known mistake that the answers equal.

    `seconds` is the time spent in the function, over all cases. `n_right` of `n_cases` cases were
    answered rightly. `difference` is there where the first wrong answer can be drawn.
    """

    name: str
    status: str
    message: str = ""
    mistake: str | None = None
    seconds: float = 0.0
    n_right: int = 0
    n_cases: int = 0
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
