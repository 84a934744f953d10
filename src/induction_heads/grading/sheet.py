"""An exercise with its inputs drawn, the expected answers, and the answers of known mistakes."""

from collections.abc import Callable
from contextlib import suppress
from functools import cache, cached_property
from typing import Any

from torch import Tensor

from induction_heads.course.exercise import Case, Exercise, Mistake, ModelInput
from induction_heads.course.model_inputs import built_model
from induction_heads.grading.calls import model_data
from induction_heads.grading.live_models import LiveModels
from induction_heads.models.plain_data import ModelData, plain

_MODELS = LiveModels()
"""The models that oracles and known mistakes get. A submission never gets one of them."""


class Uncomputable(Exception):
    """A known mistake has no answer to a case."""


class Sheet:
    """One exercise with its inputs and expected answers, each computed when first needed."""

    def __init__(self, exercise: Exercise, seed: int = 0):
        self.exercise = exercise
        self.seed = seed
        self._mistaken: dict[tuple[str, int], Any] = {}
        self._described_mistakes: dict[str, list[Any] | None] = {}

    @cached_property
    def cases(self) -> list[Case]:
        """The calls, with models as `ModelInput`."""
        return self.exercise.cases(self.seed)

    @cached_property
    def other_cases(self) -> list[list[Case]]:
        """The calls of two other seeds, to tell which inputs a seed draws."""
        return [self.exercise.cases(self.seed + step) for step in (1, 2)]

    @cached_property
    def inputs(self) -> list[tuple[tuple, dict]]:
        """The arguments of each call as plain data, models as `ModelData`."""
        return [(_sendable(case.args), _sendable(case.kwargs)) for case in self.cases]

    @cached_property
    def expected(self) -> list[Any]:
        """The oracle's answer to each case."""
        return [self._answer(self.exercise.oracle, index) for index in range(len(self.inputs))]

    def mistaken(self, mistake: Mistake, index: int) -> Any:
        """A known mistake's answer to one case. Raises Uncomputable where it has none."""
        key = mistake.name, index
        if key not in self._mistaken:
            try:
                self._mistaken[key] = plain(self._answer(mistake.answer, index))
            except Exception as error:
                self._mistaken[key] = Uncomputable(str(error))
        if isinstance(self._mistaken[key], Uncomputable):
            raise self._mistaken[key]
        return self._mistaken[key]

    def described_mistake(self, mistake: Mistake) -> list[Any] | None:
        """The descriptions of a known mistake's answers to all cases, or None without them."""
        if mistake.name not in self._described_mistakes:
            described = None
            with suppress(Exception):
                answers = [self.mistaken(mistake, index) for index in range(len(self.inputs))]
                described = self.described(answers)
            self._described_mistakes[mistake.name] = described
        return self._described_mistakes[mistake.name]

    def _answer(self, function: Callable[..., Any], index: int) -> Any:
        """What a function of the course returns on one case, apart from the arguments."""
        with _MODELS.live(self.inputs[index]) as (args, kwargs):
            return _apart(function(*args, **kwargs))

    @cached_property
    def has_models(self) -> bool:
        """Whether a model is among the arguments of any case."""
        values = [v for case in self.cases for v in (*case.args, *case.kwargs.values())]
        return any(isinstance(value, ModelInput) for value in values)

    def described(self, answers: list[Any]) -> list[Any]:
        """The answers in the form that the exercise compares."""
        describe = self.exercise.describe
        return answers if describe is None else describe(self.cases[: len(answers)], answers)


def _apart(value: Any) -> Any:
    """An answer whose tensors share no memory with the arguments, which are used again."""
    if isinstance(value, Tensor):
        return value.clone()
    if type(value) in (list, tuple):
        return type(value)(map(_apart, value))
    return {key: _apart(item) for key, item in value.items()} if type(value) is dict else value


@cache
def _model_data(name: str | None, kind: str | None, options: tuple) -> ModelData:
    from induction_heads.models import loading

    if name is None:
        return model_data(built_model(kind or "", dict(options)))
    has_tokenizer = (loading.ZOO / name / "tokenizer.json").is_file()
    return model_data(loading.load_attention_only(name), name if has_tokenizer else None)


def _sendable(value: Any) -> Any:
    if isinstance(value, ModelInput):
        return _model_data(value.name, value.kind, tuple(sorted(value.options.items())))
    if isinstance(value, (list, tuple)):
        items = [_sendable(item) for item in value]
        return tuple(items) if isinstance(value, tuple) else items
    if isinstance(value, dict):
        return {key: _sendable(item) for key, item in value.items()}
    return plain(value)
