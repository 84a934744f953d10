"""Imports run only downwards, and nothing below `course` names a chapter or an exercise."""

import ast
import re
from pathlib import Path

from induction_heads.course.registry import chapter_stems, exercise_names

PACKAGE = Path(__file__).parents[2] / "src" / "induction_heads"

LAYERS = (
    "cli",
    "grading",
    "course",
    "explorer",
    "sweeps",
    "figures",
    "training",
    "interp",
    "models",
    "data",
    "files near_names parallel progress_bar versions",
)
"""From the top down: a module imports from its own folder and from those below."""

FLOOR = {name: len(LAYERS) - i for i, names in enumerate(LAYERS) for name in names.split()}


def modules() -> dict[str, ast.Module]:
    """Dotted name inside the package → its syntax tree, but for the package's own front door."""
    return {
        path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", "."): ast.parse(
            path.read_text(encoding="utf-8")
        )
        for path in PACKAGE.rglob("*.py")
        if path.parent != PACKAGE or path.stem not in ("__init__", "__main__")
    }


def imported(tree: ast.Module, names: set[str]) -> set[str]:
    """The modules of the package that a module imports, also inside functions."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            plain = [alias.name for alias in node.names if alias.name.startswith("induction_heads")]
            assert plain == [], f"line {node.lineno}: write from {plain[0]} import …"
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            module = node.module or ""
            if module.startswith("induction_heads"):
                inner = module.removeprefix("induction_heads").removeprefix(".")
                below = {f"{inner}.{alias.name}".removeprefix(".") for alias in node.names}
                found |= (below & names) or {inner}
    return found - {""}


def test_imports_run_only_downwards():
    trees = modules()
    upwards = [
        f"{name} imports {other}"
        for name, tree in trees.items()
        for other in imported(tree, set(trees))
        if FLOOR[other.split(".")[0]] > FLOOR[name.split(".")[0]]
    ]
    assert upwards == []


def test_no_modules_import_each_other_in_a_circle():
    trees = modules()
    left = {name: imported(tree, set(trees)) & set(trees) for name, tree in trees.items()}
    while free := {name for name, others in left.items() if not others & set(left)}:
        left = {name: others for name, others in left.items() if name not in free}
    assert left == {}


def test_nothing_imports_the_commands():
    trees = modules()
    assert [
        f"{name} imports {other}"
        for name, tree in trees.items()
        if not name.startswith("cli.")
        for other in imported(tree, set(trees))
        if other.startswith("cli")
    ] == []


LIBRARY = ("data", "models", "interp", "training", "figures", "sweeps", "explorer")


def test_the_library_names_no_chapter():
    chapters = re.compile("|".join((*chapter_stems(), r"\bch\d\d\b", r"\bchapter \d")))
    named = [
        f"{path.relative_to(PACKAGE)}:{number}: {line.strip()}"
        for folder in LIBRARY
        for path in sorted((PACKAGE / folder).rglob("*.*"))
        if path.suffix in (".py", ".js", ".css", ".j2")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if chapters.search(line)
    ]
    assert named == []


def test_the_library_does_not_speak_of_exercises():
    named = [
        f"{path.relative_to(PACKAGE)}:{number}: {line.strip()}"
        for folder in LIBRARY
        for path in sorted((PACKAGE / folder).rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(r"\bexercises?\b", line, re.I)
    ]
    assert named == []
    assert exercise_names()
