import time
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from induction_heads.course.formulas import NotAFormula, formula, parsed
from induction_heads.models.plain_data import Unsendable, plain

pairs = formula(n=(1, 200))
gain = formula(s=(0.05, 0.95))


def pairs_by_counting(n: float) -> float:
    return sum(1 for query in range(int(n)) for key in range(query + 1))


EQUIVALENT = [
    "n*(n+1)/2",
    "n * (n + 1) // 2",
    "(n**2 + n) / 2",
    "0.5*n**2 + n/2",
    "n**2 - n*(n-1)/2",
    "exp(log(n) + log(n + 1) - log(2))",
    "max(n, 0)*(n+1)/2",
    " math.sqrt(n**2) * (n+1)/2 ",
    "-(-n)*(n+1)/2",
    "(n*(n+1))/2 + 0*pi",
    "log2(2**(n/2)) * (n+1)",
    "n*(n+1)*min(0.5, 1)",
]


@pytest.mark.parametrize("text", EQUIVALENT)
def test_equivalent_forms_pass(text: str):
    assert pairs(text, pairs_by_counting) is None
    assert pairs(text, "n*(n+1)/2") is None


@pytest.mark.parametrize("text", ["n**2/2", "n*(n-1)/2", "n*(n+1)", "n", "0", "n*(n+1)/2 + 1"])
def test_other_formulas_are_told_where_they_differ(text: str):
    said = pairs(text, pairs_by_counting)
    assert said is not None
    assert said.startswith("at n = ")
    assert ", expected " in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("n^2/2", "^, which is not a power in Python: write **"),
        ("2n", "Write every product with *"),
        ("n (n+1)/2", "Write every product with *"),
        ("2(n+1)", "Write every product with *"),
        ("(n)(n+1)", "Write every product with *"),
        ("n n", "Write every product with *"),
        ("N*(N+1)/2", "contains N, which is not known. The names are n."),
        ("y = n*(n+1)/2", "is an equation. Write only its right-hand side."),
        ("n == 3", "is an equation"),
        ("n·(n+1)/2", "write *"),
        ("n²/2", "write **2"),
        ("factorial(n)", "calls factorial, which is not known. Use sqrt"),
        ("n +", "is not a Python expression."),
        ("", "got an empty text, expected a formula"),
        ("n if n > 1 else 0", "is more than arithmetic"),
        ("[n][0]", "is more than arithmetic"),
        ("n.real", "contains n.real, which is not known"),
        ("'n'", "is more than arithmetic"),
        ("n @ n", "contains an operator other than"),
        ("lambda: n", "is more than arithmetic"),
        ("__import__('os').system('true')", "is not known"),
        ("().__class__.__bases__", "is not known"),
        ("log(n, 2, 3)", "with arguments it does not take"),
        ("sqrt()", "with arguments it does not take"),
        ("n" + " + n" * 150, "more than 400 characters"),
        ("+".join("1" * 190), "more parts"),
        ("(" * 300, "is not a Python expression"),
        ("log(n - 500)", "has no finite value at n = "),
        ("1/(n - n)", "has no finite value"),
        ("(-n)**0.5", "has no finite value"),
    ],
)
def test_text_that_is_not_a_formula_gets_a_sentence(text: str, words: str):
    said = pairs(text, pairs_by_counting)
    assert said is not None
    assert words in said


@pytest.mark.parametrize("value", [None, True, 1 + 2j, ["n"], {"n": 1}, torch.ones(2)])
def test_other_values_are_not_formulas(value: object):
    said = pairs(value, pairs_by_counting)
    assert said is not None
    assert "expected a formula as text" in said


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
    with pytest.raises(NotAFormula, match="which is not known"):
        parsed("m", ("n",))


def test_a_fraction_travels_as_a_number():
    assert formula(n=(1, 9))(plain(Fraction(1, 8)), "1/8") is None
    with pytest.raises(Unsendable):
        plain(Fraction(10**400))
