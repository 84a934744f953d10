"""Pen-and-paper answers: a formula as a Python expression.

A formula is data: a small evaluator that knows arithmetic and a few functions reads it, and nothing
else ever runs. Two formulas are equal if they have the same values at random points.
"""

import ast
import math
import operator
import random
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from induction_heads.course.compare import Compare, summary

MOST_CHARACTERS = 400
MOST_PARTS = 200
N_POINTS = 24
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sqrt": math.sqrt,
    "log": math.log,
    "exp": math.exp,
    "log2": math.log2,
    "min": min,
    "max": max,
}
CONSTANTS = {"pi": math.pi}
OPERATORS: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    # On floats math.pow overflows at once, where an int would grow for hours.
    ast.Pow: math.pow,
}
SIGNS = {
    "×": "*",
    "·": "*",
    "÷": "/",
    "−": "-",
    "–": "-",
    "²": "**2",
    "³": "**3",
    "√": "sqrt(…)",
    "π": "pi",
    "½": "1/2",
}


SIDE_BY_SIDE = re.compile(r"\d\s*[A-Za-z_(]|\)\s*[\w(]|\w\s+\w")


class NotAFormula(ValueError):
    """Text that is not a formula. The message says what to write instead."""


def formula(*, rtol: float = 1e-6, **ranges: tuple[float, float]) -> Compare:
    """Equality of formulas in the names of `ranges`, tried at random points in those ranges.

    A range of two ints gives whole numbers. The expected formula is a string or a function of the
    names, such as the definition as a loop, so that the check does not contain the answer.
    """
    points = _points(ranges)

    def compare(answer: Any, expected: Any) -> str | None:
        if answer is expected:
            return None
        right = _reader(expected, ranges)
        try:
            mine = _reader(answer, ranges)
            return next(filter(None, (_difference(mine, right, p, rtol) for p in points)), None)
        except NotAFormula as error:
            return str(error)

    return compare


def _points(ranges: Mapping[str, tuple[float, float]]) -> list[dict[str, float]]:
    draw = random.Random(0)

    def value(low: float, high: float) -> float:
        both_whole = isinstance(low, int) and isinstance(high, int)
        return float(draw.randint(int(low), int(high))) if both_whole else draw.uniform(low, high)

    points = [{name: value(*ends) for name, ends in ranges.items()} for _ in range(N_POINTS)]
    return sorted(points, key=lambda point: sum(point.values()))  # The message names the simplest.


Reader = Callable[[Mapping[str, float]], float]


def _difference(mine: Reader, right: Reader, point: Mapping[str, float], rtol: float) -> str | None:
    value, expected = mine(point), right(point)
    if abs(value - expected) <= 1e-9 + rtol * abs(expected):
        return None
    at = ", ".join(f"{name} = {number:.4g}" for name, number in point.items())
    return f"at {at} your formula gives {value:.5g}, expected {expected:.5g}."


def _reader(value: Any, names: Mapping[str, Any]) -> Reader:
    """A function from a point to the value of the formula there."""
    if isinstance(value, (bool, type(None))):
        raise NotAFormula(f"got {value}, expected a formula as text, in quotes.")
    if callable(value):
        return lambda point: float(value(**point))  # type: ignore[arg-type]
    if isinstance(value, (int, float)):
        return lambda point: float(value)
    tree = parsed(value, tuple(names))
    return lambda point: _computed(tree, point)


def parsed(text: Any, names: tuple[str, ...]) -> ast.expr:
    """The formula as a tree of allowed parts. Raises NotAFormula, which names what is not."""
    if not isinstance(text, str):
        raise NotAFormula(f"got {summary(text)}, expected a formula as text, in quotes.")
    text = text.strip()
    if not text:
        raise NotAFormula("got an empty text, expected a formula.")
    if any(separator in text for separator in "\n\r\x85\u2028\u2029"):
        raise NotAFormula(
            f"{summary(text)} has a line break. Write the formula on one line, or put strings in "
            "brackets side by side to make one of them."
        )
    if len(text) > MOST_CHARACTERS:
        raise NotAFormula(f"the formula has more than {MOST_CHARACTERS} characters.")
    if sign := next((sign for sign in SIGNS if sign in text), None):
        raise NotAFormula(f"{text!r} contains {sign}, which is not Python: write {SIGNS[sign]}")
    if "=" in text.replace("==", "="):
        raise NotAFormula(f"{text!r} is an equation. Write only its right-hand side.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python warns of 2if; it is refused below.
            tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise NotAFormula(_unreadable(text)) from None
    if sum(1 for _ in ast.walk(tree)) > MOST_PARTS:
        raise NotAFormula("the formula has more parts than any answer here needs.")
    _require_allowed(tree, names, text)
    return tree


def _unreadable(text: str) -> str:
    remedy = " Write every product with *: 2*n, not 2n." if SIDE_BY_SIDE.search(text) else ""
    return f"{text!r} is not a Python expression.{remedy}"


def _require_allowed(node: ast.AST, names: tuple[str, ...], text: str) -> None:
    if isinstance(node, ast.Call):
        _require_known_function(node, names, text)
        parts: list[ast.expr] = node.args
    elif isinstance(node, ast.BinOp):
        if isinstance(node.op, ast.BitXor):
            raise NotAFormula(f"{text!r} contains ^, which is not a power in Python: write **")
        if type(node.op) not in OPERATORS:
            raise NotAFormula(f"{text!r} contains an operator other than + - * / // % **")
        parts = [node.left, node.right]
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        parts = [node.operand]
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        parts = []
    elif isinstance(node, (ast.Name, ast.Attribute)):
        _require_known_name(ast.unparse(node), names, text)
        parts = []
    else:
        raise NotAFormula(
            f"{text!r} is more than arithmetic. Use numbers, names and + - * / ** // %"
        )
    for part in parts:
        _require_allowed(part, names, text)


def _require_known_function(node: ast.Call, names: tuple[str, ...], text: str) -> None:
    name = _bare(ast.unparse(node.func))
    if name not in FUNCTIONS:
        if isinstance(node.func, (ast.Constant, ast.BinOp)) or name in names or len(name) == 1:
            raise NotAFormula(f"{text!r} calls {name}(…). Write every product with *: n*(n + 1)")
        functions = ", ".join(FUNCTIONS)
        raise NotAFormula(f"{text!r} calls {name}, which is not known. Use {functions}.")
    if node.keywords or not node.args or (len(node.args) > 2 and name not in ("min", "max")):
        raise NotAFormula(f"{text!r} calls {name} with arguments it does not take.")


def _require_known_name(name: str, names: tuple[str, ...], text: str) -> None:
    if name not in names and _bare(name) not in CONSTANTS:
        known = ", ".join(names)
        raise NotAFormula(f"{text!r} contains {name}, which is not known. The names are {known}.")


def _bare(name: str) -> str:
    """`math.log` means `log`."""
    return name.removeprefix("math.")


def _computed(node: ast.expr, point: Mapping[str, float]) -> float:
    try:
        value = _evaluated(node, point)
    except (ArithmeticError, ValueError, TypeError):
        value = math.nan
    if not math.isfinite(value):
        at = ", ".join(f"{name} = {number:.4g}" for name, number in point.items())
        where = f" at {at}" if at else ""
        raise NotAFormula(f"{ast.unparse(node)!r} has no finite value{where}.")
    return value


def _evaluated(node: ast.expr, point: Mapping[str, float]) -> float:
    """The value of an allowed tree, in floats throughout."""
    if isinstance(node, ast.Constant):
        return float(node.value)  # type: ignore[arg-type]
    if isinstance(node, ast.UnaryOp):
        value = _evaluated(node.operand, point)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp):
        left, right = _evaluated(node.left, point), _evaluated(node.right, point)
        return OPERATORS[type(node.op)](left, right)
    if isinstance(node, ast.Call):
        name = _bare(ast.unparse(node.func))
        arguments = [_evaluated(argument, point) for argument in node.args]
        if name in ("min", "max"):
            return min(arguments) if name == "min" else max(arguments)
        return FUNCTIONS[name](*arguments)
    name = ast.unparse(node)
    return point[name] if name in point else CONSTANTS[_bare(name)]
