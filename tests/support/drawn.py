"""Sheets of the real exercises, drawn and answered once in each process."""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

import induction_heads
from induction_heads.course.exercise import Mistake
from induction_heads.course.registry import find_exercise
from induction_heads.grading import calls
from induction_heads.grading.calls import Outcome
from induction_heads.grading.judge import judge
from induction_heads.grading.live_models import LiveModels
from induction_heads.grading.results import Result
from induction_heads.grading.sheet import Sheet

ROOT = Path(__file__).parents[2]
FOLDERS = ("data", "models", "interp", "training")
"""The folders of the library that define functions of exercises."""

SECRET = (1002, 2**31 - 2)
"""Two seeds that `grade` may draw; both are 0 modulo 2 and 3, as is the seed of `check`."""


MODELS = LiveModels()
"""The models that the functions under test get."""


@cache
def package_modules() -> list[ModuleType]:
    """Every module of the library."""
    names = [
        f"induction_heads.{folder}.{path.stem}"
        for folder in FOLDERS
        for path in sorted((Path(induction_heads.__file__).parent / folder).glob("*.py"))
    ]
    return [import_module(name) for name in names]


@cache
def sheet(name: str, seed: int = 0) -> Sheet:
    """The sheet of the exercise `name`, the same object for all tests of a process.

    A judge only reads it: inputs are copied for each call. A test of what drawing does must draw
    sheets of its own.
    """
    return Sheet(find_exercise(name)[1], seed)


def package_function(name: str) -> Callable[..., Any] | None:
    """The library's function of this name, or None."""
    functions = (getattr(module, name, None) for module in package_modules())
    return next((function for function in functions if function is not None), None)


@cache
def solution_module(stem: str) -> ModuleType:
    """The solutions of a chapter, as a module."""
    path = ROOT / "solutions" / f"{stem}.py"
    spec = spec_from_file_location(f"solutions_{stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def reference_function(name: str) -> Callable[..., Any]:
    """A right answer to the exercise: the library's function if there is one, or the solution's."""
    return package_function(name) or getattr(solution_module(find_exercise(name)[0]), name)


@cache
def reference_outcomes(name: str) -> tuple[Outcome, ...]:
    """The outcome of `reference_function(name)` on each case of `sheet(name)`."""
    function = reference_function(name)
    with torch.random.fork_rng(devices=[]):
        return tuple(calls.call(function, a, k, models=MODELS) for a, k in sheet(name).inputs)


def judged_mistake(name: str, mistake: Mistake) -> Result:
    """The verdict on a submission that makes a known mistake of the exercise `name`.

    The sheet takes the submission's answers for the mistake's, except on the first case. There the
    mistake is computed a second time, so that one that draws at random does not equal itself.
    """
    ours, numbers = sheet(name), count()

    def call(args: tuple, kwargs: dict, seconds: float) -> Outcome:
        outcome, number = calls.call(mistake.answer, args, kwargs, models=MODELS), next(numbers)
        if number > 0 and outcome.status == "returned":
            ours._mistaken.setdefault((mistake.name, number), outcome.value)
        return outcome

    with torch.random.fork_rng(devices=[]):
        return judge(ours, call)


def arguments(name: str) -> list[dict[str, Any]]:
    """The arguments of each case of `sheet(name)`, by the oracle's names."""
    names = sheet(name).exercise.oracle.__code__.co_varnames
    return [dict(zip(names, case.args, strict=False)) | case.kwargs for case in sheet(name).cases]
