"""The checks of shapes that run in the tests find what is wrong, and are written once."""

from collections.abc import Callable
from typing import Any

import pytest
import shape_checks
import torch
from jaxtyping import Float, TypeCheckError, jaxtyped
from torch import Tensor

shapes = jaxtyped(typechecker=shape_checks.checked)


@shapes
def first_rows(x: Float[Tensor, "row column"], count: int) -> Float[Tensor, "count column"]:
    return x[:count] if count else x[:, :1]


def test_a_right_call_passes():
    assert first_rows(torch.ones(3, 2), 1).shape == (1, 2)


@pytest.mark.parametrize("arguments", [(torch.ones(3), 1), (torch.ones(3, 2), 1.5)])
def test_a_wrong_argument_is_reported(arguments: tuple):
    with pytest.raises(TypeCheckError, match="checking the parameters"):
        first_rows(*arguments)


def test_a_result_whose_axes_are_not_those_of_the_arguments_is_reported():
    with pytest.raises(TypeCheckError, match="checking the return value"):
        first_rows(torch.ones(3, 2), 0)


def inner(axes: str) -> Callable[[Any], Any]:
    @shapes
    def same(x: Float[Tensor, axes]) -> Float[Tensor, axes]:
        return x

    return same


def test_inner_functions_share_a_check_only_if_their_annotations_are_the_same():
    inner("a b")(torch.ones(3, 2))
    before = len(shape_checks._checks)
    inner("a b")(torch.ones(5, 4))
    assert len(shape_checks._checks) == before
    with pytest.raises(TypeCheckError):
        inner("a b c")(torch.ones(3, 2))
    with pytest.raises(TypeCheckError):
        inner("a b")(torch.ones(3))
