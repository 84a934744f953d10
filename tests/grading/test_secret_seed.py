"""An answer fitted to the inputs that `check` draws must fail on the inputs of a secret seed."""

import hashlib
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from drawn import (
    MODELS,
    SECRET,
    package_function,
    reference_outcomes,
    sheet,
    solution_module,
)
from torch import Tensor

from induction_heads.course.registry import find_exercise, select
from induction_heads.grading import calls
from induction_heads.grading.calls import Outcome
from induction_heads.grading.judge import judge
from induction_heads.grading.sheet import Sheet
from induction_heads.grading.wire import pack
from induction_heads.models.plain_data import FactoredData, ModelData

PAIRS = [
    pytest.param(
        selection.stem,
        exercise,
        id=f"{selection.stem[:4]}-{exercise.name}",
        marks=pytest.mark.xdist_group(selection.stem),  # One process draws the chapter's sheets.
    )
    for selection in select(None)
    for exercise in selection.exercises
    # A pen-and-paper answer has no input that a seed could change.
    if any(case.args or case.kwargs for case in exercise.cases(0))
]


def shape(value: Any) -> Any:
    """The kind and shape of a value without its numbers."""
    if isinstance(value, Tensor):
        return ("tensor", *value.shape)
    if isinstance(value, (list, tuple)):
        return tuple(map(shape, value))
    if isinstance(value, dict):
        return tuple((key, shape(item)) for key, item in value.items())
    if isinstance(value, ModelData):
        return tuple(value.config.items())
    return type(value).__name__ if not isinstance(value, FactoredData) else "factored"


def key(args: tuple, kwargs: dict) -> str:
    return hashlib.sha256(pack((args, kwargs))).hexdigest()


class Replay:
    """Answers the inputs of `check` rightly, and others with an answer for the same shape."""

    def __init__(self, name: str):
        self.exact, self.alike = {}, {}
        for inputs, outcome in zip(sheet(name).inputs, reference_outcomes(name), strict=True):
            self.exact[key(*inputs)] = outcome.value
            self.alike.setdefault(shape(inputs), outcome.value)

    def __call__(self, args: tuple, kwargs: dict, seconds: float) -> Outcome:
        near = self.alike.get(shape((args, kwargs)))
        return Outcome("returned", value=self.exact.get(key(args, kwargs), near))


@cache
def sheet_without_mistakes(name: str, seed: int) -> Sheet:
    """A sheet that compares answers and tries no known mistake: that is what costs most."""
    return Sheet(replace(find_exercise(name)[1], mistakes=()), seed)


@pytest.mark.no_cover
@pytest.mark.parametrize(("stem", "exercise"), PAIRS)
@pytest.mark.parametrize("seed", [pytest.param(SECRET[0], marks=pytest.mark.long), SECRET[1]])
def test_a_table_of_the_cases_of_check_passes_check_and_fails_in_grade(stem, exercise, seed):
    replay = Replay(exercise.name)
    assert judge(sheet(exercise.name), replay).passed
    result = judge(sheet_without_mistakes(exercise.name, seed), replay)
    assert result.status == "failed"
    assert result.n_right < result.n_cases


@pytest.mark.no_cover
@pytest.mark.parametrize(("stem", "exercise"), PAIRS)
@pytest.mark.parametrize(
    ("source", "seed"),
    [("solution", SECRET[1]), pytest.param("library", SECRET[0], marks=pytest.mark.long)],
)
def test_a_right_answer_passes_with_any_seed(stem, exercise, source, seed):
    """The solution; and the library's function, where there is one, with another seed."""
    answer = package_function(exercise.name) if source == "library" else None
    function = answer or getattr(solution_module(stem), exercise.name)
    result = judge(
        sheet_without_mistakes(exercise.name, seed),
        lambda args, kwargs, _: calls.call(function, args, kwargs, models=MODELS),
    )
    assert result.passed, result.message
