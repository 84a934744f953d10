"""`check(my_function)`: the check of an exercise, called in place."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from induction_heads.checks.registry import UnknownTarget, find_exercise
from induction_heads.grading.judge import judge_function
from induction_heads.grading.report import Report
from induction_heads.grading.results import Result


def check(function: Callable[..., Any], *, seed: int = 0) -> Report:
    """Try `function` on the inputs of the exercise of the same name, and say what came of it.

    The function runs here, on copies of the inputs, without a time limit. A report is returned in
    any case: exceptions and `sys.exit` in the function become the status "error". For a function
    of the package itself the report says so: a page imports it under the name of the exercise.
    """
    name = getattr(function, "__name__", None)
    if not callable(function) or name is None:
        given = f"{type(function).__name__} came in"
        return Report(Result("check", "error", f"{given}. Pass the function itself: check(f)."))
    try:
        _, exercise = find_exercise(name)
    except UnknownTarget as error:
        return Report(Result(name, "error", str(error)))
    result = judge_function(exercise, function, seed)
    if str(function.__module__).startswith("induction_heads."):
        said = f"This is the package's own `{name}`. Run the cell with yours again, then the check."
        result = replace(result, message="\n".join(filter(None, [said, result.message])))
    return Report(result)
