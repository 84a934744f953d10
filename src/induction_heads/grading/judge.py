"""Decides whether answers are right: compares them with the oracle's and with known mistakes.

The learner's code does not run here. `judge` gets a function that calls it: in this process for a
notebook, or through a worker process for a submission.
"""

import inspect
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import takewhile
from typing import Any

import torch

from induction_heads.course.compare import summary
from induction_heads.course.exercise import Exercise, Mistake, ModelInput
from induction_heads.grading import calls
from induction_heads.grading.calls import Outcome
from induction_heads.grading.diagnosis.drawing import drawable_difference
from induction_heads.grading.diagnosis.values import diagnose
from induction_heads.grading.live_models import LiveModels
from induction_heads.grading.partial_credit import partial_share
from induction_heads.grading.results import Difference, Result
from induction_heads.grading.sheet import Sheet, Uncomputable
from induction_heads.grading.worker_process import printable
from induction_heads.models.plain_data import count_values

Call = Callable[[tuple, dict, float], Outcome]
"""`call(args, kwargs, seconds)`: one call of the submission with plain data and a time limit."""

STATUS = {"not_started": "not_started", "timeout": "timeout", "unloadable_in_time": "timeout"}
"""The status of a result by the status of the outcome; all others are errors."""

MANY_VALUES = 100_000
"""An answer may have this many values plus a hundred times as many as the expected answer."""

JUDGE_SECONDS = 60.0
"""Processor time for comparing the answers to one exercise. Right answers need a few seconds."""

MAX_MESSAGE = 9_000

GOES_ON = ("returned", "raised", "unusable")
"""The outcomes of a call after which the next case can still be called."""

REMARKS = {
    "gradient": "Remark: the answer still carries its gradient. Does the caller need it?",
    "device": "Remark: the answer is on another device than the CPU. Is that intended?",
}
"""Remarks on a returned value, apart from the verdict."""


class TooLong(Exception):
    """The comparison of the answers has used up its time."""


class _Answers:
    """The answers to the first cases, described once, and compared within a time limit.

    The limit counts what the answers themselves cost: a submission chooses their sizes.
    """

    def __init__(self, sheet: Sheet, values: list[Any]):
        self.sheet, self.values = sheet, values
        self._left = JUDGE_SECONDS
        self.described: list[Any] = values
        self.problem: Exception | None = None
        try:
            self.described = self.timed(sheet.described, values)
        except TooLong:
            raise
        except Exception as error:
            self.problem = error

    def timed(self, work: Callable[..., Any], *args: Any) -> Any:
        """What `work` returns. Raises TooLong if the time had been used up before."""
        if self._left <= 0:
            raise TooLong
        start = time.thread_time()
        try:
            return work(*args)
        finally:
            self._left -= time.thread_time() - start

    def difference(self, mine: Any, right: Any) -> str | None:
        """How an answer differs from the expected one, or None."""
        return self.timed(_difference, self.sheet, mine, right)


def judge(sheet: Sheet, call: Call) -> Result:
    """Call the submission on every case, compare its answers, and name a known mistake.

    Whatever the answers are, the outcome is a result: an answer that cannot be compared is an
    error of this exercise alone.
    """
    outcomes = _outcomes(sheet, call)
    _ = sheet.expected  # If this fails, the cause is the course and not the submission.
    try:
        result = _result(sheet, outcomes)
    except TooLong:
        message = (
            f"`{sheet.exercise.name}` returned something that takes more than {JUDGE_SECONDS:.0f} "
            "seconds to compare. Is it far larger than it needs to be?"
        )
        result = Result(sheet.exercise.name, "error", message)
    except Exception as error:  # The submission chose the values: no list of them is complete.
        message = (
            f"`{sheet.exercise.name}` returned something that cannot be compared with an answer "
            f"({type(error).__name__})."
        )
        result = Result(sheet.exercise.name, "error", message)
    seconds = sum(outcome.seconds for outcome in outcomes)
    message = printable(_shortened(result.message, MAX_MESSAGE))
    return replace(result, message=message, seconds=seconds, n_cases=len(sheet.cases))


def _result(sheet: Sheet, outcomes: list[Outcome]) -> Result:
    answered = list(takewhile(lambda outcome: outcome.status == "returned", outcomes))
    answers = _Answers(sheet, [outcome.value for outcome in answered])
    # The verdict concerns the first call without an answer, and the answers before it.
    wrong = _first_difference(answers)
    status, message, mistake = _verdict(answers, outcomes[: len(answered) + 1], wrong)
    remarks = {remark for outcome in outcomes for remark in outcome.remarks}
    lines = [text for remark, text in REMARKS.items() if remark in remarks]
    message = "\n".join([message, *lines] if message else lines)
    right = _right_cases(answers, outcomes)
    printed = "".join(outcome.output for outcome in outcomes)
    if status != "passed" and printed.strip():
        message += f"\nPrinted: {_shortened(printed)}"
    return Result(
        sheet.exercise.name,
        status,
        message,
        mistake,
        n_right=sum(right),
        share=1.0 if status == "passed" else partial_share(sheet, right),
        difference=None if wrong is None else _drawable(sheet, answers.values, wrong[0]),
    )


def _drawable(sheet: Sheet, answers: list[Any], index: int) -> Difference | None:
    if sheet.exercise.describe is not None:
        return None
    with suppress(Exception):  # The submission chose the sizes and values: they can be absurd.
        return drawable_difference(answers[index], sheet.expected[index])
    return None


def _right_cases(answers: _Answers, outcomes: list[Outcome]) -> list[bool]:
    """For each case that was called, whether its answer is right and its arguments unchanged."""
    # A description may depend on all answers before it.
    describes = answers.sheet.exercise.describe is not None
    if describes and answers.problem is not None:
        return [False] * len(outcomes)
    values = answers.described if describes else [outcome.value for outcome in outcomes]
    return [
        outcome.status == "returned"
        and outcome.changed is None
        and answers.difference(mine, right) is None
        for outcome, mine, right in zip(outcomes, values, answers.sheet.expected, strict=False)
    ]


def _shortened(text: str, limit: int = 600) -> str:
    text = text.strip()
    return text if len(text) <= limit else f"{text[:limit]} … ({len(text):,} characters)"


def _outcomes(sheet: Sheet, call: Call) -> list[Outcome]:
    """The outcome of each case, up to the first after which no other can be called."""
    left, outcomes = sheet.exercise.seconds, []
    for args, kwargs in sheet.inputs:
        outcomes.append(_bounded(sheet, len(outcomes), call(args, kwargs, left)))
        left -= outcomes[-1].seconds
        if outcomes[-1].status not in GOES_ON:
            break
    return outcomes


def _bounded(sheet: Sheet, index: int, outcome: Outcome) -> Outcome:
    """The outcome, without an answer so large that comparing it would take minutes."""
    if outcome.status != "returned":
        return outcome
    n_values = count_values(outcome.value)
    if n_values <= MANY_VALUES + 100 * count_values(sheet.expected[index]):
        return outcome
    message = f"returned {n_values:,} values, far more than the answer has."
    return replace(outcome, status="unusable", value=None, message=message)


def _verdict(
    answers: _Answers, outcomes: list[Outcome], wrong: tuple[int, str] | None
) -> tuple[str, str, str | None]:
    sheet, n_answers = answers.sheet, len(answers.values)
    changed = next((i for i, outcome in enumerate(outcomes) if outcome.changed), None)
    everything_answered = n_answers == len(sheet.cases)
    if wrong is None and changed is None and not everything_answered:
        return _no_answer(sheet, outcomes[-1], n_answers)
    if wrong is None and changed is None:
        return "passed", "", None
    if changed is not None and (wrong is None or changed <= wrong[0]):
        argument = outcomes[changed].changed
        reason = f"`{argument}` was changed in place. Work on a copy: the caller still needs it."
        message = f"{_where(sheet, changed)}{reason}"
    else:
        assert wrong is not None
        message = f"{_where(sheet, wrong[0])}{wrong[1]}\n{_called(sheet, wrong[0])}"
    if everything_answered and (mistake := _known_mistake(answers)):
        message += f"\nKnown mistake: {mistake.name}\nHint: {mistake.hint}"
        return "failed", message, mistake.name
    if everything_answered and wrong is not None and (diagnosis := _diagnosis(answers)):
        message += f"\nDiagnosis: {diagnosis}"
    return "failed", message, None


def _diagnosis(answers: _Answers) -> str | None:
    """How the answers differ from the expected ones, where a pattern is recognized."""
    sheet = answers.sheet
    if sheet.exercise.describe is not None:
        return None
    pairs = list(zip(answers.values, sheet.expected, strict=True))
    with suppress(Exception):  # The submission chose the sizes and values: they can be absurd.
        named = [_named(sheet, index) for index in range(len(pairs))]
        return answers.timed(diagnose, pairs, named)
    return None


def _named(sheet: Sheet, index: int) -> dict[str, Any]:
    """The arguments of a case by name, models as `ModelInput`."""
    case = sheet.cases[index]
    try:
        return inspect.signature(sheet.exercise.oracle).bind(*case.args, **case.kwargs).arguments
    except TypeError:
        return {f"argument {i + 1}": v for i, v in enumerate(case.args)} | case.kwargs


def _no_answer(sheet: Sheet, outcome: Outcome, index: int) -> tuple[str, str, None]:
    status, name = STATUS.get(outcome.status, "error"), sheet.exercise.name
    if outcome.status == "not_started":
        return status, f"`{name}` {outcome.message}", None
    if outcome.status.startswith("unloadable"):
        return status, outcome.message, None
    if outcome.status in ("signature", "missing"):
        parameters = ", ".join(inspect.signature(sheet.exercise.oracle).parameters)
        return status, f"`{name}` {outcome.message} Write it as {name}({parameters}).", None
    message = f"{_where(sheet, index)}`{name}` {outcome.message}"
    return status, f"{message}\n{_called(sheet, index)}", None


def _first_difference(answers: _Answers) -> tuple[int, str] | None:
    """The first case with a wrong answer, and what is wrong with it."""
    sheet, values = answers.sheet, answers.values
    if not values:
        return None
    if answers.problem is not None:
        index = _first_indescribable(answers)
        return index, _not_an_answer(values[index], answers.problem) + _about_none(values[index])
    for index, (mine, right) in enumerate(zip(answers.described, sheet.expected, strict=False)):
        if difference := answers.difference(mine, right):
            if sheet.exercise.describe is not None:
                difference += f" The answer was {summary(values[index])}."
            return index, difference + _about_none(values[index])
    return None


def _about_none(answer: Any) -> str:
    return " Is a `return` missing?" if answer is None else ""


def _difference(sheet: Sheet, mine: Any, right: Any) -> str | None:
    try:
        return sheet.exercise.compare(mine, right)
    except Exception as error:  # An answer of the wrong kind may not be comparable at all.
        return _not_an_answer(mine, error)


def _not_an_answer(answer: Any, error: Exception) -> str:
    return f"Got {summary(answer)}, which is not an answer ({error})."


def _first_indescribable(answers: _Answers) -> int:
    for index in range(len(answers.values)):
        try:
            answers.timed(answers.sheet.described, answers.values[: index + 1])
        except TooLong:
            raise
        except Exception:
            return index
    return 0


def _known_mistake(answers: _Answers) -> Mistake | None:
    """The first known mistake that gives these answers on every case."""
    for mistake in answers.sheet.exercise.mistakes:
        if _equals_mistake(answers, mistake):
            return mistake
    return None


def _equals_mistake(answers: _Answers, mistake: Mistake) -> bool:
    sheet, compare = answers.sheet, answers.sheet.exercise.compare
    if sheet.exercise.describe is not None:
        theirs = None if answers.problem is not None else sheet.described_mistake(mistake)
        return theirs is not None and all(
            answers.timed(_equal, compare, mine, right)
            for mine, right in zip(answers.described, theirs, strict=True)
        )
    # Cases are compared one by one: most mistakes differ on the first.
    for index, mine in enumerate(answers.values):
        try:
            right = sheet.mistaken(mistake, index)
        except Uncomputable:
            return False
        if not answers.timed(_equal, compare, mine, right):
            return False
    return True


def _equal(compare: Callable[[Any, Any], str | None], mine: Any, right: Any) -> bool:
    try:
        return compare(mine, right) is None
    except Exception:  # Written for the oracle's answers, it may fail on a mistake's.
        return False


def _where(sheet: Sheet, index: int) -> str:
    return f"{sheet.cases[index].label}: "


def _called(sheet: Sheet, index: int) -> str:
    inputs = ", ".join(f"{n} = {_input(value)}" for n, value in _named(sheet, index).items())
    return f"Input: {sheet.exercise.name}({inputs})"


def _input(value: Any) -> str:
    if isinstance(value, ModelInput):
        return f"the model {value.name}" if value.name else f"a hand-built model ({value.kind})"
    return summary(value)


def judge_function(
    exercise: Exercise | Sheet, function: Callable[..., Any], seed: int = 0
) -> Result:
    """Judge a function by calling it in this process: no time limit, exceptions are caught.

    PyTorch's global random state is left unchanged.
    """
    sheet = exercise if isinstance(exercise, Sheet) else Sheet(exercise, seed)
    models = LiveModels()
    with torch.random.fork_rng(devices=[]):
        return judge(sheet, lambda a, k, _: calls.call(function, a, k, models=models))
