import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from small_class import ONLY_THE_MASK, STEM, graded, journal

from induction_heads.course.registry import chapter_exercises, select
from induction_heads.grading import classroom
from induction_heads.grading.classroom import GradingJob, grade_class, grade_student, pending
from induction_heads.grading.points import read_points
from induction_heads.grading.results_folder import GradingSettings, ResultsFolder
from induction_heads.grading.running_submission import WorkerFailed
from induction_heads.grading.sandbox import Isolation
from induction_heads.grading.students import HandIn, Student
from induction_heads.grading.submission import Submission


class Deadly(tuple):
    """Submissions that kill the process that reads them."""

    def __iter__(self):
        os.kill(os.getpid(), signal.SIGKILL)
        return super().__iter__()


@pytest.fixture
def job(tmp_path) -> GradingJob:
    settings = GradingSettings("1", "c", (STEM,), "w", 5)
    ResultsFolder(tmp_path).begin(settings)
    return GradingJob(
        tmp_path, settings, read_points(None, select("ch01")), parent=os.getpid(), isolated=False
    )


def student(name: str) -> Student:
    return Student(name, Path(name))


def hand_in(source: str, digest: str = "d") -> HandIn:
    return HandIn((Submission(STEM, source),), digest)


def read(job: GradingJob, name: str) -> dict:
    return json.loads((job.folder / "results" / f"{name}.json").read_text())


@pytest.mark.slow
def test_a_student_who_kills_the_judge_twice_is_recorded_and_the_others_are_graded(job):
    deadly = HandIn(Deadly([Submission(STEM, "")]), "e")
    work = [
        (student("eve"), deadly),
        (student("ada"), hand_in(ONLY_THE_MASK)),
        (student("bob"), hand_in(ONLY_THE_MASK)),
    ]
    grade_class(job, work, jobs=2)
    assert read(job, "eve")["status"] == "not graded"
    assert "died twice" in read(job, "eve")["exercises"][0]["message"]
    assert [read(job, name)["points"] for name in ("ada", "bob")] == [1.0, 1.0]
    assert graded(job.folder) == {"ada": 1, "bob": 1}
    assert [e["student"] for e in journal(job.folder) if e["event"] == "given up"] == ["eve"]
    assert pending(job, work) == []


def test_a_process_without_the_results_folder_returns_the_record(job, tmp_path):
    elsewhere = GradingJob(tmp_path / "none", job.settings, job.exercise_points, isolated=False)
    record = grade_student(elsewhere, "ada", hand_in(""))
    assert record is not None
    assert record["status"] == "graded"
    assert not (tmp_path / "none").exists()


def test_a_results_folder_with_other_settings_is_not_written_to(job):
    other = GradingJob(
        job.folder, GradingSettings("2", "c", (STEM,), "w", 5), job.exercise_points, isolated=False
    )
    assert grade_student(other, "ada", hand_in("")) is not None
    assert not (job.folder / "results").exists()


def test_a_missing_submission_needs_no_process_and_has_a_message(job):
    missing = HandIn((Submission(STEM, problem="There is no file."),), "d")
    assert grade_student(job, "ada", missing) is None
    exercises = read(job, "ada")["exercises"]
    assert {(e["status"], e["message"]) for e in exercises} == {("error", "There is no file.")}
    assert [e["max_points"] for e in exercises] == [e.difficulty for e in chapter_exercises(STEM)]


def test_a_machine_without_isolation_grades_nobody_unless_allowed(job, monkeypatch):
    pool = SimpleNamespace(isolation=Isolation(False, "nothing is sandboxed"))
    monkeypatch.setattr(classroom, "_pool", lambda process, user: pool)
    with pytest.raises(WorkerFailed, match="nothing is sandboxed"):
        classroom._warm(replace(job, isolated=True))
    assert classroom._warm(job) is pool
