"""One call of a learner's function: arguments from plain data, and the outcome as plain data.

Used in the worker process and by `check()` in a notebook. Never imports expected answers.
"""

import inspect
import math
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from induction_heads.grading.live_models import LiveModels
from induction_heads.models.plain_data import FactoredData, ModelData, Unsendable, named, plain

_equal = torch.equal
"""Taken before a submission can replace it."""

REMARKS = ("gradient", "device")
"""The returned tensor carries its gradient, or is on another device than the CPU."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of one call.

    `status` is "returned", "not_started", "signature", "missing", "raised", "unusable", "timeout",
    "died", "unloadable" or "unloadable_in_time". `changed` names an argument that the function
    changed in place. `remarks` holds names from `REMARKS`: properties of the returned value that
    plain data does not keep.
    """

    status: str
    value: Any = None
    message: str = ""
    changed: str | None = None
    seconds: float = 0.0
    output: str = ""
    remarks: tuple[str, ...] = ()


def model_data(model: Any, tokenizer: str | None = None) -> ModelData:
    """An `AttentionOnly` model as data."""
    config = {name: getattr(model.config, name) for name in model.config.__dataclass_fields__}
    return ModelData(config, dict(model.state_dict()), tokenizer)


def call(
    function: Any,
    args: tuple,
    kwargs: dict,
    started: Callable[[], None] = lambda: None,
    models: LiveModels | None = None,
) -> Outcome:
    """Call `function` on fresh copies of the arguments and return the outcome.

    `started` is called when the arguments are ready. `models` builds the models among them, and
    keeps them for the next call. Only KeyboardInterrupt passes through.
    """
    models = models or LiveModels()
    with models.live((tuple(args), kwargs)) as (own_args, own_kwargs):
        if not callable(function):
            return Outcome("signature", message=f"is {named(function)}, not a function.")
        if refusal := _refuses(function, own_args, own_kwargs):
            return Outcome("signature", message=refusal)
        started()
        start = time.perf_counter()
        try:
            raw = function(*own_args, **own_kwargs)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # sys.exit too: a submission must not end the command.
            seconds = time.perf_counter() - start
            return Outcome(*_explained(error, function), seconds=seconds)
        seconds = time.perf_counter() - start
        remarks = _remarks(raw)
        try:
            value = plain(raw)
        except Unsendable as error:
            within = f"{named(raw)} with " if isinstance(raw, (list, tuple, dict)) else ""
            message = f"returned {within}{error}, which cannot be compared with an answer."
            return Outcome("unusable", message=message, seconds=seconds, remarks=remarks)
        before = (*args, *kwargs.values())
        after = (*own_args, *own_kwargs.values())
        names = _argument_names(function, own_args, own_kwargs)
        changed = next(
            (
                name
                for name, old, new in zip(names, before, after, strict=True)
                if not _unchanged(old, new, models)
            ),
            None,
        )
    return Outcome("returned", value, changed=changed, seconds=seconds, remarks=remarks)


def _remarks(raw: Any) -> tuple[str, ...]:
    """The REMARKS that hold for the tensors in a returned value."""
    try:
        tensors = list(islice(_tensors(raw), 100))
        holding = (any(t.requires_grad for t in tensors), any(not t.is_cpu for t in tensors))
    except Exception:  # The learner may have returned an object of any class.
        return ()
    return tuple(name for name, holds in zip(REMARKS, holding, strict=True) if holds is True)


def _tensors(value: Any, depth: int = 3) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif depth and isinstance(value, (list, tuple, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _tensors(item, depth - 1)


def _refuses(function: Callable, args: tuple, kwargs: dict) -> str | None:
    """Why the function's signature cannot take the arguments, or None."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        names = ", ".join(signature.parameters)
        return f"is written as ({names}), which does not take its arguments: {error}."
    return None


def _argument_names(function: Callable, args: tuple, kwargs: dict) -> list[str]:
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
        names = [name for name in bound.arguments if name not in kwargs]
    except (TypeError, ValueError):
        names = []
    numbered = [f"argument {index + 1}" for index in range(len(args))]
    return [*(names if len(names) == len(args) else numbered), *kwargs]


def _unchanged(before: Any, after: Any, models: LiveModels) -> bool:
    if isinstance(before, ModelData):
        return models.has_own_weights(after)
    # Another kind of value may claim to equal anything: True equals 1, and classes may lie.
    if type(after) is not type(before) and not isinstance(before, FactoredData):
        return False
    if isinstance(before, Tensor):
        return _same_values(before, after)
    if isinstance(before, (list, tuple)):
        return len(before) == len(after) and all(
            _unchanged(old, new, models) for old, new in zip(before, after, strict=True)
        )
    if isinstance(before, dict):
        return before.keys() == after.keys() and all(
            _unchanged(item, after[key], models) for key, item in before.items()
        )
    if isinstance(before, FactoredData):
        return all(_unchanged(getattr(before, f), getattr(after, f), models) for f in ("A", "B"))
    return before is after or before == after or (_is_nan(before) and _is_nan(after))


def _same_values(before: Tensor, after: Tensor) -> bool:
    """Whether two tensors are equal in shape, type and values, where NaN equals NaN."""
    same_form = before.shape == after.shape and before.dtype == after.dtype
    if not same_form or before.device != after.device or before.layout != after.layout:
        return False
    with torch.no_grad():
        if _equal(before, after):
            return True
        same_nan = _equal(before.isnan(), after.isnan())
        return same_nan and _equal(before.nan_to_num(), after.nan_to_num())


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _explained(error: BaseException, function: Any) -> tuple[str, None, str]:
    code = getattr(inspect.unwrap(function), "__code__", None)
    status, message = explain(error, code.co_filename if code else "", code and code.co_name)
    return status, None, message


def explain(error: BaseException, filename: str, name: str | None = None) -> tuple[str, str]:
    """("not_started" or "raised", a sentence that names the line in the learner's file).

    `name` is the function that was called. If it is another function of the file that fails, the
    sentence says that it is called.
    """
    frames = list(traceback.walk_tb(error.__traceback__))
    codes = [(frame.f_code, line) for frame, line in frames if _file(frame) == filename]
    own = [(code.co_name, line) for code, line in codes]
    called = [c.co_name for c, _ in codes if c.co_name == c.co_qualname and c.co_name[0] != "<"]
    other = called[-1] if name and called and called[-1] != name else None
    # TransformerLens raises NotImplementedError too: only the learner's own is a stub.
    is_own = bool(own) and _file(frames[-1][0]) == filename
    where = f" (line {own[-1][1]}, in {own[-1][0]})" if own else ""
    where = where.replace(", in <module>", "").replace(f", in {other}", "")
    if isinstance(error, NotImplementedError) and is_own and other:
        return "raised", f"calls `{other}`, which is not written yet (line {own[-1][1]})."
    if isinstance(error, NotImplementedError) and is_own:
        return "not_started", f"still raises NotImplementedError{where}."
    if isinstance(error, SystemExit):
        return "raised", f"called sys.exit({'' if error.code is None else error.code}){where}."
    text = _first_lines(str(error))
    raised = f"raised {type(error).__name__}{where}{': ' + text if text else ''}"
    return "raised", f"calls `{other}`, which {raised}" if other else raised


def _file(frame: Any) -> str:
    return frame.f_code.co_filename


def _first_lines(text: str, limit: int = 400) -> str:
    return text if len(text) <= limit else f"{text[:limit]}…"
