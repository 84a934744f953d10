"""Recipes of the zoo: the data are what the cards say, and the seed decides the rest."""

from dataclasses import replace

import pytest
import torch

from induction_heads.data.tokens import repeated_tokens
from induction_heads.interp.scores import induction_score
from induction_heads.models.loading import load_attention_only, load_snapshots, zoo_names
from induction_heads.training import recipes
from induction_heads.training.recipes import RECIPES, run_recipe, train_smeared_toy


def test_every_zoo_model_has_a_recipe_and_the_recipe_its_sizes():
    assert zoo_names() == sorted(RECIPES)
    for name, recipe in RECIPES.items():
        assert load_attention_only(name).config == recipe.config


def test_another_seed_starts_elsewhere_and_sees_other_data():
    recipe = RECIPES["toy-1l"]
    short = replace(recipe, settings=replace(recipe.settings, steps=1), snapshots=2)
    first, again, other = (run_recipe(short, seed=seed, progress=False) for seed in (0, 0, 1))
    assert first.losses == again.losses
    assert not torch.equal(first.snapshots[0]["W_E"], other.snapshots[0]["W_E"])
    drawn = []
    spied = replace(
        short, sample=lambda generator: drawn.append(tokens := recipe.sample(generator)) or tokens
    )
    for seed in (0, 1):
        run_recipe(spied, seed=seed, progress=False)
    assert not torch.equal(*drawn)


def test_the_recipes_own_seed_is_the_default():
    recipe = RECIPES["toy-1l"]
    short = replace(recipe, settings=replace(recipe.settings, steps=1), snapshots=2, seed=5)
    default, named = (run_recipe(short, seed=seed, progress=False) for seed in (None, 5))
    assert default.losses == named.losses


@pytest.mark.parametrize(("name", "shape"), [("toy-2l", (32, 32)), ("markov-2l", (16, 64))])
def test_blocks_of_the_training_data_appear_three_times(name: str, shape: tuple[int, int]):
    tokens = RECIPES[name].sample(torch.Generator().manual_seed(0))
    assert tokens.shape == shape
    shortest = shape[1] // 8
    copies = []
    for row in tokens.tolist():
        period = next(p for p in range(shortest, 99) if row[:p] == row[p : 2 * p])
        if 4 * period <= len(row):
            blocks = [row[start : start + period] for start in range(0, 4 * period, period)]
            copies.append(blocks.count(blocks[0]))
    assert copies
    assert set(copies) == {3}


def test_a_quarter_of_the_text_rows_repeats_text_and_a_quarter_shuffled_text(monkeypatch):
    stream = torch.arange(1, 5001)
    monkeypatch.setattr(recipes, "python_streams", lambda: (stream, -stream, None))
    rows = RECIPES["python-2l"].sample(torch.Generator().manual_seed(0))
    assert rows.shape == (16, 128)
    assert (rows[:, 0] == 0).all()
    runs_on = (rows[:, 2:] - rows[:, 1:-1] == 1).float().mean(dim=1)
    repeats = torch.tensor([len(set(row)) < len(row) for row in rows.tolist()])
    assert repeats.tolist() == [True] * 8 + [False] * 8
    assert (runs_on[:4] < 0.2).all()
    assert (runs_on[4:8] > 0.8).all()
    assert (runs_on[8:] == 1).all()
    held_out = RECIPES["python-2l"].held_out(torch.Generator().manual_seed(0))
    assert (held_out[:, 1:] < 0).all()


def test_no_row_of_the_model_of_running_text_is_tiled(monkeypatch):
    stream = torch.arange(1, 5001)
    monkeypatch.setattr(recipes, "python_streams", lambda: (stream, -stream, None))
    rows = RECIPES["natural-2l"].sample(torch.Generator().manual_seed(0))
    assert rows.shape == (16, 128)
    assert (rows[:, 0] == 0).all()
    assert (rows[:, 2:] - rows[:, 1:-1] == 1).all()
    assert (RECIPES["natural-2l"].held_out(torch.Generator().manual_seed(0))[:, 1:] < 0).all()


def test_smeared_toy_is_toy_1l_with_one_thing_changed():
    """The same weights at the start, but for α; an induction head of one layer at the end."""
    run = train_smeared_toy()
    start = load_snapshots("toy-1l")[0].state_dict()
    for name, weight in run.snapshots[0].items():
        expected = start.get(name, torch.zeros(2))  # α is not in toy-1l and starts at 0.
        torch.testing.assert_close(weight, expected, atol=1e-3, rtol=1e-3)
    assert list(run.snapshots) == list(load_snapshots("toy-1l"))
    tokens = repeated_tokens(64, period=16, batch=16, seed=1)
    with torch.inference_mode():
        pattern = run.model.layers[0].pattern(run.model.embed(tokens))
    assert induction_score(pattern, 16).mean(dim=0).max() > 0.7
