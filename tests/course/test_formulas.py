import math
import time
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from induction_heads.checks.formulas import NotAFormula, formula, number, parsed, short_list
from induction_heads.grading.wire import Unsendable, plain

pairs = formula(n=(1, 200))
gain = formula(s=(0.05, 0.95))


def pairs_by_counting(n: float) -> float:
    return sum(1 for query in range(int(n)) for key in range(query + 1))


EQUIVALENT = [
    "n*(n+1)/2", "n * (n + 1) // 2", "(n**2 + n) / 2", "0.5*n**2 + n/2", "n**2 - n*(n-1)/2",
    "exp(log(n) + log(n + 1) - log(2))", "max(n, 0)*(n+1)/2", " math.sqrt(n**2) * (n+1)/2 ",
    "-(-n)*(n+1)/2", "(n*(n+1))/2 + 0*pi", "log2(2**(n/2)) * (n+1)", "n*(n+1)*min(0.5, 1)",
]  # fmt: skip


@pytest.mark.parametrize("text", EQUIVALENT)
def test_equivalent_forms_pass(text: str):
    assert pairs(text, pairs_by_counting) is None
    assert pairs(text, "n*(n+1)/2") is None


@pytest.mark.parametrize("text", ["n**2/2", "n*(n-1)/2", "n*(n+1)", "n", "0", "n*(n+1)/2 + 1"])
def test_other_formulas_are_told_where_they_differ(text: str):
    said = pairs(text, pairs_by_counting)
    assert said is not None
    assert said.startswith("at n = ")
    assert "was expected" in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("n^2/2", "^, which is no power in Python: write **"),
        ("2n", "Write every product with *"),
        ("n (n+1)/2", "Write every product with *"),
        ("2(n+1)", "Write every product with *"),
        ("(n)(n+1)", "Write every product with *"),
        ("n n", "Write every product with *"),
        ("N*(N+1)/2", "holds N, which is not known here. The names are n."),
        ("y = n*(n+1)/2", "is an equation. Give the right-hand side alone."),
        ("n == 3", "is an equation"),
        ("n·(n+1)/2", "write *"),
        ("n²/2", "write **2"),
        ("factorial(n)", "calls factorial, which is not known here. There are sqrt"),
        ("n +", "is no Python expression."),
        ("", "an empty text came back"),
        ("n if n > 1 else 0", "is more than arithmetic"),
        ("[n][0]", "is more than arithmetic"),
        ("n.real", "holds n.real, which is not known"),
        ("'n'", "is more than arithmetic"),
        ("n @ n", "holds an operator other than"),
        ("lambda: n", "is more than arithmetic"),
        ("__import__('os').system('true')", "is not known here"),
        ("().__class__.__bases__", "is not known here"),
        ("log(n, 2, 3)", "with arguments that it does not take"),
        ("sqrt()", "with arguments that it does not take"),
        ("n" + " + n" * 150, "more than 400 characters"),
        ("+".join("1" * 190), "more parts"),
        ("(" * 300, "is no Python expression"),
        ("log(n - 500)", "has no finite value at n = "),
        ("1/(n - n)", "has no finite value"),
        ("(-n)**0.5", "has no finite value"),
    ],
)
def test_what_is_no_formula_gets_a_sentence(text: str, words: str):
    said = pairs(text, pairs_by_counting)
    assert said is not None
    assert words in said


@pytest.mark.parametrize("value", [None, True, 1 + 2j, ["n"], {"n": 1}, torch.ones(2)])
def test_other_values_are_no_formula(value: object):
    said = pairs(value, pairs_by_counting)
    assert said is not None
    assert "a formula as text was expected" in said


@pytest.mark.parametrize(
    "text", ["9**9**9", "n**n**n**n", "2**(10**8)", "exp(exp(exp(n)))", "9" * 390, "1e999*n"]
)
def test_huge_numbers_end_at_once(text: str):
    start = time.perf_counter()
    assert pairs(text, pairs_by_counting) is not None
    assert time.perf_counter() - start < 0.5


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(alphabet="n0123456789+-*/%(). =^,_abcexplogsqrt²√\x00[]{}'", max_size=60))
def test_no_text_raises(text: str):
    said = pairs(text, pairs_by_counting)
    assert said is None or isinstance(said, str)


def test_real_ranges_draw_real_points():
    assert gain("1/(1-s)", lambda s: 1 / (1 - s)) is None
    assert gain("1 + s/(1-s)", "1/(1-s)") is None
    assert gain("1/s", "1/(1-s)") is not None
    assert gain(2, "1/(1-s)") is not None


def test_whole_division_and_remainder_are_known():
    assert pairs("n//7", lambda n: int(n) // 7) is None
    assert pairs("n % 7", lambda n: int(n) % 7) is None


def test_smallest_point_that_differs_is_told():
    smallest = pairs("n", lambda n: n + 1) or ""
    others = [pairs("n", lambda n, low=low: n + (n > low)) or "" for low in (50, 100)]
    at = [float(said.split()[3]) for said in (smallest, *others)]
    assert at == sorted(at)
    assert at[0] < 20


def test_a_constant_formula_may_be_a_number():
    assert formula(n=(1, 9))(0.5, "n/(2*n)") is None


def test_names_that_are_not_asked_for_are_refused():
    with pytest.raises(NotAFormula, match="which is not known here"):
        parsed("m", ("n",))


@pytest.mark.parametrize(
    "value", [0.125, "1/8", "2**-3", "0.125", torch.tensor(0.125), 0.12501, "log(exp(1/8))"]
)
def test_numbers_in_many_forms_are_right(value: object):
    assert number()(value, 0.125) is None
    assert number()(value, "1/8") is None


@pytest.mark.parametrize("value", ["1/4", "0.13", 0.12, "n/8", "a half", None, True, [0.125],
                                   math.inf, math.nan, 10**400, ""])  # fmt: skip
def test_other_numbers_are_refused_with_a_sentence(value: object):
    said = number()(value, 0.125)
    assert said is not None
    assert said.endswith((".", "in it.", "*: 2*n, not 2n.", "there."))


def test_a_fraction_travels_as_a_number():
    assert number()(plain(Fraction(1, 8)), 0.125) is None
    with pytest.raises(Unsendable):
        plain(Fraction(10**400))


def test_short_lists_are_compared_item_by_item():
    assert short_list()(["1/2", 0.25], [0.5, "1/4"]) is None
    assert short_list(any_order=True)((0.25, "1/2"), [0.5, 0.25]) is None
    assert short_list(pairs)(["n**2"], ["n*n"]) is None
    wrong = {
        "at item 1: 1 came back": ([0.5, 1], [0.5, 0.25]),
        "1 items came back, 2 were": ([0.5], [0.5, 0.25]),
        "a list of 2 was expected": (0.5, [0.5, 0.25]),
    }
    for words, pair in wrong.items():
        assert words in str(short_list()(*pair))
    assert "too often" in str(short_list(any_order=True)([0.5, 0.5], [0.5, 0.25]))
