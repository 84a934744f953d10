"""The answers in a Jupyter notebook, as the source of a module. Nothing is run.

A notebook trains models, draws and calls `check`. None of that belongs to the answers, so only the
definitions of the exercises are taken, with everything that they need.

Notebooks are read as JSON: nbformat is in the extra [book] only, so it may be missing where a class
is graded, and it repairs and upgrades malformed files instead of refusing them.
"""

import ast
import json
import keyword
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from induction_heads.grading import scopes
from induction_heads.grading.cell_text import cell_text
from induction_heads.grading.source_code import Function, is_stub

MAX_NOTEBOOK = 20 * 2**20
MAX_CELLS = 2000
MAX_STATEMENTS = 10_000
MAX_CODE = 2**19

_DEFINITION = re.compile(r"^(?:async\s+)?def\s+(\w+)", re.MULTILINE)
_SHELL = re.compile(r"^\s*(?:\w+\s*=\s*)?[!%]", re.MULTILINE)
_EXPORTED = re.compile(r"^# ?(?:In ?\[.*\]:?|%%.*)$|\bget_ipython\(\)", re.MULTILINE)


class NotANotebook(ValueError):
    """Bytes that are not a notebook. The message ends a sentence."""


@dataclass(frozen=True)
class Statement:
    """A top-level statement with its text and its names."""

    node: ast.stmt
    text: str
    names: scopes.Names


@dataclass(frozen=True)
class Notebook:
    """The statements of all cells in order, and the text of each file that a cell writes."""

    statements: tuple[Statement, ...]
    files: dict[str, str]


def read_notebook(data: bytes) -> Notebook:
    """The code of a notebook. Raises NotANotebook.

    A cell that is not valid Python is left out. The functions that it would define raise a
    SyntaxError that says so.
    """
    statements: list[Statement] = []
    files: dict[str, str] = {}
    try:
        for number, text in _cells(data):
            cell = cell_text(text)
            if cell.file is None:
                statements += _statements(f"cell {number} of the notebook", cell.python)
            elif cell.file.endswith(".py"):
                before = files.get(cell.file, "") if cell.adds else ""
                files[cell.file] = before + cell.python
    except RecursionError:
        raise NotANotebook("has code that is nested too deeply") from None
    return Notebook(tuple(statements), files)


def notebook_source(notebook: Notebook | bytes, names: Collection[str]) -> str:
    """The definitions of the functions `names` in a notebook, with all that they need, in order.

    A name that the notebook defines is never imported from the package of the course instead, and
    a stub does not replace an answer. Raises NotANotebook.
    """
    if isinstance(notebook, bytes):
        notebook = read_notebook(notebook)
    try:
        return _source(_answers(notebook.statements, names), names)
    except RecursionError:
        raise NotANotebook("has code that is nested too deeply") from None


def is_exported(source: str) -> bool:
    """Whether a Python file was a notebook: Jupyter and editors mark the cells.

    Colab does not. Its files keep shell lines, which Python cannot read but a notebook can.
    """
    return bool(_EXPORTED.search(source)) or python_of_exported(source) is not None


def python_of_exported(source: str) -> str | None:
    """The Python of a file that is valid only without magics and shell lines; None of any other."""
    if not _SHELL.search(source) or _is_valid(source):
        return None
    python = cell_text(source).python
    return python if _is_valid(python) else None


def _is_valid(source: str) -> bool:
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return True


def exported_source(source: str, names: Collection[str]) -> str:
    """The same as `notebook_source` for a Python file that was a notebook.

    A file that is not valid Python is returned unchanged.
    """
    try:
        statements = list(_readable(_magics_as_code(_parsed(cell_text(source).python))))
        return _source(_answers(statements, names), names)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return source


def _cells(data: bytes) -> Iterator[tuple[int, str]]:
    """The number of each code cell, counted from 1 over all cells, and its text."""
    try:
        cells = json.loads(data.decode("utf-8-sig"))["cells"]
        if not isinstance(cells, list) or len(cells) > MAX_CELLS:
            raise NotANotebook(f"does not have a list of at most {MAX_CELLS} cells")
        left = MAX_CODE
        for number, cell in enumerate(cells, 1):
            if cell["cell_type"] == "code":
                lines = cell["source"]
                text = lines if isinstance(lines, str) else "".join(lines)
                left -= len(text)
                if left < 0:
                    raise NotANotebook(f"has more than {MAX_CODE // 2**10} kB of code")
                yield number, text
    except NotANotebook:
        raise
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise NotANotebook("is not a Jupyter notebook of format 4") from error


def _statements(where: str, text: str) -> list[Statement]:
    """The top-level statements of a cell."""
    try:
        return list(_readable(_parsed(text)))
    except NotANotebook:
        raise
    except (SyntaxError, ValueError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        message = f"{where}{f', line {line}' if line else ''}, is not valid Python: "
        message += str(getattr(error, "msg", None) or error)
    stubs = [
        f"def {name}(*args, **kwargs):\n    raise SyntaxError({message!r})"
        for name in _DEFINITION.findall(text)
        if name.isidentifier() and not keyword.iskeyword(name)
    ]
    return [statement for stub in stubs for statement in _readable(_parsed(stub))]


def _readable(pairs: Iterable[tuple[ast.stmt, str]]) -> Iterator[Statement]:
    """The statements that can run in a module: no `return`, no `await`."""
    for node, text in pairs:
        if any(isinstance(part, (ast.Return, ast.Await)) for part in _outside_functions(node)):
            continue
        for each in scopes.one_by_one(node):
            try:
                names = scopes.names_of(each)
            except SyntaxError:
                continue
            yield Statement(each, text if each is node else ast.unparse(each), names)


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    waiting = [node]
    while waiting:
        each = waiting.pop()
        if not isinstance(each, (*scopes.DEFINITIONS, ast.Lambda)):
            yield each
            waiting += ast.iter_child_nodes(each)


def _magics_as_code(pairs: Iterable[tuple[ast.stmt, str]]) -> Iterator[tuple[ast.stmt, str]]:
    """The statements, with those of the cell in place of a call of `run_cell_magic`."""
    for node, text in pairs:
        match node:
            case ast.Expr(
                ast.Call(
                    ast.Attribute(ast.Call(ast.Name("get_ipython")), "run_cell_magic"),
                    [ast.Constant(str(name)), ast.Constant(), ast.Constant(str(body))],
                )
            ):
                yield from _parsed(cell_text(f"%%{name}\n{body}").python)
            case _:
                yield node, text


def _parsed(text: str) -> list[tuple[ast.stmt, str]]:
    lines = text.split("\n")  # As Python counts lines. splitlines splits at more characters.
    nodes = ast.parse(text).body
    if len(nodes) > MAX_STATEMENTS:
        raise NotANotebook(f"has a cell of more than {MAX_STATEMENTS:,} statements")
    ends = Counter(line for node in nodes for line in {node.lineno, node.end_lineno})
    return [(node, _text(node, lines, ends)) for node in nodes]


def _text(node: ast.stmt, lines: list[str], ends: Counter[int | None]) -> str:
    """The lines of a statement, or the unparsed statement if it shares a line with another."""
    if ends[node.lineno] > 1 or ends[node.end_lineno] > 1:
        return ast.unparse(node)
    above = [decorator.lineno for decorator in getattr(node, "decorator_list", [])]
    start, end = min([node.lineno, *above]) - 1, node.end_lineno or node.lineno
    after = lines[end - 1].encode()[node.end_col_offset or 0 :].strip()
    if node.col_offset or (after and not after.startswith(b"#")):
        return ast.unparse(node)
    return "\n".join(lines[start:end]).rstrip()


def _answers(statements: Iterable[Statement], names: Collection[str]) -> list[Statement]:
    """The statements without each stub of a function that has an answer elsewhere."""
    statements = list(statements)
    answered = {
        name
        for each in statements
        if not scopes.is_import(each.node) and not _is_stub(each.node)
        for name in each.names.binds & set(names)
    }
    return [
        each for each in statements if not (_is_stub(each.node) and each.names.binds & answered)
    ]


def _is_stub(node: ast.stmt) -> bool:
    return isinstance(node, Function) and is_stub(node)


def _source(statements: list[Statement], names: Collection[str]) -> str:
    nodes = [statement.node for statement in statements]
    own = scopes.own_names(nodes)
    for node, each in zip(nodes, statements, strict=True):
        if scopes.imports_package(node):
            each.names.binds -= own
    taken = scopes.needed(nodes, [each.names for each in statements], names)
    texts = [
        each.text
        for index, each in enumerate(statements)
        if index in taken or each.text.startswith("from __future__ ")
    ]
    first = dict.fromkeys(text for text in texts if text.startswith("from __future__ "))
    rest = [text for text in texts if text not in first]
    return "\n\n".join([*first, *rest]) + "\n"
