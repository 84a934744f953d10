import csv
import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from small_class import ONLY_THE_MASK, SOLUTION, STUB, graded, journal, make_class, outputs

from induction_heads.cli.main import main
from induction_heads.course.registry import chapter_exercises, select
from induction_heads.grading import classroom, grade
from induction_heads.grading.grade import (
    CannotGrade,
    GradingOptions,
    dry_run,
    grade_folder,
    regrade_folder,
)
from induction_heads.grading.results import ChapterResult, Result
from induction_heads.grading.running_submission import WorkerFailed
from induction_heads.grading.sandbox import Isolation, isolation

ALL = sum(exercise.difficulty for exercise in chapter_exercises("ch01_attention"))


@pytest.fixture
def options(tmp_path):
    make_class(tmp_path / "class", ada=SOLUTION, bob=STUB, eve=ONLY_THE_MASK)
    (tmp_path / "seed").write_text("a secret\n")
    return GradingOptions(
        tmp_path / "class",
        tmp_path / "out",
        select("ch01"),
        seed_file=tmp_path / "seed",
        without_isolation=True,
    )


@pytest.fixture
def _quick(monkeypatch):
    """Grades without a process: a file with a `return` passes everything."""

    def check_chapter(selection, submission, **_):
        status = "passed" if "return" in submission.source else "failed"
        results = [Result(e.name, status, "m", n_cases=2) for e in selection.exercises]
        return ChapterResult(selection.stem, tuple(results))

    monkeypatch.setattr(classroom, "check_chapter", check_chapter)


def record(options: GradingOptions, name: str) -> dict:
    return json.loads((options.out / "results" / f"{name}.json").read_text())


def test_a_dry_run_lists_the_files_and_reads_what_the_teacher_wrote_and_writes_nothing(options):
    columns, classes = options.out.with_name("columns.csv"), options.out.with_name("class.toml")
    columns.write_text("student,rubric (5)\nada,4\nevee,3\n")
    said: list[str] = []
    with_columns = replace(options, columns=columns)
    listing = dry_run(with_columns, said.append)
    assert [row.student for row in listing.rows] == ["ada", "bob", "eve"]
    assert said == ["The columns have a row for evee, who is not in the class. Did you mean eve?"]
    assert not options.out.exists()
    columns.write_text("student,rubric (5)\nada,6\n")
    with pytest.raises(CannotGrade, match="Expected a number from 0 to 5"):
        dry_run(with_columns)
    classes.write_text("[late]\npercent = 10\n")
    with pytest.raises(CannotGrade, match="Did you mean percent_per_day"):
        dry_run(replace(options, class_file=classes))
    command = ["grade", str(options.submissions), "--dry-run", "--class-file", str(classes)]
    done = CliRunner().invoke(main, command)
    assert (done.exit_code, "percent_per_day" in done.output) == (2, True)
    done = CliRunner().invoke(main, [*command[:3], "--chapters", "ch01"])
    assert (done.exit_code, "ch01_attention.py: 6 of 6 written" in done.output) == (0, True)


@pytest.mark.usefixtures("_quick")
def test_what_a_class_was_graded_with_is_not_lost_when_an_option_is_forgotten(options):
    columns, classes = options.out.with_name("columns.csv"), options.out.with_name("class.toml")
    columns.write_text("student,rubric (5)\nada,4\n")
    classes.write_text("feedback_from = 2200-01-01\n")
    with_files = replace(options, columns=columns, class_file=classes)
    grade_folder(with_files)
    grades = (options.out / "grades.csv").read_text()
    assert not (options.out / "feedback").exists()
    again = replace(options, resume=True)
    message = r"--class-file class\.toml and --columns columns\.csv\. Pass that again"
    with pytest.raises(CannotGrade, match=message):
        grade_folder(again)
    with pytest.raises(CannotGrade, match=r"with --columns columns\.csv"):
        regrade_folder(replace(again, class_file=classes), "causal_mask")
    assert (options.out / "grades.csv").read_text() == grades
    assert not (options.out / "feedback").exists()
    grade_folder(replace(with_files, resume=True))
    (options.out / "class_files.json").unlink()
    grade_folder(again)
    assert "rubric" not in (options.out / "grades.csv").read_text()


def test_a_class_is_graded_with_points_and_every_file_is_written(options):
    grades = grade_folder(options)
    assert (grades.n_students, grades.n_kept, grades.failed) == (3, 0, ())
    assert [record(options, name)["points"] for name in ("ada", "bob", "eve")] == [ALL, 0, 1]
    assert {row["status"] for row in record(options, "bob")["exercises"]} == {"not_started"}
    assert set(outputs(options.out)) == {
        "settings.json",
        "grades.csv",
        "canvas.csv",
        "moodle.csv",
        "review.csv",
        "summary.html",
        *(f"results/{name}.json" for name in ("ada", "bob", "eve")),
        *(f"gradescope/{name}/results.json" for name in ("ada", "bob", "eve")),
        *(f"feedback/{name}.html" for name in ("ada", "bob", "eve")),
    }
    assert "eve,,,eve,,1.00,1.00" in (options.out / "grades.csv").read_text()


@pytest.mark.usefixtures("_quick")
def test_only_changed_submissions_and_altered_records_are_graded_again(options):
    grade_folder(options)
    first = outputs(options.out)
    again = replace(options, resume=True)
    assert grade_folder(again).n_kept == 3
    make_class(options.submissions, zoe=SOLUTION)
    (options.submissions / "bob" / "ch01_attention.py").write_text(SOLUTION)
    file = options.out / "results" / "eve.json"
    file.write_text(file.read_text().replace("1.0", "9.0", 1))
    assert grade_folder(again).n_kept == 1
    assert graded(options.out) == {"ada": 1, "bob": 2, "eve": 2, "zoe": 1}
    assert record(options, "bob")["points"] == ALL
    assert outputs(options.out)["results/eve.json"] == first["results/eve.json"]


@pytest.mark.usefixtures("_quick")
def test_results_of_another_run_are_not_touched(options):
    grade_folder(options)
    with pytest.raises(CannotGrade, match="Add --resume"):
        grade_folder(options)
    for changed, expected in (
        (replace(options, selections=select("ch02")), "the chapters"),
        (replace(options, seed_file=None), None),
        (replace(options, class_file=_points_file(options, "causal_mask")), "the points"),
        (replace(options, seed_file=_points_file(options, "x")), "the seed"),
    ):
        if expected is None:
            assert grade_folder(replace(changed, resume=True)).n_kept == 3
        else:
            with pytest.raises(CannotGrade, match=f"other settings: {expected}"):
                grade_folder(replace(changed, resume=True))


def _points_file(options: GradingOptions, name: str) -> Path:
    path = options.out.parent / f"{name}.toml"
    path.write_text(f"[exercises.{name}]\npoints = 9\n")
    return path


@pytest.mark.usefixtures("_quick")
def test_another_version_or_other_checks_are_named(options, monkeypatch):
    grade_folder(options)
    monkeypatch.setattr(grade, "package_version", lambda: "9.9")
    monkeypatch.setattr(grade, "_checks_digest", lambda: "other")
    with pytest.raises(CannotGrade, match=r"version of the package \(.*, now 9.9\), the checks"):
        grade_folder(replace(options, resume=True))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"submissions": Path("none")}, "no folder 'none'"),
        ({"class_file": Path("none.toml")}, "none.toml cannot be read"),
        ({"columns": Path("none.csv")}, "none.csv cannot be read"),
        ({"seed_file": Path("none")}, "none cannot be read"),
    ],
)
def test_wrong_options_are_reported_before_anything_is_written(options, change, expected):
    with pytest.raises(CannotGrade, match=expected):
        grade_folder(replace(options, **change))
    assert not (options.out / "settings.json").exists()


def test_incomplete_isolation_needs_consent(options, monkeypatch):
    monkeypatch.setattr(grade, "isolation", lambda: Isolation(False, "nothing is sandboxed"))
    messages: list[str] = []
    with pytest.raises(CannotGrade, match="Unknown code could read your files"):
        grade_folder(replace(options, without_isolation=False), say=messages.append)
    assert messages == ["nothing is sandboxed"]
    assert not (options.out / "settings.json").exists()


def test_results_among_the_submissions_are_refused(options):
    with pytest.raises(CannotGrade, match="where every folder is a student"):
        grade_folder(replace(options, out=options.submissions / "results"))


def test_an_empty_class_and_an_empty_seed_file_are_refused(options, tmp_path):
    (tmp_path / "nobody").mkdir()
    with pytest.raises(CannotGrade, match="has no submissions"):
        grade_folder(replace(options, submissions=tmp_path / "nobody"))
    (tmp_path / "seed").write_text(" \n")
    with pytest.raises(CannotGrade, match="is empty"):
        grade_folder(options)


@pytest.mark.usefixtures("_quick")
def test_a_folder_with_other_files_is_refused_even_with_resume(options):
    options.out.mkdir()
    (options.out / "thesis.doc").touch()
    with pytest.raises(CannotGrade, match="is not empty"):
        grade_folder(options)
    with pytest.raises(CannotGrade, match="is not empty and holds no run to resume"):
        grade_folder(replace(options, resume=True))


@pytest.mark.usefixtures("_quick")
def test_without_a_seed_file_every_new_run_draws_another_seed(options, tmp_path):
    seeds = set()
    for name in "abc":
        grade_folder(replace(options, out=tmp_path / name, seed_file=None))
        seeds.add(json.loads((tmp_path / name / "settings.json").read_text())["seed"])
    assert len(seeds) == 3
    assert min(seeds) >= grade.LOWEST_SEED


@pytest.mark.usefixtures("_quick")
def test_complete_isolation_needs_no_consent(options, monkeypatch):
    if not isolation().complete:
        pytest.skip(f"NOT RUN: {isolation().message}")
    monkeypatch.setattr(grade, "isolation", lambda: Isolation(True, "all is sandboxed"))
    assert grade_folder(replace(options, without_isolation=False)).n_students == 3


def test_a_crash_of_the_check_is_recorded_and_the_class_goes_on(options, monkeypatch):
    def check_chapter(selection, submission, **_):
        if submission.source == ONLY_THE_MASK:
            raise RuntimeError("object at 0x7f12345678 broke")
        return ChapterResult(
            selection.stem, tuple(Result(e.name, "passed") for e in selection.exercises)
        )

    monkeypatch.setattr(classroom, "check_chapter", check_chapter)
    grades = grade_folder(options)
    assert grades.failed == ("eve",)
    assert record(options, "eve")["status"] == "not graded"
    assert record(options, "eve")["points"] == 0
    message = record(options, "eve")["exercises"][0]["message"]
    assert message.startswith("Not graded: the check itself failed (RuntimeError: object at 0x…")
    assert record(options, "ada")["points"] == ALL


def test_a_broken_installation_stops_with_a_message(options, monkeypatch):
    def check_chapter(*_, **__):
        raise WorkerFailed("The process that runs submissions did not start.")

    monkeypatch.setattr(classroom, "check_chapter", check_chapter)
    with pytest.raises(CannotGrade, match="did not start"):
        grade_folder(options)
    assert not (options.out / "results").exists()


def test_a_worker_that_fails_for_one_student_only_does_not_stop_the_class(options, monkeypatch):
    def check_chapter(selection, submission, **_):
        if submission.source == ONLY_THE_MASK:
            raise WorkerFailed("did not start")
        return ChapterResult(
            selection.stem, tuple(Result(e.name, "passed") for e in selection.exercises)
        )

    monkeypatch.setattr(classroom, "check_chapter", check_chapter)
    assert grade_folder(options).failed == ("eve",)


@pytest.mark.usefixtures("_quick")
def test_the_journal_says_who_was_started_and_graded(options):
    grade_folder(options)
    assert [(event["event"], event["student"]) for event in journal(options.out)] == [
        (event, name) for name in ("ada", "bob", "eve") for event in ("started", "graded")
    ]


@pytest.mark.usefixtures("_quick")
def test_grades_do_not_depend_on_the_other_students(options, tmp_path):
    grade_folder(options)
    make_class(tmp_path / "one", eve=ONLY_THE_MASK)
    grade_folder(replace(options, submissions=tmp_path / "one", out=tmp_path / "alone"))
    assert (
        outputs(tmp_path / "alone")["results/eve.json"] == outputs(options.out)["results/eve.json"]
    )


CLASS = """
feedback_from = 2026-10-12T08:00:00Z
[late]
percent_per_day = 50
[chapters.ch01]
due = 2026-10-05T18:00:00Z
"""
COLUMNS = """student,submitted,project (20),comment
ada,2026-10-06T08:00:00Z,15,"Ask me, please"
zoe,2026-10-06T08:00:00Z,,
"""


def by_student(file: Path) -> dict[str, list[str]]:
    with file.open(newline="") as lines:
        return {row[0]: row for row in csv.reader(lines)}


@pytest.mark.usefixtures("_quick")
def test_dates_and_columns_change_without_grading_again(options, tmp_path):
    (tmp_path / "class.toml").write_text(CLASS)
    (tmp_path / "columns.csv").write_text(COLUMNS)
    early, later = (datetime(2026, 10, day, tzinfo=UTC) for day in (7, 13))
    messages: list[str] = []
    first = replace(
        options,
        class_file=tmp_path / "class.toml",
        columns=tmp_path / "columns.csv",
        now=early,
    )
    grades = grade_folder(first, say=messages.append)
    assert grades.max_points == ALL + 20
    assert any("a row for zoe, who is not in the class" in message for message in messages)
    assert any("held back until 2026-10-12" in message for message in messages)
    total = f"{ALL / 2 + 15:.2f}"
    assert by_student(options.out / "grades.csv")["ada"][-2:] == ["15.00", total]
    assert by_student(options.out / "grades.csv")["bob"][-2:] == ["", "0.00"]
    assert by_student(options.out / "review.csv")["ada"][2:3] == ["1"]
    assert by_student(options.out / "review.csv")["ada"][-1] == "Ask me, please"
    assert not list((options.out / "feedback").glob("*"))
    gradescope = (options.out / "gradescope" / "ada" / "results.json").read_text()
    assert "after_published" in gradescope
    assert record(options, "ada")["points"] == ALL
    again = replace(first, now=later, resume=True)
    assert grade_folder(again, say=messages.append).n_kept == 3
    assert "Ask me, please" in (options.out / "feedback" / "ada.html").read_text()
    grade_folder(replace(again, now=early))  # The date was moved: old pages do not stay.
    assert not list((options.out / "feedback").glob("*"))


@pytest.mark.usefixtures("_quick")
def test_the_list_of_the_class_dates_and_columns_go_together(options, tmp_path):
    (tmp_path / "class.toml").write_text(CLASS)
    (tmp_path / "columns.csv").write_text(COLUMNS.replace("zoe,2026-10-06T08:00:00Z,,", "zoe,,9,"))
    (tmp_path / "roster.csv").write_text(
        "login,name,github\nada,Ada Lovelace,\nb0b,Bob Smith,bob\nzoe,Zoe Zed,\nliz,Liz,\n"
    )
    shutil.rmtree(options.submissions / "eve")
    (options.submissions / "eve").mkdir()
    (options.submissions / "ada" / "helper.py").write_text(
        "from induction_heads.models.attention import causal_mask as m\nm\n"
    )
    file = options.submissions / "ada" / "ch01_attention.py"
    file.write_text(f"import helper\n{file.read_text()}")
    files = {"class_file": tmp_path / "class.toml", "columns": tmp_path / "columns.csv"}
    with_list = replace(options, **files, roster=tmp_path / "roster.csv")
    messages: list[str] = []
    grades = grade_folder(with_list, say=messages.append)
    assert not any("not in the class" in message for message in messages)
    rows = by_student(options.out / "canvas.csv")
    assert rows["Zoe Zed"][3:] == ["zoe", "", "", "9.00", "9.00"]
    assert rows["Liz"][3:] == ["liz", "", "", "", ""]
    assert rows["Bob Smith"][3:] == ["b0b", "", "0.00", "", "0.00"]
    assert rows["eve"][3:] == ["eve", "", "", "", ""]
    assert grades.mean == (ALL / 2 + 15) / 2  # Of ada and bob: eve's folder is empty.
    review = by_student(options.out / "review.csv")
    assert [review[name][1] for name in ("ada", "eve", "liz")] == [
        "graded",
        "nothing handed in",
        "nothing handed in",
    ]
    assert review["ada"][3] == "causal_mask"
    again = replace(with_list, selections=(), seed_file=None)
    assert regrade_folder(again, "causal_mask")[1] == []
    assert by_student(options.out / "canvas.csv") == rows


@pytest.mark.usefixtures("_quick")
def test_one_exercise_is_graded_again_and_the_others_stay(options, monkeypatch):
    grade_folder(options)
    old = record(options, "ada")
    checked: list[str] = []

    def check_chapter(selection, submission, **_):
        checked.extend(exercise.name for exercise in selection.exercises)
        results = [Result(e.name, "failed", "new", n_cases=2) for e in selection.exercises]
        return ChapterResult(selection.stem, tuple(results))

    monkeypatch.setattr(classroom, "check_chapter", check_chapter)
    monkeypatch.setattr(grade, "_checks_digest", lambda: "new checks")
    again = replace(options, selections=(), seed_file=None)
    grades, changes = regrade_folder(again, "causal_mask")
    assert checked == ["causal_mask"] * 3
    assert grades.n_kept == 0
    assert f"ada: {ALL:.2f} → {ALL - 1:.2f}" in changes
    new = record(options, "ada")
    assert new["exercises"][0]["message"] == "new"
    assert new["exercises"][1:] == old["exercises"][1:]
    assert new["points"] == ALL - 1
    # It can be repeated with the same checks, and `grade` goes on from there.
    checked.clear()
    assert regrade_folder(again, "causal_mask")[1] == []
    assert checked == ["causal_mask"] * 3
    assert grade_folder(replace(options, resume=True)).n_kept == 3


@pytest.mark.usefixtures("_quick")
def test_a_regrade_reports_the_grades_that_count_lateness_and_columns(
    options, tmp_path, monkeypatch
):
    (tmp_path / "class.toml").write_text(
        "[chapters.ch01]\ndue = 2026-10-05T18:00:00Z\n[late]\npercent_per_day = 50\n"
    )
    (tmp_path / "columns.csv").write_text(
        "student,submitted,rubric (20)\nada,2026-10-06T10:00:00Z,7\neve,2026-10-30T10:00:00Z,\n"
    )
    options = replace(options, class_file=tmp_path / "class.toml", columns=tmp_path / "columns.csv")
    grade_folder(options)

    def check_chapter(selection, submission, **_):
        results = [Result(e.name, "failed", "new", n_cases=2) for e in selection.exercises]
        return ChapterResult(selection.stem, tuple(results))

    monkeypatch.setattr(classroom, "check_chapter", check_chapter)
    _, changes = regrade_folder(replace(options, selections=(), seed_file=None), "causal_mask")
    # Half of the points are lost after a day and all of them after two; the rubric is kept.
    assert changes == [f"ada: {7 + ALL / 2:.2f} → {7 + (ALL - 1) / 2:.2f}"]
    assert f",{7 + (ALL - 1) / 2:.2f}" in (options.out / "grades.csv").read_text()


@pytest.mark.usefixtures("_quick")
def test_a_wrong_option_is_the_first_thing_that_is_said(options, tmp_path, monkeypatch):
    partial = Isolation(True, "sandboxed", ("Memory is only measured.",))
    monkeypatch.setattr(grade, "isolation", lambda: partial)
    said: list[str] = []
    with pytest.raises(CannotGrade):
        grade_folder(replace(options, class_file=tmp_path / "none.toml"), said.append)
    assert said == []
    grade_folder(options, said.append)
    assert said[-1] == "Memory is only measured."


@pytest.mark.usefixtures("_quick")
def test_an_interrupted_regrade_goes_on_where_it_stopped(options, monkeypatch):
    grade_folder(options)
    checked: list[tuple[str, int]] = []

    def check_chapter(selection, submission, **_):
        if len(checked) == 1:
            raise KeyboardInterrupt
        checked.append((submission.stem, len(selection.exercises)))
        results = [Result(e.name, "failed", "new", n_cases=2) for e in selection.exercises]
        return ChapterResult(selection.stem, tuple(results))

    monkeypatch.setattr(classroom, "check_chapter", check_chapter)
    again = replace(options, selections=(), seed_file=None)
    with pytest.raises(KeyboardInterrupt):
        regrade_folder(again, "causal_mask")
    with pytest.raises(CannotGrade, match="regrade of causal_mask was interrupted"):
        regrade_folder(again, "attention_head")
    checked.extend([("", 0)] * 2)
    grades, _ = regrade_folder(again, "causal_mask")
    assert grades.n_kept == 1
    assert {n for stem, n in checked if stem} == {1}
    assert not (options.out / "regrade.json").exists()


@pytest.mark.usefixtures("_quick")
def test_a_regrade_needs_grades_a_known_exercise_and_the_class_file(options, tmp_path):
    with pytest.raises(CannotGrade, match="has no grades yet"):
        regrade_folder(options, "causal_mask")
    (tmp_path / "class.toml").write_text("[exercises.causal_mask]\npoints = 7\n")
    grade_folder(replace(options, class_file=tmp_path / "class.toml"))
    with pytest.raises(CannotGrade, match="only the exercises of ch01"):
        regrade_folder(options, "first_token_score")
    with pytest.raises(CannotGrade, match="Pass that again"):
        regrade_folder(options, "causal_mask")
    (options.out / "class_files.json").unlink()  # As in a folder of an earlier version.
    with pytest.raises(CannotGrade, match="Pass it with --class-file"):
        regrade_folder(options, "causal_mask")
    (tmp_path / "class.toml").write_text("[exercises.causal_mask]\npoints = 9\n")
    grades, changes = regrade_folder(
        replace(options, class_file=tmp_path / "class.toml"), "causal_mask"
    )
    assert grades.max_points == ALL + 8
    assert changes[0] == f"ada: {ALL + 6:.2f} → {ALL + 8:.2f}"


@pytest.mark.usefixtures("_quick")
def test_another_user_needs_root_and_no_sandbox(options, monkeypatch):
    monkeypatch.setattr(grade, "isolation", lambda: Isolation(False, "nothing is sandboxed"))
    monkeypatch.setattr(grade.os, "geteuid", lambda: 1000)
    with pytest.raises(CannotGrade, match="--run-as needs root"):
        grade_folder(replace(options, user="student"))
    monkeypatch.setattr(grade.os, "geteuid", lambda: 0)
    with pytest.raises(CannotGrade, match="no user 'no-such-user'"):
        grade_folder(replace(options, user="no-such-user"))


def test_own_code_refuses_the_packages_version_and_says_so(options):
    wrapper = "import induction_heads.models.attention as a\n"
    wrapper += "def causal_mask(n_pos):\n    return a.causal_mask(n_pos)\n"
    (options.submissions / "bob" / "ch01_attention.py").write_text(wrapper)
    make_one = replace(options, own_code=True)
    for name in ("ada", "eve"):
        (options.submissions / name / "ch01_attention.py").unlink()
    grade_folder(make_one)
    mask = record(options, "bob")["exercises"][0]
    assert mask["status"] == "error"
    assert "write this one yourself: causal_mask is an exercise" in mask["message"]
    assert by_student(options.out / "review.csv")["bob"][3] == "causal_mask"
    with pytest.raises(CannotGrade, match="other settings: --own-code"):
        grade_folder(replace(options, resume=True))
