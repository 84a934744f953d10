"""Models and snapshots as text: small enough, read back exactly, and how much the scheme loses."""

import json

import numpy as np
import pytest
import torch

from induction_heads.data.tokens import repeated_tokens
from induction_heads.explorer.export import (
    DIGITS,
    UNIT,
    base85,
    exported_model,
    exported_snapshots,
)
from induction_heads.interp.losses import per_token_loss
from induction_heads.models.attention_only import AttentionOnly
from induction_heads.models.loading import load_attention_only, load_snapshots
from induction_heads.models.rotary_positions import RotaryPositions
from induction_heads.models.smeared_keys import with_smeared_keys

from .cases import TOYS, snapshots_as_read
from .test_model import random_model


def flat(models):
    weights = [weight.detach() for model in models for weight in model.parameters()]
    return torch.cat([weight.flatten() for weight in weights]).double().numpy()


@pytest.mark.parametrize("name", TOYS)
def test_text_of_a_toy_is_at_most_120_kilobytes(name):
    assert len(exported_model(load_attention_only(name), name)) <= 120_000


def test_text_of_all_snapshots_is_at_most_1500_kilobytes():
    texts = [exported_snapshots(load_snapshots(name), name) for name in TOYS]
    assert sum(map(len, texts)) <= 1_500_000


@pytest.mark.parametrize("name", TOYS)
def test_snapshots_are_read_as_python_says(name, ask):
    snapshots = load_snapshots(name)
    answered = ask(
        "weights",
        model=json.loads(exported_model(load_attention_only(name), name)),
        snapshots=json.loads(exported_snapshots(snapshots, name)),
    )
    assert np.array_equal(answered, flat(snapshots_as_read(snapshots).values()))


@pytest.mark.parametrize("name", TOYS)
def test_snapshots_lose_little(name):
    """No weight is off by more than half a unit, and the loss of no snapshot by 0.01 nats."""
    snapshots = load_snapshots(name)
    read, final = snapshots_as_read(snapshots), load_attention_only(name)
    units = {key: UNIT * weight.std(correction=0) for key, weight in final.named_parameters()}
    tokens = repeated_tokens(64, final.config.n_ctx // 2, batch=16)
    for step, model in snapshots.items():
        for key, weight in model.named_parameters():
            off = (weight - read[step].get_parameter(key)).abs().max()
            assert off <= 0.5001 * units[key]
        losses = [per_token_loss(one(tokens), tokens).mean() for one in (model, read[step])]
        assert abs(losses[0] - losses[1]) < 0.01
    assert torch.equal(final.W_E, read[max(read)].W_E)


@pytest.mark.parametrize("normalization", [None, "LN"])
def test_model_with_smeared_keys_is_read_back(normalization, ask):
    model = with_smeared_keys(random_model(normalization=normalization), alpha=0.75)
    answered = ask("weights", model=json.loads(exported_model(model, "smeared")))
    assert np.array_equal(answered, flat([model]))


def test_snapshots_of_a_fresh_model_survive_rounding_to_half_precision(ask):
    """Weights that half precision cannot hold exactly, and one matrix that is zero throughout."""
    models = {step: random_model(seed=step) for step in (0, 3, 7)}
    for model in models.values():
        model.W_pos.zero_()
        model.W_E.mul_(1 / 3)
    answered = ask(
        "weights",
        model=json.loads(exported_model(models[7], "m")),
        snapshots=json.loads(exported_snapshots(models, "m")),
    )
    assert np.array_equal(answered, flat(snapshots_as_read(models).values()))


def test_rounding_to_half_precision_moves_the_logits_of_a_trained_toy_little(ask):
    """The zoo is stored rounded. Here each weight is first moved off the grid, by up to a step."""
    model = load_attention_only("toy-2l")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(1 + 1e-3 * torch.rand(weight.shape, generator=generator))
    rows = repeated_tokens(64, 5, batch=8)
    answered = ask(
        "logits",
        model=json.loads(exported_model(model, "m")),
        cases=[{"snapshot": -1, "rows": rows.tolist(), "change": {}}],
    )
    difference = np.abs(answered - model(rows).flatten().numpy())
    assert 1e-5 < difference.max() < 0.02  # Where attention is sharp; 0.0005 on average.


def test_text_needs_no_escape_in_a_page():
    assert len(set(DIGITS)) == len(DIGITS) == 85
    assert not set(DIGITS) & set("\"'`\\<>&$% ")
    assert len(base85(bytes(9))) == 12


@pytest.mark.parametrize(("scale", "bits"), [(1, 8), (20, 16), (5000, 32)])
def test_large_differences_take_more_bits_and_are_read_back(scale, bits, ask):
    models = {step: random_model(seed=step) for step in (0, 1)}
    models[0].W_E.mul_(scale)
    stored = json.loads(exported_snapshots(models, "m"))
    assert stored["bits"] == bits
    model = json.loads(exported_model(models[1], "m"))
    answered = ask("weights", model=model, snapshots=stored)
    assert np.array_equal(answered, flat(snapshots_as_read(models).values()))


def test_other_models_are_refused():
    plain = random_model()
    with pytest.raises(ValueError, match="explorer runs AttentionOnly and SmearedKeys"):
        exported_model(RotaryPositions(plain.config), "rotary")
    with pytest.raises(ValueError, match="65504"):
        exported_model(random_model(std=1e6), "large")
    with pytest.raises(ValueError, match="all of the same sizes"):
        exported_snapshots({0: AttentionOnly(plain.config), 1: random_model(n_heads=1)}, "two")
    with pytest.raises(ValueError, match="Got 1 snapshots; expected at least two"):
        exported_snapshots({0: plain}, "one")
