"""Each kind of mistake is recognized on answers of the real exercises, and nothing else is.

`test_course` has the other half for every exercise: no right answer is diagnosed.
"""

import math
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from drawn import arguments, sheet
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from trial import ROW_SUMS

from induction_heads.grading.diagnosis.values import diagnose
from induction_heads.grading.judge import judge_function
from induction_heads.grading.sheet import Sheet
from induction_heads.models.plain_data import FactoredData, plain

CAUSAL_PATTERNS = ("attention_pattern", "positional_pattern")


def expected(name: str) -> list[Any]:
    return [plain(answer) for answer in sheet(name).expected]


def diagnosis_of(name: str, change: Callable[[Any], Any]) -> str | None:
    """The diagnosis for an exercise where each answer is the changed expected one."""
    return diagnose([(change(right), right) for right in expected(name)], arguments(name))


def by_column(pattern: Tensor) -> Tensor:
    """Even over the queries of each key, not over the keys of each query."""
    visible = torch.ones_like(pattern).tril()
    return visible / visible.sum(dim=-2, keepdim=True)


def unmasked(pattern: Tensor) -> Tensor:
    return (pattern + torch.ones_like(pattern).triu(1)).softmax(dim=-1)


def before_mask(pattern: Tensor) -> Tensor:
    """A softmax over all keys whose visible part has the proportions of the pattern."""
    wide = pattern + torch.ones_like(pattern).triu(1)
    return wide / wide.sum(dim=-1, keepdim=True)


def shifted(step: int, axis: int) -> Callable[[Tensor], Tensor]:
    return lambda right: right.roll(step, axis)


def swapped(heads: dict | list) -> dict | list:
    if isinstance(heads, dict):
        return {(head, layer): name for (layer, head), name in heads.items()}
    return [(head, layer, *rest) for layer, head, *rest in heads]


TABLE = [
    ("attention_pattern", lambda p: p.mT, "the last two axes are swapped"),
    ("causal_mask", lambda mask: mask.T, "the last two axes are swapped"),
    ("attention_patterns", lambda p: p.transpose(0, 2), "axis 0 and axis 2 are swapped"),
    ("zero_ablation_hook", lambda z: z.permute(1, 2, 3, 0), "in the order (1, 2, 3, 0)"),
    ("attention_head", shifted(1, -2), "one place too late along the second-to-last axis"),
    ("attention_head", shifted(-1, -1), "one place too early along the last axis"),
    ("per_token_loss", shifted(1, -1), "one place too late along axis 1"),
    ("per_token_loss", lambda loss: loss[:, 1:], "one entry is missing at the start of axis 1"),
    (
        "per_token_loss",
        lambda loss: torch.nn.functional.pad(loss, (0, 1)),
        "one entry too many at the end of axis 1",
    ),
    ("attention_head", lambda out: out * 0.125, "every value is 0.125 times the expected one"),
    ("per_token_loss", lambda loss: loss / math.log(2), "1 / ln 2 times"),
    ("count_attention_parameters", lambda n: 2 * n, "every value is 2 times"),
    (
        "attention_head",
        lambda out: out / out.shape[-1] ** 0.5,
        "times 1 / the square root of the length of axis −1 of `residual`",
    ),
    ("previous_token_score", lambda s: s * torch.tensor(2.0 + s.numel()), "changes with it?"),
    ("attention_pattern", lambda p: p + torch.rand_like(p).triu(1), "the rest is right"),
    ("attention_pattern", before_mask, "take weight from the rest of each row"),
    ("positional_pattern", by_column, "sum to 1 along axis 0"),
    ("attention_pattern", lambda p: p / p.sum(dim=(-2, -1), keepdim=True), "whole matrices"),
    (
        "attention_pattern",
        lambda p: p * (1 + p.shape[-1] * torch.rand(p.shape[:-1])[..., None]),
        "the rows do not sum to 1",
    ),
    ("attention_head", lambda out: -out, "the wrong sign"),
    ("attention_pattern", lambda p: 2 * p, "every value is 2 times the expected one"),
    ("score_gap_needed", lambda gap: -gap, "the wrong sign"),
    ("causal_mask", lambda mask: mask.float(), "their dtype is float32, expected bool"),
    ("count_attention_parameters", float, "their dtype is float64, expected int64"),
    ("count_attention_parameters", lambda n: n - 1, "every number is one too small"),
    ("per_token_loss", lambda loss: loss.unsqueeze(-1), "an axis of length 1 too many"),
    ("per_token_loss", lambda loss: loss.mean(dim=0), "averaged once more, over axis 0"),
    ("attention_patterns", lambda p: p.sum(dim=(1, 2)), "summed once more, over axes 1 and 2"),
    (
        "attention_head",
        lambda out: torch.stack([out - 1, out + 1]),
        "nothing was summed or averaged over axis 0",
    ),
    ("detect_head_types", swapped, "(layer, head) are swapped"),
    ("stray_stripe_entries", swapped, "(query, key) are swapped"),
    ("qk_circuit", lambda dense: FactoredData(dense.T, torch.eye(len(dense))), "are swapped"),
]


@pytest.mark.parametrize(
    ("name", "change", "words"), TABLE, ids=[f"{row[0]}-{row[2]}" for row in TABLE]
)
def test_each_kind_is_recognized(name: str, change: Callable[[Any], Any], words: str):
    diagnosis = diagnosis_of(name, change)
    assert diagnosis is not None
    assert words in diagnosis
    assert diagnosis.endswith("?")


def test_another_axis_that_was_reduced_is_recognized():
    right = [case.args[0].sum(1) for case in Sheet(ROW_SUMS).cases]
    other = [case.args[0].sum(0) for case in Sheet(ROW_SUMS).cases]
    inputs = [{"matrix": case.args[0]} for case in Sheet(ROW_SUMS).cases]
    diagnosis = diagnose(list(zip(other, right, strict=True)), inputs)
    assert diagnosis is not None
    assert "the wrong axis of `matrix` was removed" in diagnosis
    assert diagnose(list(zip(other, right, strict=True))) is None


def test_every_case_must_agree():
    pairs = [(right.mT, right) for right in expected("attention_pattern")]
    pairs[1] = (torch.rand(pairs[1][1].shape), pairs[1][1])
    assert diagnose(pairs) is None


def test_cases_that_show_nothing_are_no_evidence():
    even = torch.full((1, 4), 0.25)
    assert diagnose([(torch.ones(1), torch.ones(1)), (even, even.T.T)]) is None
    assert diagnose([(2.0, 1.0), (4.0, 2.0)]) is None, "two numbers do not make a factor"
    assert diagnose([]) is None


def test_values_that_are_no_numbers_get_none():
    assert diagnose([("a", "b"), (None, torch.ones(3))]) is None
    assert diagnose([(2**70, 3), (5, 4), (7, 6)]) is None
    assert diagnose([(torch.full((3,), math.nan), torch.ones(3))]) is None


def test_huge_answers_cost_no_time():
    huge, right = torch.rand(2**24), torch.rand(2, 3)
    start = time.perf_counter()
    assert diagnose([(huge, right), (huge, right)]) is None
    assert time.perf_counter() - start < 0.2


KINDS: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "normal": lambda right, draw: torch.randn(right.shape, generator=draw),
    "uniform": lambda right, draw: torch.rand(right.shape, generator=draw),
    "softmax": lambda right, draw: torch.randn(right.shape, generator=draw).softmax(dim=-1),
    "causal softmax": lambda right, draw: (
        torch.randn(right.shape, generator=draw).masked_fill(right == 0, -math.inf).softmax(dim=-1)
    ),
    "close": lambda right, draw: right * (1 + 0.01 * torch.randn(right.shape, generator=draw)),
    "added": lambda right, draw: right + torch.randn((), generator=draw),
    "zeros": lambda right, draw: torch.zeros_like(right),
    "ones": lambda right, draw: torch.ones_like(right) + 1,
    "squared": lambda right, draw: right**2,
    "reversed": lambda right, draw: right.flip(list(range(right.dim()))),
}
NAMES = [
    "attention_pattern",
    "attention_head",
    "per_token_loss",
    "previous_token_score",
    "zero_ablation_hook",
    "positional_pattern",
    "stripe_knockout",
]


@settings(max_examples=120, deadline=None, derandomize=True)
@given(name=st.sampled_from(NAMES), kind=st.sampled_from(sorted(KINDS)), seed=st.integers(0, 9999))
def test_unrelated_wrong_answers_get_none(name: str, kind: str, seed: int):
    draw = torch.Generator().manual_seed(seed)
    pairs = [(KINDS[kind](right, draw), right) for right in expected(name)]
    assert diagnose(pairs, arguments(name)) is None


@settings(max_examples=60, deadline=None, derandomize=True)
@given(numbers=st.lists(st.integers(-50, 50), min_size=3, max_size=5), seed=st.integers(0, 9999))
def test_unrelated_wrong_numbers_get_none(numbers: list[int], seed: int):
    draw = torch.Generator().manual_seed(seed)
    wrong = torch.randn(len(numbers), generator=draw).double().tolist()
    sizes = [{"n": index + 2, "m": 3 * index + 1} for index in range(len(numbers))]
    assert diagnose(list(zip(wrong, map(float, numbers), strict=True)), sizes) is None


def test_report_gives_the_diagnosis_where_no_mistake_is_known():
    result = judge_function(ROW_SUMS, lambda matrix: -matrix.sum(1))
    assert (result.status, result.mistake) == ("failed", None)
    assert "\nDiagnosis: every value has the wrong sign." in result.message
    known = judge_function(ROW_SUMS, lambda matrix: matrix.mean(1))
    assert known.mistake == "rows are averaged"
    assert "Diagnosis" not in known.message


def test_gradient_left_attached_passes_with_a_remark():
    result = judge_function(ROW_SUMS, lambda matrix: matrix.requires_grad_(True).sum(1))
    assert result.passed
    assert "still carries its gradient" in result.message
    assert judge_function(ROW_SUMS, lambda matrix: matrix.sum(1)).message == ""


def test_values_on_another_device_are_remarked():
    result = judge_function(ROW_SUMS, lambda matrix: matrix.sum(1).to("meta"))
    assert result.status == "error"
    assert "on another device than the CPU" in result.message
