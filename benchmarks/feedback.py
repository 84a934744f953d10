"""The time from a save to feedback, warm and cold, and the cost of isolation."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

from benchmarks.grading import environment
from benchmarks.ratios import Ratio, compare, times_in_turn
from induction_heads.course.registry import select
from induction_heads.grading import in_notebook
from induction_heads.grading.checking import FolderChecker, check_chapter
from induction_heads.grading.judge import judge_function
from induction_heads.grading.sandbox import isolation
from induction_heads.grading.sheet import Sheet
from induction_heads.grading.submission import Submission, read_submission
from induction_heads.grading.workers import WorkerPool

ROOT = Path(__file__).parents[1]
EXERCISES = {"causal_mask": "no model", "ablation_scores": "a model"}


def command(name: str, folder: Path) -> None:
    """Run the `check` command in a new process."""
    check = [sys.executable, "-m", "induction_heads.cli.main", "check", name]
    subprocess.run(
        [*check, "--submission", str(folder)], env=environment(), check=True, capture_output=True
    )


def save_to_feedback(rounds: int) -> list[Ratio]:
    """`check --watch` after a save, compared with running `check` again."""
    measured = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "exercises"
        shutil.copytree(ROOT / "solutions", folder)
        with FolderChecker(folder) as checker:
            for name, needs in EXERCISES.items():
                (selection,) = select(name)
                ways = {
                    "ours": partial(checker.check, selection),
                    "peer": partial(command, name, folder),
                }
                times = times_in_turn(ways, min(rounds, 3))
                work = f"save to feedback, {needs} ({median(times['ours']):.2f} s)"
                measured.append(
                    compare(work, times["ours"], "check in a new process", times["peer"])
                )
    return measured


def later_check_in_a_notebook(rounds: int) -> list[Ratio]:
    """`check(f)` in a notebook from the second call on, compared with everything made anew."""
    names = ("ablation_scores",) if rounds <= 2 else ("ablation_scores", "path_ablation")
    found = []
    for name in names:
        (selection,) = select(name)
        function = getattr(_solutions(selection.stem), name)
        ways: dict[str, Callable[[], Any]] = {
            "ours": partial(in_notebook.check, function),
            "peer": partial(judge_function, selection.exercises[0], function),
        }
        ways["ours"]()  # The first call, which later ones build on.
        times = times_in_turn(ways, rounds)
        work = f"check of {name} in a notebook, second call on"
        peer = "inputs, answers and models made anew"
        demand = None if rounds <= 2 else 0.5
        found.append(compare(work, times["ours"], peer, times["peer"], demand))
    return found


def _solutions(stem: str) -> ModuleType:
    spec = spec_from_file_location(stem, ROOT / "solutions" / f"{stem}.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cost_of_isolation(rounds: int) -> list[Ratio]:
    """One chapter of one student in an isolated worker, compared with one that is only forked."""
    if not isolation().complete:
        return []
    (selection,) = select("ch01")
    submission: Submission = read_submission(ROOT / "solutions", selection.stem)
    sheets = {exercise.name: Sheet(exercise) for exercise in selection.exercises}
    with WorkerPool() as isolated, WorkerPool(isolated=False) as plain:
        ways = {
            name: partial(check_chapter, selection, submission, sheets=sheets, pool=pool)
            for name, pool in {"ours": isolated, "peer": plain}.items()
        }
        times = times_in_turn(ways, 4 * rounds)
    more = 1000 * (median(times["ours"]) - median(times["peer"]))
    work = f"a student's chapter, isolated ({more:+.0f} ms)"
    return [compare(work, times["ours"], "the same, only forked", times["peer"])]


def ratios(rounds: int) -> list[Ratio]:
    """Time to feedback for a reader, and the overhead of isolation for a student."""
    return save_to_feedback(rounds) + later_check_in_a_notebook(rounds) + cost_of_isolation(rounds)
