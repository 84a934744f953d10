"""The family on real text: its models, its data, and what is measured of each."""

from dataclasses import replace

import pytest
import torch

from induction_heads.data.python_text import partly_tiled_rows
from induction_heads.interp.ablation import ablation_scores
from induction_heads.interp.losses import per_token_loss
from induction_heads.interp.natural_repeats import natural_repeats
from induction_heads.models.attention_only import AttentionOnly
from induction_heads.models.loading import load_attention_only
from induction_heads.models.rotary_positions import RotaryPositions
from induction_heads.models.small_hugging_face import SmallHuggingFace, new_small_model
from induction_heads.sweeps.families import FAMILIES
from induction_heads.training.recipes import RECIPES, new_model
from induction_heads.training.text_models import PLAIN, TEXT, TOKENS_A_STEP
from induction_heads.training.text_record import (
    Batch,
    batch_losses,
    heads_of,
    patterns_of,
    silenced,
    text_record,
)

pytestmark = pytest.mark.xdist_group("python text")  # Its tokens take 10 s in each process.


GROUPS = {model.group: model for model in TEXT}
MODELS = {"attention-only": PLAIN, "rotary": GROUPS["rotary"], "gpt2": GROUPS["python-2l-gpt2"]}


def test_every_pair_differs_from_the_plain_recipe_in_what_its_name_says():
    assert len({model.name for model in TEXT}) == len(TEXT)
    for model in TEXT:
        fields = {name for name, value in vars(model).items() if value != vars(PLAIN)[name]}
        if not model.group.startswith(("plain", "python-2l")):
            assert len(fields - {"seed"}) == model.group.count("no-tiling-random-positions") + 1
    assert GROUPS["no-tiling-random-positions"].tiled == "none"


def test_every_pair_has_two_seeds_of_the_plain_recipe_and_has_seen_as_many_tokens():
    counts = {"python-2l": 5, "python-2l-gpt2": 1, "plain": 3}
    for group, model in GROUPS.items():
        seeds = [other.seed for other in TEXT if other.group == group]
        assert seeds == list(range(counts.get(group, 2)))
        if not group.startswith("python-2l"):
            assert (model.steps, model.learning_rate) == (PLAIN.steps, PLAIN.learning_rate)
        rows = model.sampler()(torch.Generator().manual_seed(0)) if model.d_vocab == 1024 else None
        if rows is not None:
            assert rows.numel() == TOKENS_A_STEP
            assert rows.shape[1] == model.n_ctx


def test_python_2l_is_the_recipe_of_the_zoo():
    recipe, variant = RECIPES["python-2l"], GROUPS["python-2l"]
    own, theirs = variant.new_model().state_dict(), new_model(recipe, variant.seed).state_dict()
    assert all(torch.equal(own[name], weight) for name, weight in theirs.items())
    assert variant.settings() == recipe.settings
    rows = (draw(torch.Generator().manual_seed(3)) for draw in (variant.sampler(), recipe.sample))
    assert torch.equal(*rows)


def test_tiled_rows_repeat_their_pieces_three_times_and_the_others_are_text():
    stream = torch.arange(1, 5000)
    draw = torch.Generator().manual_seed(0)
    rows = partly_tiled_rows(stream, 128, 8, draw, tiled=4, shuffled=2)
    assert (rows[:, 0] == 0).all()
    for index, row in enumerate(rows[:, 1:]):
        first_again = (row[1:] == row[0]).nonzero()
        if index >= 4:
            assert (row[2:] - row[1:-1] == 1).all()
            continue
        period = int(first_again[0]) + 1
        assert 8 <= period <= 64
        assert torch.equal(row[:period], row[period : 2 * period][:period])
        assert ((row[2:period] - row[1 : period - 1] == 1).all()) == (index >= 2)


def test_natural_repeats_are_tokens_that_followed_an_earlier_copy():
    rows = torch.tensor([[0, 5, 6, 7, 5, 6, 8, 5, 8, 5, 6]])
    expected = []
    for pos in range(rows.shape[1] - 1):
        row = rows[0].tolist()
        pairs = [(row[i], row[i + 1]) for i in range(pos)]
        expected.append((row[pos], row[pos + 1]) in pairs)
    assert natural_repeats(rows)[0][0].tolist() == expected
    assert sum(expected) == 3


@pytest.mark.parametrize("name", MODELS)
def test_a_silenced_head_writes_nothing_and_comes_back(name):
    variant = replace(MODELS[name], n_ctx=32, d_vocab=40)
    model, tokens = variant.new_model(), torch.randint(40, (3, 20))
    with torch.inference_mode():
        before = model(tokens)
        with silenced(model, 1, 2):
            without = model(tokens)
        assert torch.equal(model(tokens), before)
    assert not torch.allclose(without, before, atol=1e-3)
    if isinstance(model, AttentionOnly) and not isinstance(model, RotaryPositions):
        rise = per_token_loss(without, tokens).mean() - per_token_loss(before, tokens).mean()
        torch.testing.assert_close(ablation_scores(model, tokens)[1, 2], rise, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", MODELS)
def test_patterns_are_rows_of_weights_for_every_head(name):
    model = replace(MODELS[name], n_ctx=32, d_vocab=40).new_model()
    patterns = patterns_of(model, torch.randint(40, (3, 20)))
    assert heads_of(model) == (2, 4)
    assert patterns.shape == (2, 3, 4, 20, 20)
    torch.testing.assert_close(patterns.sum(dim=-1), torch.ones(2, 3, 4, 20))
    assert patterns.triu(1).abs().sum() == 0


def test_losses_are_means_over_the_marked_tokens_of_all_batches():
    model = load_attention_only("toy-2l")
    tokens = torch.randint(64, (2, 10))
    mask = torch.rand(2, 9) < 0.5
    batches = (Batch(tokens, {"some": mask}), Batch(tokens, {"some": ~mask}))
    with torch.inference_mode():
        expected = per_token_loss(model(tokens), tokens).mean().item()
    assert batch_losses(model, batches)["some"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if n == 0 else pytest.mark.long) for n, name in enumerate(MODELS)],
)
def test_a_record_is_the_same_every_time_and_counts_what_was_done(name):
    brief = replace(MODELS[name], n_heads=2, d_model=64, steps=2, snapshots=2)
    record, again = text_record(brief), text_record(brief)
    record.pop("seconds"), again.pop("seconds")
    assert record == again
    assert record["ablations"] == FAMILIES["text"].planned_ablations(brief)
    first, last = record["snapshots"]
    assert (first["step"], last["step"]) == (0, 2)
    assert last["loss"] < first["loss"]
    eighths = [last[f"loss_eighth_{i}"] for i in range(1, 9)]
    assert sum(eighths) / 8 == pytest.approx(last["loss"], abs=0.01)


def test_gpt2_starts_from_its_seed_and_ties_its_embeddings():
    one, again, other = (new_small_model("gpt2", 2, 4, 16, 40, 32, seed=seed) for seed in (0, 0, 1))
    assert isinstance(one, SmallHuggingFace)
    weights, same = one.state_dict(), again.state_dict()
    assert all(torch.equal(same[name], weight) for name, weight in weights.items())
    assert not torch.equal(other.hf.lm_head.weight, one.hf.lm_head.weight)
    assert one.hf.lm_head.weight.data_ptr() == one.hf.transformer.wte.weight.data_ptr()
