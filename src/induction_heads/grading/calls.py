"""One call of a learner's function: what it gets, and what came of it, as plain data.

Used by the worker in its own process and by `check()` in a notebook. Imports no expected answer.
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

from induction_heads.grading.wire import FactoredData, ModelData, Unsendable, named, plain

REMARKS = ("gradient", "device")
"""A tensor that carries its gradient, or that is on another device than the CPU, was returned."""


@dataclass(frozen=True)
class Outcome:
    """What came of one call.

    `status` is "returned", "not_started", "signature", "missing", "raised", "unusable", "timeout",
    "died", "unloadable" or "unloadable_in_time". `changed` names an argument that the function
    changed in place. `remarks` holds names of `REMARKS`: what was true of the value as it was
    returned and is lost in the data.
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


def live(value: Any) -> Any:
    """A fresh copy of the arguments, with data built into a `TransformerBridge` or its like."""
    if isinstance(value, ModelData):
        return _built(value)
    if isinstance(value, FactoredData):
        from transformer_lens import FactoredMatrix

        return FactoredMatrix(value.A.clone(), value.B.clone())
    if isinstance(value, (list, tuple)):
        return type(value)(live(item) for item in value)
    if isinstance(value, dict):
        return {key: live(item) for key, item in value.items()}
    return value.clone() if isinstance(value, Tensor) else value


def _built(data: ModelData) -> Any:
    from induction_heads import models

    model = models.AttentionOnly(models.AttentionOnlyConfig(**data.config))
    model.load_state_dict(data.weights)
    tokenizer = models.load_tokenizer(models.ZOO / data.tokenizer) if data.tokenizer else None
    return models.to_transformer_lens(model, tokenizer)


def call(
    function: Any, args: tuple, kwargs: dict, started: Callable[[], None] = lambda: None
) -> Outcome:
    """Call `function` on fresh copies of the arguments and say what came of it.

    `started` is called when the arguments are ready. Only KeyboardInterrupt passes through.
    """
    own_args, own_kwargs = live(tuple(args)), live(kwargs)
    weights = [_weights(value) for value in (*own_args, *own_kwargs.values())]
    if not callable(function):
        return Outcome("signature", message=f"is {named(function)}, not a function.")
    if said := _refuses(function, own_args, own_kwargs):
        return Outcome("signature", message=said)
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
            for name, old, new, old_weights in zip(names, before, after, weights, strict=True)
            if not _unchanged(old, new) or not _same_weights(old_weights, _weights(new))
        ),
        None,
    )
    return Outcome("returned", value, changed=changed, seconds=seconds, remarks=remarks)


def _remarks(raw: Any) -> tuple[str, ...]:
    """Which of REMARKS hold for the tensors in what was returned."""
    try:
        tensors = list(islice(_tensors(raw), 100))
        found = (any(t.requires_grad for t in tensors), any(not t.is_cpu for t in tensors))
    except Exception:  # Whatever came back may be a class of the learner's own.
        return ()
    return tuple(name for name, holds in zip(REMARKS, found, strict=True) if holds is True)


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


def _weights(value: Any) -> dict[str, Tensor]:
    if isinstance(value, torch.nn.Module):
        return {name: weight.detach().clone() for name, weight in value.named_parameters()}
    return {}


def _same_weights(before: dict[str, Tensor], after: dict[str, Tensor]) -> bool:
    return before.keys() == after.keys() and all(
        _unchanged(weight, after[name]) for name, weight in before.items()
    )


def _unchanged(before: Any, after: Any) -> bool:
    if isinstance(before, Tensor):
        if before.shape != after.shape or before.dtype != after.dtype:
            return False
        both_nan = before.isnan() & after.isnan()
        return bool(((before == after) | both_nan).all())
    if isinstance(before, (list, tuple)):
        return len(before) == len(after) and all(map(_unchanged, before, after))
    if isinstance(before, dict):
        return before.keys() == after.keys() and all(
            _unchanged(item, after[key]) for key, item in before.items()
        )
    if isinstance(before, FactoredData):
        return _unchanged(before.A, after.A) and _unchanged(before.B, after.B)
    return isinstance(before, ModelData) or before is after or before == after or _is_nan(before)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _explained(error: BaseException, function: Any) -> tuple[str, None, str]:
    code = getattr(inspect.unwrap(function), "__code__", None)
    status, message = explain(error, code.co_filename if code else "")
    return status, None, message


def explain(error: BaseException, filename: str) -> tuple[str, str]:
    """("not_started" or "raised", a sentence with the line in the learner's own file)."""
    frames = list(traceback.walk_tb(error.__traceback__))
    own = [(frame.f_code.co_name, line) for frame, line in frames if _file(frame) == filename]
    # TransformerLens raises NotImplementedError too: only the learner's own is a stub.
    is_own = bool(own) and _file(frames[-1][0]) == filename
    where = f" (line {own[-1][1]}, in {own[-1][0]})" if own else ""
    where = where.replace(", in <module>", "")
    if isinstance(error, NotImplementedError) and is_own:
        return "not_started", f"still raises NotImplementedError{where}."
    if isinstance(error, SystemExit):
        return "raised", f"called sys.exit({'' if error.code is None else error.code}){where}."
    text = _first_lines(str(error))
    return "raised", f"raised {type(error).__name__}{where}{': ' + text if text else ''}"


def _file(frame: Any) -> str:
    return frame.f_code.co_filename


def _first_lines(text: str, limit: int = 400) -> str:
    return text if len(text) <= limit else f"{text[:limit]}…"
