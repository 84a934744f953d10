"""The small changes of one piece of code: an operator, a constant, an axis, a condition, a line."""

import ast
import copy
from collections.abc import Iterator

OPERATORS: dict[type, type] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
}
COMPARISONS: dict[type, tuple[type, ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
NAMES = {
    "all": "any",
    "any": "all",
    "argmax": "argmin",
    "argmin": "argmax",
    "amax": "amin",
    "amin": "amax",
    "max": "min",
    "min": "max",
    "mean": "sum",
    "sum": "mean",
    "tril": "triu",
    "triu": "tril",
    "log": "log2",
    "sin": "cos",
    "d_head": "d_model",
    "d_model": "d_head",
    "d_vocab": "n_ctx",
    "n_ctx": "d_vocab",
    "n_heads": "n_layers",
    "n_layers": "n_heads",
    "hook_z": "hook_v",
    "hook_v": "hook_z",
    "W_Q": "W_K",
    "W_K": "W_Q",
    "W_V": "W_K",
}
"""A method, function, size or weight that people confuse with another."""

COMPOUND = (ast.For, ast.While, ast.If, ast.With, ast.FunctionDef, ast.Try)
STAYS = (ast.Return, ast.Import, ast.ImportFrom, ast.Raise, ast.FunctionDef, ast.Assert, ast.Pass)
"""Statements that are not dropped."""

NEVER_CHANGED = (ast.Import, ast.ImportFrom, ast.Raise, ast.Assert)
GUARDS = ("strict",)
"""Keywords that only raise, like `assert` and `raise`."""

Change = tuple[ast.AST, str, int | None, ast.AST | None]
"""A node, one of its fields, a place in it if it is a list, and what comes there, or None."""


def changes(root: ast.AST) -> Iterator[tuple[ast.AST, Change]]:
    """(the statement that a change is in, the change), for every change below `root`."""
    yield from _below(root, root)


def _below(node: ast.AST, line: ast.AST) -> Iterator[tuple[ast.AST, Change]]:
    if isinstance(node, ast.ClassDef):
        return
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "type_comment"):
            continue
        for place, child in enumerate(value) if isinstance(value, list) else ((None, value),):
            if not isinstance(child, ast.AST):
                continue
            at = child if isinstance(child, ast.stmt) else line
            if _is_text(child) or isinstance(child, NEVER_CHANGED):
                continue
            if isinstance(child, ast.keyword) and child.arg in GUARDS:
                continue
            if isinstance(child, ast.expr):
                for new in _others(child):
                    yield line, (node, field, place, new)
            if isinstance(child, ast.stmt) and not isinstance(child, STAYS):
                yield at, (node, field, place, None)
            if isinstance(child, ast.AugAssign):
                yield at, (node, field, place, _plain_assignment(child))
                if (other := OPERATORS.get(type(child.op))) is not None:
                    yield at, (child, "op", None, other())
            yield from _below(child, at)


def _is_text(node: ast.AST) -> bool:
    """A docstring."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _plain_assignment(node: ast.AugAssign) -> ast.Assign:
    return ast.copy_location(ast.Assign([node.target], node.value), node)


def _others(node: ast.expr) -> Iterator[ast.expr]:
    """What one small change may make of an expression, apart from changes inside of it."""
    if isinstance(node, ast.BinOp):
        yield from _other_operations(node)
    elif isinstance(node, ast.UnaryOp):
        if isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
            yield from (ast.Constant(0), ast.UnaryOp(ast.USub(), _plus(node.operand, 1)))
        yield node.operand
    elif isinstance(node, ast.Compare):
        yield from _other_comparisons(node)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.And() if isinstance(node.op, ast.Or) else ast.Or(), node.values)
        for place in range(len(node.values)):
            rest = node.values[:place] + node.values[place + 1 :]
            yield rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
    elif isinstance(node, ast.IfExp):
        yield from (node.body, node.orelse, ast.IfExp(node.test, node.orelse, node.body))
    elif isinstance(node, ast.Constant):
        yield from _other_constants(node)
    elif isinstance(node, ast.Attribute):
        if node.attr in NAMES:
            yield ast.Attribute(node.value, NAMES[node.attr], node.ctx)
        if node.attr in ("T", "mT", "real"):
            yield node.value
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in NAMES:
        yield ast.Name(NAMES[node.id], node.ctx)
    elif isinstance(node, ast.Call):
        yield from _other_calls(node)
    elif isinstance(node, ast.Slice):
        if node.lower is not None:
            yield ast.Slice(None, node.upper, node.step)
        if node.upper is not None:
            yield ast.Slice(node.lower, None, node.step)
        if node.step is not None:
            yield ast.Slice(node.lower, node.upper, None)
    elif isinstance(node, ast.Tuple) and len(node.elts) == 2 and isinstance(node.ctx, ast.Load):
        yield ast.Tuple(node.elts[::-1], node.ctx)
    elif isinstance(node, ast.ListComp) and node.generators[0].ifs:
        yield ast.ListComp(node.elt, [_unfiltered(node.generators[0]), *node.generators[1:]])
    elif isinstance(node, ast.GeneratorExp) and node.generators[0].ifs:
        yield ast.GeneratorExp(node.elt, [_unfiltered(node.generators[0]), *node.generators[1:]])


def _unfiltered(part: ast.comprehension) -> ast.comprehension:
    return ast.comprehension(part.target, part.iter, [], part.is_async)


def _other_operations(node: ast.BinOp) -> Iterator[ast.expr]:
    if (other := OPERATORS.get(type(node.op))) is not None:
        yield ast.BinOp(node.left, other(), node.right)
    if isinstance(node.op, (ast.MatMult, ast.Sub, ast.Div)):
        yield ast.BinOp(node.right, node.op, node.left)
    yield from (node.left, node.right)


def _other_comparisons(node: ast.Compare) -> Iterator[ast.expr]:
    for place, operator in enumerate(node.ops):
        for other in COMPARISONS[type(operator)]:
            ops = [*node.ops[:place], other(), *node.ops[place + 1 :]]
            yield ast.Compare(node.left, ops, node.comparators)
    # `if bos:` where it should be `if bos is not None:`.
    if isinstance(node.ops[0], ast.IsNot):
        yield node.left
    elif isinstance(node.ops[0], ast.Is):
        yield ast.UnaryOp(ast.Not(), node.left)


def _plus(node: ast.Constant, step: int) -> ast.Constant:
    return ast.Constant(node.value + step)  # type: ignore[operator]


def _other_constants(node: ast.Constant) -> Iterator[ast.expr]:
    if isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node.value, int):
        yield _plus(node, 1)
        yield _plus(node, -1) if node.value > 0 else ast.UnaryOp(ast.USub(), ast.Constant(1))
    elif isinstance(node.value, float):
        yield _plus(node, 1)
    elif isinstance(node.value, str):
        for name in ("hook_z", "hook_v"):
            if name in node.value:
                yield ast.Constant(node.value.replace(name, NAMES[name]))
        if node.value in NAMES:
            yield ast.Constant(NAMES[node.value])
        yield from map(ast.Constant, _other_formulas(node.value))


def _other_formulas(text: str) -> Iterator[str]:
    """The changes of a formula that is written as text."""
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError):
        return
    if isinstance(tree.body, ast.BinOp) or _is_call_of_formulas(tree.body):
        for _, change in list(changes(tree)):
            with applied(change):
                yield ast.unparse(tree)


def _is_call_of_formulas(node: ast.expr) -> bool:
    called = node.func if isinstance(node, ast.Call) else None
    return isinstance(called, ast.Name) and called.id in ("exp", "log", "max", "min", "sqrt")


def _other_calls(node: ast.Call) -> Iterator[ast.expr]:
    args, keywords = node.args, node.keywords
    if isinstance(node.func, ast.Attribute):
        yield node.func.value
    if args and not isinstance(args[0], ast.Starred):
        yield args[0]
    for place in range(len(keywords)):
        if keywords[place].arg not in GUARDS:
            yield ast.Call(node.func, args, keywords[:place] + keywords[place + 1 :])
    if len(args) > 1:
        yield ast.Call(node.func, args[1:], keywords)
        yield ast.Call(node.func, args[:-1], keywords)
        if ast.dump(args[0]) != ast.dump(args[1]):
            yield ast.Call(node.func, [args[1], args[0], *args[2:]], keywords)


class applied:
    """A change, made for the time of a `with` block."""

    def __init__(self, change: Change):
        self.node, self.field, self.place, self.new = change

    def __enter__(self) -> None:
        self.before = getattr(self.node, self.field)
        if self.place is None:
            setattr(self.node, self.field, self.new)
            return
        items = [*self.before]
        items[self.place : self.place + 1] = [] if self.new is None else [self.new]
        if not items and self.field == "body":
            items = [ast.Pass()]
        setattr(self.node, self.field, items)

    def __exit__(self, *_: object) -> None:
        setattr(self.node, self.field, self.before)


def lines_that_decide(line: ast.AST, change: Change) -> range:
    """The numbers of the lines that must run for a change to matter.

    They are those of the statement, and of one with a body those before the body. If an `if`
    is dropped, they are those of its body.
    """
    if not hasattr(line, "lineno"):
        return range(0)
    if isinstance(line, ast.If) and change[3] is None and not line.orelse:
        return range(line.body[0].lineno, (line.end_lineno or line.lineno) + 1)
    assert isinstance(line, ast.stmt)
    body = getattr(line, "body", None)
    end = max(line.lineno, body[0].lineno - 1) if body else (line.end_lineno or line.lineno)
    return range(line.lineno, end + 1)


def shown(line: ast.AST) -> str:
    """A statement as one line of code: of one with a body, the line before the body."""
    if not isinstance(line, COMPOUND):
        return " ".join(ast.unparse(line).split())
    if isinstance(line, ast.Try):
        return "try:"
    head = copy.copy(line)
    head.body = [ast.Pass()]
    if isinstance(head, (ast.For, ast.While, ast.If)):
        head.orelse = []
    return ast.unparse(head).splitlines()[-2].strip()
