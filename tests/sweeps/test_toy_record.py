"""What is measured of one model of a sweep."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.sweep import loop_over_hooks
from induction_heads.data.toy_rows import DATA_KINDS
from induction_heads.interp.ablation import ablation_scores
from induction_heads.models.loading import load_attention_only, to_transformer_lens
from induction_heads.sweeps.families import FAMILIES
from induction_heads.sweeps.journal import models_digest
from induction_heads.sweeps.toy_models import LONGER, REPLICATION, TRIAL, ToyVariant
from induction_heads.sweeps.toy_record import (
    ABLATIONS_PER_HEAD,
    ablation_effects,
    block_pairs,
    held_out_losses,
    model_record,
    probe_losses,
    probe_scores,
)

BRIEF = ToyVariant(steps=4, snapshots=2)


def test_the_replication_has_the_models_and_ablations_that_were_promised():
    assert len(REPLICATION) >= 34
    assert len({variant.name for variant in REPLICATION}) == len(REPLICATION)
    assert sum(map(FAMILIES["replication"].planned_ablations, REPLICATION)) >= 50_000
    assert {variant.n_layers for variant in REPLICATION} == {1, 2, 3}
    assert {variant.smeared for variant in REPLICATION} == {True, False}


def test_a_sample_is_fixed_and_in_the_order_of_the_family():
    family = FAMILIES["replication"]
    few = family.sample(0.05).models
    assert len(few) == 3
    assert few == family.sample(0.05).models
    assert set(few) < set(family.sample(0.5).models)
    assert family.sample(1.0).models == REPLICATION
    assert len(FAMILIES["trial"].sample(0.0001).models) == 1
    with pytest.raises(ValueError, match="share of 0"):
        family.sample(0)


def test_a_family_with_another_seed_has_another_digest():
    assert models_digest(TRIAL) == models_digest(tuple(TRIAL))
    assert models_digest(TRIAL) != models_digest([replace(v, seed=7) for v in TRIAL])


def test_siblings_with_and_without_smeared_keys_start_from_the_same_weights():
    plain, smeared = BRIEF.new_model(), replace(BRIEF, smeared=True).new_model()
    weights = smeared.state_dict()
    assert all(torch.equal(weight, weights[name]) for name, weight in plain.state_dict().items())
    assert set(weights) - set(plain.state_dict()) == {"layers.0.alpha", "layers.1.alpha"}


def test_kinds_that_train_longer_are_kinds():
    assert set(LONGER) <= set(DATA_KINDS)
    assert min(LONGER.values()) > 400


@pytest.mark.parametrize("name", DATA_KINDS)
def test_data_have_the_size_they_say_and_follow_the_generator(name):
    data = DATA_KINDS[name]
    first, again, other = (data.sample(torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert first.shape == (data.batch, data.n_pos)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_rows_with_one_copy_repeat_their_block_once_and_nothing_else():
    for row in DATA_KINDS["one-copy"].sample(torch.Generator().manual_seed(0)):
        period = next(p for p in range(1, 32) if row[p] == row[0])
        assert 8 <= period <= 16
        assert torch.equal(row[:period], row[period : 2 * period])
        assert len(set(row.tolist())) == 32 - period


def test_one_token_in_ten_of_the_noisy_rows_is_replaced():
    clean = DATA_KINDS["tiled"].sample(torch.Generator().manual_seed(0))
    noisy = DATA_KINDS["noisy"].sample(torch.Generator().manual_seed(0))
    assert (clean != noisy).float().mean().item() == pytest.approx(0.1, abs=0.03)


def test_a_control_has_the_same_first_block_and_then_other_tokens():
    for pair, control in zip(block_pairs(), block_pairs(control=True), strict=True):
        period = pair.period
        assert pair.tokens.shape == control.tokens.shape
        assert torch.equal(pair.tokens[:, :period], control.tokens[:, :period])
        assert torch.equal(pair.tokens[:, :period], pair.tokens[:, period:])
        assert all(len(set(row)) == 2 * period for row in control.tokens.tolist())


def test_the_ablations_of_a_sweep_equal_the_loop_over_hooks():
    model = load_attention_only("toy-2l")
    fast, plain = ablation_effects(model), loop_over_hooks(to_transformer_lens(model))
    torch.testing.assert_close(fast, plain, atol=2e-5, rtol=0)
    assert plain.max() > 1  # The effects are far above the tolerance.
    pair = block_pairs()[3]
    expected = ablation_scores(model, pair.tokens, last=pair.period - 1)
    assert torch.equal(fast[3], expected)


def test_a_trained_toy_scores_and_loses_as_it_should():
    model = load_attention_only("toy-2l")
    scores, losses = probe_scores(model), probe_losses(model)
    assert scores["previous_token"][0].max() > 0.9
    assert scores["induction"][1].max() > 0.8
    assert losses["second_copy_loss"] < 0.5 < 3 < losses["control_loss"]
    assert losses["first_copy_loss"] > 3
    effects = ablation_effects(model).mean(dim=0)
    assert effects.max() > 5 * ablation_effects(model, control=True).mean(dim=0).max()
    assert held_out_losses(model, "tiled")["in_context_learning"] < -1


def test_a_record_is_the_same_every_time_and_counts_what_was_done():
    record, again = model_record(BRIEF), model_record(BRIEF)
    record.pop("seconds"), again.pop("seconds")
    assert record == again
    assert record["status"] == "trained"
    assert [snapshot["step"] for snapshot in record["snapshots"]] == [0, 4]
    assert record["ablations"] == 2 * 4 * ABLATIONS_PER_HEAD
    assert record["ablations"] == FAMILIES["trial"].planned_ablations(BRIEF)
    assert len(block_pairs()) * 2 == ABLATIONS_PER_HEAD


@pytest.mark.parametrize("rate", [float("inf"), 1e30])
def test_a_model_that_diverges_is_recorded_until_then(rate):
    record = model_record(replace(BRIEF, learning_rate=rate))
    assert record["status"] == "diverged"
    assert "lower the learning rate" in record["why"]
    assert [snapshot["step"] for snapshot in record["snapshots"]] == [0]
    assert record["ablations"] == 4 * ABLATIONS_PER_HEAD
