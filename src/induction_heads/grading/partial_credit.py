"""The share of its points that an exercise earns if only some of its cases are right.

A case counts only if the seed draws its inputs: the others are the same in every `check`, so that
their answers can be read off and written down. What the best constant answer gets is subtracted.
An exercise whose answers are judged together, by facts about them, earns its points as a whole.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from induction_heads.course.exercise import Case
from induction_heads.grading.sheet import Sheet
from induction_heads.models.plain_data import FactoredData


def partial_share(sheet: Sheet, right: Sequence[bool]) -> float:
    """The share of the points, from 0 to 1, by whether the answer to each case is right."""
    if sheet.exercise.describe is not None or not any(right):
        return 0.0
    drawn = [index for index in drawn_cases(sheet) if index < len(right)]
    by_a_constant = _most_equal(sheet, drawn)
    if len(drawn) <= by_a_constant:
        return 0.0
    n_right = sum(right[index] for index in drawn)
    return max(0.0, (n_right - by_a_constant) / (len(drawn) - by_a_constant))


def drawn_cases(sheet: Sheet) -> list[int]:
    """The numbers of the cases whose inputs another seed changes."""
    others = sheet.other_cases
    return [
        index
        for index, case in enumerate(sheet.cases)
        if any(index >= len(other) or not _same_call(case, other[index]) for other in others)
    ]


def _most_equal(sheet: Sheet, cases: list[int]) -> int:
    """How many of the cases one answer can get right: the most that expect the same."""
    expected = [sheet.expected[index] for index in cases]
    return max(
        (sum(_accepts(sheet, one, each) for each in expected) for one in expected), default=0
    )


def _accepts(sheet: Sheet, answer: Any, expected: Any) -> bool:
    try:
        return answer is expected or sheet.exercise.compare(answer, expected) is None
    except Exception:  # Answers to different cases need not be comparable.
        return False


def _same_call(one: Case, other: Case) -> bool:
    return _same(one.args, other.args) and _same(one.kwargs, other.kwargs)


def _same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, Tensor):
        return one.shape == other.shape and torch.equal(one, other)
    if isinstance(one, FactoredData):
        return _same((one.A, one.B), (other.A, other.B))
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(v, other[key]) for key, v in one.items())
    return one == other
