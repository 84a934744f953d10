"""From a save to feedback, warm and from nothing, and what isolation costs a submission."""

import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.grading import environment
from benchmarks.ratios import Ratio, compare, times_in_turn
from induction_heads.checks.registry import select
from induction_heads.grading.checking import check_chapter
from induction_heads.grading.judge import Sheet
from induction_heads.grading.nursery import Nursery
from induction_heads.grading.rechecking import Rechecking
from induction_heads.grading.sandbox import isolation
from induction_heads.grading.submission import Submission, read_submission

ROOT = Path(__file__).parents[1]
EXERCISES = {"causal_mask": "no model", "ablation_scores": "a model"}


def command(name: str, folder: Path) -> None:
    """The `check` command, started anew."""
    asked = [sys.executable, "-m", "induction_heads.cli", "check", name]
    subprocess.run(
        [*asked, "--submission", str(folder)], env=environment(), check=True, capture_output=True
    )


def save_to_feedback(rounds: int) -> list[Ratio]:
    """What `check --watch` does after a save, beside running `check` again."""
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "exercises"
        shutil.copytree(ROOT / "solutions", folder)
        with Rechecking(folder) as rechecking:
            for name, needs in EXERCISES.items():
                (selection,) = select(name)
                ways = {
                    "ours": partial(rechecking.check, selection),
                    "peer": partial(command, name, folder),
                }
                times = times_in_turn(ways, min(rounds, 3))
                work = f"save to feedback, {needs} ({median(times['ours']):.2f} s)"
                found.append(compare(work, times["ours"], "check, started anew", times["peer"]))
    return found


def cost_of_isolation(rounds: int) -> list[Ratio]:
    """One chapter of one student in an isolated worker, beside one that is only forked."""
    if not isolation().complete:
        return []
    (selection,) = select("ch01")
    submission: Submission = read_submission(ROOT / "solutions", selection.stem)
    sheets = {exercise.name: Sheet(exercise) for exercise in selection.exercises}
    with Nursery() as isolated, Nursery(isolated=False) as plain:
        ways = {
            name: partial(check_chapter, selection, submission, sheets=sheets, nursery=nursery)
            for name, nursery in {"ours": isolated, "peer": plain}.items()
        }
        times = times_in_turn(ways, 4 * rounds)
    more = 1000 * (median(times["ours"]) - median(times["peer"]))
    work = f"a student's chapter, isolated ({more:+.0f} ms)"
    return [compare(work, times["ours"], "the same, only forked", times["peer"])]


def ratios(rounds: int) -> list[Ratio]:
    """Feedback to a reader, and the overhead of isolation for a student."""
    return save_to_feedback(rounds) + cost_of_isolation(rounds)
