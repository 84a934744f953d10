"""The definitions in a Jupyter notebook, as the source of a module. Nothing is run.

A notebook trains models, draws and calls `check`. None of that belongs to the answers, so only
functions, classes, and the imports and assignments that they need are taken.
"""

import ast
import json
import keyword
import re
from collections.abc import Iterator

MAX_NOTEBOOK = 20 * 2**20
MAX_CELLS = 2000
MAX_MAGICS = 20
MAX_CODE = 2**19
PYTHON_CELL_MAGICS = ("time", "timeit", "capture", "prun")

_MAGIC = re.compile(r"\s*(?:[%!]|[\w.]+\?+\s*$|\?|[\w, ]+=\s*[%!])")
_DEFINITION = re.compile(r"^(?:async\s+)?def\s+(\w+)", re.MULTILINE)
_BINDS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class NotANotebook(ValueError):
    """Bytes that are no notebook. The message ends a sentence."""


def notebook_source(data: bytes) -> str:
    """The definitions of a notebook, in the order of its cells. Raises NotANotebook.

    A cell that is not valid Python is left out; the functions that it would define raise an error
    that says so.
    """
    try:
        statements = [pair for cell in _cells(data) for pair in _statements(*cell)]
        needed = _needed([node for node, _ in statements])
        kept = [text for pair in statements if (text := _kept(*pair, needed))]
    except RecursionError:
        raise NotANotebook("holds code that is nested too deeply to be read") from None
    first = dict.fromkeys(text for text in kept if text.startswith("from __future__ "))
    return "\n\n".join([*first, *(text for text in kept if text not in first)]) + "\n"


def _cells(data: bytes) -> Iterator[tuple[int, str]]:
    """The number of each code cell, counted from 1 over all cells, and its text."""
    try:
        cells = json.loads(data.decode("utf-8-sig"))["cells"]
        if not isinstance(cells, list) or len(cells) > MAX_CELLS:
            raise NotANotebook(f"has no list of at most {MAX_CELLS} cells")
        left = MAX_CODE
        for number, cell in enumerate(cells, 1):
            if cell["cell_type"] == "code":
                lines = cell["source"]
                text = lines if isinstance(lines, str) else "".join(lines)
                left -= len(text)
                if left < 0:
                    raise NotANotebook(f"holds more than {MAX_CODE // 2**10} kB of code")
                yield number, text
    except NotANotebook:
        raise
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise NotANotebook("is no Jupyter notebook of format 4") from error


def _statements(number: int, text: str) -> list[tuple[ast.stmt, str]]:
    """The top-level statements of a cell, each with its text."""
    problem: Exception
    try:
        return _parsed(text)
    except (SyntaxError, ValueError, MemoryError) as error:
        problem = error
    try:
        return _parsed(_without_magics(text))
    except (SyntaxError, ValueError, MemoryError) as error:
        problem = error
    line = getattr(problem, "lineno", None)
    where = f"cell {number} of the notebook{f', line {line}' if line else ''}"
    said = f"{where}, is not valid Python: {getattr(problem, 'msg', None) or problem}"
    stubs = []
    for name in _DEFINITION.findall(text):
        if name.isidentifier() and not keyword.iskeyword(name):
            stubs += _parsed(f"def {name}(*args, **kwargs):\n    raise SyntaxError({said!r})")
    return stubs


def _parsed(text: str) -> list[tuple[ast.stmt, str]]:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")  # As Python counts them: splitlines knows more kinds of ends.
    return [(node, _text(node, lines)) for node in ast.parse(text).body]


def _text(node: ast.stmt, lines: list[str]) -> str:
    """The lines of a statement, or the statement written anew where it shares them."""
    above = [decorator.lineno for decorator in getattr(node, "decorator_list", [])]
    start, end = min([node.lineno, *above]) - 1, node.end_lineno or node.lineno
    after = lines[end - 1].encode()[node.end_col_offset or 0 :].strip()
    if node.col_offset or (after and not after.startswith(b"#")):
        return ast.unparse(node)
    return "\n".join(lines[start:end]).rstrip()


def _without_magics(text: str) -> str:
    """The text without the lines that only IPython understands: `%magic`, `!shell`, `name?`.

    A line goes only if Python stumbles over it: one that starts with % may also go on a formula.
    """
    lines = text.splitlines()
    first = next((line.strip() for line in lines if line.strip()), "")
    if first.startswith("%%") and first[2:].split(" ")[0] not in PYTHON_CELL_MAGICS:
        return ""
    for _ in range(MAX_MAGICS):
        try:
            ast.parse("\n".join(lines))
        except SyntaxError as error:
            at = (error.lineno or 0) - 1
            if not (0 <= at < len(lines) and _MAGIC.match(lines[at])):
                break
            lines[at] = ""
        else:
            break
    return "\n".join(lines)


def _needed(nodes: list[ast.stmt]) -> set[str]:
    """The names that the definitions use, directly or through assignments and imports."""
    needed: set[str] = set()
    for node in nodes:
        if _defines(node):
            needed |= _loaded(node)
    while True:
        more = set(needed)
        for node in nodes:
            if _bound(node) & needed:
                more |= _loaded(node)
        if more == needed:
            return needed
        needed = more


def _defines(node: ast.stmt) -> bool:
    """Whether a function or class is defined at the top level, or in an `if` there."""
    if isinstance(node, _BINDS):
        return True
    children = (child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt))
    return any(_defines(child) for child in children)


def _loaded(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def _bound(node: ast.stmt) -> set[str]:
    """The names that a statement other than a call by itself may set or change."""
    if isinstance(node, (ast.Expr, ast.Assert, *_BINDS)):
        return set()
    names = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            names.add(part.id)
        elif isinstance(part, (ast.Subscript, ast.Attribute)) and isinstance(part.ctx, ast.Store):
            names |= _loaded(part.value)
        elif isinstance(part, ast.alias):
            names.add(_name(part))
    return names


def _kept(node: ast.stmt, text: str, needed: set[str]) -> str:
    """The text of a statement if it is needed, of an import only the names that are."""
    if isinstance(node, ast.ImportFrom) and node.module == "__future__":
        return ast.unparse(node)
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        node.names = [a for a in node.names if a.name == "*" or _name(a) in needed]
        return ast.unparse(node) if node.names else ""
    return text if _defines(node) or _bound(node) & needed else ""


def _name(alias: ast.alias) -> str:
    return alias.asname or alias.name.split(".")[0]
