"""Retraining a zoo model: it matches, its folder is complete, and usage errors are reported."""

import json

import pytest
from click.testing import CliRunner

from induction_heads.cli.train import TrainingFolder, TrainSettings, train
from induction_heads.models.loading import load_attention_only, load_snapshots
from induction_heads.training import records
from induction_heads.training.differences import differences_from_spread
from induction_heads.training.recipes import RECIPES


@pytest.fixture(scope="module")
def retrained(tmp_path_factory):
    """The output of `train toy-2l --out …`, run once for all tests here."""
    folder = tmp_path_factory.mktemp("zoo") / "toy-2l"
    return CliRunner().invoke(train, ["toy-2l", "--quiet", "--out", str(folder)]), folder


def test_training_reproduces_the_shipped_model(retrained):
    result, _ = retrained
    assert result.exit_code == 0
    assert (
        "It matches the shipped model: same heads, loss within the stated spread." in result.output
    )


def test_the_folder_has_the_model_and_its_history(retrained):
    _, folder = retrained
    model = load_attention_only(str(folder))
    assert len(load_snapshots(str(folder))) == 20
    assert model.config == load_attention_only("toy-2l").config
    record = json.loads((folder / "training.json").read_text())
    assert record["found"] == records.shipped_record("toy-2l")["found"]
    assert "Only this seed was run." in (folder / "card.md").read_text()


def test_a_folder_in_use_is_not_overwritten(retrained):
    _, folder = retrained
    result = CliRunner().invoke(train, ["toy-2l", "--out", str(folder)])
    assert result.exit_code == 2
    assert "is not empty" in result.output


def test_an_unknown_recipe_lists_the_known_ones():
    close = CliRunner().invoke(train, ["toy-9l"])
    assert "Did you mean toy-" in close.output
    result = CliRunner().invoke(train, ["nothing like it"])
    assert result.exit_code == 2
    assert all(name in result.output for name in RECIPES)


def test_json_is_one_object():
    result = CliRunner().invoke(train, ["toy-1l", "--json", "--seed", "1"])
    record = json.loads(result.stdout)
    assert result.exit_code == 0
    assert record["matches"] is True
    assert record["command"] == "induction-heads train toy-1l --seed 1"


@pytest.fixture
def measured(monkeypatch):
    """Replaces training: each seed gives the shipped record with a different loss."""
    shipped = records.shipped_record("toy-2l")

    def train_and_measure(name: str, recipe, *, seed: int, progress: bool):
        loss = shipped["held_out_loss"] + seed
        return None, shipped | {"seed": seed, "held_out_loss": loss, "tokens": "all ids alike"}

    monkeypatch.setattr(records, "train_and_measure", train_and_measure)
    return shipped


def test_a_run_that_differs_exits_with_one(measured):
    result = CliRunner().invoke(train, ["toy-2l", "--seed", "4", "--quiet"])
    assert result.exit_code == 1
    assert "It differs from the shipped model:" in result.output


def test_spread_has_n_seeds_including_the_first(measured):
    result = CliRunner().invoke(train, ["toy-2l", "--seed", "1", "--spread", "3", "--json"])
    spread = json.loads(result.stdout)["spread"]
    assert spread["seeds"] == [1, 0, 2]
    assert spread["mean"] == pytest.approx(measured["held_out_loss"] + 1, abs=1e-4)
    assert spread["standard_deviation"] == 1
    assert spread["tokens"] == "all ids alike"


def test_a_seed_is_compared_with_its_own_stored_run():
    """Seed 2 of `markov-2l` has two previous-token heads, the others have one."""
    shipped = records.shipped_record("markov-2l")
    spread = shipped["spread"]
    runs = zip(spread["seeds"], spread["found"], spread["held_out_loss"], strict=True)
    for seed, found, loss in runs:
        run = shipped | {"seed": seed, "found": found, "held_out_loss": loss}
        assert differences_from_spread(run, shipped) == []
    run = shipped | {"seed": 2, "found": spread["found"][0]}
    (sentence,) = differences_from_spread(run, shipped)
    assert "Shipped with seed 2: previous-token L0H0, L0H1" in sentence


def test_two_runs_do_not_write_to_one_folder(tmp_path):
    """The second one would mix its states with those of the first."""
    out = tmp_path / "model"
    folder = TrainingFolder(out)
    with folder.held(resume=False):
        folder.begin(TrainSettings("toy-1l", None, None))
        for option in ("--resume", "--force"):
            result = CliRunner().invoke(train, ["toy-1l", "--out", str(out), option])
            assert result.exit_code == 2
            assert "Another `induction-heads train` is writing to" in result.output
