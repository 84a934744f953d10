"""`check`, `hint`, `solution` and `status` in a notebook."""

import html
import inspect
import signal
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch

from induction_heads.course.exercise import Exercise
from induction_heads.course.exercise_files import folder_here
from induction_heads.course.hints import hints_of
from induction_heads.course.registry import Selection, UnknownTarget, find_exercise, select
from induction_heads.grading import calls
from induction_heads.grading.calls import Outcome
from induction_heads.grading.checking import FolderChecker
from induction_heads.grading.judge import judge
from induction_heads.grading.live_models import LiveModels
from induction_heads.grading.progress import read_progress, record_hint
from induction_heads.grading.report import CheckReport
from induction_heads.grading.results import STATUSES, Result
from induction_heads.grading.sheet import Sheet
from induction_heads.grading.solutions import solution_code
from induction_heads.grading.source_code import is_untouched
from induction_heads.grading.states import DONE, NOT_STARTED, is_attempted, known_states

_results: dict[str, Result] = {}
"""The last result of each function that was checked since the kernel started."""

_sheets: dict[tuple[str, int], Sheet] = {}
"""The inputs and expected answers of each exercise and seed that was checked since then."""

_models = LiveModels()
"""The models that the functions were called with. A later check of the exercise reuses them."""

_hints: dict[str, int] = {}
"""The number of hints that were shown since then: not every notebook has a folder of exercises."""

Named = Callable[..., Any] | str
"""A function, or the name of an exercise."""


@dataclass(frozen=True)
class Text:
    """Text that a notebook shows at the end of a cell, and a terminal prints."""

    text: str

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f'<pre style="white-space: pre-wrap">{html.escape(self.text)}</pre>'


def check(function: Callable[..., Any], *, seed: int = 0) -> CheckReport:
    """Check `function` on the inputs of the exercise with the same name.

    The function runs in this process, on copies of the inputs, and is stopped at the time limit of
    the exercise, usually 20 seconds (but not on Windows). The result is always a report: exceptions
    and `sys.exit` in the function give the status "error". The report says so if the function is
    the package's own, which a page imports under the same name.
    """
    name = getattr(function, "__name__", None)
    if not callable(function) or name is None:
        message = (
            f"Got {type(function).__name__}, not a function. Pass the function itself: check(f)."
        )
        return CheckReport(Result("check", "error", message))
    if name == "<lambda>":
        message = (
            "Got a lambda, which has no name, so it is not clear which exercise it answers. "
            "Write it with def and the name of the exercise, and pass that."
        )
        return CheckReport(Result("check", "error", message))
    try:
        _, exercise = find_exercise(name)
    except UnknownTarget as error:
        return CheckReport(Result(name, "error", str(error)))
    result = _judged(_sheet(exercise, seed), function)
    if str(function.__module__).startswith("induction_heads."):
        note = f"This is the package's own `{name}`. Run the cell with yours again, then the check."
        result = replace(result, message="\n".join(filter(None, [note, result.message])))
    else:
        _results[name] = result
    return CheckReport(result)


def _sheet(exercise: Exercise, seed: int) -> Sheet:
    """The exercise with its inputs drawn; expected answers are computed by the first check only."""
    sheet = _sheets.get((exercise.name, seed))
    if sheet is None or sheet.exercise is not exercise:
        sheet = _sheets[exercise.name, seed] = Sheet(exercise, seed)
    return sheet


def _judged(sheet: Sheet, function: Callable[..., Any]) -> Result:
    """Judge a function by calling it in this process. The global random state stays as it is."""
    # A function may have kept a model of an earlier check and changed it since.
    _models.forget_changed()

    def call(args: tuple, kwargs: dict, seconds: float) -> Outcome:
        with _time_limit(seconds) as limit:
            outcome = calls.call(function, args, kwargs, limit.start, _models)
        if not limit.passed:
            return outcome
        limit_text = f"{sheet.exercise.seconds:g} s"
        message = f"did not finish within {limit_text}. Is there a loop that never ends?"
        return Outcome("timeout", message=message, seconds=seconds)

    with torch.random.fork_rng(devices=[]):
        return judge(sheet, call)


class _OutOfTime(BaseException):
    """Raised in a learner's function when its time is over; `except Exception` lets it through."""


class _Limit:
    """The time limit of one call, from `start` on."""

    def __init__(self, seconds: float, can_stop: bool):
        self.seconds, self.can_stop, self.passed = max(seconds, 0.01), can_stop, False

    def start(self) -> None:
        """Begin to count."""
        if self.can_stop:  # Again every second, in case the function catches it.
            signal.setitimer(signal.ITIMER_REAL, self.seconds, 1.0)

    def stop(self, *_: Any) -> None:
        """End the function that is running."""
        self.passed = True
        raise _OutOfTime


@contextmanager
def _time_limit(seconds: float) -> Iterator[_Limit]:
    """A limit for what runs inside, in the main thread of a system with interval timers."""
    in_main = threading.current_thread() is threading.main_thread()
    limit = _Limit(seconds, in_main and hasattr(signal, "setitimer"))
    if not limit.can_stop:
        yield limit
        return
    before = signal.signal(signal.SIGALRM, limit.stop)
    try:
        yield limit
    except _OutOfTime:  # It came after the call had ended.
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def hint(exercise: Named) -> Text:
    """The next hint for an exercise: `hint(causal_mask)` or `hint("causal_mask")`.

    The last hint is shown only after an attempt. After it, all of them are repeated.
    """
    try:
        selection = _selection(exercise)
    except UnknownTarget as error:
        return Text(str(error))
    name = selection.exercises[0].name
    hints, folder = hints_of(name), folder_here()
    stored = read_progress(folder).entry(name).hints if folder.is_dir() else 0
    n_shown = max(stored, _hints.get(name, 0))
    if not hints:
        return Text(f"There is no hint for {name}.")
    if n_shown >= len(hints):
        return Text("\n".join(_hint_text(name, hints, n) for n in range(1, len(hints) + 1)))
    if n_shown == len(hints) - 1 and not _is_attempted(exercise, selection):
        return Text(
            f"Hint {len(hints)} of {len(hints)} for {name} comes after an attempt. Write a "
            f"function {name}, right or wrong, run its cell and call check({name}) first."
        )
    _hints[name] = n_shown + 1
    if folder.is_dir():
        record_hint(folder, name, n_shown + 1)
    return Text(_hint_text(name, hints, n_shown + 1))


def solution(exercise: Named, *, reveal: bool = False) -> Text:
    """The commented solution of an exercise, once your function has passed.

    `solution(causal_mask)` checks the function first. With `reveal` the solution is shown anyway.
    """
    try:
        selection = _selection(exercise)
    except UnknownTarget as error:
        return Text(str(error))
    name = selection.exercises[0].name
    code = solution_code(folder_here(), selection.stem, name)
    if code is None:
        return Text(f"This copy of the course does not include the solution of {name}.")
    if callable(exercise):
        check(exercise)
    if not reveal and _states([selection])[name] != DONE:
        return Text(
            f"Your {name} has not passed yet. To see the solution anyway, call "
            f"solution({name}, reveal=True)."
        )
    return Text(code)


def status(chapter: str | None = None) -> Text:
    """Which exercises are done, failing or not started: by chapter, or all of one (`"ch04"`).

    Counts the functions that were checked since the kernel started, and the files in the folder
    `exercises` if there is one here.
    """
    from induction_heads.grading import status_table

    try:
        selections = select(chapter)
    except UnknownTarget as error:
        return Text(str(error))
    folder = folder_here()
    chapters = status_table.chapter_rows(selections, _states(selections), read_progress(folder))
    if chapter is None:
        lines = status_table.chapter_lines(chapters)
    else:
        lines = [line for each in chapters for line in status_table.exercise_lines(each)]
    return Text("\n".join([*lines, "", status_table.totals_line(chapters)]))


def _selection(exercise: Named) -> Selection:
    """The exercise and its chapter. Raises UnknownTarget."""
    name = exercise if isinstance(exercise, str) else getattr(exercise, "__name__", None)
    if not isinstance(name, str):
        raise UnknownTarget(
            f"Got {type(exercise).__name__}. Pass your function, or an exercise's name as text."
        )
    stem, found = find_exercise(name)
    return Selection(stem, (found,))


def _states(selections: list[Selection]) -> dict[str, str]:
    """The state of each exercise: done if it passed here or in the folder, which is checked now."""
    states = {e.name: NOT_STARTED for selection in selections for e in selection.exercises}
    folder = folder_here()
    if folder.is_dir():
        with FolderChecker(folder) as checker:
            stored, unchecked = known_states(checker, selections, read_progress(folder))
            states |= stored
            for selection in unchecked:
                results = checker.check(selection).exercises
                states |= {r.name: STATUSES[r.status].state for r in results}
    here = {name: STATUSES[r.status].state for name, r in _results.items() if name in states}
    return states | {n: state for n, state in here.items() if states[n] != DONE}


def _is_attempted(exercise: Named, selection: Selection) -> bool:
    """Whether the exercise is more than a stub, here or in the folder."""
    name, folder = selection.exercises[0].name, folder_here()
    if name in _results and _results[name].status != "not_started":
        return True
    if folder.is_dir() and is_attempted(FolderChecker(folder), selection):
        return True
    try:
        source = textwrap.dedent(inspect.getsource(exercise)) if callable(exercise) else None
        return source is not None and not is_untouched(source, name)
    except (OSError, TypeError):  # Its cell is not on record.
        return False


def _hint_text(name: str, hints: tuple[str, ...], number: int) -> str:
    return f"hint {number} of {len(hints)} for {name}\n  {hints[number - 1]}"
