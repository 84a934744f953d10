import json
import os
import signal
from pathlib import Path

import pytest
from small_class import ONLY_THE_MASK, STEM, graded, journal

from induction_heads.checks.registry import select
from induction_heads.grading.classroom import Class, grade_class, grade_student, pending
from induction_heads.grading.collect import HandIn, Student
from induction_heads.grading.results_folder import ResultsFolder, Settings
from induction_heads.grading.submission import Submission
from induction_heads.grading.weights import read_weights


class Deadly(tuple):
    """Submissions that bring down the process which looks at them."""

    def __iter__(self):
        os.kill(os.getpid(), signal.SIGKILL)
        return super().__iter__()


@pytest.fixture
def job(tmp_path) -> Class:
    settings = Settings("1", "c", (STEM,), "w", 5)
    ResultsFolder(tmp_path).begin(settings)
    return Class(tmp_path, settings, read_weights(None, select("ch01")), parent=os.getpid())


def student(name: str) -> Student:
    return Student(name, Path(name))


def hand_in(source: str, digest: str = "d") -> HandIn:
    return HandIn((Submission(STEM, source),), digest)


def read(job: Class, name: str) -> dict:
    return json.loads((job.folder / "results" / f"{name}.json").read_text())


@pytest.mark.slow
def test_a_student_who_brings_down_the_judge_twice_is_recorded_and_the_others_are_graded(job):
    deadly = HandIn(Deadly([Submission(STEM, "")]), "e")
    work = [(student("eve"), deadly), (student("ada"), hand_in(ONLY_THE_MASK)),
            (student("bob"), hand_in(ONLY_THE_MASK))]  # fmt: skip
    grade_class(job, work, jobs=2)
    assert read(job, "eve")["status"] == "not graded"
    assert "died twice" in read(job, "eve")["exercises"][0]["message"]
    assert [read(job, name)["points"] for name in ("ada", "bob")] == [1.0, 1.0]
    assert graded(job.folder) == {"ada": 1, "bob": 1}
    assert [e["student"] for e in journal(job.folder) if e["event"] == "given up"] == ["eve"]
    assert pending(job, work) == []


def test_a_process_without_the_results_folder_returns_the_record(job, tmp_path):
    elsewhere = Class(tmp_path / "none", job.settings, job.worths)
    record = grade_student(elsewhere, "ada", hand_in(""))
    assert record is not None
    assert record["status"] == "graded"
    assert not (tmp_path / "none").exists()


def test_a_results_folder_of_other_settings_is_not_written_to(job):
    other = Class(job.folder, Settings("2", "c", (STEM,), "w", 5), job.worths)
    assert grade_student(other, "ada", hand_in("")) is not None
    assert not (job.folder / "results").exists()


def test_a_missing_submission_needs_no_process_and_has_a_sentence(job):
    missing = HandIn((Submission(STEM, problem="There is no file."),), "d")
    assert grade_student(job, "ada", missing) is None
    exercises = read(job, "ada")["exercises"]
    assert {(e["status"], e["message"]) for e in exercises} == {("error", "There is no file.")}
    assert [e["max_points"] for e in exercises] == [1.0, 2.0, 2.0, 2.0, 1.0]
