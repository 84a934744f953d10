"""Pen-and-paper answers: a formula as a Python expression, a number, or a short list of them.

A formula is data: it is read by a small evaluator that knows arithmetic and a few functions, and
nothing else is ever run. Two formulas are the same if they have the same values at random points.
"""

import ast
import math
import operator
import random
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from induction_heads.checks.compare import Compare, summary

MOST_CHARACTERS = 400
MOST_PARTS = 200
N_POINTS = 24
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sqrt": math.sqrt, "log": math.log, "exp": math.exp, "log2": math.log2, "min": min, "max": max,
}  # fmt: skip
CONSTANTS = {"pi": math.pi}
OPERATORS: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
    # On floats math.pow overflows at once, where an int would grow for hours.
    ast.Pow: math.pow,
}  # fmt: skip
SIGNS = {
    "×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "²": "**2", "³": "**3", "√": "sqrt(…)",
    "π": "pi", "½": "1/2",
}  # fmt: skip


SIDE_BY_SIDE = re.compile(r"\d\s*[A-Za-z_(]|\)\s*[\w(]|\w\s+\w")


class NotAFormula(ValueError):
    """Text that is no formula. The message is a sentence that says what to write instead."""


def formula(*, rtol: float = 1e-6, **ranges: tuple[float, float]) -> Compare:
    """Equality of formulas with the names of `ranges`, tried at random points in those ranges.

    Whole numbers are drawn for a range of two ints. The expected formula is a string, or a function
    of the names: the definition as a loop, say, so that the check does not hold the answer.
    """
    points = _points(ranges)

    def compare(answer: Any, expected: Any) -> str | None:
        if answer is expected:
            return None
        wanted = _reader(expected, ranges)
        try:
            mine = _reader(answer, ranges)
            return next(filter(None, (_apart(mine, wanted, p, rtol) for p in points)), None)
        except NotAFormula as error:
            return str(error)

    return compare


def number(rtol: float = 1e-3, atol: float = 1e-9) -> Compare:
    """A number within a tolerance; it may come as text without names, such as "1/8" or "log(2)"."""

    def compare(answer: Any, expected: Any) -> str | None:
        try:
            mine = _value(answer)
        except NotAFormula as error:
            return str(error)
        right = _value(expected)
        if abs(mine - right) <= atol + rtol * abs(right):
            return None
        given = f" ({mine:.5g})" if isinstance(answer, str) else ""
        return f"{summary(answer)}{given} came back, {right:.5g} was expected."

    return compare


def short_list(item: Compare | None = None, *, any_order: bool = False) -> Compare:
    """A list or tuple whose items are each right by `item`, which is `number()` unless given."""
    each = item or number()

    def compare(answer: Any, expected: Any) -> str | None:
        if not isinstance(answer, (list, tuple)):
            return f"{summary(answer)} came back, a list of {len(expected)} was expected."
        if len(answer) != len(expected):
            return f"{len(answer)} items came back, {len(expected)} were expected."
        left = list(expected)
        for index, mine in enumerate(answer):
            wanted = left if any_order else [expected[index]]
            said = [each(mine, right) for right in wanted]
            if None not in said:
                return f"at item {index}: {_unlisted(mine) if any_order else said[0]}"
            del left[said.index(None) if any_order else 0]
        return None

    return compare


def _unlisted(mine: Any) -> str:
    return f"{summary(mine)} came back, which is not in the list or is there too often."


def _points(ranges: Mapping[str, tuple[float, float]]) -> list[dict[str, float]]:
    draw = random.Random(0)

    def value(low: float, high: float) -> float:
        both_whole = isinstance(low, int) and isinstance(high, int)
        return float(draw.randint(int(low), int(high))) if both_whole else draw.uniform(low, high)

    points = [{name: value(*ends) for name, ends in ranges.items()} for _ in range(N_POINTS)]
    return sorted(points, key=lambda point: sum(point.values()))  # The simplest is told first.


Reader = Callable[[Mapping[str, float]], float]


def _apart(mine: Reader, right: Reader, point: Mapping[str, float], rtol: float) -> str | None:
    wanted, given = right(point), mine(point)
    if abs(given - wanted) <= 1e-9 + rtol * abs(wanted):
        return None
    at = ", ".join(f"{name} = {value:.4g}" for name, value in point.items())
    return f"at {at} it gives {given:.5g}, {wanted:.5g} was expected."


def _reader(value: Any, names: Mapping[str, Any]) -> Reader:
    """What turns a point into the formula's value there."""
    if isinstance(value, (bool, type(None))):
        raise NotAFormula(f"{value} came back, a formula as text was expected, in quotes.")
    if callable(value):
        return lambda point: float(value(**point))  # type: ignore[arg-type]
    if isinstance(value, (int, float)):
        return lambda point: float(value)
    tree = parsed(value, tuple(names))
    return lambda point: _computed(tree, point)


def _value(value: Any) -> float:
    if isinstance(value, Tensor) and value.dim() == 0:
        value = value.item()
    if isinstance(value, str):
        return _computed(parsed(value, ()), {})
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise NotAFormula(f"{summary(value)} came back, a number was expected.")
    try:
        exact = float(value)
    except OverflowError:
        exact = math.inf
    if not math.isfinite(exact):
        raise NotAFormula(f"{summary(value)} came back, a finite number was expected.")
    return exact


def parsed(text: Any, names: tuple[str, ...]) -> ast.expr:
    """The formula as a tree of allowed parts. Raises NotAFormula that says what is not allowed."""
    if not isinstance(text, str):
        raise NotAFormula(f"{summary(text)} came back, a formula as text was expected, in quotes.")
    text = text.strip()
    if not text:
        raise NotAFormula("an empty text came back, a formula was expected.")
    if len(text) > MOST_CHARACTERS:
        raise NotAFormula(f"a formula of more than {MOST_CHARACTERS} characters came back.")
    if sign := next((sign for sign in SIGNS if sign in text), None):
        raise NotAFormula(f"{text!r} holds {sign}, which Python does not know: write {SIGNS[sign]}")
    if "=" in text.replace("==", "="):
        raise NotAFormula(f"{text!r} is an equation. Give the right-hand side alone.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python warns of 2if, and refuses it below.
            tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise NotAFormula(_unreadable(text)) from None
    if sum(1 for _ in ast.walk(tree)) > MOST_PARTS:
        raise NotAFormula("the formula has more parts than any answer here needs.")
    _require_allowed(tree, names, text)
    return tree


def _unreadable(text: str) -> str:
    said = f"{text!r} is no Python expression."
    return f"{said} Write every product with *: 2*n, not 2n." if SIDE_BY_SIDE.search(text) else said


def _require_allowed(node: ast.AST, names: tuple[str, ...], text: str) -> None:
    if isinstance(node, ast.Call):
        _require_known_function(node, names, text)
        parts: list[ast.expr] = node.args
    elif isinstance(node, ast.BinOp):
        if isinstance(node.op, ast.BitXor):
            raise NotAFormula(f"{text!r} holds ^, which is no power in Python: write **")
        if type(node.op) not in OPERATORS:
            raise NotAFormula(f"{text!r} holds an operator other than + - * / // % **")
        parts = [node.left, node.right]
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        parts = [node.operand]
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        parts = []
    elif isinstance(node, (ast.Name, ast.Attribute)):
        _require_known_name(ast.unparse(node), names, text)
        parts = []
    else:
        raise NotAFormula(f"{text!r} is more than arithmetic: numbers, names, + - * / ** // %")
    for part in parts:
        _require_allowed(part, names, text)


def _require_known_function(node: ast.Call, names: tuple[str, ...], text: str) -> None:
    name = _bare(ast.unparse(node.func))
    if name not in FUNCTIONS:
        if isinstance(node.func, (ast.Constant, ast.BinOp)) or name in names or len(name) == 1:
            raise NotAFormula(f"{text!r} calls {name}(…). Write every product with *: n*(n + 1)")
        known = ", ".join(FUNCTIONS)
        raise NotAFormula(f"{text!r} calls {name}, which is not known here. There are {known}.")
    if node.keywords or not node.args or (len(node.args) > 2 and name not in ("min", "max")):
        raise NotAFormula(f"{text!r} calls {name} with arguments that it does not take.")


def _require_known_name(name: str, names: tuple[str, ...], text: str) -> None:
    if name not in names and _bare(name) not in CONSTANTS:
        known = f"The names are {', '.join(names)}." if names else "A number has no names in it."
        raise NotAFormula(f"{text!r} holds {name}, which is not known here. {known}")


def _bare(name: str) -> str:
    """`math.log` is `log` to everyone who writes it."""
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
