"""The right answers of a chapter as code that can be changed: the solutions and the others."""

import ast
import symtable
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from drawn import ROOT

from induction_heads.course.registry import chapter_exercises
from mutation.changes import Change, applied, changes, lines_that_decide, shown

COURSE = "induction_heads.course."


@dataclass(frozen=True)
class Code:
    """A module as a tree, under the name that it is imported as."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def top(self) -> dict[str, ast.stmt]:
        """What the module defines at its top level, by name."""
        found: dict[str, ast.stmt] = {}
        for node in self.tree.body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                found[node.name] = node
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                found[node.targets[0].id] = node
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found[node.target.id] = node
        return found

    @property
    def imports(self) -> dict[str, tuple[str, str]]:
        """Name → module of the course that it is imported from, and its name there."""
        return {
            alias.asname or alias.name: (node.module or "", alias.name)
            for node in self.tree.body
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(COURSE)
            for alias in node.names
        }


@cache
def code(path: Path, name: str) -> Code:
    """The code of a file."""
    return Code(name, path, ast.parse(path.read_text(encoding="utf-8")))


def course_code(name: str) -> Code:
    """The code of a module of the course."""
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return code(Path(spec.origin), name)


@dataclass(frozen=True)
class Implementation:
    """One right answer: the code of a file, and the expression that is the function there."""

    exercise: str
    label: str
    home: Code
    holder: ast.Expr

    @property
    def expression(self) -> ast.expr:
        """What is evaluated in the file's code to have the function."""
        return self.holder.value

    def function(
        self, changed: Code | None = None, part: ast.stmt | None = None
    ) -> Callable[..., Any]:
        """The function, where one statement of the file or of one that it imports from changed."""
        given: dict[str, Any] = {"__name__": self.home.name, "__file__": str(self.home.path)}
        body = self.home.tree.body
        if changed is not None and changed is not self.home:
            other: dict[str, Any] = {"__name__": changed.name, "__file__": str(changed.path)}
            _run(changed.tree.body, part, changed.path, other)
            body = [node for node in body if not _imports(node, changed.name)]
            for name, (module, original) in self.home.imports.items():
                if module == changed.name:
                    given[name] = other[original]
        _run(body, part, self.home.path, given)
        value = ast.fix_missing_locations(ast.Expression(self.expression))
        return eval(compile(value, str(self.home.path), "eval"), given)

    def parts(self) -> Iterator[tuple[Code, ast.stmt]]:
        """The code that this answer consists of: its expression, and every function behind it."""
        yield self.home, self.holder
        exercises = {each.name for each in _exercises_of(self.exercise)}
        seen: set[tuple[str, str]] = set()
        waiting = [(self.home, name) for name in sorted(_names(self.expression))]
        while waiting:
            where, name = waiting.pop(0)
            if (where.name, name) in seen:
                continue
            seen.add((where.name, name))
            if name in where.top:
                node = where.top[name]
                # Another exercise's solution is changed under its own name.
                if name not in exercises or name == self.exercise:
                    yield where, node
                    waiting += [(where, each) for each in sorted(_names(node))]
            elif where is self.home and name in where.imports:
                module, original = where.imports[name]
                waiting.append((course_code(module), original))


@dataclass(frozen=True)
class Mutant:
    """A right answer with one change. `line` becomes `becomes`."""

    implementation: Implementation
    where: Code
    part: ast.stmt
    change: Change
    line: str
    becomes: str
    lines: range
    """The lines of its file that must run for the change to matter."""

    @property
    def is_shared(self) -> bool:
        """Whether the change is in code of the course that this answer imports."""
        return self.where is not self.implementation.home

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What names it in the table of survivors."""
        return (
            self.implementation.exercise,
            self.implementation.label,
            self.line,
            self.becomes,
        )

    def function(self) -> Callable[..., Any]:
        """The changed function. Raises whatever the changed code raises when it is loaded."""
        with applied(self.change):
            return self.implementation.function(self.where, self.part)


def mutants(implementation: Implementation) -> list[Mutant]:
    """Every right answer with one change, each line and change once."""
    found: dict[tuple, Mutant] = {}
    for where, node in implementation.parts():
        whole = ast.Module([node], [])
        for line, change in changes(whole):
            if change[0] is whole:
                continue  # A definition is not dropped as a whole.
            before = shown(line)
            with applied(change):
                after = "(dropped)" if change[3] is None else shown(_replaced(line, change))
            if before != after:
                lines = lines_that_decide(line, change)
                mutant = Mutant(implementation, where, node, change, before, after, lines)
                found.setdefault(mutant.key, mutant)
    return list(found.values())


def _replaced(line: ast.AST, change: Change) -> ast.AST:
    """The statement after a change, which may have replaced the statement as a whole."""
    return change[3] if isinstance(change[3], ast.stmt) else line


def implementations(stem: str) -> list[Implementation]:
    """The solution and the other right answers of every exercise of a chapter."""
    return [each for exercise in chapter_exercises(stem) for each in _of_exercise(stem, exercise)]


def _of_exercise(stem: str, exercise: Any) -> list[Implementation]:
    solved = code(ROOT / "solutions" / f"{stem}.py", f"solutions.{stem}")
    name = ast.Expr(ast.Name(exercise.name, ast.Load()))
    found = [Implementation(exercise.name, "solution", solved, name)]
    others = code(ROOT / "tests/course/also_right" / f"{stem[:4]}.py", f"also_right.{stem[:4]}")
    for place, expression in enumerate(_elements(others, exercise.name)):
        label = expression.id if isinstance(expression, ast.Name) else f"also right {place}"
        found.append(Implementation(exercise.name, label, others, ast.Expr(expression)))
    return found


def _elements(others: Code, name: str) -> list[ast.expr]:
    table = others.top["ALSO_RIGHT"]
    assert isinstance(table, ast.Assign)
    assert isinstance(table.value, ast.Dict)
    keys = [key.value for key in table.value.keys if isinstance(key, ast.Constant)]
    value = table.value.values[keys.index(name)]
    if isinstance(value, ast.Name):
        definition = others.top[value.id]
        assert isinstance(definition, ast.Assign)
        value = definition.value
    assert isinstance(value, ast.Tuple), f"{name}: write its other right answers as a tuple"
    return value.elts


@cache
def _stem(exercise: str) -> str:
    from induction_heads.course.registry import find_exercise

    return find_exercise(exercise)[0]


def _exercises_of(exercise: str) -> tuple[Any, ...]:
    return chapter_exercises(_stem(exercise))


def _names(node: ast.AST) -> set[str]:
    """The names of the module that a piece of code uses: no parameters, no variables of its own."""
    return set(_global_names(symtable.symtable(ast.unparse(node), "code", "exec")))


def _global_names(table: symtable.SymbolTable) -> Iterator[str]:
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (table.get_type() == "module" or symbol.is_global()):
            yield symbol.get_name()
    for inner in table.get_children():
        yield from _global_names(inner)


def _imports(node: ast.stmt, module: str) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == module


def _run(body: list[ast.stmt], changed: ast.stmt | None, path: Path, given: dict) -> None:
    """Run a file's statements. Only the one that changed is compiled again."""
    for node in body:
        exec(_compiled(node, path) if node is changed else _compiled_once(node, path), given)


def _compiled(node: ast.stmt, path: Path) -> Any:
    return compile(ast.fix_missing_locations(ast.Module([node], [])), str(path), "exec")


_compiled_once = cache(_compiled)


def loaded(stem: str) -> None:
    """Import what the answers of a chapter import, so that workers share it."""
    import_module(f"also_right.{stem[:4]}")
