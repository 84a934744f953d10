"""What a teacher may want to look at in the sources of a class, read without running them.

It is shown and never changes a grade: a match is a reason to ask, not a proof.
"""

import ast
import builtins
import hashlib
import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from induction_heads.grading.own_code import library_functions
from induction_heads.grading.scopes import PACKAGE_NAME
from induction_heads.grading.source_code import is_stub

HIDDEN_WAYS = {"exec", "eval", "__import__", "import_module", "getattr", "modules", "getsource"}
"""Names through which code can reach a function without writing its name."""
ANY_MODULE = {"exec", "eval", "__import__", "import_module"}
"""Names through which code can reach the package without writing its name either."""

WINDOW = 12
"""Length, in nodes of the syntax tree, of the pieces that are compared."""
ENOUGH = 25
"""With fewer pieces, two students are not compared."""
WORTH_SHOWING = 0.7
MOST_DOTS = 5
"""No function of the package has more dots before it, and a file may have chains of thousands."""


@dataclass(frozen=True)
class Resemblance:
    """Another student, and the share of the shorter answers' pieces that both have."""

    other: str
    share: float


@dataclass(frozen=True)
class Look:
    """What to look at in one student's sources."""

    calls: tuple[str, ...] = ()
    resembles: Resemblance | None = None


def looks(sources: Mapping[str, Sequence[str]], exercises: Collection[str]) -> dict[str, Look]:
    """For each student, the package's functions in the sources, and whom the answers resemble."""
    resembled = resemblances(sources, exercises)
    return {
        student: Look(tuple(package_calls(files, exercises)), resembled.get(student))
        for student, files in sources.items()
    }


def package_calls(sources: Sequence[str], exercises: Collection[str]) -> list[str]:
    """The package's functions named like an exercise that the sources import or reach, sorted.

    A last entry `…` means that the code looks up names at run time: it imports modules by a name
    that it makes, runs text, or imports the package and uses `getattr`.
    """
    known = set(exercises) & set(library_functions())
    functions: set[str] = set()
    hidden = False
    for source in sources:
        tree = _parsed(source)
        if tree is None:
            continue
        names, aliases = _imports(tree)
        used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
        functions |= {original for local, original in names.items() if local in used} & known
        attributes = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute)]
        functions |= {n.attr for n in attributes if n.attr in known and _of_package(n, aliases)}
        mentioned = used | {n.attr for n in attributes}
        hidden |= (PACKAGE_NAME in source or bool(aliases)) and bool(mentioned & HIDDEN_WAYS)
        hidden |= bool(used & ANY_MODULE) or any(map(_is_any_module, attributes))
    return [*sorted(functions), *(["…"] if hidden else [])]


def _parsed(source: str) -> ast.Module | None:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _imports(tree: ast.Module) -> tuple[dict[str, str], set[str]]:
    """Local name → name in the package, and the local names of the package and its modules."""
    names, aliases = {}, set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            aliases |= {
                alias.asname or PACKAGE_NAME
                for alias in node.names
                if alias.name.split(".")[0] == PACKAGE_NAME
            }
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE_NAME:
            names |= {alias.asname or alias.name: alias.name for alias in node.names}
            if any(alias.name == "*" for alias in node.names):
                names |= {name: name for name in library_functions()}
    return names, aliases | set(names)


def _is_any_module(node: ast.Attribute) -> bool:
    if node.attr == "modules":  # Those of a neural network are others.
        return isinstance(node.value, ast.Name) and node.value.id == "sys"
    return node.attr == "import_module"


def _of_package(node: ast.Attribute, aliases: set[str]) -> bool:
    value = node.value
    for _ in range(MOST_DOTS):
        if not isinstance(value, ast.Attribute):
            break
        value = value.value
    return isinstance(value, ast.Name) and value.id in aliases


def resemblances(
    sources: Mapping[str, Sequence[str]], exercises: Collection[str]
) -> dict[str, Resemblance]:
    """For each student, whom the answers resemble most, if by more than 70 %.

    Only the exercises count, and stubs do not. Names of variables, comments, docstrings, layout and
    the order of functions make no difference. The fewer students have a piece, the more it weighs,
    so that what nearly everybody writes counts for little.
    """
    pieces: dict[str, set[bytes]] = {}
    for student, files in sources.items():
        try:
            pieces[student] = _pieces(files, exercises)
        except RecursionError:  # Nested more deeply than anybody writes.
            pieces[student] = set()
    counts = Counter(piece for own in pieces.values() for piece in own)
    weights = {piece: math.log((len(pieces) + 1) / n) for piece, n in counts.items()}
    totals = {student: sum(weights[p] for p in own) for student, own in pieces.items()}
    compared = [student for student, own in pieces.items() if len(own) >= ENOUGH]
    best: dict[str, Resemblance] = {}
    for one, other in combinations(compared, 2):
        shared = sum(weights[p] for p in pieces[one] & pieces[other])
        share = shared / min(totals[one], totals[other])
        for student, resembled in ((one, other), (other, one)):
            if share > max(WORTH_SHOWING, best[student].share if student in best else 0):
                best[student] = Resemblance(resembled, share)
    return best


def _pieces(files: Sequence[str], exercises: Collection[str]) -> set[bytes]:
    pieces = set()
    for source in files:
        tree = _parsed(source)
        for node in tree.body if tree is not None else ():
            if isinstance(node, ast.FunctionDef) and not is_stub(node):
                if node.name not in exercises and not node.name.startswith("_"):
                    continue
                words = list(_words(node))
                for start in range(max(1, len(words) - WINDOW + 1)):
                    text = " ".join(words[start : start + WINDOW])
                    pieces.add(hashlib.sha256(text.encode()).digest()[:8])
    return pieces


def _words(function: ast.FunctionDef) -> Iterator[str]:
    """The code of a function as words, without the names that its author chose."""
    own = {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
    own |= {
        node.id
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    has_text = ast.get_docstring(function) is not None
    for statement in function.body[1:] if has_text else function.body:
        yield from _tree_words(statement, own)


def _constant(value: object) -> str:
    if isinstance(value, str):
        return "text"
    # Decimal digits of an int are limited, those of base 16 are not.
    return f"{value:x}" if type(value) is int else repr(value)


def _tree_words(node: ast.AST, own: set[str]) -> Iterator[str]:
    if isinstance(node, ast.Name):
        yield "name" if node.id in own and not hasattr(builtins, node.id) else node.id
        return
    if isinstance(node, ast.Constant):
        yield _constant(node.value)
        return
    if isinstance(node, ast.AnnAssign):  # An annotation changes nothing.
        node = ast.Assign([node.target], node.value or ast.Constant(None))
    yield type(node).__name__
    if isinstance(node, ast.Attribute):
        yield node.attr
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.expr_context, ast.arguments)):
            yield from _tree_words(child, own)
