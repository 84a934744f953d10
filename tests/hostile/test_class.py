"""One hostile student in a class changes no other grade and costs only bounded time."""

import json
from functools import partial
from pathlib import Path

import pytest
from build import RIGHT

from induction_heads.course.registry import Selection, chapter_exercises
from induction_heads.grading import grade
from induction_heads.grading.classroom import GradingJob
from induction_heads.grading.grade import GradingOptions, grade_folder
from induction_heads.grading.running_submission import Limits

STEM = "ch01_attention"
REPOSITORY = Path(__file__).resolve().parents[2]
SOLUTION = (REPOSITORY / "solutions" / f"{STEM}.py").read_text()
STUB = (REPOSITORY / "exercises" / f"{STEM}.py").read_text()
MISTAKE = SOLUTION.replace(".tril()", ".triu()")
KINDS = {"solution": SOLUTION, "stub": STUB, "mistake": MISTAKE}
LIMITS = Limits(load=4.0, prepare=10.0, most=1.0)
N_EXERCISES = len(chapter_exercises(STEM))
SLACK = 20.0

HOSTILE = """
import ctypes, glob, os, sys, threading, time

ctypes.CDLL(None).prctl(15, b"hostile")
print("\\x1b[2J<script>alert(1)</script>" * 1000)


def causal_mask(n_pos):
    while True:
        pass


def attention_pattern(queries, keys):
    os._exit(0)


def attention_head(residual, W_Q, W_K, W_V, W_O):
    while True:
        print("x" * 99_999)


def attention_from_circuits(residual, W_QK, W_OV, d_head):
    raise ValueError("=1+1<script>alert(1)</script>")


def count_attention_parameters(n_layers, n_heads, d_model, d_head):
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, b"passed" * 99)
        except OSError:
            pass
    time.sleep(60)
"""


def write_class(folder: Path, n_students: int, hostile: str) -> Path:
    """Students of three kinds, and a hostile one among them."""
    for number in range(n_students - 1):
        kind = list(KINDS)[number % 3]
        path = folder / f"student {number:03} {kind}"
        path.mkdir(parents=True)
        (path / f"{STEM}.py").write_text(KINDS[kind])
    (folder / "student 010a hostile").mkdir()
    (folder / "student 010a hostile" / f"{STEM}.py").write_text(hostile)
    return folder


def graded(submissions: Path, out: Path) -> tuple[dict[str, dict], dict[str, float]]:
    """The records by student, and the seconds that each took."""
    selection = Selection(STEM, chapter_exercises(STEM))
    grade_folder(GradingOptions(submissions, out, [selection], without_isolation=True))
    records = {path.stem: json.loads(path.read_text()) for path in (out / "results").glob("*.json")}
    lines = (out / "journal.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    return records, {e["student"]: e["seconds"] for e in events if e["event"] == "graded"}


def verdicts(record: dict) -> list[tuple]:
    """The result of each exercise in a record."""
    return [
        (e["name"], e["status"], e["points"], e["n_right"], e["mistake"])
        for e in record["exercises"]
    ]


@pytest.mark.parametrize("n_students", [30])
def test_one_hostile_student_costs_the_class_only_its_time_limit(
    n_students: int, tmp_path: Path, monkeypatch
):
    monkeypatch.setattr(grade, "GradingJob", partial(GradingJob, limits=LIMITS))
    alone = {}
    for kind, source in KINDS.items():
        path = tmp_path / "alone" / kind
        path.mkdir(parents=True)
        (path / f"{STEM}.py").write_text(source)
    expected, _ = graded(tmp_path / "alone", tmp_path / "expected")
    alone = {kind: verdicts(record) for kind, record in expected.items()}
    assert alone["solution"] != alone["stub"] != alone["mistake"]

    records, seconds = graded(
        write_class(tmp_path / "class", n_students, HOSTILE), tmp_path / "results"
    )

    assert len(records) == n_students
    hostile = records.pop("student 010a hostile")
    for student, record in records.items():
        assert verdicts(record) == alone[student.split()[-1]], student
    assert hostile["points"] == 0
    statuses = [exercise["status"] for exercise in hostile["exercises"]]
    assert len(statuses) == N_EXERCISES
    assert statuses[0] == "timeout"
    assert set(statuses) <= {"timeout", "error"}
    assert LIMITS.most is not None
    assert seconds["student 010a hostile"] < N_EXERCISES * (LIMITS.load + LIMITS.most) + SLACK
    page = (tmp_path / "results" / "feedback" / "student 010a hostile.html").read_text()
    assert "<script>alert" not in page
    assert "\x1b" not in page


def test_nothing_inside_a_submission_names_its_student(tmp_path: Path):
    (tmp_path / "class" / "ada").mkdir(parents=True)
    claim = f"__student__ = name = student = 'zoe'\n{RIGHT}\n{SOLUTION}"
    (tmp_path / "class" / "ada" / f"{STEM}.py").write_text(claim)
    (tmp_path / "class" / "ada" / "zoe.json").write_text('{"student": "zoe", "points": 99}')
    (tmp_path / "class" / "zoe").mkdir()
    records, _ = graded(tmp_path / "class", tmp_path / "results")
    assert {name: record["student"] for name, record in records.items()} == {
        "ada": "ada",
        "zoe": "zoe",
    }
    assert records["zoe"]["points"] == 0 < records["ada"]["points"]
