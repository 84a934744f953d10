"""`check(my_function)`: the check of an exercise, called in place."""

from collections.abc import Callable
from typing import Any

from induction_heads.checks.registry import UnknownTarget, find_exercise
from induction_heads.grading.judge import judge_function
from induction_heads.grading.report import Report
from induction_heads.grading.results import Result


def check(function: Callable[..., Any], *, seed: int = 0) -> Report:
    """Try `function` on the inputs of the exercise of the same name, and say what came of it.

    The function runs here, on copies of the inputs, without a time limit. A report is returned in
    any case: exceptions and `sys.exit` in the function become the status "error".
    """
    name = getattr(function, "__name__", None)
    if not callable(function) or name is None:
        given = f"{type(function).__name__} came in"
        return Report(Result("check", "error", f"{given}. Pass the function itself: check(f)."))
    try:
        _, exercise = find_exercise(name)
    except UnknownTarget as error:
        return Report(Result(name, "error", str(error)))
    return Report(judge_function(exercise, function, seed))
