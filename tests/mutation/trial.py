"""One changed answer against the check of its exercise."""

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from drawn import sheet

from induction_heads.grading import calls
from induction_heads.grading.judge import judge
from induction_heads.grading.live_models import LiveModels
from induction_heads.grading.sheet import Sheet

LEAST_SECONDS = 1.0
"""CPU-seconds that every changed answer may take."""


class TooLong(BaseException):
    """A changed answer used up its CPU time."""


class Trial:
    """The check of one exercise, tried on one changed answer after another.

    What decides is what `judge` decides by: the oracle's answers, the comparison, the description
    where there is one, and arguments left as they were. The case that refused the last answer comes
    first, and the first difference ends a trial.
    """

    def __init__(self, exercise: str):
        self.sheet: Sheet = sheet(exercise)
        self.models = LiveModels()
        self.order = list(range(len(self.sheet.inputs)))
        self.seconds = LEAST_SECONDS

    def prepare(self) -> None:
        """Compute the oracle's answers and build the models, which takes longer than most calls."""
        _ = self.sheet.expected
        for given in self.sheet.inputs:
            with self.models.live(given):
                pass

    def refusal(self, function: Callable[[], Callable[..., Any]]) -> str | None:
        """Why the check refuses a function, or None if it accepts it."""
        try:
            with torch.random.fork_rng(devices=[]), limited(self.seconds):
                torch.manual_seed(0)
                return self._refusal(function())
        except TooLong:
            return f"took more than {self.seconds:.0f} CPU-seconds"
        except BaseException as error:  # Code that cannot even be loaded.
            if isinstance(error, KeyboardInterrupt):
                raise
            return f"raised {type(error).__name__}"

    def _refusal(self, function: Callable[..., Any]) -> str | None:
        if self.sheet.exercise.describe is not None:
            return self._judged(function)
        for index in self.order:
            outcome = self._call(function, index)
            said = self._difference(outcome, index)
            if said is not None:
                self.order.remove(index)
                self.order.insert(0, index)
                return f"{self.sheet.cases[index].label}: {said}"
        return None

    def _call(self, function: Callable[..., Any], index: int) -> calls.Outcome:
        args, kwargs = self.sheet.inputs[index]
        outcome = calls.call(function, args, kwargs, models=self.models)
        if "TooLong" in outcome.message:
            raise TooLong
        return outcome

    def _difference(self, outcome: calls.Outcome, index: int) -> str | None:
        if outcome.status != "returned":
            return outcome.message or outcome.status
        if outcome.changed is not None:
            return f"{outcome.changed} was changed in place"
        try:
            return self.sheet.exercise.compare(outcome.value, self.sheet.expected[index])
        except Exception as error:
            return f"cannot be compared: {error}"

    def _judged(self, function: Callable[..., Any]) -> str | None:
        numbers = iter(range(len(self.sheet.inputs)))
        failed = False

        def call(args: tuple, kwargs: dict, seconds: float) -> calls.Outcome:
            nonlocal failed
            if failed:  # One call without an answer decides.
                return calls.Outcome("died")
            outcome = self._call(function, next(numbers))
            failed = outcome.status != "returned"
            return outcome

        result = judge(self.sheet, call)
        return None if result.passed else result.message

    def accepts_original(self, function: Callable[[], Callable[..., Any]]) -> str | None:
        """Try the answer as it is. Sets the time limit of the changed ones by what it took."""
        self.seconds = 600.0
        start = _cpu()
        said = self.refusal(function)
        self.seconds = LEAST_SECONDS + 10 * (_cpu() - start)
        return said


def _cpu() -> float:
    import time

    return time.process_time()


class LinesRun:
    """Which lines of the answers and of the course run inside a `with` block."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, int]] = set()

    def any_of(self, path: Path, lines: range) -> bool:
        """Whether one of these lines of a file has run."""
        return any((str(path), line) in self._seen for line in lines)

    def __enter__(self) -> None:
        sys.settrace(self._entered)

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _entered(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._line if "/course/" in frame.f_code.co_filename else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        self._seen.add((frame.f_code.co_filename, frame.f_lineno))
        return self._line


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise TooLong in this thread after so many seconds of CPU time."""

    def end(*_: object) -> None:
        raise TooLong("TooLong")

    before = signal.signal(signal.SIGPROF, end)
    # It repeats: what is raised may be caught by the code that it should end.
    signal.setitimer(signal.ITIMER_PROF, seconds, 0.5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
