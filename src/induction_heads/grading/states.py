"""The state of each exercise in a reader's folder: done, failing or not started.

An exercise is checked only if its code has changed since the last check.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from induction_heads.course.exercise import Exercise
from induction_heads.course.registry import Selection
from induction_heads.grading.checking import FolderChecker
from induction_heads.grading.progress import Progress
from induction_heads.grading.results import STATUSES
from induction_heads.grading.source_code import definition_line, is_untouched

DONE, FAILING, NOT_STARTED = (STATUSES[name].state for name in ("passed", "failed", "not_started"))


@dataclass(frozen=True)
class Place:
    """An exercise, and where to write it. `line` is None if the file does not define it."""

    exercise: Exercise
    file: Path
    line: int | None

    def __str__(self) -> str:
        line = "" if self.line is None else f", line {self.line}"
        stars, n = "★" * self.exercise.difficulty, self.exercise.minutes
        minutes = f"{n} minute{'s' * (n != 1)}"
        return f"{self.exercise.name} ({stars}, {minutes}) in {self.file}{line}"


def next_exercise(
    checker: FolderChecker, course: Sequence[Selection], states: dict[str, str], start: str
) -> Place | None:
    """The first exercise that is not done, from `start` on and then from the beginning.

    An exercise counts as done if `states` says so; one that is not in it has changed since its
    last check. None if everything is done.
    """
    exercises = [(s.stem, exercise) for s in course for exercise in s.exercises]
    names = [exercise.name for _, exercise in exercises]
    first = names.index(start) if start in names else 0
    for stem, exercise in [*exercises[first:], *exercises[:first]]:
        if states.get(exercise.name) != DONE:
            line = definition_line(checker.read(stem).source, exercise.name)
            return Place(exercise, checker.folder / f"{stem}.py", line)
    return None


def known_states(
    checker: FolderChecker, selections: list[Selection], progress: Progress
) -> tuple[dict[str, str], list[Selection]]:
    """The states that need no check, by exercise, and the exercises that need one."""
    states: dict[str, str] = {}
    unchecked = []
    for selection in selections:
        states |= _known_states(checker, selection, progress)
        left = tuple(e for e in selection.exercises if e.name not in states)
        if left:
            unchecked.append(Selection(selection.stem, left))
    return states, unchecked


def _known_states(
    checker: FolderChecker, selection: Selection, progress: Progress
) -> dict[str, str]:
    submission = checker.read(selection.stem)
    if not (checker.folder / f"{selection.stem}.py").is_file():
        return {exercise.name: NOT_STARTED for exercise in selection.exercises}
    digests = checker.digests(selection, submission)
    states = {}
    for exercise in selection.exercises:
        status = progress.status(exercise.name, digests[exercise.name])
        if is_untouched(submission.source, exercise.name):
            states[exercise.name] = NOT_STARTED
        elif status is not None and submission.problem is None:
            states[exercise.name] = STATUSES[status].state
    return states


def is_attempted(checker: FolderChecker, selection: Selection) -> bool:
    """Whether the selection's first exercise is more than the stub it started as."""
    submission = checker.read(selection.stem)
    return submission.problem is None and not is_untouched(
        submission.source, selection.exercises[0].name
    )
