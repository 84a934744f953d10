"""Decides whether answers are right: compares them with the oracle and with the known mistakes.

The learner's code does not run here. `judge` is given a way to call it: in place for a notebook, or
through a worker process for a submission.
"""

import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import cache, cached_property
from itertools import takewhile
from typing import Any

import torch

from induction_heads.checks.compare import summary
from induction_heads.checks.exercise import Case, Exercise, Mistake, ModelInput
from induction_heads.grading import calling
from induction_heads.grading.calling import Outcome
from induction_heads.grading.diagnosis import diagnose
from induction_heads.grading.differing import drawable_difference
from induction_heads.grading.results import Difference, Result
from induction_heads.grading.wire import ModelData, count_values, plain

Call = Callable[[tuple, dict, float], Outcome]
"""`call(args, kwargs, seconds)`: one call of the submission, given data and a time limit."""

STATUS = {"not_started": "not_started", "timeout": "timeout", "unloadable_in_time": "timeout"}


MANY_VALUES = 100_000
"""So many values may come back, and a hundred times what was expected, and will be looked at."""

GOES_ON = ("returned", "raised", "unusable")
"""What may come of one call while another may still give an answer."""


REMARKS = {
    "gradient": "Remark: what came back still carries its gradient. Does the caller need it?",
    "device": "Remark: what came back is on another device than the CPU. Who put it there?",
}
"""What is said of a returned value besides the verdict."""


class Uncomputable(Exception):
    """A known mistake that gives no answer on a case."""


class Sheet:
    """One exercise with its inputs drawn, and the expected answers, each computed when needed."""

    def __init__(self, exercise: Exercise, seed: int = 0):
        self.exercise = exercise
        self.seed = seed
        self._mistaken: dict[tuple[str, int], Any] = {}

    @cached_property
    def cases(self) -> list[Case]:
        """The calls, with models as `ModelInput`."""
        return self.exercise.cases(self.seed)

    @cached_property
    def inputs(self) -> list[tuple[tuple, dict]]:
        """The arguments of each call as plain data, models as `ModelData`."""
        return [(_sendable(case.args), _sendable(case.kwargs)) for case in self.cases]

    @cached_property
    def expected(self) -> list[Any]:
        """What the oracle gives on each case."""
        return [self.exercise.oracle(*calling.live(a), **calling.live(k)) for a, k in self.inputs]

    def mistaken(self, mistake: Mistake, index: int) -> Any:
        """What a known mistake answers on one case. Raises Uncomputable where it gives nothing."""
        key = mistake.name, index
        if key not in self._mistaken:
            args, kwargs = self.inputs[index]
            try:
                given = plain(mistake.answer(*calling.live(args), **calling.live(kwargs)))
            except Exception as error:
                given = Uncomputable(str(error))
            self._mistaken[key] = given
        if isinstance(self._mistaken[key], Uncomputable):
            raise self._mistaken[key]
        return self._mistaken[key]

    @cached_property
    def has_models(self) -> bool:
        """Whether a model is among the arguments of any case."""
        values = [v for case in self.cases for v in (*case.args, *case.kwargs.values())]
        return any(isinstance(value, ModelInput) for value in values)

    def described(self, answers: list[Any]) -> list[Any]:
        """The answers in the form in which the exercise compares them."""
        describe = self.exercise.describe
        return answers if describe is None else describe(self.cases[: len(answers)], answers)


@cache
def _model_data(name: str | None, kind: str | None, options: tuple) -> ModelData:
    from induction_heads import models

    if name is None:
        return calling.model_data(models.hand_built(kind or "", **dict(options)))
    has_tokenizer = (models.ZOO / name / "tokenizer.json").is_file()
    return calling.model_data(models.load_attention_only(name), name if has_tokenizer else None)


def _sendable(value: Any) -> Any:
    if isinstance(value, ModelInput):
        return _model_data(value.name, value.kind, tuple(sorted(value.options.items())))
    if isinstance(value, (list, tuple)):
        items = [_sendable(item) for item in value]
        return tuple(items) if isinstance(value, tuple) else items
    if isinstance(value, dict):
        return {key: _sendable(item) for key, item in value.items()}
    return plain(value)


def judge(sheet: Sheet, call: Call) -> Result:
    """Call the submission on every case, compare, and name the mistake if it made a known one."""
    outcomes = _outcomes(sheet, call)
    answered = list(takewhile(lambda outcome: outcome.status == "returned", outcomes))
    answers = [outcome.value for outcome in answered]
    # The verdict is about the first call that gave no answer, and about the answers before it.
    wrong = _first_difference(sheet, answers)
    status, message, mistake = _verdict(sheet, outcomes[: len(answered) + 1], answers, wrong)
    remarks = {remark for outcome in outcomes for remark in outcome.remarks}
    said = [text for remark, text in REMARKS.items() if remark in remarks]
    message = "\n".join([message, *said] if message else said)
    printed = "".join(outcome.output for outcome in outcomes)
    if status != "passed" and printed.strip():
        message += f"\nPrinted: {_shortened(printed)}"
    return Result(
        sheet.exercise.name,
        status,
        message,
        mistake,
        seconds=sum(outcome.seconds for outcome in outcomes),
        n_right=_n_right(sheet, outcomes, answers),
        n_cases=len(sheet.cases),
        difference=None if wrong is None else _drawable(sheet, answers, wrong[0]),
    )


def _drawable(sheet: Sheet, answers: list[Any], index: int) -> Difference | None:
    if sheet.exercise.describe is not None:
        return None
    try:
        return drawable_difference(answers[index], sheet.expected[index])
    except (RuntimeError, MemoryError):
        return None


def _n_right(sheet: Sheet, outcomes: list[Outcome], answers: list[Any]) -> int:
    """How many cases were answered rightly and left the arguments as they were."""
    if not answers and not any(outcome.status == "returned" for outcome in outcomes):
        return 0
    if sheet.exercise.describe is None:
        given = [outcome.value for outcome in outcomes]
    else:  # A description may need all answers before it.
        try:
            given = sheet.described(answers)
        except Exception:
            return 0
    return sum(
        outcome.status == "returned"
        and outcome.changed is None
        and _difference(sheet, mine, right) is None
        for outcome, mine, right in zip(outcomes, given, sheet.expected, strict=False)
    )


def _shortened(text: str, limit: int = 600) -> str:
    text = text.strip()
    return text if len(text) <= limit else f"{text[:limit]} … ({len(text):,} characters)"


def _outcomes(sheet: Sheet, call: Call) -> list[Outcome]:
    """What came of each case, up to the first after which no other can give an answer."""
    left, outcomes = sheet.exercise.seconds, []
    for args, kwargs in sheet.inputs:
        outcomes.append(_bounded(sheet, len(outcomes), call(args, kwargs, left)))
        left -= outcomes[-1].seconds
        if outcomes[-1].status not in GOES_ON:
            break
    return outcomes


def _bounded(sheet: Sheet, index: int, outcome: Outcome) -> Outcome:
    """The outcome, without an answer that would keep the judge busy for minutes."""
    if outcome.status != "returned":
        return outcome
    n_values = count_values(outcome.value)
    if n_values <= MANY_VALUES + 100 * count_values(sheet.expected[index]):
        return outcome
    said = f"returned {n_values:,} values, far more than the answer has."
    return replace(outcome, status="unusable", value=None, message=said)


def _verdict(
    sheet: Sheet, outcomes: list[Outcome], answers: list[Any], wrong: tuple[int, str] | None
) -> tuple[str, str, str | None]:
    changed = next((i for i, outcome in enumerate(outcomes) if outcome.changed), None)
    everything_answered = len(answers) == len(sheet.cases)
    if wrong is None and changed is None and not everything_answered:
        return _no_answer(sheet, outcomes[-1], len(answers))
    if wrong is None and changed is None:
        return "passed", "", None
    if changed is not None and (wrong is None or changed <= wrong[0]):
        argument = outcomes[changed].changed
        said = f"`{argument}` was changed in place. Work on a copy: the caller still needs it."
        message = f"{_where(sheet, changed)}{said}"
    else:
        assert wrong is not None
        message = f"{_where(sheet, wrong[0])}{wrong[1]}\n{_called(sheet, wrong[0])}"
    if everything_answered and (mistake := _known_mistake(sheet, answers)):
        message += f"\nKnown mistake: {mistake.name}\nHint: {mistake.hint}"
        return "failed", message, mistake.name
    if everything_answered and wrong is not None and (said := _diagnosis(sheet, answers)):
        message += f"\nDiagnosis: {said}"
    return "failed", message, None


def _diagnosis(sheet: Sheet, answers: list[Any]) -> str | None:
    """How the answers differ from the expected ones, where that can be told."""
    if sheet.exercise.describe is not None:
        return None
    pairs = list(zip(answers, sheet.expected, strict=True))
    try:
        return diagnose(pairs, [_named(sheet, index) for index in range(len(pairs))])
    except (RuntimeError, MemoryError):  # The data is the submission's own: sizes can be absurd.
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
        wanted = ", ".join(inspect.signature(sheet.exercise.oracle).parameters)
        return status, f"`{name}` {outcome.message} Write it as {name}({wanted}).", None
    said = f"{_where(sheet, index)}`{name}` {outcome.message}"
    return status, f"{said}\n{_called(sheet, index)}", None


def _first_difference(sheet: Sheet, answers: list[Any]) -> tuple[int, str] | None:
    """The first case that is answered wrongly, and what is wrong with the answer."""
    if not answers:
        return None
    try:
        described = sheet.described(answers)
    except Exception as error:
        index = _first_indescribable(sheet, answers)
        said = f"{summary(answers[index])} came back, which is no answer ({error})."
        return index, said + _about_none(answers[index])
    for index, (mine, right) in enumerate(zip(described, sheet.expected, strict=False)):
        if said := _difference(sheet, mine, right):
            if sheet.exercise.describe is not None:
                said += f" The answer was {summary(answers[index])}."
            return index, said + _about_none(answers[index])
    return None


def _about_none(answer: Any) -> str:
    return " Is a `return` missing?" if answer is None else ""


def _difference(sheet: Sheet, mine: Any, right: Any) -> str | None:
    try:
        return sheet.exercise.compare(mine, right)
    except Exception as error:  # An answer of the wrong kind may not even be comparable.
        return f"{summary(mine)} came back, which is no answer ({error})."


def _first_indescribable(sheet: Sheet, answers: list[Any]) -> int:
    for index in range(len(answers)):
        try:
            sheet.described(answers[: index + 1])
        except Exception:
            return index
    return 0


def _known_mistake(sheet: Sheet, answers: list[Any]) -> Mistake | None:
    """The first known mistake whose answers equal these on every case."""
    for mistake in sheet.exercise.mistakes:
        if _equals_mistake(sheet, answers, mistake):
            return mistake
    return None


def _equals_mistake(sheet: Sheet, answers: list[Any], mistake: Mistake) -> bool:
    compare, describes = sheet.exercise.compare, sheet.exercise.describe is not None
    theirs = []
    for index, mine in enumerate(answers):
        try:
            theirs.append(sheet.mistaken(mistake, index))
        except Uncomputable:
            return False
        # Without a description, answers are compared one by one: most mistakes end at the first.
        if not describes and not _equal(compare, mine, theirs[-1]):
            return False
    if not describes:
        return True
    try:
        pairs = zip(sheet.described(answers), sheet.described(theirs), strict=True)
    except Exception:
        return False
    return all(_equal(compare, mine, right) for mine, right in pairs)


def _equal(compare: Callable[[Any, Any], str | None], mine: Any, right: Any) -> bool:
    try:
        return compare(mine, right) is None
    except Exception:  # A comparison written for the oracle's answers may not take a mistake's.
        return False


def _where(sheet: Sheet, index: int) -> str:
    return f"{sheet.cases[index].label}: "


def _called(sheet: Sheet, index: int) -> str:
    inside = ", ".join(f"{n} = {_input(value)}" for n, value in _named(sheet, index).items())
    return f"Input: {sheet.exercise.name}({inside})"


def _input(value: Any) -> str:
    if isinstance(value, ModelInput):
        return f"the model {value.name}" if value.name else f"a hand-built model ({value.kind})"
    return summary(value)


def judge_function(
    exercise: Exercise | Sheet, function: Callable[..., Any], seed: int = 0
) -> Result:
    """Judge a function that is called in this process: no time limit, exceptions are contained.

    PyTorch's global random state is the same after as before.
    """
    sheet = exercise if isinstance(exercise, Sheet) else Sheet(exercise, seed)
    with torch.random.fork_rng(devices=[]):
        return judge(sheet, lambda args, kwargs, _: calling.call(function, args, kwargs))
