"""A simulated class, killed and resumed, against the run that was left alone.

CLASS_SIZE and CLASS_CHAPTERS change the size of the long run.
"""

import csv
import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest
from small_class import ROOT, graded, journal, outputs, start

sys.path.insert(0, str(ROOT))
from benchmarks.classroom import make_class

SIZE = int(os.environ.get("CLASS_SIZE", "100"))
CHAPTERS = os.environ.get("CLASS_CHAPTERS", "ch01").split(",")


def run(folder: Path, out: str, chapters: list[str]):
    return start(
        folder / "class",
        "--out",
        folder / out,
        "--jobs",
        2,
        "--resume",
        "--seed-file",
        folder / "seed",
        chapters=",".join(chapters),
    )


@pytest.mark.long  # test_grade_killed has the short form.
def test_a_class_of_12_killed_twice_has_the_grades_of_the_unbroken_run(tmp_path):
    killed_and_resumed(tmp_path, size=12, kills=2, chapters=["ch01"])


@pytest.mark.long
def test_a_class_of_100_killed_five_times_has_the_grades_of_the_unbroken_run(tmp_path):
    killed_and_resumed(tmp_path, size=SIZE, kills=5, chapters=CHAPTERS)


def killed_and_resumed(tmp_path: Path, *, size: int, kills: int, chapters: list[str]) -> None:
    stems = [next((ROOT / "solutions").glob(f"{chapter}_*.py")).stem for chapter in chapters]
    kinds = make_class(tmp_path / "class", size, stems)
    (tmp_path / "seed").write_text("a secret")
    with run(tmp_path, "whole", chapters) as process:
        _, output = process.communicate()
    assert process.returncode == 0, output
    chance = random.Random(size)
    for kill in range(1, kills + 1):
        with run(tmp_path, "killed", chapters) as process:
            while sum(graded(tmp_path / "killed").values()) < kill * size // (kills + 1):
                assert process.poll() is None, process.communicate()
                time.sleep(0.1)
            time.sleep(chance.uniform(0, 1))
            os.killpg(process.pid, signal.SIGKILL)
    with run(tmp_path, "killed", chapters) as process:
        _, output = process.communicate()
    assert process.returncode == 0, output
    assert outputs(tmp_path / "killed") == outputs(tmp_path / "whole")
    noted = graded(tmp_path / "killed")
    assert set(noted.values()) == {1}
    # A kill may fall between a student's record and the line in the journal that tells of it.
    assert len(set(kinds) - set(noted)) <= 2 * kills
    with (tmp_path / "whole" / "grades.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    # The total of a student who handed in nothing is empty.
    totals = {row[0]: float(row[-1] or 0) for row in rows}
    best = max(totals.values())
    for name, kind in kinds.items():
        if kind == "solved":
            assert totals[name] == best, name
        elif kind in ("stub", "empty", "hostile"):
            assert totals[name] == 0, (name, kind)
    assert any(0 < totals[name] < best for name, kind in kinds.items() if kind == "mistaken")
    last = {event["student"]: event["event"] for event in journal(tmp_path / "killed")}
    assert all(last[name] == "graded" for name in noted)
