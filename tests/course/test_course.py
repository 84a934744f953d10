"""Every chapter is whole, its check accepts what is right and rejects what is wrong."""

import ast
import inspect
import json
from collections.abc import Callable
from functools import cache
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from drawn import (
    MODELS,
    arguments,
    judged_mistake,
    package_function,
    reference_outcomes,
    sheet,
)

from induction_heads.course.exercise import Exercise, Mistake
from induction_heads.course.registry import (
    Selection,
    chapter_exercises,
    chapter_stems,
    check_files,
)
from induction_heads.grading import calls
from induction_heads.grading.calls import Outcome
from induction_heads.grading.checking import check_chapter
from induction_heads.grading.diagnosis.values import diagnose
from induction_heads.grading.judge import judge
from induction_heads.grading.results import Result
from induction_heads.grading.sheet import Sheet
from induction_heads.grading.submission import read_submission
from induction_heads.grading.wire import pack
from induction_heads.grading.workers import WorkerPool

ROOT = Path(__file__).parents[2]
STEMS = chapter_stems()
Results = Callable[[str, str], dict[str, Result]]
EXERCISES = [(stem, exercise) for stem in STEMS for exercise in chapter_exercises(stem)]
FIRST_CHAPTERS = {
    "ch01_attention",
    "ch02_attention_patterns",
    "ch03_previous_token_heads",
    "ch04_induction_heads",
}
ONLY_EXERCISES = {
    "attention_parameters_formula",
    "attribution_ratio_formula",
    "bigram_posterior_formula",
    "build_induction_circuit",
    "chance_matching_formula",
    "chance_repeats_formula",
    "describe_unseen_model",
    "context_learner_formula",
    "effective_embedding",
    "emergence_time_formula",
    "expected_effect_formula",
    "identified_task_formula",
    "intact_repeats_formula",
    "knockout_gain_formula",
    "matched_controls",
    "most_hops_formula",
    "ngram_prefix_score",
    "paired_error_formula",
    "paths_formula",
    "plateau_loss_formula",
    "repair_by_norm_formula",
    "report_numbers",
    "shrunk_activation_formula",
    "stray_stripe_entries",
    "train_induction_heads",
    "translated_induction_score",
    "uniform_copying_loss_formula",
    "visible_pairs_formula",
}
"""The exercises whose function nothing but the exercise needs."""


@cache
def also_right(stem: str) -> dict[str, tuple[Callable[..., Any], ...]]:
    """Exercise → other correct implementations."""
    return import_module(f"also_right.{stem[:4]}").ALSO_RIGHT


def of_chapter(stem: str, *values: Any, name: str) -> Any:
    """Parameters of a test that shares its chapter's sheets with others: one process runs them."""
    return pytest.param(*values, id=name, marks=pytest.mark.xdist_group(stem))


each_chapter = pytest.mark.parametrize(
    "stem", [of_chapter(stem, stem, name=stem) for stem in STEMS]
)
each_exercise = pytest.mark.parametrize(
    "exercise", [of_chapter(s, e, name=f"{s[:4]}-{e.name}") for s, e in EXERCISES]
)
# Where the library has none, the reference is the solution, which a process of its own tries.
each_with_a_library_function = pytest.mark.parametrize(
    "exercise",
    [
        of_chapter(s, e, name=f"{s[:4]}-{e.name}")
        for s, e in EXERCISES
        if e.name not in ONLY_EXERCISES
    ],
)
each_mistake = pytest.mark.parametrize(
    ("exercise", "mistake"),
    [
        of_chapter(s, e, mistake, name=f"{s[:4]}-{e.name}-{mistake.name}")
        for s, e in EXERCISES
        for mistake in e.mistakes
    ],
)
each_also_right = pytest.mark.parametrize(
    ("exercise", "function"),
    [
        of_chapter(s, e, function, name=f"{s[:4]}-{e.name}-{index}")
        for s, e in EXERCISES
        for index, function in enumerate(also_right(s)[e.name])
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
def results(warm: WorkerPool) -> Results:
    """`results(stem, folder)`: of a chapter's file, checked in a process of its own, as by `check`.

    Each chapter has a fresh worker, forked from one warm process.
    """

    @cache
    def checked(stem: str, folder: str) -> dict[str, Result]:
        selection = Selection(stem, chapter_exercises(stem))
        sheets = {exercise.name: sheet(exercise.name) for exercise in selection.exercises}
        submission = read_submission(ROOT / folder, stem)
        chapter = check_chapter(selection, submission, sheets=sheets, pool=warm)
        return {result.name: result for result in chapter.exercises}

    return checked


@cache
def notebook_text(stem: str) -> str:
    """All cells of the notebooks of a chapter."""
    paths = sorted((ROOT / "book").glob(f"{stem[:4]}_*.ipynb"))
    cells = [cell for path in paths for cell in json.loads(path.read_text("utf-8"))["cells"]]
    return "\n".join("".join(cell["source"]) for cell in cells)


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
        f"src/induction_heads/course/{stem}/checks.py",
        f"src/induction_heads/course/{stem}/mistakes.py",
        f"src/induction_heads/course/{stem}/hints.toml",
        f"tests/course/also_right/{stem[:4]}.py",
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


def test_every_exercise_says_how_hard_how_long_and_why():
    assert [
        exercise.name
        for _, exercise in EXERCISES
        if exercise.difficulty not in range(1, 6)
        or exercise.minutes <= 0
        or not exercise.why.strip()
    ] == []


def test_every_notebook_mentions_its_exercises():
    assert [e.name for stem, e in EXERCISES if e.name not in notebook_text(stem)] == []


@each_chapter
def test_every_solution_passes(stem: str, results: Results):
    checked = results(stem, "solutions")
    assert checked.keys() == {exercise.name for exercise in chapter_exercises(stem)}
    assert {name: result.message for name, result in checked.items() if not result.passed} == {}


@each_chapter
def test_every_untouched_stub_is_not_started(stem: str, results: Results):
    checked = results(stem, "exercises")
    assert checked.keys() == {exercise.name for exercise in chapter_exercises(stem)}
    assert {n: r.message for n, r in checked.items() if r.status != "not_started"} == {}


def test_only_the_listed_exercises_lack_a_library_function():
    without = {e.name for _, e in EXERCISES if package_function(e.name) is None}
    assert without == ONLY_EXERCISES


@each_with_a_library_function
def test_reference_function_passes_the_same_check(exercise: Exercise):
    outcomes = iter(reference_outcomes(exercise.name))
    result = judge(sheet(exercise.name), lambda args, kwargs, _: next(outcomes))
    assert result.passed, result.message


def test_every_exercise_has_four_mistakes_with_hints_and_two_other_right_answers():
    assert [
        exercise.name
        for stem, exercise in EXERCISES
        if len({mistake.name for mistake in exercise.mistakes}) < 4
        or len({mistake.hint for mistake in exercise.mistakes}) < len(exercise.mistakes)
        or any(len(mistake.hint.split()) < 3 for mistake in exercise.mistakes)
        or len(set(also_right(stem)[exercise.name])) < 2
    ] == []


@pytest.mark.no_cover  # Tracing makes it slower by two thirds; other tests run the same lines.
@each_mistake
def test_known_mistake_fails_with_its_own_hint(exercise: Exercise, mistake: Mistake):
    result = judged_mistake(exercise.name, mistake)
    assert result.status == "failed", result.message
    assert result.mistake == mistake.name, result.message
    assert mistake.hint in result.message


@pytest.mark.no_cover  # Tracing makes it slower by two thirds; other tests run the same lines.
@each_also_right
def test_other_right_answer_passes_and_is_not_diagnosed(
    exercise: Exercise, function: Callable[..., Any]
):
    answers: list[Any] = []

    def call(args: tuple, kwargs: dict, seconds: float) -> Outcome:
        outcome = calls.call(function, args, kwargs, models=MODELS)
        answers.append(outcome.value)
        return outcome

    with torch.random.fork_rng(devices=[]):
        result = judge(sheet(exercise.name), call)
    assert result.passed, result.message
    if exercise.describe is None:
        pairs = list(zip(answers, sheet(exercise.name).expected, strict=True))
        assert diagnose(pairs, arguments(exercise.name)) is None


@each_chapter
def test_no_expected_answer_is_diagnosed(stem: str):
    diagnosed = {}
    for exercise in chapter_exercises(stem):
        if exercise.describe is None:
            pairs = [(right, right) for right in sheet(exercise.name).expected]
            diagnosed[exercise.name] = diagnose(pairs, arguments(exercise.name))
    assert {name: said for name, said in diagnosed.items() if said is not None} == {}


def packed_inputs(exercise: Exercise, seed: int) -> list[bytes]:
    return [pack(case_inputs) for case_inputs in Sheet(exercise, seed).inputs]


@each_chapter
def test_inputs_depend_on_the_seed_and_on_nothing_else(stem: str):
    """Exercises with no input are exempt: pen and paper have no seed."""
    changing, constant = [], []
    for exercise in chapter_exercises(stem):
        first = packed_inputs(exercise, 7)
        if packed_inputs(exercise, 7) != first:
            changing.append(exercise.name)
        if packed_inputs(exercise, 8) == first and takes_inputs(exercise):
            constant.append(exercise.name)
    assert (changing, constant) == ([], [])


def takes_inputs(exercise: Exercise) -> bool:
    return any(case.args or case.kwargs for case in sheet(exercise.name).cases)


@each_chapter
def test_oracles_use_neither_the_package_function_nor_the_solution(stem: str):
    names = {exercise.name for exercise in chapter_exercises(stem)}
    folder = ROOT / "src" / "induction_heads" / "course" / stem
    files = [*folder.glob("*.py"), folder.parent / "plain_forward.py"]
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    for node in chain.from_iterable(map(ast.walk, trees)):
        if isinstance(node, ast.ImportFrom):
            assert not names & {alias.name for alias in node.names}, ast.unparse(node)
            assert "solutions" not in (node.module or ""), ast.unparse(node)
        if isinstance(node, ast.Attribute):
            assert node.attr not in names, f"line {node.lineno}: {ast.unparse(node)}"


@each_chapter
def test_every_oracle_is_code_of_its_own(stem: str):
    solutions = functions(ROOT / "solutions" / f"{stem}.py")
    for exercise in chapter_exercises(stem):
        home = Path(inspect.getsourcefile(inspect.unwrap(exercise.oracle)) or "")
        assert home in check_files(stem), exercise.name
        oracle = functions_and_private(home).get(exercise.oracle.__name__)
        assert oracle is None or body(oracle) != body(solutions[exercise.name]), exercise.name


def functions_and_private(path: Path) -> dict[str, ast.FunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
