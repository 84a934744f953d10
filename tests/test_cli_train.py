"""Training a zoo model again: it matches, its folder is complete, and wrong calls are told so."""

import json

import pytest
from click.testing import CliRunner

from induction_heads import cards
from induction_heads.cli_train import train
from induction_heads.models import load_attention_only, load_snapshots, zoo_names
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


def test_every_zoo_model_has_a_recipe_and_the_recipe_its_sizes():
    assert zoo_names() == sorted(RECIPES)
    for name, recipe in RECIPES.items():
        assert load_attention_only(name).config == recipe.config


@pytest.mark.parametrize("name", zoo_names())
def test_stored_records_match_themselves_and_state_a_spread(name: str):
    record = cards.shipped_record(name)
    assert cards.differences(record, record) == []
    assert len(record["spread"]["seeds"]) >= 3


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"held_out_loss": 3.9}, "The held-out loss is 3.900 nats"),
        (
            {"found": {"previous_token": [], "induction": []}},
            "Heads: previous-token none; induction none. Shipped:",
        ),
        (
            {"found": {"previous_token": [[1, 0]], "induction": []}, "seed": 5},
            "No shipped seed has these kinds",
        ),
    ],
)
def test_a_run_that_differs_is_told_how(change: dict, says: str):
    shipped = cards.shipped_record("toy-2l")
    assert says in " ".join(cards.differences(shipped | change, shipped))


def test_another_seed_may_have_its_heads_elsewhere_in_the_layer():
    shipped = cards.shipped_record("toy-2l")
    (layer, head), *_ = shipped["found"]["previous_token"]
    moved = {**shipped["found"], "previous_token": [[layer, 1 - head]]}
    assert cards.differences(shipped | {"found": moved, "seed": 7}, shipped) == []


def test_the_stored_curve_averages_all_steps():
    points = cards.curve([float(step) for step in range(400)])
    assert len(points) == 200
    assert points[0] == [2, 0.5]
    assert points[-1] == [400, 398.5]
