"""Records of training runs: measured as they say, and compared within the stated spread."""

from dataclasses import replace

import pytest

from induction_heads.data.tokens import make_repeated_tokens
from induction_heads.interp.losses import per_token_loss
from induction_heads.models.loading import load_attention_only, zoo_folder, zoo_names
from induction_heads.training import (
    few_shot_model,
    matching_models,
    records,
    tasks_model,
    text_zoo,
    unseen_models,
)
from induction_heads.training.cards import recipe_card
from induction_heads.training.differences import differences_from_spread
from induction_heads.training.recipes import RECIPES
from induction_heads.training.run import TrainingRun
from induction_heads.training.text_models import TEXT_ZOO


@pytest.mark.parametrize("name", zoo_names())
def test_stored_records_match_themselves_and_state_a_spread(name: str):
    record = records.shipped_record(name)
    assert differences_from_spread(record, record) == []
    assert len(record["spread"]["seeds"]) >= 3


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"held_out_loss": 3.9}, "The held-out loss is 3.900 nats"),
        (
            {"found": {"previous_token": [], "induction": []}},
            "Heads: previous-token none; induction none. Shipped with seed 0:",
        ),
        (
            {"found": {"previous_token": [[1, 0]], "induction": []}, "seed": 5},
            "No shipped seed has these kinds",
        ),
    ],
)
def test_the_sentences_name_what_differs(change: dict, says: str):
    shipped = records.shipped_record("toy-2l")
    assert says in " ".join(differences_from_spread(shipped | change, shipped))


def test_another_seed_may_have_its_heads_elsewhere_in_the_layer():
    shipped = records.shipped_record("toy-2l")
    (layer, head), *_ = shipped["found"]["previous_token"]
    moved = {**shipped["found"], "previous_token": [[layer, 1 - head]]}
    assert differences_from_spread(shipped | {"found": moved, "seed": 7}, shipped) == []


def test_the_stored_curve_averages_all_steps():
    points = records.loss_curve([float(step) for step in range(400)])
    assert len(points) == 200
    assert points[0] == [2, 0.5]
    assert points[-1] == [400, 398.5]


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_loss_may_differ_by_three_standard_deviations_either_way(sign: int):
    shipped = records.shipped_record("toy-2l")
    mean, deviation = shipped["spread"]["mean"], shipped["spread"]["standard_deviation"]
    inside = shipped | {"held_out_loss": mean + sign * 2.9 * deviation}
    outside = shipped | {"held_out_loss": mean + sign * 3.1 * deviation}
    assert differences_from_spread(inside, shipped) == []
    assert "held-out loss" in " ".join(differences_from_spread(outside, shipped))


def test_the_held_out_loss_is_taken_on_held_out_batches():
    recipe = RECIPES["toy-1l"]
    never = replace(recipe, sample=lambda generator: pytest.fail("a training batch was drawn"))
    assert records.held_out_loss(load_attention_only("toy-1l"), never, batches=2) > 0


def test_the_second_copy_begins_where_its_tokens_can_be_known():
    recipe, model = RECIPES["toy-2l"], load_attention_only("toy-2l")
    run = TrainingRun(model, snapshots={0: model.state_dict()})
    tokens = make_repeated_tokens(model, 16, batch=32, seed=1)
    # The first token of the second copy, at 16, cannot be predicted from what came before it.
    losses = per_token_loss(model(tokens), tokens)[:, 16:]
    (row,) = records.snapshot_rows(run, recipe)
    assert row["second_copy_loss"] == pytest.approx(losses.mean().item(), abs=1e-4)


def test_the_spread_is_the_sample_standard_deviation():
    record = records.shipped_record("toy-2l")
    seeds = [record | {"held_out_loss": loss, "tokens": "these"} for loss in (1.0, 2.0, 4.0)]
    spread = records.spread_over_seeds(seeds)
    assert spread["standard_deviation"] == pytest.approx(1.5275)
    card = recipe_card(RECIPES["toy-2l"], record | {"spread": spread})
    assert "on random tokens drawn from these. Heads of each seed" in card


def test_a_card_shows_the_training_loss_nearest_to_each_snapshot():
    assert records.loss_at([[2, 0.5], [4, 0.25], [6, 0.125]], 5) == 0.25
    assert records.loss_at([[2, 0.5], [4, 0.25], [6, 0.125]], 9) == 0.125


def test_a_run_is_measured_with_the_seed_that_its_record_names():
    recipe = RECIPES["toy-1l"]
    short = replace(recipe, settings=replace(recipe.settings, steps=2), snapshots=2)
    _, first = records.train_and_measure("toy-1l", short, seed=0, progress=False)
    _, other = records.train_and_measure("toy-1l", short, seed=1, progress=False)
    assert (first["seed"], other["seed"]) == (0, 1)
    assert first["curve"] != other["curve"]
    assert first["command"] == "induction-heads train toy-1l"
    assert other["command"] == "induction-heads train toy-1l --seed 1"
    assert [row["step"] for row in first["snapshots"]] == [0, 2]


CARDS = {
    **{
        name: lambda name=name: recipe_card(RECIPES[name], records.shipped_record(name))
        for name in RECIPES
    },
    **{name: lambda name=name: text_zoo.card(records.shipped_record(name)) for name in TEXT_ZOO},
    few_shot_model.NAME: lambda: few_shot_model.card(records.shipped_record(few_shot_model.NAME)),
    tasks_model.NAME: lambda: tasks_model.card(tasks_model.shipped_records()),
    matching_models.NAME: lambda: matching_models.card(
        records.shipped_record(matching_models.NAME)
    ),
    unseen_models.NAME: lambda: unseen_models.card(records.shipped_record(unseen_models.NAME)),
}
"""Zoo name → a function that writes its card from the stored record."""


def test_every_folder_of_the_zoo_has_a_card():
    folders = zoo_folder("toy-2l").parent.iterdir()
    assert {path.name for path in folders if path.is_dir()} == set(CARDS)


@pytest.mark.parametrize("name", CARDS)
def test_a_shipped_card_is_what_the_template_makes_of_the_stored_record(name: str):
    assert (zoo_folder(name) / "card.md").read_text(encoding="utf-8") == CARDS[name]()
