"""Every chapter is whole, its check accepts what is right and rejects what is wrong."""

import ast
import inspect
import json
from collections.abc import Callable
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from drawn import arguments, package_function, package_outcomes, sheet

from induction_heads.checks.exercise import Exercise, Mistake
from induction_heads.checks.registry import Selection, chapter_exercises, chapter_stems
from induction_heads.grading import calling
from induction_heads.grading.calling import Outcome
from induction_heads.grading.checking import check_chapter
from induction_heads.grading.diagnosis import diagnose
from induction_heads.grading.judge import Sheet, judge, judge_function
from induction_heads.grading.nursery import Nursery
from induction_heads.grading.results import Result
from induction_heads.grading.submission import read_submission

ROOT = Path(__file__).parent.parent
STEMS = chapter_stems()
Results = Callable[[str, str], dict[str, Result]]
EXERCISES = [(stem, exercise) for stem in STEMS for exercise in chapter_exercises(stem)]
FIRST_CHAPTERS = {
    "ch01_attention",
    "ch02_attention_patterns",
    "ch03_previous_token_heads",
    "ch04_induction_heads",
}

each_chapter = pytest.mark.parametrize("stem", STEMS)
each_exercise = pytest.mark.parametrize(
    ("stem", "exercise"), [pytest.param(s, e, id=f"{s[:4]}-{e.name}") for s, e in EXERCISES]
)
each_mistake = pytest.mark.parametrize(
    ("exercise", "mistake"),
    [
        pytest.param(e, mistake, id=f"{s[:4]}-{e.name}-{mistake.name}")
        for s, e in EXERCISES
        for mistake in e.mistakes
    ],
)
each_also_right = pytest.mark.parametrize(
    ("exercise", "function"),
    [
        pytest.param(e, function, id=f"{s[:4]}-{e.name}-{index}")
        for s, e in EXERCISES
        for index, function in enumerate(e.also_right)
    ],
)


def functions(path: Path) -> dict[str, ast.FunctionDef]:
    """The public functions that a file defines at its top level."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {node.name: node for node in found if not node.name.startswith("_")}


def signature(function: ast.FunctionDef) -> str:
    returns = "" if function.returns is None else f" -> {ast.unparse(function.returns)}"
    return f"{function.name}({ast.unparse(function.args)}){returns}"


def body(function: ast.FunctionDef) -> str:
    """The code of a function, without docstring and comments."""
    start = 1 if ast.get_docstring(function) else 0
    return "\n".join(ast.unparse(statement) for statement in function.body[start:])


@pytest.fixture(scope="module")
def results(warm: Nursery) -> Results:
    """`results(stem, folder)`: of a chapter's file, checked in a process of its own, as by `check`.

    Each chapter has a fresh worker, forked from one warm process.
    """

    @cache
    def checked(stem: str, folder: str) -> dict[str, Result]:
        selection = Selection(stem, chapter_exercises(stem))
        sheets = {exercise.name: sheet(exercise.name) for exercise in selection.exercises}
        submission = read_submission(ROOT / folder, stem)
        chapter = check_chapter(selection, submission, sheets=sheets, nursery=warm)
        return {result.name: result for result in chapter.exercises}

    return checked


@cache
def notebook_text(stem: str) -> str:
    notebook = json.loads((ROOT / "book" / f"{stem}.ipynb").read_text(encoding="utf-8"))
    return "\n".join("".join(cell["source"]) for cell in notebook["cells"])


def test_first_four_chapters_are_there():
    assert set(STEMS) >= FIRST_CHAPTERS


def test_exercise_names_are_unique():
    names = [exercise.name for _, exercise in EXERCISES]
    assert len(names) == len(set(names))


@each_chapter
def test_chapter_has_all_its_files(stem: str):
    files = [
        f"book/{stem}.ipynb",
        f"exercises/{stem}.py",
        f"solutions/{stem}.py",
        f"src/induction_heads/checks/answers/{stem}.py",
    ]
    assert [file for file in files if not (ROOT / file).is_file()] == []


@each_chapter
def test_exercise_solution_and_checks_name_the_same_functions(stem: str):
    stubs = functions(ROOT / "exercises" / f"{stem}.py")
    solved = functions(ROOT / "solutions" / f"{stem}.py")
    assert [signature(node) for node in stubs.values()] == [
        signature(node) for node in solved.values()
    ]
    assert set(stubs) == {exercise.name for exercise in chapter_exercises(stem)}


@each_exercise
def test_exercise_says_how_hard_how_long_and_why(stem: str, exercise: Exercise):
    assert exercise.difficulty in range(1, 6)
    assert exercise.minutes > 0
    assert exercise.why.strip()


@each_exercise
def test_notebook_mentions_the_exercise(stem: str, exercise: Exercise):
    assert exercise.name in notebook_text(stem)


@each_exercise
def test_solution_passes(stem: str, exercise: Exercise, results: Results):
    result = results(stem, "solutions")[exercise.name]
    assert result.passed, result.message


@each_exercise
def test_untouched_stub_is_not_started(stem: str, exercise: Exercise, results: Results):
    result = results(stem, "exercises")[exercise.name]
    assert result.status == "not_started", result.message


@each_exercise
def test_package_function_passes_the_same_check(stem: str, exercise: Exercise):
    outcomes = iter(package_outcomes(exercise.name))
    result = judge(sheet(exercise.name), lambda args, kwargs, _: next(outcomes))
    assert result.passed, result.message


@each_exercise
def test_four_mistakes_with_hints_and_two_other_right_answers(stem: str, exercise: Exercise):
    assert len({mistake.name for mistake in exercise.mistakes}) >= 4
    assert len({mistake.hint for mistake in exercise.mistakes}) == len(exercise.mistakes)
    assert all(len(mistake.hint.split()) >= 3 for mistake in exercise.mistakes)
    assert len(set(exercise.also_right)) >= 2


@each_mistake
def test_known_mistake_fails_with_its_own_hint(exercise: Exercise, mistake: Mistake):
    result = judge_function(sheet(exercise.name), mistake.answer)
    assert result.status == "failed", result.message
    assert result.mistake == mistake.name, result.message
    assert mistake.hint in result.message


@each_also_right
def test_other_right_answer_passes_and_is_not_diagnosed(
    exercise: Exercise, function: Callable[..., Any]
):
    given: list[Any] = []

    def call(args: tuple, kwargs: dict, seconds: float) -> Outcome:
        outcome = calling.call(function, args, kwargs)
        given.append(outcome.value)
        return outcome

    with torch.random.fork_rng(devices=[]):
        result = judge(sheet(exercise.name), call)
    assert result.passed, result.message
    if exercise.describe is None:
        pairs = list(zip(given, sheet(exercise.name).expected, strict=True))
        assert diagnose(pairs, arguments(exercise.name)) is None


@each_exercise
def test_expected_answer_is_not_diagnosed(stem: str, exercise: Exercise):
    if exercise.describe is None:
        pairs = [(right, right) for right in sheet(exercise.name).expected]
        assert diagnose(pairs, arguments(exercise.name)) is None


@each_exercise
def test_inputs_depend_on_nothing_but_the_seed(stem: str, exercise: Exercise):
    compare = exercise.compare
    first, second = Sheet(exercise, 7).expected, Sheet(exercise, 7).expected
    assert [compare(mine, right) for mine, right in zip(first, second, strict=True)] == [
        None for _ in first
    ]


@each_exercise
def test_right_answer_passes_on_other_inputs_too(stem: str, exercise: Exercise):
    result = judge_function(sheet(exercise.name, 1), package_function(exercise.name))
    assert result.passed, result.message


@each_chapter
def test_oracles_use_neither_the_package_function_nor_the_solution(stem: str):
    names = {exercise.name for exercise in chapter_exercises(stem)}
    checks = ROOT / "src" / "induction_heads" / "checks"
    files = [checks / f"{stem}.py", checks / "answers" / f"{stem}.py"]
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    for node in chain.from_iterable(map(ast.walk, trees)):
        if isinstance(node, ast.ImportFrom):
            assert not names & {alias.name for alias in node.names}, ast.unparse(node)
            assert "solutions" not in (node.module or ""), ast.unparse(node)
        if isinstance(node, ast.Attribute):
            assert node.attr not in names, f"line {node.lineno}: {ast.unparse(node)}"


@each_exercise
def test_oracle_is_code_of_its_own(stem: str, exercise: Exercise):
    home = Path(inspect.getsourcefile(inspect.unwrap(exercise.oracle)) or "")
    assert home.name == f"{stem}.py"
    assert home.parent.name == "checks"
    oracle = functions_and_private(home).get(exercise.oracle.__name__)
    solution = functions(ROOT / "solutions" / f"{stem}.py")[exercise.name]
    assert oracle is None or body(oracle) != body(solution)


def functions_and_private(path: Path) -> dict[str, ast.FunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
