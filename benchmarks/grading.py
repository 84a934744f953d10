"""`grade` with two jobs, compared with plain pytest once per student, two at a time.

Plain pytest imports the package for each student and calls the student's functions in its own
process, without isolation or limits, which is to its advantage.
"""

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks.classroom import ROOT, make_class
from benchmarks.ratios import Ratio, compare, seconds
from induction_heads.course.registry import select
from induction_heads.grading.sandbox import isolation

JOBS = 2
DEMAND = 1 / 3
ISOLATION = [] if isolation().complete else ["--without-isolation"]
"""Options of `grade` for this measurement: isolation is on where possible."""

TEST = """
import runpy
from pathlib import Path

import pytest

from induction_heads.course.registry import select
from induction_heads.grading.judge import judge_function

PAIRS = [(s.stem, e) for c in {chapters!r} for s in select(c) for e in s.exercises]


@pytest.mark.parametrize(("stem", "exercise"), PAIRS)
def test_exercise(stem, exercise):
    module = runpy.run_path(str(Path(__file__).parent / f"{{stem}}.py"))
    assert judge_function(exercise, module[exercise.name]).passed
"""


def environment() -> dict[str, str]:
    """One thread per process, and this package on the path."""
    here = {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return os.environ | here


def grade(students: Path, chapters: list[str]) -> None:
    """Grade the class with the command, into a new folder."""
    with tempfile.TemporaryDirectory() as out:
        options = ["--out", f"{out}/results", "--jobs", str(JOBS), "--chapters", ",".join(chapters)]
        command = [sys.executable, "-m", "induction_heads.cli.main", "grade", str(students)]
        command += [*options, *ISOLATION]
        subprocess.run(command, env=environment(), check=True, capture_output=True)


def pytest_per_student(students: Path, chapters: list[str]) -> None:
    """The same students with one pytest run each."""
    with ThreadPoolExecutor(JOBS) as pool:
        list(pool.map(partial(_pytest, chapters=chapters), sorted(students.iterdir())))


def _pytest(folder: Path, chapters: list[str]) -> None:
    file = folder / "test_student.py"
    file.write_text(TEST.format(chapters=chapters))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        "--rootdir",
        str(folder),
        str(file),
    ]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True)
    file.unlink()
    if done.returncode not in (0, 1):  # 1: the student's answers are wrong.
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])


def ratios(rounds: int) -> list[Ratio]:
    """Seconds for a class of complete, half-finished and mistaken submissions."""
    quick = rounds <= 2
    chapters = ["ch01"] if quick else ["ch01", "ch02", "ch03", "ch04"]
    size, n_rounds = (3, 1) if quick else (30, min(rounds, 2))
    stems = [select(chapter)[0].stem for chapter in chapters]
    with tempfile.TemporaryDirectory() as folder:
        students = Path(folder) / "class"
        _honest_class(students, size, stems)
        ours, theirs = [], []
        for _ in range(n_rounds):
            ours.append(seconds(partial(grade, students, chapters)))
            theirs.append(seconds(partial(pytest_per_student, students, chapters)))
    rate = 60 * size / min(ours)
    how = "not isolated" if ISOLATION else "isolated"
    work = f"grade {size} students, {len(chapters)} chapters, {how} ({rate:.0f} per minute)"
    return [compare(work, ours, "pytest once per student", theirs, None if quick else DEMAND)]


def _honest_class(folder: Path, size: int, stems: list[str]) -> None:
    """Folders only, so that pytest can import from them, without hostile submissions."""
    index, scratch = 0, folder.parent / "scratch"
    kinds = make_class(scratch, 3 * size, stems)
    folder.mkdir()
    for name, kind in kinds.items():
        if index < size and kind not in ("hostile", "empty") and (scratch / name).is_dir():
            (scratch / name).rename(folder / name)
            index += 1
