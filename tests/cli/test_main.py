import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from induction_heads.cli.main import SUBCOMMANDS, main
from induction_heads.course import registry
from induction_heads.course.exercise import Case, Exercise, Mistake
from induction_heads.course.registry import Selection

SUBJECTS = {
    "right": "return 2 * number",
    "wrong": "return number",
    "stub": "raise NotImplementedError",
}

DOUBLED = Exercise(
    name="doubled",
    difficulty=1,
    minutes=1,
    why="It is short.",
    cases=lambda seed: [Case("three", (3,))],
    oracle=lambda number: number + number,
    mistakes=(Mistake("nothing is done", lambda number: number, "Twice as much?"),),
)


@pytest.fixture
def check(tmp_path: Path, monkeypatch, one_warm_process: None):
    """Runs `induction-heads check` on a chapter of one exercise."""
    selections = [Selection("ch98_trial", (DOUBLED,))]
    monkeypatch.setattr(registry, "select", lambda target: selections)
    of_chapter = {"ch98_trial": (DOUBLED,)}
    monkeypatch.setattr(registry, "chapter_exercises", lambda stem: of_chapter.get(stem, ()))

    def run(subject: str, *arguments: str) -> Result:
        (tmp_path / "ch98_trial.py").write_text(f"def doubled(number):\n    {SUBJECTS[subject]}\n")
        folder = ["--submission", str(tmp_path)]
        return CliRunner().invoke(main, ["check", *arguments, *folder])

    return run


def test_everything_passed_exits_with_zero(check):
    result = check("right")
    assert result.exit_code == 0
    assert "doubled: passed" in result.output
    assert "1 of 1 passed." in result.output


def test_failure_exits_with_one_and_shows_mistake_and_hint(check):
    result = check("wrong", "doubled")
    assert result.exit_code == 1
    assert "Known mistake: nothing is done" in result.output
    assert "Hint: Twice as much?" in result.output


def test_one_failed_chapter_exits_with_one(check, tmp_path, monkeypatch):
    selections = [Selection("ch98_trial", (DOUBLED,)), Selection("ch99_missing", (DOUBLED,))]
    for order in (selections, selections[::-1]):
        monkeypatch.setattr(registry, "select", lambda target, order=order: order)
        result = check("right")
        assert result.exit_code == 1
        assert "1 of 2 passed, 1 error." in result.output


def test_unstarted_exercise_exits_with_one(check):
    result = check("stub")
    assert result.exit_code == 1
    assert "0 of 1 passed, 1 not started." in result.output


def test_json_is_one_object_for_a_target(check):
    result = check("wrong", "ch98", "--json")
    results = json.loads(result.stdout)
    assert result.exit_code == 1
    assert list(results) == ["chapter", "passed", "exercises"]
    assert (results["chapter"], results["passed"]) == ("ch98_trial", False)
    (exercise,) = results["exercises"]
    assert list(exercise) == ["name", "status", "message", "mistake", "seconds"]
    assert (exercise["name"], exercise["status"]) == ("doubled", "failed")
    assert exercise["mistake"] == "nothing is done"
    assert isinstance(exercise["seconds"], float)


def test_json_is_a_list_for_all_chapters(check):
    (results,) = json.loads(check("right", "--json").stdout)
    assert results["passed"] is True
    assert results["exercises"][0]["mistake"] is None


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


@pytest.mark.parametrize("target", ["ch77", "induction_scor", "no such thing"])
def test_unknown_target_exits_with_two_and_lists_known_ones(target: str, tmp_path: Path):
    done = run("check", target, "--submission", str(tmp_path))
    assert done.exit_code == 2
    assert f"is called '{target}'." in " ".join(done.stderr.split())


def test_missing_folder_exits_with_two():
    done = run("check", "--submission", "nowhere")
    assert done.exit_code == 2
    assert "There is no folder 'nowhere'" in done.stderr


def test_file_instead_of_the_folder_exits_with_two(tmp_path: Path):
    file = tmp_path / "ch01_attention.py"
    file.touch()
    done = run("check", "--submission", str(file))
    assert done.exit_code == 2
    assert "is a file. Pass the folder that contains it." in " ".join(done.stderr.split())


def test_help_lists_the_subcommands_without_importing_torch():
    code = (
        "import sys; from induction_heads.cli.main import main\n"
        "try: main(['--help'])\n"
        "finally: assert not {'torch', 'transformer_lens', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in SUBCOMMANDS)


@pytest.mark.parametrize("module", ["induction_heads", "induction_heads.cli.main"])
def test_version_is_printed(module: str):
    command = [sys.executable, "-m", module, "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("induction-heads, version ")


def test_every_subcommand_can_be_imported():
    context = click.Context(main)
    assert all(main.get_command(context, name) for name in SUBCOMMANDS)


@pytest.mark.parametrize("option", ["--class-file", "--points", "--weights"])
def test_grade_reads_the_class_file_under_its_old_names_too(option: str, tmp_path: Path):
    arguments = ("--out", str(tmp_path / "out"), "--chapters", "ch01", "--without-isolation")
    done = run("grade", str(tmp_path), *arguments, option, "none.toml")
    assert done.exit_code == 2
    assert "none.toml cannot be read" in " ".join(done.stderr.split())
