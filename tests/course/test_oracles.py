"""An oracle shares no code with the mistakes it is compared with."""

import ast
from pathlib import Path

import pytest

from induction_heads.course import registry

OTHERS = [
    registry.FOLDER / "plain_forward.py",
    registry.FOLDER / "random_inputs.py",
    registry.FOLDER / "random_models.py",
    *(
        path
        for stem in registry.chapter_stems()
        for path in sorted((registry.FOLDER / stem).glob("*.py"))
        if not path.stem.endswith(("mistakes", "checks"))
    ),
]


def imported(tree: ast.AST) -> set[str]:
    """The full names of all modules and names that a file imports."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def name(path: Path) -> str:
    return path.relative_to(registry.FOLDER).as_posix()


@pytest.mark.parametrize("path", OTHERS, ids=name)
def test_what_oracles_import_does_not_import_mistakes(path: Path):
    names = imported(ast.parse(path.read_text(encoding="utf-8")))
    assert [each for each in names if "mistakes" in each] == []


CHECKS = [path for stem in registry.chapter_stems() for path in registry.check_files(stem)]


@pytest.mark.parametrize("path", CHECKS, ids=name)
def test_checks_use_mistakes_only_as_the_list_of_an_exercise(path: Path):
    tree, stem = ast.parse(path.read_text(encoding="utf-8")), path.parent.name
    lists = {
        id(keyword.value.value)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "Exercise"
        for keyword in call.keywords
        if keyword.arg == "mistakes"
        and isinstance(keyword.value, ast.Attribute)
        and keyword.value.attr.endswith("_MISTAKES")
    }
    others = [
        f"line {node.lineno}: {node.id}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id.endswith("mistakes") and id(node) not in lists
    ]
    assert others == []
    modules = {f"induction_heads.course.{stem}.{p.stem}" for p in _mistakes_of(stem)}
    assert {each for each in imported(tree) if "mistakes" in each} <= modules


def _mistakes_of(stem: str) -> list[Path]:
    return list((registry.FOLDER / stem).glob("*mistakes.py"))
