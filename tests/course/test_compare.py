import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from induction_heads.course.compare import close_heads, close_product, closeness, summary
from induction_heads.models.plain_data import FactoredData, ModelData

NAN, INF = math.nan, math.inf
T = torch.tensor

SAME = [
    (1.0, 1.0 + 1e-6),
    (T(1.0), 1.0),
    (1.0, T(1.0)),
    (3, 3.0),
    (3, T(3)),
    (NAN, NAN),
    (-INF, -INF),
    ([1, 2.0], (1, 2.0)),
    ({"a": T([1.0])}, {"a": T([1.0])}),
    ("text", "text"),
    (None, None),
    (T([1, 2]), T([1.0, 2.0])),
    (T([1.0], dtype=torch.float16), T([1.0])),
    (T([1, 2], dtype=torch.int32), T([1, 2])),
    (T([NAN, INF]), T([NAN, INF])),
    (torch.zeros(0, 3), torch.zeros(0, 3)),
    (T([1.0], requires_grad=True), T([1.0])),
    (T([1 + 2j]), T([1 + 2j])),
]

DIFFERENT = [
    (1.0, 1.1, "got 1, expected 1.1"),
    (NAN, 1.0, "got nan, expected 1"),
    (1.0, INF, "got 1, expected inf"),
    (3.0, 3, "got the float 3.0, expected the int 3"),
    (True, 1, "got True, expected 1"),
    (1, True, "got 1, expected True"),
    (10**400, 1.0, "…, expected 1"),
    (None, 1.0, "got None, expected 1"),
    ("a", "b", "got 'a', expected 'b'"),
    (T([1.5]), 1.5, "got a float32 tensor of shape [1] (1.5), expected 1.5"),
    ([1.0], T([1.0]), "got [1], expected a float32 tensor of shape [1] (1)"),
    (torch.ones(4, 4), torch.ones(2, 4, 4), "got shape [4, 4], expected [2, 4, 4]"),
    (T([[1.0, 2.0]]), T([1.0, 2.0]), "got shape [1, 2], expected [2]"),
    (T([1.0]), T([INF]), "at index [0], got 1, expected inf"),
    (T([NAN]), T([1.0]), "at index [0], got nan, expected 1"),
    (torch.ones(2), torch.ones(2).bool(), "got a tensor of torch.float32, expected torch.bool"),
    (torch.ones(2).bool(), torch.ones(2), "got a tensor of torch.bool, expected torch.float32"),
    (torch.ones(2), torch.ones(2).long(), "got a tensor of torch.float32, expected torch.int64"),
    (T([[0.0, 1.0]]), T([[0.0, 3.0]]), "at index [0, 1], got 1, expected 3. 1 of 2"),
    (T([0.0, 1.0]), T([0.0, 3.0]), "differ, by at most 2."),
    (T([0.0, NAN]), T([0.0, 3.0]), "1 of 2 values differ; 1 of them NaN."),
    ([1, 2], [1, 2, 3], "got 2 items, expected 3"),
    ([1, 5], [1, 2], "at item 1: got 5, expected 2"),
    ([1], [1, 2], "got 1 item, expected 2"),
    ([(3, 1)], [(3, 0)], "at item 0, part 1: got 1, expected 0"),
    ({"no repeat": False}, {"no repeat": True}, "'no repeat' is False, expected True"),
    ([[1]], [(1,)], "at item 0: got [1], expected (1)"),
    ({"a": 1}, {"b": 1}, "the key 'b' is missing"),
    ({"a": 1, "b": 2}, {"a": 1}, "got the extra key 'b'"),
    ({"a": [1.0]}, {"a": [2.0]}, "at 'a': at item 0: got 1, expected 2"),
]


@pytest.mark.parametrize(("answer", "expected"), SAME)
def test_equal_answers_have_no_difference(answer, expected):
    assert closeness()(answer, expected) is None


@pytest.mark.parametrize(("answer", "expected", "said"), DIFFERENT, ids=range(len(DIFFERENT)))
def test_difference_says_what_came_back_and_what_was_expected(answer, expected, said):
    assert said in (closeness()(answer, expected) or "")


@given(st.floats(allow_nan=False, allow_infinity=False, width=32), st.floats(0, 1e-3))
def test_tensor_and_number_are_compared_alike(value, error):
    tensors = T([value + error], dtype=torch.float64), T([value], dtype=torch.float64)
    compare = closeness(1e-4, 1e-4)
    assert (compare(value + error, value) is None) == (compare(*tensors) is None)


def test_tolerance_is_respected():
    assert closeness(atol=0.2)(1.1, 1.0) is None
    assert closeness(atol=0.05, rtol=0)(1.1, 1.0) is not None


HEADS = [(1, 3, 0.9), (1, 0, 0.5), (0, 2, 0.49995)]


def test_heads_with_nearly_equal_scores_may_swap():
    assert close_heads()([(1, 3, 0.9), (0, 2, 0.49995), [1, T(0), T(0.5)]], HEADS) is None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([(1, 3, 0.9)], "got the heads L1H3; expected L1H3, L1H0, L0H2."),
        ([], "got no heads; expected L1H3, L1H0, L0H2"),
        (
            [HEADS[1], HEADS[0], HEADS[2]],
            "got the order L1H0, L1H3, L0H2; expected L1H3, L1H0, L0H2.",
        ),
        ([(1, 3, 0.8), *HEADS[1:]], "the score of L1H3 is 0.8, expected 0.9."),
        ([(1, 3, NAN), *HEADS[1:]], "the score of L1H3 is nan"),
        ([(1, 3)], "got the item (1, 3), expected a list of (layer, head, score)."),
        ([(NAN, 3, 0.9)], "got the item (nan, 3, 0.9)"),
        ({}, "got {}, expected a list of"),
        ([*HEADS, HEADS[0]], "got the heads L1H3, L1H0, L0H2, L1H3;"),
    ],
)
def test_heads_that_differ(answer, said):
    assert said in (close_heads()(answer, HEADS) or "")


def test_summary_is_short():
    assert summary(torch.arange(3.0)) == "a float32 tensor of shape [3] (0, 1, 2)"
    assert len(summary("x" * 5000)) < 200
    assert len(summary({i: torch.ones(3) for i in range(99)})) < 200


def test_factors_count_by_their_product():
    A, B = T([[1.0], [2.0]]), T([[3.0, 4.0]])
    same, compare = FactoredData(10 * A, B / 10), close_product()
    assert compare(same, A @ B) is None
    assert compare(A @ B, same) is None
    assert compare(same, FactoredData(A, B)) is None
    assert "got 3, expected 6" in (compare(FactoredData(A, B), 2 * A @ B) or "")
    assert "shape" in (compare(FactoredData(A, B), T([1.0])) or "")


def test_a_factored_matrix_is_shown_by_its_shapes():
    shown = summary(FactoredData(torch.zeros(5, 2), torch.zeros(2, 7)))
    assert shown == "a FactoredMatrix of factors [5, 2] and [2, 7]"


def test_product_of_narrow_factors_is_not_formed_if_it_would_fill_the_memory():
    huge = FactoredData(torch.ones(10**6, 1), torch.ones(1, 10**6))
    with pytest.raises(RuntimeError, match="a product of 1,000,000 × 1,000,000 numbers"):
        close_product()(huge, torch.ones(2, 2))


def test_a_model_is_shown_by_its_sizes():
    sizes = {"n_layers": 2, "n_heads": 1, "d_model": 8, "d_head": 4, "d_vocab": 5, "n_ctx": 6}
    shown = summary(ModelData(sizes, {"W_E": torch.zeros(5, 8)}))
    assert shown == "a model of n_layers 2, n_heads 1, d_model 8, d_head 4, d_vocab 5, n_ctx 6"
    assert "n_ctx None" in summary(ModelData({}, {}))
