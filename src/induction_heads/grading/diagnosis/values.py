"""Recognizes how a wrong answer relates to the right one: transposed, shifted, scaled, …

A pair is an answer and the expected one. A diagnosis must explain every pair and show in at least
one of them: a false diagnosis is worse than none.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from induction_heads.grading.diagnosis import axes
from induction_heads.grading.diagnosis.closeness import (
    ENOUGH,
    MOST_VALUES,
    Pairs,
    axis_name,
    explains,
    most_axes,
    n_distinct,
    near,
)
from induction_heads.models.plain_data import FactoredData

NUMBER = (bool, int, float)


def diagnose(
    pairs: Sequence[tuple[Any, Any]], inputs: Sequence[Mapping[str, Any]] = ()
) -> str | None:
    """What is wrong with all answers, with a question that hints at the cause. None if unclear.

    `pairs` has (answer, expected) of every case. `inputs` has the arguments of every case by name,
    if known: their sizes explain a factor that depends on them.
    """
    if not pairs:
        return None
    if diagnosis := _swapped_pairs(pairs):
        return diagnosis
    arrays = [(_array(answer), _array(expected)) for answer, expected in pairs]
    exact = [(mine, right) for mine, right in arrays if mine is not None and right is not None]
    if len(exact) < len(arrays) or any(t.is_complex() for pair in exact for t in pair):
        return None
    if any(t.numel() > MOST_VALUES for pair in exact for t in pair):
        return None
    if len({_kind(right) for _, right in exact}) > 1:
        return None
    if diagnosis := _wrong_dtype(exact):
        return diagnosis
    wide = [(mine.double(), right.double()) for mine, right in exact]
    rules: list[Callable[[Pairs], str | None]] = [
        axes.extra_axis,
        axes.transposed,
        axes.shifted,
        axes.cut_or_padded,
        _other_sign,
    ]
    if all(_kind(t) == "int" for pair in exact for t in pair):
        rules.append(_off_by_one)
    for rule in (*rules, _unmasked, _wrong_softmax):
        if diagnosis := rule(wide):
            return diagnosis
    if _kind(exact[0][1]) != "bool" and (diagnosis := _scaled(wide, inputs)):
        return diagnosis
    return (
        _not_normalized(wide)
        or axes.not_reduced(wide)
        or axes.reduced_too_far(wide)
        or axes.reduced_elsewhere(wide, inputs)
    )


def _array(value: Any) -> Tensor | None:
    """A tensor, a number, or a list of numbers as a tensor on the CPU; anything else as None."""
    if isinstance(value, FactoredData):
        try:
            return value.dense().detach()
        except RuntimeError:
            return None
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, NUMBER):
        return _tensor(value)
    if isinstance(value, (list, tuple)) and value and all(isinstance(v, NUMBER) for v in value):
        return _tensor(value)
    return None


def _tensor(value: Any) -> Tensor | None:
    try:
        exact = torch.tensor(value)
    except (OverflowError, RuntimeError, ValueError):
        return None
    return exact.double() if exact.is_floating_point() else exact


def _kind(tensor: Tensor) -> str:
    if tensor.dtype == torch.bool:
        return "bool"
    return "float" if tensor.is_floating_point() else "int"


def _wrong_dtype(pairs: Pairs) -> str | None:
    kinds = {(_kind(mine), _kind(right)) for mine, right in pairs}
    if len(kinds) != 1:
        return None
    ((mine_kind, right_kind),) = kinds
    if mine_kind == right_kind or (mine_kind, right_kind) == ("int", "float"):
        return None
    if not all(near(mine.double(), right.double()) for mine, right in pairs):
        return None
    names = str(pairs[0][0].dtype).removeprefix("torch."), str(pairs[0][1].dtype)
    return (
        f"the values are right, but their dtype is {names[0]}, expected "
        f"{names[1].removeprefix('torch.')}. Which kind of value does the signature "
        "name, and which step gives another?"
    )


def _other_sign(pairs: Pairs) -> str | None:
    if not explains(pairs, lambda right: -right):
        return None
    return "every value has the wrong sign. What is subtracted from what, and which is larger?"


def _off_by_one(pairs: Pairs) -> str | None:
    if n_distinct([right for _, right in pairs]) < ENOUGH:
        return None
    for step, words in ((1, "one too large"), (-1, "one too small")):
        if all(torch.equal(mine, right + step) for mine, right in pairs):
            return (
                f"every number is {words}. Do you count from 0 or from 1, and is the end included?"
            )
    return None


def _are_causal(pairs: Pairs) -> bool:
    """Whether zeros were expected above the diagonal, and an answer has other values there."""
    for mine, right in pairs:
        square = right.dim() >= 2 and right.shape[-1] == right.shape[-2]
        if not square or mine.shape != right.shape or bool(right.triu(1).any()):
            return False
    return any(bool(mine.triu(1).any()) for mine, _ in pairs)


def _unmasked(pairs: Pairs) -> str | None:
    if not _are_causal(pairs) or sum(right.shape[-1] - 1 for _, right in pairs) < ENOUGH:
        return None
    start = "some values above the diagonal are not 0 as expected"
    if all(near(mine.tril(), right) for mine, right in pairs):
        return f"{start}; the rest is right. Which keys may query 0 attend to?"
    if all(_is_softmax(mine) and near(_rows_to_one(mine.tril()), right) for mine, right in pairs):
        return (
            f"{start}, and they take weight from the rest of each row. "
            "Which keys may query 0 attend to?"
        )
    return None


def _is_softmax(values: Tensor, axis: int = -1) -> bool:
    """Whether no value is negative and the values sum to 1 along `axis`."""
    if values.dim() < -axis or not bool((values >= 0).all()) or values.numel() == 0:
        return False
    sums = values.sum(axis)
    return torch.allclose(sums, torch.ones_like(sums), atol=1e-4)


def _rows_to_one(values: Tensor) -> Tensor:
    return values / values.sum(dim=-1, keepdim=True)


def _wrong_softmax(pairs: Pairs) -> str | None:
    if any(mine.shape != right.shape or not _is_softmax(right) for mine, right in pairs):
        return None
    if all(_is_softmax(mine) for mine, _ in pairs) or max(_lengths(pairs)) < 2:
        return None
    question = "Along which axis does each query distribute its weight?"
    for axis in range(-2, -most_axes(pairs) - 1, -1):
        if all(mine.dim() >= -axis and _is_softmax(mine, axis) for mine, _ in pairs):
            there, here = axis_name(axis, pairs), axis_name(-1, pairs)
            return f"the weights sum to 1 along {there}, expected along {here}. {question}"
    if all(m.dim() >= 2 and _is_softmax(m.flatten(-2)) for m, _ in pairs):
        return f"the weights sum to 1 over whole matrices, not over each row. {question}"
    return None


def _lengths(pairs: Pairs) -> list[int]:
    return [right.shape[-1] for _, right in pairs]


def _not_normalized(pairs: Pairs) -> str | None:
    n_rows = 0
    for mine, right in pairs:
        if mine.shape != right.shape or not _is_softmax(right) or bool((mine < 0).any()):
            return None
        if not near(_rows_to_one(mine), right):
            return None
        wrong = (mine.sum(dim=-1) - 1).abs() > 1e-3
        n_rows += int((wrong & ((right > 0).sum(dim=-1) > 1)).sum())
    if n_rows < 2:
        return None
    return (
        "the proportions within each row are right, but the rows do not sum to 1. Which weights "
        "were in the sum that the rows were divided by, and which are left?"
    )


def _factor(mine: Tensor, right: Tensor) -> float | None:
    """The factor between the expected answer and this one. None if there is none, or it is 0."""
    if mine.shape != right.shape or not bool((mine.isfinite() & right.isfinite()).all()):
        return None
    square = float((right * right).sum())
    factor = float((mine * right).sum()) / square if square > 0 else 0.0
    return factor if abs(factor) > 1e-6 and near(mine, factor * right) else None


def _scaled(pairs: Pairs, inputs: Sequence[Mapping[str, Any]]) -> str | None:
    nonzero = [index for index, (_, right) in enumerate(pairs) if bool(right.any())]
    if any(bool(m.any()) for i, (m, _) in enumerate(pairs) if i not in nonzero) or not nonzero:
        return None
    factors = [factor for index in nonzero if (factor := _factor(*pairs[index])) is not None]
    if len(factors) < len(nonzero) or all(abs(factor - 1) < 1e-3 for factor in factors):
        return None
    if max(factors) - min(factors) < 1e-4 * max(map(abs, factors)):
        if n_distinct([pairs[index][1] for index in nonzero]) < ENOUGH:
            return None
        return _constant_factor(factors[0])
    sizes = [_sizes(inputs[index]) for index in nonzero] if len(inputs) == len(pairs) else []
    if len(factors) >= ENOUGH and (diagnosis := _factor_of_size(factors, sizes)):
        return diagnosis
    if sum(n_distinct([pairs[index][1]]) >= ENOUGH for index in nonzero) < 2:
        return None
    shown = ", ".join(f"{factor:.4g}" for factor in factors[:4])
    return (
        "in each case every value is the expected one times the same factor, which changes "
        f"from case to case ({shown}). Which size changes with it?"
    )


def _constant_factor(factor: float) -> str:
    question = "Which factor does only one of yours and the definition have?"
    for base, words in ((1 / math.log(2), "1 / ln 2"), (math.log(2), "ln 2")):
        if math.isclose(factor, base, rel_tol=1e-4):
            question = "Which base does your logarithm have?"
            return f"every value is {words} times the expected one. {question}"
    return f"every value is {factor:.4g} times the expected one. {question}"


def _sizes(arguments: Mapping[str, Any]) -> dict[str, int]:
    """The axis lengths and positive integers among the arguments, by name."""
    sizes = {}
    for name, value in arguments.items():
        if isinstance(value, Tensor):
            for axis in range(1, value.dim() + 1):
                sizes[f"the length of axis −{axis} of `{name}`"] = value.shape[-axis]
        elif type(value) is int and value > 0:
            sizes[f"`{name}`"] = value
    return sizes


def _factor_of_size(factors: Sequence[float], sizes: Sequence[dict[str, int]]) -> str | None:
    forms: dict[str, tuple[Callable[[int], float], str]] = {
        "{}": (float, "Is it a sum that should be a mean?"),
        "1 / {}": (lambda n: 1 / n, "Is it a mean that should be a sum?"),
        "the square root of {}": (math.sqrt, "Which scaling does the definition use?"),
        "1 / the square root of {}": (lambda n: n**-0.5, "Which scaling does the definition use?"),
    }
    for name in sizes[0] if sizes else ():
        if not all(name in case for case in sizes):
            continue
        for form, (value, question) in forms.items():
            values = [value(case[name]) for case in sizes]
            if all(math.isclose(f, v, rel_tol=1e-4) for f, v in zip(factors, values, strict=True)):
                return f"every value is the expected one times {form.format(name)}. {question}"
    return None


def _swapped_pairs(pairs: Sequence[tuple[Any, Any]]) -> str | None:
    """Heads or places given as (head, layer) or (key, query)."""
    n_swapped, names = 0, "query, key"
    for answer, expected in pairs:
        mine, right = _by_pair(answer), _by_pair(expected)
        if mine is None or right is None:
            return None
        swapped = {(second, first): value for (first, second), value in mine.items()}
        if swapped.keys() != right.keys() or any(
            not _close(swapped[place], right[place]) for place in right
        ):
            return None
        n_swapped += len(mine.keys() - right.keys())
        if isinstance(expected, dict) or any(value is not None for value in right.values()):
            names = "layer, head"
    if n_swapped < 2:
        return None
    return f"the two numbers of each ({names}) are swapped. Which of them comes first?"


def _by_pair(value: Any) -> dict[tuple[int, int], Any] | None:
    """A dict by pairs of ints, a list of pairs, or a list of (int, int, number), as a dict."""
    if isinstance(value, dict):
        items = [(*key, item) if isinstance(key, tuple) else () for key, item in value.items()]
    elif isinstance(value, (list, tuple)):
        items = [tuple(item) if isinstance(item, (list, tuple)) else () for item in value]
    else:
        return None
    by_pair: dict[tuple[int, int], Any] = {}
    for place, rest in ((item[:2], item[2:]) for item in items):
        if len(place) < 2 or len(rest) > 1 or not all(type(number) is int for number in place):
            return None
        by_pair[place] = rest[0] if rest else None
    return by_pair


def _close(mine: Any, right: Any) -> bool:
    if isinstance(mine, Tensor) and mine.numel() == 1:
        mine = mine.item()
    if isinstance(mine, NUMBER) and isinstance(right, NUMBER):
        return abs(mine - right) <= 0.05
    return type(mine) is type(right) and not isinstance(mine, Tensor) and mine == right
