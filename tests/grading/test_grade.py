import json
from dataclasses import replace
from pathlib import Path

import pytest
from small_class import ONLY_THE_MASK, SOLUTION, STUB, graded, journal, make_class, outputs

from induction_heads.checks.registry import chapter_exercises, select
from induction_heads.grading import classroom, grade
from induction_heads.grading.grade import CannotGrade, Order, grade_folder
from induction_heads.grading.results import ChapterResult, Result
from induction_heads.grading.running import WorkerFailed
from induction_heads.grading.sandbox import Isolation

ALL = sum(exercise.difficulty for exercise in chapter_exercises("ch01_attention"))


@pytest.fixture
def order(tmp_path):
    make_class(tmp_path / "class", ada=SOLUTION, bob=STUB, eve=ONLY_THE_MASK)
    (tmp_path / "seed").write_text("a secret\n")
    return Order(
        tmp_path / "class", tmp_path / "out", select("ch01"), seed_file=tmp_path / "seed",
        without_isolation=True,
    )  # fmt: skip


@pytest.fixture
def _quick(monkeypatch):
    """No process: who hands in a file with a `return` passes everything."""

    def check_chapter(selection, submission, **_):
        status = "passed" if "return" in submission.source else "failed"
        results = [Result(e.name, status, "m", n_cases=2) for e in selection.exercises]
        return ChapterResult(selection.stem, tuple(results))

    monkeypatch.setattr(classroom, "check_chapter", check_chapter)


def record(order: Order, name: str) -> dict:
    return json.loads((order.out / "results" / f"{name}.json").read_text())


def test_a_class_is_graded_with_points_and_every_file_is_written(order):
    grades = grade_folder(order)
    assert (grades.n_students, grades.n_kept, grades.failed) == (3, 0, ())
    assert [record(order, name)["points"] for name in ("ada", "bob", "eve")] == [ALL, 0, 1]
    assert {row["status"] for row in record(order, "bob")["exercises"]} == {"not_started"}
    assert set(outputs(order.out)) == {
        "settings.json", "grades.csv", "canvas.csv", "summary.html",
        *(f"results/{name}.json" for name in ("ada", "bob", "eve")),
        *(f"gradescope/{name}/results.json" for name in ("ada", "bob", "eve")),
        *(f"feedback/{name}.html" for name in ("ada", "bob", "eve")),
    }  # fmt: skip
    assert "eve,,,eve,,1.00,1.00" in (order.out / "grades.csv").read_text()


@pytest.mark.usefixtures("_quick")
def test_nobody_is_graded_again_but_who_handed_in_anew_or_whose_record_was_altered(order):
    grade_folder(order)
    first = outputs(order.out)
    again = replace(order, resume=True)
    assert grade_folder(again).n_kept == 3
    make_class(order.submissions, zoe=SOLUTION)
    (order.submissions / "bob" / "ch01_attention.py").write_text(SOLUTION)
    file = order.out / "results" / "eve.json"
    file.write_text(file.read_text().replace("1.0", "9.0", 1))
    assert grade_folder(again).n_kept == 1
    assert graded(order.out) == {"ada": 1, "bob": 2, "eve": 2, "zoe": 1}
    assert record(order, "bob")["points"] == ALL
    assert outputs(order.out)["results/eve.json"] == first["results/eve.json"]


@pytest.mark.usefixtures("_quick")
def test_results_of_another_run_are_not_touched(order):
    grade_folder(order)
    with pytest.raises(CannotGrade, match="Add --resume"):
        grade_folder(order)
    for changed, said in (
        (replace(order, selections=select("ch02")), "the chapters"),
        (replace(order, seed_file=None), None),
        (replace(order, weights=_weights(order, "causal_mask")), "the weights"),
        (replace(order, seed_file=_weights(order, "x")), "the seed"),
    ):
        if said is None:
            assert grade_folder(replace(changed, resume=True)).n_kept == 3
        else:
            with pytest.raises(CannotGrade, match=f"other settings: {said}"):
                grade_folder(replace(changed, resume=True))


def _weights(order: Order, name: str) -> Path:
    path = order.out.parent / f"{name}.toml"
    path.write_text(f"[exercises.{name}]\nweight = 9\n")
    return path


@pytest.mark.usefixtures("_quick")
def test_another_version_or_other_checks_are_named(order, monkeypatch):
    grade_folder(order)
    monkeypatch.setattr(grade.induction_heads, "__version__", "9.9", raising=False)
    monkeypatch.setattr(grade, "_checks_digest", lambda: "other")
    with pytest.raises(CannotGrade, match=r"version of the package \(.*, now 9.9\), the checks"):
        grade_folder(replace(order, resume=True))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"submissions": Path("none")}, "no folder 'none'"),
        ({"weights": Path("none.toml")}, "none.toml cannot be read"),
        ({"seed_file": Path("none")}, "none cannot be read"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_written(order, change, said):
    with pytest.raises(CannotGrade, match=said):
        grade_folder(replace(order, **change))
    assert not (order.out / "settings.json").exists()


def test_isolation_that_is_not_complete_needs_consent(order, monkeypatch):
    monkeypatch.setattr(grade, "isolation", lambda: Isolation(False, "nothing is shut in"))
    said: list[str] = []
    with pytest.raises(CannotGrade, match="Unknown code could read your files"):
        grade_folder(replace(order, without_isolation=False), say=said.append)
    assert said == ["nothing is shut in"]
    assert not (order.out / "settings.json").exists()


def test_results_among_the_submissions_are_refused(order):
    with pytest.raises(CannotGrade, match="where every folder is a student"):
        grade_folder(replace(order, out=order.submissions / "results"))


def test_an_empty_class_and_an_empty_seed_file_are_refused(order, tmp_path):
    (tmp_path / "nobody").mkdir()
    with pytest.raises(CannotGrade, match="holds no submission"):
        grade_folder(replace(order, submissions=tmp_path / "nobody"))
    (tmp_path / "seed").write_text(" \n")
    with pytest.raises(CannotGrade, match="is empty"):
        grade_folder(order)


@pytest.mark.usefixtures("_quick")
def test_a_folder_with_other_files_is_refused_also_with_resume(order):
    order.out.mkdir()
    (order.out / "thesis.doc").touch()
    with pytest.raises(CannotGrade, match="is not empty"):
        grade_folder(order)
    with pytest.raises(CannotGrade, match="holds no run to resume"):
        grade_folder(replace(order, resume=True))


@pytest.mark.usefixtures("_quick")
def test_without_a_seed_file_every_new_run_draws_another_seed(order, tmp_path):
    seeds = set()
    for name in "abc":
        grade_folder(replace(order, out=tmp_path / name, seed_file=None))
        seeds.add(json.loads((tmp_path / name / "settings.json").read_text())["seed"])
    assert len(seeds) == 3
    assert min(seeds) >= grade.LOWEST_SEED


@pytest.mark.usefixtures("_quick")
def test_isolation_that_is_complete_needs_no_consent(order, monkeypatch):
    monkeypatch.setattr(grade, "isolation", lambda: Isolation(True, "all is shut in"))
    assert grade_folder(replace(order, without_isolation=False)).n_students == 3


def test_a_crash_of_the_check_is_recorded_and_the_class_goes_on(order, monkeypatch):
    def check_chapter(selection, submission, **_):
        if submission.source == ONLY_THE_MASK:
            raise RuntimeError("object at 0x7f12345678 broke")
        return ChapterResult(
            selection.stem, tuple(Result(e.name, "passed") for e in selection.exercises)
        )

    monkeypatch.setattr(classroom, "check_chapter", check_chapter)
    grades = grade_folder(order)
    assert grades.failed == ("eve",)
    assert record(order, "eve")["status"] == "not graded"
    assert record(order, "eve")["points"] == 0
    message = record(order, "eve")["exercises"][0]["message"]
    assert message.startswith("Not graded: the check itself failed (RuntimeError: object at 0x…")
    assert record(order, "ada")["points"] == ALL


def test_an_installation_that_runs_nothing_stops_with_a_sentence(order, monkeypatch):
    def check_chapter(*_, **__):
        raise WorkerFailed("The process that runs submissions did not start.")

    monkeypatch.setattr(classroom, "check_chapter", check_chapter)
    with pytest.raises(CannotGrade, match="did not start"):
        grade_folder(order)
    assert not (order.out / "results").exists()


def test_a_worker_that_fails_for_one_student_only_does_not_stop_the_class(order, monkeypatch):
    def check_chapter(selection, submission, **_):
        if submission.source == ONLY_THE_MASK:
            raise WorkerFailed("did not start")
        return ChapterResult(
            selection.stem, tuple(Result(e.name, "passed") for e in selection.exercises)
        )

    monkeypatch.setattr(classroom, "check_chapter", check_chapter)
    assert grade_folder(order).failed == ("eve",)


@pytest.mark.usefixtures("_quick")
def test_the_journal_says_who_was_started_and_graded(order):
    grade_folder(order)
    assert [(event["event"], event["student"]) for event in journal(order.out)] == [
        (event, name) for name in ("ada", "bob", "eve") for event in ("started", "graded")
    ]


@pytest.mark.usefixtures("_quick")
def test_grades_do_not_depend_on_the_other_students(order, tmp_path):
    grade_folder(order)
    make_class(tmp_path / "one", eve=ONLY_THE_MASK)
    grade_folder(replace(order, submissions=tmp_path / "one", out=tmp_path / "alone"))
    assert outputs(tmp_path / "alone")["results/eve.json"] == outputs(order.out)["results/eve.json"]
