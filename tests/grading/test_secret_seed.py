"""An answer fitted to the inputs that `check` draws must fail on the inputs of a secret seed."""

import hashlib
import runpy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from drawn import package_outcomes, sheet
from torch import Tensor

from induction_heads.checks.registry import select
from induction_heads.grading import calling
from induction_heads.grading.calling import Outcome
from induction_heads.grading.judge import judge
from induction_heads.grading.wire import FactoredData, ModelData, pack

SOLUTIONS = Path(__file__).parents[1] / "solutions"
SECRET = (1002, 2**31 - 2)
"""Two seeds that `grade` may draw; both are 0 modulo 2 and 3, as is the seed of `check`."""

PAIRS = [
    pytest.param(selection.stem, exercise, id=f"{selection.stem[:4]}-{exercise.name}")
    for selection in select(None)
    for exercise in selection.exercises
    # A pen-and-paper answer has no input that a seed could change.
    if any(case.args or case.kwargs for case in exercise.cases(0))
]


@cache
def solutions(stem: str) -> dict[str, Any]:
    return runpy.run_path(str(SOLUTIONS / f"{stem}.py"))


def shape(value: Any) -> Any:
    """What kind of value this is, without its numbers."""
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
    """Answers rightly where the input is one of `check`'s, else with what is nearest in shape."""

    def __init__(self, name: str):
        self.exact, self.alike = {}, {}
        for inputs, outcome in zip(sheet(name).inputs, package_outcomes(name), strict=True):
            self.exact[key(*inputs)] = outcome.value
            self.alike.setdefault(shape(inputs), outcome.value)

    def __call__(self, args: tuple, kwargs: dict, seconds: float) -> Outcome:
        near = self.alike.get(shape((args, kwargs)))
        return Outcome("returned", value=self.exact.get(key(args, kwargs), near))


@pytest.mark.parametrize(("stem", "exercise"), PAIRS)
def test_a_table_of_the_cases_of_check_passes_check_and_fails_in_grade(stem, exercise):
    replay = Replay(exercise.name)
    assert judge(sheet(exercise.name), replay).passed
    for seed in SECRET:
        result = judge(sheet(exercise.name, seed), replay)
        assert result.status == "failed"
        assert result.n_right < result.n_cases


@pytest.mark.parametrize(("stem", "exercise"), PAIRS)
def test_the_solution_passes_with_any_seed(stem, exercise):
    solve = solutions(stem)[exercise.name]
    for seed in SECRET:
        result = judge(sheet(exercise.name, seed), lambda a, k, s: calling.call(solve, a, k))
        assert result.passed, result.message
