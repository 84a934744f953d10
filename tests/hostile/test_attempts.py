"""A second set of attacks: many functions of a few submissions, each an exercise of its own.

`attempts/` has the submissions. In `kernel`, `memory`, `files` and `quantities` a function returns
"held", or what got through. In `processes` it may also end without an answer. In `answers` it may
end in any way but one: it must not pass.
"""

import ast
import sys
from dataclasses import replace
from pathlib import Path

import aftermath
import pytest
from attacks import LIMITS
from build import RIGHT
from trial import DOUBLED, ROW_SUMS

from induction_heads.course.exercise import Case, Exercise
from induction_heads.course.registry import Selection
from induction_heads.grading.checking import check_chapter
from induction_heads.grading.results import ChapterResult
from induction_heads.grading.submission import Submission
from induction_heads.grading.workers import WorkerPool

FOLDER = Path(__file__).parent / "attempts"
STEM = "ch99_trial"
HELD = ("kernel", "memory", "files", "quantities")
ANY_END = ("processes", "answers")
SLOW = {
    # Each of these waits for its time limit.
    "answers_from_a_child",
    "sleeps_for_ever",
    "ignores_every_signal",
    "stops_itself",
    "stops_its_group",
    "sends_no_event",
    "sends_half_a_message",
    "sends_small_messages_without_end",
    "works_before_it_starts",
    "prints_without_end",
    "keeps_more_than_its_memory",
    "a_wide_list",
    "kills_the_group_of_its_parent",
}
MEMORY = 400 * 2**20

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="NOT RUN: the hostile submissions, which need Linux"
)


def source(name: str) -> str:
    return (FOLDER / f"{name}.py").read_text(encoding="utf-8")


def attempts(name: str) -> list[str]:
    """The functions of a submission that take nothing and have no helpers' names."""
    found = []
    for node in ast.parse(source(name)).body:
        if isinstance(node, ast.FunctionDef) and not node.args.args and not node.args.vararg:
            found.append(node.name)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found += [node.targets[0].id] if node.targets[0].id.islower() else []
    return [each for each in found if each != "channel"]


def exercise(name: str, answer: str = "held") -> Exercise:
    return Exercise(
        name,
        difficulty=1,
        minutes=1,
        why="It must hold.",
        cases=lambda seed: [Case("an attempt")],
        oracle=lambda: answer,
        mistakes=(),
        seconds=120.0,
    )


def checked(pool: WorkerPool, stem: str, names: list[str], **limits: float) -> ChapterResult:
    return check_chapter(
        Selection(STEM, tuple(map(exercise, names))),
        Submission(STEM, source(stem)),
        limits=replace(LIMITS, load=60.0, **limits),
        pool=pool,
    )


def got_through(chapter: ChapterResult) -> dict[str, str]:
    return {
        result.name: result.message.splitlines()[0]
        for result in chapter.exercises
        if not result.passed
    }


def test_there_are_sixty_attempts_and_more():
    assert sum(len(attempts(name)) for name in (*HELD, *ANY_END)) >= 60


@pytest.mark.parametrize("stem", HELD)
def test_every_attempt_is_held(stem: str, pool: WorkerPool, not_isolated: str | None):
    if not_isolated:
        pytest.skip(f"NOT RUN: {not_isolated}")
    names = [name for name in attempts(stem) if name not in SLOW]
    assert got_through(checked(pool, stem, names, most=120.0)) == {}


@pytest.mark.parametrize("stem", ANY_END)
def test_no_end_harms_the_judge(stem: str, pool: WorkerPool, not_isolated: str | None):
    if not_isolated:
        pytest.skip(f"NOT RUN: {not_isolated}")
    harmless(stem, [name for name in attempts(stem) if name not in SLOW], pool, most=20.0)


@pytest.mark.long
def test_no_waiting_harms_the_judge(pool: WorkerPool, not_isolated: str | None):
    if not_isolated:
        pytest.skip(f"NOT RUN: {not_isolated}")
    for stem in (*HELD, *ANY_END):
        if names := [name for name in attempts(stem) if name in SLOW]:
            harmless(stem, names, pool, most=2.0)


def harmless(stem: str, names: list[str], pool: WorkerPool, most: float) -> None:
    before, counts = aftermath.state(), aftermath.counts()
    aftermath.forget_peak_memory()
    memory = aftermath.peak_memory()
    chapter = checked(pool, stem, names, most=most)
    memory = aftermath.peak_memory() - memory

    results = {result.name: result for result in chapter.exercises}
    assert list(results) == names
    if stem == "answers":
        assert [name for name, result in results.items() if result.passed] == []
    offenders = {
        name: result.message
        for name, result in results.items()
        if "Traceback" in result.message
        or (stem != "answers" and result.status == "failed")  # It returned what got through.
        or len(result.message) > 10_000
        or aftermath.unprintable(result.message)
        or "through" in result.message
    }
    assert offenders == {}
    assert memory < MEMORY, f"{memory / 2**20:,.0f} MB"
    assert aftermath.state() == before
    assert aftermath.comes_true(
        lambda: all(n <= counts[name] for name, n in aftermath.counts().items())
    ), (counts, aftermath.counts())
    assert aftermath.named_processes("mallory") == []
    trial = Selection(STEM, (ROW_SUMS, DOUBLED))
    assert check_chapter(trial, Submission(STEM, RIGHT), limits=LIMITS, pool=pool).passed
