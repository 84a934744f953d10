"""The time from a save to feedback, warm and cold, and the cost of isolation."""

import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.grading import environment
from benchmarks.ratios import Ratio, compare, times_in_turn
from induction_heads.course.registry import select
from induction_heads.grading.checking import FolderChecker, check_chapter
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
    return save_to_feedback(rounds) + cost_of_isolation(rounds)
