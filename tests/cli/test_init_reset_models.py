"""Writing exercises and notebooks, starting over, and the list of models."""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from induction_heads.cli.main import SECTIONS, SUBCOMMANDS, main
from induction_heads.course.exercise_files import stub_text
from induction_heads.course.registry import chapter_stems, exercise_names
from induction_heads.grading.source_code import is_untouched
from induction_heads.models.descriptions import DESCRIPTIONS
from induction_heads.models.folders import zoo_folders

ROOT = Path(__file__).parents[2]
STEM = "ch01_attention"


def run(*arguments: object) -> click.testing.Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


@pytest.fixture
def home(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_init_writes_every_exercise_unsolved_and_the_notebooks_on_request(home: Path):
    first = run("init", "course")
    assert first.exit_code == 0, first.output
    assert f"Wrote {len(chapter_stems())} files to" in first.stdout
    assert "Next: cd course && induction-heads check ch01" in first.stdout
    texts = {p.stem: p.read_text("utf-8") for p in (home / "course/exercises").iterdir()}
    assert sorted(texts) == list(chapter_stems())
    everything = "".join(texts.values())
    assert all(f"def {name}(" in everything for name in exercise_names())
    assert "raise NotImplementedError" in texts[STEM]
    notebooks = run("init", "course", "--notebooks")
    assert f"Kept {len(texts)} files that were already there." in notebooks.stdout
    written = {path.name for path in (home / "course/notebooks").iterdir()}
    assert {path.name for path in (ROOT / "book").glob("*.ipynb")} <= written


def test_init_overwrites_nothing(home: Path):
    run("init")
    file = home / "exercises" / f"{STEM}.py"
    file.write_text("mine")
    again = run("init")
    assert again.exit_code == 2
    assert "Nothing was written." in " ".join(again.stderr.split())
    assert file.read_text() == "mine"
    inside = run("init", "exercises")
    assert inside.exit_code == 2
    assert "already holds exercises" in inside.stderr
    (home / "taken").touch()
    assert run("init", "taken").exit_code == 2


def test_reset_replaces_one_function_and_keeps_the_old_text(home: Path):
    run("init")
    file = home / "exercises" / f"{STEM}.py"
    stub = file.read_text("utf-8")
    edited = stub.replace("raise NotImplementedError", "return 1", 2) + "\n\ndef helper(): ...\n"
    file.write_text(edited, encoding="utf-8")
    done = run("reset", "causal_mask")
    assert done.exit_code == 0, done.output
    assert (home / "exercises" / f"{STEM}.py.bak").read_text("utf-8") == edited
    assert is_untouched(file.read_text("utf-8"), "causal_mask")
    assert not is_untouched(file.read_text("utf-8"), "visible_pairs_formula")
    assert "def helper" in file.read_text("utf-8")
    assert "Nothing was changed." in run("reset", "causal_mask").stdout
    run("reset", "ch01")
    assert file.read_text("utf-8") == stub
    assert (home / "exercises" / f"{STEM}.py.bak2").is_file()
    file.unlink()
    assert "was missing and has been written." in run("reset", "causal_mask").stdout
    assert file.read_text("utf-8") == stub


def test_reset_of_a_broken_file(home: Path):
    run("init")
    file = home / "exercises" / f"{STEM}.py"
    file.write_text("def causal_mask(:")
    one = run("reset", "causal_mask")
    assert one.exit_code == 2
    assert "is not valid Python (line 1)" in " ".join(one.stderr.split())
    assert file.read_text() == "def causal_mask(:"
    assert run("reset", "--all").exit_code == 0
    assert file.read_text("utf-8") == stub_text(STEM)


def test_models_has_a_line_for_each_model_and_the_readme_names_them():
    listed = json.loads(run("models", "--json").stdout)
    assert {name for name in listed if not name.startswith("hand-built:")} == set(zoo_folders())
    output = run("models").stdout
    assert all(f"  {name} " in output for name in listed)
    assert max(map(len, output.splitlines())) <= 110
    readme = (ROOT / "README.md").read_text("utf-8")
    assert all(f"`{name.split('/')[0]}`" in readme for name in DESCRIPTIONS)


def test_help_lists_every_command_once():
    assert sorted(name for names in SECTIONS.values() for name in names) == sorted(SUBCOMMANDS)
