"""Compare an answer with the expected one: None if it is right, otherwise what differs."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from induction_heads.models.plain_data import FactoredData, ModelData

Compare = Callable[[Any, Any], str | None]
"""`compare(answer, expected)`: None if the answer is right, otherwise a sentence or two."""

NUMBER = (int, float)


def closeness(atol: float = 1e-5, rtol: float = 1e-5) -> Compare:
    """Equality of nested answers, with floats within `atol + rtol * |expected|`.

    Tensors, numbers, strings, None, lists, tuples and dicts. Compares type, shape, kind of dtype
    and values, and names the first index that differs. A 0-d tensor may replace a number, an int
    may replace a float of the same value, and at the top level a list may replace a tuple. NaN
    equals only NaN.
    """

    def compare(answer: Any, expected: Any) -> str | None:
        if isinstance(answer, (list, tuple)) and isinstance(expected, (list, tuple)):
            return _sequence_difference(answer, expected, "", atol, rtol)
        return _difference(answer, expected, "", atol, rtol)

    return compare


def close_heads(atol: float = 1e-4) -> Compare:
    """Equality of lists of `(layer, head, score)`, highest score first, scores within `atol`.

    Heads whose expected scores are within `atol` of each other may appear in either order.
    """

    def compare(answer: Any, expected: Any) -> str | None:
        return _malformed_heads(answer) or _heads_difference(answer, expected, atol)

    return compare


def close_product(atol: float = 1e-5, rtol: float = 1e-5) -> Compare:
    """Equality of matrices, each a tensor or a FactoredMatrix, of which the product counts."""

    def compare(answer: Any, expected: Any) -> str | None:
        return closeness(atol, rtol)(_dense(answer), _dense(expected))

    return compare


def _dense(value: Any) -> Any:
    return value.dense() if isinstance(value, FactoredData) else value


def _number(value: Any) -> Any:
    return value.item() if isinstance(value, Tensor) and value.dim() == 0 else value


def _heads_difference(answer: Any, expected: Any, atol: float) -> str | None:
    heads = [(int(_number(layer)), int(_number(head))) for layer, head, _ in answer]
    expected_scores = {(layer, head): score for layer, head, score in expected}
    if sorted(heads) != sorted(expected_scores):
        got = f"the heads {_names(heads)}" if heads else "no heads"
        return f"got {got}; expected {_names(expected_scores)}."
    scores = [float(_number(score)) for _, _, score in answer]
    for head, score in zip(heads, scores, strict=True):
        right = expected_scores[head]
        if not abs(score - right) <= atol:
            return f"the score of {_names([head])} is {_show(score)}, expected {_show(right)}."
    in_order = [expected_scores[head] for head in heads]
    if _rises([score for _, _, score in expected], atol):  # A known mistake: its own order counts.
        misplaced = heads != list(expected_scores)
    else:
        misplaced = _rises(in_order, atol)
    if misplaced:
        return f"got the order {_names(heads)}; expected {_names(expected_scores)}."
    return None


def _rises(scores: list[float], atol: float) -> bool:
    return any(later > earlier + atol for earlier, later in pairwise(scores))


def _malformed_heads(answer: Any) -> str | None:
    if not isinstance(answer, (list, tuple)):
        return f"got {summary(answer)}, expected a list of (layer, head, score)."
    for item in answer:
        values = [_number(part) for part in item] if isinstance(item, (list, tuple)) else []
        numbers = all(isinstance(v, NUMBER) and not isinstance(v, bool) for v in values)
        if len(values) != 3 or not numbers or not all(float(v).is_integer() for v in values[:2]):
            return f"got the item {summary(item)}, expected a list of (layer, head, score)."
    return None


def _names(heads: Any) -> str:
    return ", ".join(f"L{layer}H{head}" for layer, head in heads) or "none"


def _difference(answer: Any, expected: Any, at: str, atol: float, rtol: float) -> str | None:
    if isinstance(expected, Tensor) or isinstance(answer, Tensor):
        return _tensor_difference(answer, expected, at, atol, rtol)
    if isinstance(expected, NUMBER):
        return _number_difference(answer, expected, at, atol, rtol)
    if type(answer) is not type(expected):
        return f"{at}got {summary(answer)}, expected {summary(expected)}."
    if isinstance(expected, (list, tuple)):
        return _sequence_difference(answer, expected, at, atol, rtol)
    if isinstance(expected, dict):
        return _dict_difference(answer, expected, at, atol, rtol)
    if answer != expected:
        return f"{at}got {summary(answer)}, expected {summary(expected)}."
    return None


def _number_difference(answer: Any, expected: Any, at: str, atol: float, rtol: float) -> str | None:
    message = f"{at}got {summary(answer)}, expected {summary(expected)}."
    if isinstance(answer, bool) != isinstance(expected, bool) or not isinstance(answer, NUMBER):
        return message
    if isinstance(expected, int):
        if isinstance(answer, float):
            return f"{at}got the float {answer!r}, expected the int {expected}."
        return None if answer == expected else message
    try:
        mine = float(answer)
    except OverflowError:  # An int too large for a float.
        return message
    both_nan = math.isnan(mine) and math.isnan(expected)
    near = abs(mine - expected) <= atol + rtol * abs(expected) and math.isfinite(expected)
    return None if mine == expected or both_nan or near else message


def _sequence_difference(
    answer: Any, expected: Any, at: str, atol: float, rtol: float
) -> str | None:
    if len(answer) != len(expected):
        items = "1 item" if len(answer) == 1 else f"{len(answer)} items"
        return (
            f"{at}got {items}, expected {len(expected)}: "
            f"{summary(answer)} instead of {summary(expected)}."
        )
    inside = f"{at.removesuffix(': ')}, part " if at.startswith("at item") else f"{at}at item "
    for index, (mine, right) in enumerate(zip(answer, expected, strict=True)):
        if difference := _difference(mine, right, f"{inside}{index}: ", atol, rtol):
            return difference
    return None


def _dict_difference(answer: Any, expected: Any, at: str, atol: float, rtol: float) -> str | None:
    if missing := [key for key in expected if key not in answer]:
        return f"{at}the key {missing[0]!r} is missing; got the keys {list(answer)[:8]!r}."
    if extra := [key for key in answer if key not in expected]:
        return f"{at}got the extra key {extra[0]!r}, expected only {list(expected)[:8]!r}."
    for key, right in expected.items():
        if isinstance(answer[key], bool) and isinstance(right, bool) and answer[key] != right:
            return f"{at}{key!r} is {answer[key]}, expected {right}."
        if difference := _difference(answer[key], right, f"{at}at {key!r}: ", atol, rtol):
            return difference
    return None


def _kind(tensor: Tensor) -> str:
    if tensor.dtype == torch.bool:
        return "bool"
    if tensor.is_complex():
        return "complex"
    return "float" if tensor.is_floating_point() else "int"


def _tensor_difference(answer: Any, expected: Any, at: str, atol: float, rtol: float) -> str | None:
    if _number_like(answer) and _number_like(expected):
        return _number_difference(_number(answer), _number(expected), at, atol, rtol)
    if not (isinstance(answer, Tensor) and isinstance(expected, Tensor)):
        return f"{at}got {summary(answer)}, expected {summary(expected)}."
    if answer.shape != expected.shape:
        return f"{at}got shape {list(answer.shape)}, expected {list(expected.shape)}."
    kinds = _kind(answer), _kind(expected)
    if kinds[0] != kinds[1] and kinds != ("int", "float"):
        return f"{at}got a tensor of {answer.dtype}, expected {expected.dtype}."
    return _value_difference(answer, expected, at, atol, rtol)


def _number_like(value: Any) -> bool:
    return isinstance(_number(value), NUMBER)


def _value_difference(
    answer: Tensor, expected: Tensor, at: str, atol: float, rtol: float
) -> str | None:
    wide = torch.complex128 if expected.is_complex() else torch.float64
    exact = not (expected.is_floating_point() or expected.is_complex())
    mine = answer.detach().cpu() if exact else answer.detach().cpu().to(wide)
    right = expected.detach().cpu() if exact else expected.detach().cpu().to(wide)
    same = mine == right
    if not exact:
        near = (mine - right).abs() <= atol + rtol * right.abs()
        same = same | (near & right.isfinite()) | (mine.isnan() & right.isnan())
    if bool(same.all()):
        return None
    wrong = (~same).nonzero()
    index = tuple(wrong[0].tolist())
    return (
        f"{at}at index {list(index)}, got {_show(answer[index])}, "
        f"expected {_show(expected[index])}. {_extent(mine, right, len(wrong))}"
    )


def _extent(mine: Tensor, right: Tensor, n_wrong: int) -> str:
    differ = f"{n_wrong} of {mine.numel()} values differ"
    if mine.is_floating_point():
        finite = mine.isfinite() & right.isfinite()
        if n_nan := int((mine.isnan() & ~right.isnan()).sum()):
            return f"{differ}; {n_nan} of them NaN."
        if bool(finite.any()):
            differ += f", by at most {_show((mine - right).abs()[finite].max())}"
    return f"{differ}."


def _show(value: Any) -> str:
    value = _number(value)
    return f"{value:.5g}" if isinstance(value, float) else repr(value)


def summary(value: Any, n_values: int = 8) -> str:
    """A value in a few words: dtype, shape and first values of a tensor, the start of a list."""
    if isinstance(value, Tensor):
        return _tensor_summary(value, n_values)
    if isinstance(value, FactoredData):
        return f"a FactoredMatrix of factors {list(value.A.shape)} and {list(value.B.shape)}"
    if isinstance(value, ModelData):
        return _model_summary(value)
    if isinstance(value, (bool, *NUMBER)) or value is None:
        return _shortened(_show(value), 160)
    if isinstance(value, (list, tuple)) and len(value) <= 64:
        inside = ", ".join(_brief(item) for item in value)
        text = f"[{inside}]" if isinstance(value, list) else f"({inside})"
        return _shortened(text, 160)
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} of {len(value)} items"
    if isinstance(value, dict):
        inside = ", ".join(f"{key!r}: {_brief(item)}" for key, item in list(value.items())[:16])
        return _shortened(f"{{{inside}}}", 160)
    return _shortened(repr(value), 160)


def _model_summary(value: ModelData) -> str:
    named = ("n_layers", "n_heads", "d_model", "d_head", "d_vocab", "n_ctx")
    sizes = ", ".join(f"{name} {_shortened(repr(value.config.get(name)), 12)}" for name in named)
    return f"a model of {sizes}"


def _brief(value: Any) -> str:
    if isinstance(value, Tensor) and value.dim() > 0:
        return f"tensor {list(value.shape)}"
    return summary(value)


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}…"


def _tensor_summary(value: Tensor, n_values: int) -> str:
    kind = str(value.dtype).removeprefix("torch.")
    if value.dim() == 0:
        return f"tensor({_show(value)})"
    flat = value.detach().reshape(-1)[:n_values]
    values = ", ".join(_show(item) for item in flat)
    more = ", …" if value.numel() > n_values else ""
    article = "an" if kind[0] in "aeiou" else "a"
    return f"{article} {kind} tensor of shape {list(value.shape)} ({values}{more})"
