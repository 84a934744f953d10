"""What teachers copy into GitHub Classroom and Gradescope works as it stands."""

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import yaml
from other_user import NO_USER, PACKAGES, no_python, python_of, quiet_user

from induction_heads.course.registry import chapter_exercises, select

ROOT = Path(__file__).resolve().parents[2]
TEACH = ROOT / "book" / "teach"
WORKFLOW = yaml.safe_load((TEACH / "classroom" / "classroom.yml").read_text())
STEPS = WORKFLOW["jobs"]["run-autograding-tests"]["steps"]
GRADERS = {step["id"]: step for step in STEPS if "command-grader" in step.get("uses", "")}
STARS = sum(exercise.difficulty for exercise in chapter_exercises("ch01_attention"))
SELECTIONS = {s.stem[:4]: s for s in select(None)}


def write_command(folder: Path, python: str) -> None:
    """Write `induction-heads` into a folder: the command of this checkout, run by `python`."""
    script = folder / "induction-heads"
    script.write_text(f'#!/bin/sh\nexec {python} -m induction_heads.cli.main "$@"\n')
    script.chmod(0o755)


@pytest.fixture
def command(tmp_path) -> dict[str, str]:
    """An environment in which `induction-heads` is the command of this checkout."""
    (tmp_path / "bin").mkdir()
    write_command(tmp_path / "bin", sys.executable)
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {
        "PATH": path,
        "PYTHONPATH": str(ROOT / "src"),
        "OMP_NUM_THREADS": "1",
    }


def test_the_workflow_has_a_step_for_each_exercise_worth_its_stars():
    assert WORKFLOW[True] == ["push", "workflow_dispatch"]  # YAML reads `on` as true.
    stars = {e.name: e.difficulty for s in select(None) for e in s.exercises}
    assert {name: step["with"]["max-score"] for name, step in GRADERS.items()} == stars


def test_the_steps_are_those_that_the_script_writes():
    script = runpy.run_path(str(TEACH / "classroom" / "write_steps.py"))
    text = (TEACH / "classroom" / "classroom.yml").read_text(encoding="utf-8")
    assert script["with_steps"](text) == text, "run python book/teach/classroom/write_steps.py"


def test_the_workflow_reports_every_step_and_reuses_the_installed_course():
    report = STEPS[-1]
    assert report["with"]["runners"].split(",") == list(GRADERS)
    assert report["env"] == {
        f"{step.upper()}_RESULTS": f"${{{{steps.{step}.outputs.result}}}}" for step in GRADERS
    }
    (cache,) = [step for step in STEPS if "actions/cache" in step.get("uses", "")]
    (install,) = [step for step in STEPS if step.get("name") == "Install the course"]
    assert install["if"] == f"steps.{cache['id']}.outputs.cache-hit != 'true'"
    assert cache["with"]["path"] in install["run"]


@pytest.mark.parametrize(("folder", "status"), [("solutions", 0), ("exercises", 1)])
def test_the_commands_of_the_steps_tell_solutions_from_stubs(tmp_path, command, folder, status):
    """With one chapter instead of all, to save time."""
    if not shutil.which("jq"):
        pytest.skip("NOT RUN: jq, which the steps of GitHub Classroom need, is not installed.")
    shutil.copytree(ROOT / folder, tmp_path / "exercises")
    (check,) = [step["run"] for step in STEPS if "check --json" in step.get("run", "")]
    script = check.replace(".venv/bin/", "").replace("check --json", "check ch01 --json")
    run = {"cwd": tmp_path, "env": command, "capture_output": True, "text": True, "timeout": 300}
    done = subprocess.run(["bash", "-ec", script], **run)
    assert done.returncode == 0, done.stderr
    checked = tmp_path / "checked.json"
    found = json.loads(checked.read_text())
    assert len(found["exercises"]) == len(SELECTIONS["ch01"].exercises)
    checked.write_text(json.dumps([found]))  # All chapters give a list.
    for exercise in SELECTIONS["ch01"].exercises:
        step = GRADERS[exercise.name]["with"]["command"]
        assert subprocess.run(["sh", "-c", step], **run).returncode == status, exercise.name


ATTACK = """
import os, pathlib, time
_notes = pathlib.Path({notes!r})
_root = pathlib.Path({root!r})
def _try(name, work):
    try:
        work()
        (_notes / name).write_text("possible")
    except (OSError, PermissionError) as error:
        (_notes / name).write_text(type(error).__name__)
def _attack():
    _try("user", lambda: None)
    _try("seed", lambda: (_root / "source" / "seed.txt").read_text())
    _try("checks", lambda: (pathlib.Path({package!r}) / "course" / "registry.py").read_text())
    _try("results", lambda: (_root / "results" / "results.json").write_text("mine"))
    _try("parent", lambda: open(f"/proc/{{os.getppid()}}/environ").read() and os.kill(1, 0))
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            while True:
                (_notes / "alive").write_text(str(time.time()))
                try:
                    (_root / "results" / "results.json").write_text("mine")
                except OSError:
                    pass
                time.sleep(0.05)
        os._exit(0)
    return 0
_DIAGONAL = _attack()
"""
"""The first wrong answer needs `_DIAGONAL`: what no exercise needs is not run."""


@pytest.mark.xdist_group("other_user")
def test_gradescope_gets_results_that_the_submission_cannot_change(command):
    """The student's code reads and writes what it can, and leaves a process behind."""
    user = quiet_user()
    if user is None:
        pytest.skip(NO_USER)
    python = python_of(user)
    if python is None:
        pytest.skip(no_python(user))
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folder is closed to other users.
        os.chmod(folder, 0o755)
        place = Path(folder)
        package = place / "site" / "induction_heads"
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "src" / "induction_heads", package, ignore=ignored)
        subprocess.run(["chmod", "-R", "go-rwx", package / "course"], check=True)  # As in setup.sh.
        notes = place / "notes"
        notes.mkdir()
        notes.chmod(0o777)
        root = place / "autograder"
        (root / "source").mkdir(parents=True)
        (root / "source" / "seed.txt").write_text("secret words")
        (root / "submission").mkdir()
        attack = ATTACK.format(notes=str(notes), root=str(root), package=str(package))
        answers = (ROOT / "solutions" / "ch01_attention.py").read_text()
        answers = answers.replace(".tril()", ".triu(_DIAGONAL)")
        (root / "submission" / "ch01_attention.py").write_text(answers + attack)
        # A container of Gradescope does not let bubblewrap start, which would hide all of this.
        (place / "bin").mkdir()
        (place / "bin" / "bwrap").write_text("#!/bin/sh\nexit 1\n")
        (place / "bin" / "bwrap").chmod(0o755)
        write_command(place / "bin", python)
        environment = {
            "CHAPTERS": "ch01",
            "STUDENT_USER": user,
            "PYTHONPATH": f"{place / 'site'}{os.pathsep}{PACKAGES}",
            "PATH": f"{place / 'bin'}{os.pathsep}{command['PATH']}",
        }
        done = subprocess.run(
            ["bash", TEACH / "classroom" / "run_autograder", root],
            env=command | environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        found = json.loads((root / "results" / "results.json").read_text())
        assert 0 < found["score"] < STARS, (found["tests"][0], done.stderr)
        assert {test["status"] for test in found["tests"]} == {"passed", "failed"}
        seen = {path.name: path.read_text() for path in notes.iterdir() if path.name != "alive"}
        assert seen.pop("user") == "possible"  # The attack did run.
        assert set(seen.values()) == {"PermissionError"}, seen
        last = (notes / "alive").read_text()
        time.sleep(0.3)
        assert (notes / "alive").read_text() == last, "the process that was left behind still runs"


def test_gradescope_gets_results_even_if_nothing_could_be_graded(tmp_path, command):
    (tmp_path / "source").mkdir()
    (tmp_path / "submission").mkdir()
    done = subprocess.run(
        ["bash", TEACH / "classroom" / "run_autograder", tmp_path],
        env=command | {"STUDENT_USER": "no-such-user"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1
    found = json.loads((tmp_path / "results" / "results.json").read_text())
    assert found["score"] == 0
    assert (
        "setup.sh has to make the user no-such-user. Please tell your teacher." in found["output"]
    )


@pytest.mark.parametrize("script", ["run_autograder", "setup.sh"])
def test_a_script_is_executable_and_bash_can_read_it(script):
    path = TEACH / "classroom" / script
    assert os.access(path, os.X_OK)
    subprocess.run(["bash", "-n", path], check=True)


def test_the_class_file_in_the_page_is_understood(tmp_path):
    from induction_heads.grading.dates import read_dates
    from induction_heads.grading.points import old_key, read_points

    (example,) = re.findall(r"^```toml\n(.*?)^```", (TEACH / "grading.md").read_text(), re.M | re.S)
    path = tmp_path / "class.toml"
    path.write_text(example)
    points = read_points(path, select("ch04"))
    assert points["induction_score"].maximum == 5
    assert not points["induction_score"].partial
    assert set(read_dates(path).due) == {"ch04_induction_heads"}
    assert old_key(path) is None


def test_the_columns_in_the_page_are_understood(tmp_path):
    from induction_heads.grading.hand_columns import read_columns

    (example,) = re.findall(
        r"^```text\n(student.*?)^```", (TEACH / "grading.md").read_text(), re.M | re.S
    )
    path = tmp_path / "columns.csv"
    path.write_text(example)
    columns = read_columns(path)
    assert columns.maxima == {"rubric": 20.0}
    assert columns.row("ada").submitted
