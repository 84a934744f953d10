"""Runs the file of a submission statement by statement, so that one failure does not lose the rest.

Used in the worker process. A plotting library that is missing here fails only for the function that
draws, and a call at the end of a file that raises an error leaves the answers above it as they are.
"""

import __future__

import ast
import importlib.abc
import importlib.machinery
import importlib.util
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from types import ModuleType
from typing import Any

from induction_heads.grading import calls, scopes

_UNDEFINED = re.compile(r"name '(\w+)' is not defined")
_FEATURES = {name: getattr(__future__, name) for name in __future__.all_feature_names}


@dataclass(frozen=True)
class Failure:
    """A statement that raised an error: its line, the names it should have set, what happened."""

    line: int
    names: frozenset[str]
    message: str

    def __str__(self) -> str:
        return f"When the file was loaded, it {self.message.rstrip('.')}."


def run_statements(source: str, filename: str, module: ModuleType) -> list[Failure]:
    """Run the source in the module, and return the statements that raised an error.

    An import from the package of the course does not replace a name that the file has defined
    before. Raises SyntaxError if the source is not valid Python, and whatever is not an Exception,
    such as SystemExit.
    """
    failures: list[Failure] = []
    own: dict[str, Any] = {}
    namespace = module.__dict__
    tree = ast.parse(source, filename)
    flags = _flags(tree)
    for node in chain.from_iterable(map(scopes.one_by_one, tree.body)):
        try:
            _run(node, filename, namespace, flags)
        except Exception as error:
            failures.append(_failure(node, error, filename))
        if scopes.imports_package(node):
            namespace.update(own)
        elif not scopes.is_import(node):
            own |= {name: namespace[name] for name in scopes.own_names([node]) & namespace.keys()}
    return failures


def about_failures(failures: Sequence[Failure], name: str, message: str) -> str:
    """What to add to the message on the function `name`: why a name in it is not defined."""
    undefined = {name, *_UNDEFINED.findall(message)}
    if undefined == {name} and "is not defined in" not in message:
        return ""
    stars = [failure for failure in failures if "*" in failure.names]
    reasons = [failure for failure in failures if failure.names & undefined] or stars
    if not reasons and "is not defined in" in message:
        reasons = list(failures)
    stop = "" if message.rstrip().endswith((".", "!", "?")) else "."
    return f"{stop} {reasons[0]}" if reasons else ""


def _flags(tree: ast.Module) -> int:
    """The compiler flags of the `from __future__` imports."""
    names = [
        alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module == "__future__"
        for alias in node.names
    ]
    flags = 0
    for name in names:
        flags |= _FEATURES[name].compiler_flag if name in _FEATURES else 0
    return flags


def _run(node: ast.stmt, filename: str, namespace: dict[str, Any], flags: int) -> None:
    try:
        _run_once(node, filename, namespace, flags)
    except Exception:
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            raise
        # The names in annotations may be missing here, and the function does not need them.
        _run_once(node, filename, namespace, flags | __future__.annotations.compiler_flag)


def _run_once(node: ast.stmt, filename: str, namespace: dict[str, Any], flags: int) -> None:
    code = compile(ast.Module([node], []), filename, "exec", flags=flags, dont_inherit=True)
    exec(code, namespace)


def _failure(node: ast.stmt, error: Exception, filename: str) -> Failure:
    try:
        names = frozenset(scopes.names_of(node).binds) or frozenset("*" * scopes.is_star(node))
    except (SyntaxError, ValueError, RecursionError):
        names = frozenset()
    if isinstance(error, SyntaxError) and error.filename == filename:
        return Failure(node.lineno, names, f"raised SyntaxError (line {error.lineno}): {error.msg}")
    return Failure(node.lineno, names, calls.explain(error, filename)[1])


class ModulesBeside(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the files that were handed in beside the file of the chapter.

    `sources` maps the names of modules to their source.
    """

    def __init__(self, sources: Mapping[str, str]):
        self._sources = dict(sources)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module, if it is one of the files or a folder of them."""
        is_folder = any(name.startswith(f"{fullname}.") for name in self._sources)
        if fullname not in self._sources and not is_folder:
            return None
        return importlib.util.spec_from_loader(fullname, self, is_package=is_folder)

    def exec_module(self, module: ModuleType) -> None:
        """Run the source of the module."""
        name = module.__name__
        source = self._sources.get(name, "")
        filename = f"{name.replace('.', '/')}.py"
        run_statements(source, filename, module)


def make_importable(sources: Mapping[str, str]) -> None:
    """Let this process import the modules `sources`, after the modules that it has loaded."""
    sys.meta_path.insert(1, ModulesBeside(sources))
