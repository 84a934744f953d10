import math

import pytest
import torch
from trial import DOUBLED, ROW_SUMS

from induction_heads.grading.diagnosis.drawing import drawable_difference
from induction_heads.grading.judge import judge_function
from induction_heads.grading.results import Difference
from induction_heads.models.plain_data import FactoredData


def drawn(answer: object, expected: object) -> Difference:
    difference = drawable_difference(answer, expected)
    assert difference is not None
    return difference


def marked(difference: Difference) -> list[tuple[int, int]]:
    rows = enumerate(difference.marked)
    return [(i, j) for i, row in rows for j, cell in enumerate(row) if cell]


def test_differing_cells_are_marked():
    right = torch.arange(6.0).reshape(2, 3)
    mine = right.clone()
    mine[1, 2], mine[0, 1] = 9, math.nan
    difference = drawn(mine, right)
    assert marked(difference) == [(0, 1), (1, 2)]
    assert difference.expected == ((0, 1, 2), (3, 4, 5))
    assert difference.answer[1] == (3, 4, 9)
    assert difference.where == ""


def test_vector_is_one_row():
    assert marked(drawn(torch.tensor([1.0, 2, 3]), torch.tensor([1.0, 5, 3]))) == [(0, 1)]


def test_slice_with_the_first_difference_is_drawn():
    right = torch.zeros(2, 3, 4, 5)
    mine = right.clone()
    mine[1, 2, 3, 4] = 1
    difference = drawn(mine, right)
    assert difference.where == "index [1, 2, …]"
    assert marked(difference) == [(3, 4)]


def test_at_most_64_rows_and_columns_around_the_first_difference():
    right = torch.zeros(100, 200)
    mine = right.clone()
    mine[99, 130] = 1
    difference = drawn(mine, right)
    assert (len(difference.answer), len(difference.answer[0])) == (64, 64)
    assert difference.where == "rows 36 to 99 of 100, columns 128 to 191 of 200"
    assert marked(difference) == [(63, 2)]


def test_other_shapes_stand_side_by_side_without_marks():
    difference = drawn(torch.zeros(2, 3), torch.ones(3, 2, 5))
    assert difference.where == "shape [2, 3], expected [3, 2, 5]"
    assert (len(difference.answer), len(difference.expected)) == (2, 2)
    assert marked(difference) == []


def test_factors_and_booleans_can_be_drawn():
    assert drawn(FactoredData(torch.ones(2, 1), torch.ones(1, 2)), torch.zeros(2, 2))
    difference = drawn(torch.ones(2, 2).bool(), torch.eye(2).bool())
    assert marked(difference) == [(0, 1), (1, 0)]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (1.0, 2.0),
        (torch.tensor(1.0), torch.tensor(2.0)),
        (torch.ones(3), 1.0),
        ([1, 2], [1, 3]),
        (torch.ones(3), torch.ones(3)),
        (torch.zeros(0, 3), torch.ones(3)),
        (torch.ones(2, dtype=torch.complex64), torch.ones(2)),
        (FactoredData(torch.ones(2, 3), torch.ones(2, 3)), torch.ones(2, 2)),
        (torch.ones([1] * 9 + [2]), torch.ones(2)),
        (torch.ones(2**20 + 1), torch.ones(2)),
        (FactoredData(torch.ones(2000, 1), torch.ones(1, 2000)), torch.ones(2, 2)),
        (FactoredData(torch.ones(10**6, 1), torch.ones(1, 10**6)), torch.ones(2, 2)),
        (FactoredData(torch.ones(2), torch.ones(2)), torch.ones(2, 2)),
    ],
)
def test_nothing_to_draw(answer: object, expected: object):
    assert drawable_difference(answer, expected) is None


def test_result_carries_the_first_wrong_case():
    def wrong_on_wide(matrix: torch.Tensor) -> torch.Tensor:
        return matrix.sum(1) + (matrix.shape[1] == 4)

    difference = judge_function(ROW_SUMS, wrong_on_wide).difference
    assert difference is not None
    assert len(difference.answer[0]) == 3
    assert judge_function(ROW_SUMS, ROW_SUMS.oracle).difference is None
    assert judge_function(DOUBLED, lambda number: number).difference is None


def test_difference_is_not_in_the_json():
    result = judge_function(ROW_SUMS, lambda matrix: matrix.sum(1) + 1)
    assert list(result.as_json()) == ["name", "status", "message", "mistake", "seconds"]
