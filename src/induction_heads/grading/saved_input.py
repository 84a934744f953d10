"""The input of a wrong answer, as a file that one line loads."""

import inspect
from io import BytesIO
from pathlib import Path
from typing import Any

from induction_heads.files import write_atomically
from induction_heads.grading.live_models import LiveModels
from induction_heads.grading.results import Result
from induction_heads.grading.sheet import Sheet
from induction_heads.grading.wire import pack, read_message


class NoInput(ValueError):
    """There is no input to save, or none in a file. The message says why."""


def failing_case(sheet: Sheet, result: Result) -> int:
    """The number of the case that the message of a result is about. Raises NoInput without one."""
    lines = result.message.splitlines()
    for index, case in enumerate(sheet.cases):
        if lines and lines[0].startswith(f"{case.label}: "):
            return index
    raise NoInput(
        f"{result.name} has no failing input to save: "
        + ("it passed." if result.passed else "it was not called, or failed before its first call.")
    )


def save_input(sheet: Sheet, index: int, path: Path) -> list[str]:
    """Write the arguments of a case to a file. Returns their names.

    Raises OSError if the file cannot be written.
    """
    args, kwargs = sheet.inputs[index]
    try:
        arguments = inspect.signature(sheet.exercise.oracle).bind(*args, **kwargs).arguments
    except TypeError:
        arguments = {f"argument_{i + 1}": value for i, value in enumerate(args)} | kwargs
    write_atomically(path, pack(dict(arguments)))
    return list(arguments)


def load_input(path: Path | str) -> dict[str, Any]:
    """The arguments that `check NAME --save-input FILE` wrote, by name and ready for a call.

    A model among them is a `TransformerBridge`. Call your function with
    `my_function(**load_input("FILE"))`. Raises NoInput for a file that is not one of these, and
    OSError if it cannot be read.
    """
    try:
        arguments = read_message(BytesIO(Path(path).read_bytes()))
    except (ValueError, EOFError) as error:
        raise NoInput(f"{path} was not written by `check --save-input`.") from error
    if not isinstance(arguments, dict):
        raise NoInput(f"{path} was not written by `check --save-input`.")
    with LiveModels().live(arguments) as live:
        return live
