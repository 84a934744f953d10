"""Every exercise has three hints, and none of them gives a line of the solution away."""

import ast
import re
from pathlib import Path

import pytest

from induction_heads.course.hints import hints_of
from induction_heads.course.registry import chapter_exercises, chapter_stems

ROOT = Path(__file__).parents[2]
EXERCISES = [(stem, e.name) for stem in chapter_stems() for e in chapter_exercises(stem)]
each_exercise = pytest.mark.parametrize(("stem", "name"), EXERCISES)


def solution_lines(stem: str, name: str) -> list[str]:
    """The lines of code of a solution, without comments and docstring."""
    tree = ast.parse((ROOT / "solutions" / f"{stem}.py").read_text(encoding="utf-8"))
    (node,) = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name]
    statements = node.body[1 if ast.get_docstring(node) else 0 :]
    return [line for statement in statements for line in ast.unparse(statement).splitlines()]


def words(text: str) -> str:
    """Text without spaces and quotes, so that the layout of code does not matter."""
    return "".join(text.split()).replace('"', "").replace("'", "").lower()


@each_exercise
def test_there_are_three_different_hints(stem: str, name: str):
    hints = hints_of(name)
    assert len(hints) >= 3
    assert len(set(hints)) == len(hints)
    assert all(len(hint.split()) >= 8 and hint.rstrip()[-1] in ".?" for hint in hints)


@each_exercise
def test_first_hint_asks_a_question(stem: str, name: str):
    assert "?" in hints_of(name)[0]


@each_exercise
def test_no_hint_holds_a_line_of_the_solution(stem: str, name: str):
    given = words(" ".join(hints_of(name)))
    for line in solution_lines(stem, name):
        right_side = line.removeprefix("return ").partition(" = ")[2] or line
        for part in (line, right_side.removeprefix("return ")):
            is_code = len(words(part)) >= 8 and not part.isidentifier()
            assert not is_code or words(part) not in given, part


CODE = re.compile(r"torch\.|\w\(|\)\.|\[:|\breturn \w+\[|@|->|==")


@each_exercise
def test_no_hint_holds_code(stem: str, name: str):
    assert [CODE.findall(hint) for hint in hints_of(name)] == [[] for _ in hints_of(name)]


def test_unknown_exercise_has_no_hints():
    assert hints_of("no_such_exercise") == ()
