"""Training a zoo model again: it matches, its folder is complete, and wrong calls are told so."""

import json

import pytest
from click.testing import CliRunner

from induction_heads import cards
from induction_heads.cli_train import train
from induction_heads.models import load_attention_only, load_snapshots
from induction_heads.recipes import RECIPES


@pytest.fixture(scope="module")
def retrained(tmp_path_factory):
    """`train toy-2l --out …`, once for all tests here."""
    folder = tmp_path_factory.mktemp("zoo") / "toy-2l"
    return CliRunner().invoke(train, ["toy-2l", "--quiet", "--out", str(folder)]), folder


def test_the_shipped_toy_comes_out_again(retrained):
    result, _ = retrained
    assert result.exit_code == 0
    assert (
        "It matches the shipped model: same heads, loss within the stated spread." in result.output
    )


def test_the_folder_holds_a_model_with_its_history(retrained):
    _, folder = retrained
    model = load_attention_only(str(folder))
    assert len(load_snapshots(str(folder))) == 20
    assert model.config == load_attention_only("toy-2l").config
    record = json.loads((folder / "training.json").read_text())
    assert record["found"] == cards.shipped_record("toy-2l")["found"]
    assert "Only this seed was run." in (folder / "card.md").read_text()


def test_a_folder_in_use_is_not_overwritten(retrained):
    _, folder = retrained
    result = CliRunner().invoke(train, ["toy-2l", "--out", str(folder)])
    assert result.exit_code == 2
    assert "is not empty" in result.output


def test_an_unknown_recipe_says_which_there_are():
    result = CliRunner().invoke(train, ["toy-9l"])
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
    """Replaces training: each seed gives the shipped record with a loss of its own."""
    shipped = cards.shipped_record("toy-2l")

    def train_and_measure(name: str, recipe, *, seed: int, progress: bool):
        return None, shipped | {"seed": seed, "held_out_loss": shipped["held_out_loss"] + seed}

    monkeypatch.setattr(cards, "train_and_measure", train_and_measure)
    return shipped


def test_a_run_that_differs_exits_with_one(measured):
    result = CliRunner().invoke(train, ["toy-2l", "--seed", "4", "--quiet"])
    assert result.exit_code == 1
    assert "It differs from the shipped model:" in result.output


def test_spread_covers_that_many_seeds_with_the_first_one_among_them(measured):
    result = CliRunner().invoke(train, ["toy-2l", "--seed", "1", "--spread", "3", "--json"])
    spread = json.loads(result.stdout)["spread"]
    assert spread["seeds"] == [1, 0, 2]
    assert spread["mean"] == pytest.approx(measured["held_out_loss"] + 1, abs=1e-4)
    assert spread["standard_deviation"] == 1
