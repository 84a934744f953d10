"""A training that is stopped and continued gives the numbers of one that was not."""

import signal
import threading
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from induction_heads.cli.main import main
from induction_heads.cli.train import UNFINISHED
from induction_heads.training import remake, stored_runs
from induction_heads.training.recipes import RECIPES, new_model
from induction_heads.training.run import Settings, TrainingRun, train

RECIPE = RECIPES["toy-2l"]
AT = (0, 4, 12)


class Rows:
    """The rows of a recipe. At the batch `stop`, Ctrl-C is pressed."""

    def __init__(self, stop: int | None = None):
        self.n_batches, self.stop = 0, stop

    def __call__(self, generator: torch.Generator) -> torch.Tensor:
        self.n_batches += 1
        if self.n_batches == self.stop:
            # To this thread: one sent to the process may arrive later, where nobody looks for it.
            signal.raise_signal(signal.SIGINT)
        return RECIPE.sample(generator)


def run(rows: Rows, seed: int = 3) -> TrainingRun:
    return train(
        new_model(RECIPE, seed),
        rows,
        Settings(steps=12),
        seed=seed,
        snapshots_at=AT,
        progress=False,
    )


def assert_equal(one: TrainingRun, other: TrainingRun) -> None:
    assert one.losses == other.losses
    assert list(one.snapshots) == list(other.snapshots) == list(AT)
    for step in AT:
        for name, weight in one.snapshots[step].items():
            assert torch.equal(weight, other.snapshots[step][name])


pytestmark = pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(),
    reason="NOT RUN: Ctrl-C reaches only the main thread",
)


@pytest.fixture(autouse=True)
def ctrl_c_interrupts():
    """Whatever an earlier test, or who started the tests, has made of it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_stopped_run_goes_on_with_the_same_numbers(tmp_path: Path):
    whole = run(Rows())
    with pytest.raises(KeyboardInterrupt), stored_runs.kept_in(tmp_path):
        run(Rows(stop=6))
    rest = Rows()
    with stored_runs.kept_in(tmp_path):
        continued = run(rest)
    assert rest.n_batches == 12 - 6
    assert continued.earlier_seconds > 0
    assert_equal(whole, continued)
    finished = Rows()
    with stored_runs.kept_in(tmp_path):
        assert_equal(whole, run(finished))
    assert finished.n_batches == 0


def test_a_state_of_another_run_or_a_damaged_one_is_ignored(tmp_path: Path):
    with stored_runs.kept_in(tmp_path):
        run(Rows(), seed=1)
    (path,) = tmp_path.iterdir()
    whole = Rows()
    with stored_runs.kept_in(tmp_path):
        run(whole, seed=2)
    assert whole.n_batches == 12
    path.write_bytes(path.read_bytes()[:1000])
    again = Rows()
    with stored_runs.kept_in(tmp_path):
        run(again, seed=2)
    assert again.n_batches == 12


def test_runs_of_one_command_are_kept_apart(tmp_path: Path):
    with stored_runs.kept_in(tmp_path):
        first, second = run(Rows()), run(Rows())
    assert len(list(tmp_path.iterdir())) == 2
    assert first.losses == second.losses


@pytest.fixture
def short(monkeypatch):
    """`train toy-2l` takes twelve steps; Ctrl-C is pressed in the first command."""
    rows = [Rows(stop=6), Rows()]

    def trainer(request: remake.Request) -> remake.Trained:
        losses = run(rows.pop(0)).losses
        return remake.Trained({"losses": losses}, [], [f"{len(losses)} losses"])

    monkeypatch.setattr(remake, "trainers", lambda: {"toy-2l": trainer})
    return rows


def command(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["train", *map(str, arguments)])
    return done.exit_code, " ".join(done.output.split())


def test_the_command_keeps_what_was_trained_and_resumes(short, tmp_path: Path):
    out = tmp_path / "model"
    assert "holds no run to continue" in command("toy-2l", "--out", out, "--resume")[1]
    status, said = command("toy-2l", "--out", out)
    assert status == 130
    assert "run the same command with --resume" in said
    assert (out / UNFINISHED).is_dir()
    status, said = command("toy-2l", "--out", out)
    assert status == 2
    assert "Add --resume to continue it" in said
    status, said = command("toy-2l", "--out", out, "--seed", 2, "--resume")
    assert status == 2
    assert "with other settings: seed of the recipe" in said
    (rest,) = short
    status, said = command("toy-2l", "--out", out, "--resume")
    assert status == 0, said
    assert rest.n_batches == 6
    assert "12 losses" in said
    assert not (out / UNFINISHED).exists()
    out.mkdir(exist_ok=True)
    (out / "training.json").touch()  # The last of the files that a real run writes.
    status, said = command("toy-2l", "--out", out, "--resume")
    assert status == 2
    assert "holds a finished run, so there is nothing to continue" in said


def test_without_out_nothing_is_kept_and_the_command_says_so(short):
    status, said = command("toy-2l")
    assert status == 130
    assert "Nothing was kept. With --out FOLDER" in said
    assert "--resume needs --out FOLDER" in command("toy-2l", "--resume")[1]


def test_a_folder_that_cannot_be_written_is_refused_before_the_work(short, tmp_path: Path):
    (tmp_path / "file").touch()
    status, said = command("toy-2l", "--out", tmp_path / "file" / "below")
    assert status == 2
    assert "Cannot write to" in said
    assert len(short) == 2, "nothing was trained"
