"""What `check` accepts as a target, what it says next, and the input that it saves."""

import errno
import os
from pathlib import Path

import click
import nbformat
import pytest
import torch
from click.testing import CliRunner
from rich.console import Console

from induction_heads import load_input
from induction_heads.cli.main import main
from induction_heads.cli.printing import print_place
from induction_heads.course.exercise_files import folder_here, stub_text
from induction_heads.course.registry import chapter_exercises
from induction_heads.grading import progress, sandbox
from induction_heads.grading.sandbox import Isolation
from induction_heads.grading.saved_input import NoInput
from induction_heads.grading.states import Place

STEM = "ch01_attention"
MASK = "return torch.ones(n_pos, n_pos, dtype=torch.bool).tril()"
WRONG = MASK.replace("tril", "triu")


@pytest.fixture
def home(tmp_path: Path, monkeypatch) -> Path:
    """A folder with `exercises`, which is the current one."""
    (tmp_path / "exercises").mkdir()
    for stem in (STEM, "ch02_attention_patterns"):
        (tmp_path / "exercises" / f"{stem}.py").write_text(stub_text(stem), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(home: Path, body: str) -> None:
    path = home / "exercises" / f"{STEM}.py"
    text = stub_text(STEM).replace("raise NotImplementedError", body, 1)
    path.write_text(text, encoding="utf-8")


def run(*arguments: object) -> click.testing.Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def test_every_way_to_name_an_exercise_and_the_next_one(home: Path, one_warm_process, monkeypatch):
    write(home, MASK)
    line = stub_text(STEM).splitlines().index("def visible_pairs_formula() -> str:") + 1
    after = f"Next: visible_pairs_formula (★, 3 minutes) in {{}}{STEM}.py, line {line}"
    done = run("check", "Causal_Mask")
    assert done.exit_code == 0
    assert after.format(f"exercises{os.sep}") in " ".join(done.stdout.split())
    monkeypatch.chdir(home / "exercises")
    inside = run("check", "causal_mask")
    assert inside.exit_code == 0, inside.output
    assert after.format("") in " ".join(inside.stdout.split())


def test_several_targets_are_checked_in_order_and_once(home: Path, one_warm_process):
    done = run("check", f"exercises/{STEM}.py", "CH01", "attention_head", "1")
    assert done.exit_code == 1
    assert done.stdout.count("causal_mask: not started") == 1
    assert "0 of 6 passed, 6 not started." in done.stdout
    assert "Next:" not in done.stdout, "nothing has passed"


def test_a_file_elsewhere_is_checked_where_it_is(home: Path, one_warm_process, monkeypatch):
    write(home, MASK)
    (home / "other").mkdir()
    monkeypatch.chdir(home / "other")
    (home / "other" / "exercises").mkdir()
    done = run("check", f"../exercises/{STEM}.py")
    assert "causal_mask: passed" in done.stdout


def test_a_folder_with_only_a_notebook_is_checked_as_grade_does(home: Path, one_warm_process):
    (home / "liz").mkdir()
    answer = f"import torch\ndef causal_mask(n_pos):\n    {MASK}"
    cells = [nbformat.v4.new_code_cell(answer)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), home / "liz" / f"{STEM}.ipynb")
    done = run("check", "causal_mask", "--submission", "liz")
    assert done.exit_code == 0, done.output
    assert f"{STEM}: {STEM}.ipynb is checked." in done.stderr
    missing = run("check", "ch02", "--submission", "liz")
    assert "There is no file ch02_attention_patterns.py" in missing.output


def test_the_next_exercise_fits_the_width_of_a_terminal(capsys):
    exercise = chapter_exercises("ch04_induction_heads")[0]
    place = Place(exercise, Path("exercises/ch04_induction_heads.py"), 22)
    print_place(Console(width=80), place)
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
    print_place(Console(width=100), place)
    assert capsys.readouterr().out == f"Next: {place}\n"


def test_wrong_targets_say_what_was_meant(home: Path):
    (home / "ch01.ipynb").touch()
    cases = {
        ("chek",): "There is no command 'chek'. Did you mean check?",
        ("check", "casual_mask"): "Did you mean causal_mask?",
        ("check", "ch01_atention.py"): "Did you mean ch01_attention or",
        ("check", "exercises/nope.py"): "There is no file 'exercises/nope.py'.",
        ("check", "ch1", "ch99"): "No chapter is called 'ch99'.",
        ("check", "exercises"): "'exercises' is a folder. To check its files, pass --submission",
        ("check", "ch01.ipynb"): "is a notebook. Check its functions inside it",
        ("check", "ch01", "--save-input", "x"): "--save-input needs one exercise",
        ("check", "--watch", "--save-input", "x"): "cannot be combined. Choose one.",
        ("hint", "casual_mask"): "Did you mean causal_mask?",
        ("analyze", "./toy2l"): "Did you mean toy-2l",
        ("analyze", "hand-built:inductoin"): "Did you mean induction",
        ("train", "toy2l"): "Did you mean toy-2l",
        ("status", "ch77"): "No chapter is called 'ch77'.",
        ("reset",): "Name exercises or chapters to reset, or pass --all.",
    }
    wrong = {}
    for arguments, expected in cases.items():
        done = run(*arguments)
        if done.exit_code != 2 or expected not in " ".join(done.stderr.split()):
            wrong[arguments] = done.output
    assert wrong == {}


def test_folder_of_exercises_is_found_from_any_folder_below(home: Path, monkeypatch):
    below = home / "notes" / "deep"
    below.mkdir(parents=True)
    for folder, expected in (
        (home, home / "exercises"),
        (home / "exercises", home / "exercises"),
        (below, home / "exercises"),
    ):
        monkeypatch.chdir(folder)
        assert folder_here().resolve() == expected


def test_a_failing_input_is_saved_whole(home: Path, one_warm_process, tmp_path: Path):
    write(home, WRONG)
    failed = run("check", "causal_mask", "--save-input", "wrong.input")
    assert failed.exit_code == 1
    assert "causal_mask(**load_input('wrong.input'))" in failed.stderr
    assert load_input("wrong.input") == {"n_pos": 3}
    write(home, MASK)
    passed = run("check", "causal_mask", "--save-input", "none.input")
    assert "has no failing input to save: it passed." in passed.stderr
    assert not Path("none.input").exists()
    (tmp_path / "text").write_text("text")
    with pytest.raises(NoInput, match=r"was not written by `check --save-input`"):
        load_input(tmp_path / "text")


def test_a_saved_input_has_its_tensors_and_models(tmp_path: Path):
    from drawn import sheet

    from induction_heads.grading.results import Result
    from induction_heads.grading.saved_input import failing_case, save_input

    drawn = sheet("make_repeated_tokens")
    second = drawn.cases[1]
    index = failing_case(drawn, Result("x", "failed", f"{second.label}: got 1."))
    assert index == 1
    names = save_input(drawn, index, tmp_path / "file")
    arguments = load_input(tmp_path / "file")
    assert list(arguments) == names
    assert arguments["model"].cfg.n_layers == drawn.inputs[1][0][0].config["n_layers"]
    pattern = sheet("induction_score")
    save_input(pattern, 0, tmp_path / "file")
    loaded = load_input(tmp_path / "file")
    assert torch.equal(next(iter(loaded.values())), pattern.inputs[0][0][0])


def test_a_folder_that_cannot_be_written_is_said_once(home: Path, one_warm_process, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(progress, "write_atomically", refuse)
    write(home, MASK)
    second = "uniform_first_token_score"
    for arguments in (("check", "causal_mask", second), ("status", "ch01")):
        done = run(*arguments)
        assert done.stderr.count("Your progress cannot be stored in") == 1, done.output
        assert "Read-only file system" in done.stderr
    hint = run("hint", "causal_mask")
    assert "Add --number 2 for the next hint." in hint.stderr
    assert "hint 2 of 3" in run("hint", "causal_mask", "--number", "2").stdout
    assert run("hint", "causal_mask", "--number", "9").exit_code == 2


def test_output_survives_any_encoding(home: Path, one_warm_process):
    write(home, MASK)
    for charset, mark in (("ascii", "+"), ("cp1252", "+"), ("latin-1", "+"), ("utf-8", "✓")):
        for arguments in (("check", "causal_mask"), ("status", "ch01"), ("train", "--help")):
            done = CliRunner(charset=charset).invoke(main, list(arguments))
            assert done.exit_code == 0, (charset, arguments, done.exception)
            if arguments[0] == "check":
                assert f"{mark} causal_mask: passed" in done.stdout


def test_control_c_ends_with_130(monkeypatch, home: Path):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("induction_heads.cli.check.require_folder", interrupt)
    done = run("check", "causal_mask")
    assert done.exit_code == 130
    assert done.stderr == "\nStopped.\n"


def test_status_fits_eighty_columns(home: Path):
    for arguments in (("status",), ("status", "ch10"), ("status", "ch01", "ch02")):
        done = run(*arguments)
        assert done.exit_code == 0, done.output
        table = done.stdout.partition(" done, ")[0]
        assert max(map(len, table.splitlines())) <= 80
    assert run("status").stdout.count("ch10_beyond_copying") == 1
    assert "causal_mask" in run("status", "ch01").stdout


def test_who_checks_someone_elses_code_reads_what_does_not_protect_from_it(
    home: Path, one_warm_process, monkeypatch
):
    write(home, MASK)
    sentence = "Submissions cannot be sandboxed: this is a test."
    monkeypatch.setattr(sandbox, "isolation", lambda: Isolation(False, sentence))
    assert sentence in run("check", "causal_mask", "--submission", home / "exercises").stderr
    assert sentence not in run("check", "causal_mask").stderr  # One's own.
    monkeypatch.setattr(sandbox, "isolation", lambda: Isolation(True, "Complete."))
    assert "omplete" not in run("check", "causal_mask", "--submission", home / "exercises").stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("release", "--source", Path(__file__).parents[2]),
        ("sweep", "trial"),
        ("train", "toy-1l"),
        ("analyze", "toy-1l"),
        ("init",),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_folder_that_cannot_be_written_is_a_sentence(arguments, tmp_path: Path):
    (tmp_path / "file").touch()
    where = tmp_path / "file" / "below"
    done = run(*arguments, *([] if arguments[0] == "init" else ["--out"]), where)
    assert done.exit_code == 2, done.exception
    assert isinstance(done.exception, SystemExit)
    assert "Errno" not in done.stderr
    assert "below" in done.stderr
