"""The model we train: sizes, sums and what it refuses."""

import math

import pytest
import torch

from induction_heads.models.attention import attention_head
from induction_heads.models.attention_only import (
    AttentionOnly,
    AttentionOnlyConfig,
    initialize,
    sinusoids,
)

SIZES = {"n_layers": 2, "n_heads": 3, "d_model": 12, "d_head": 5, "d_vocab": 17, "n_ctx": 9}


def small_model(seed: int = 0, **changes) -> AttentionOnly:
    model = AttentionOnly(AttentionOnlyConfig(**(SIZES | changes)))
    return initialize(model, std=0.5, seed=seed)


def test_a_layer_adds_the_sum_of_what_its_heads_write():
    model = small_model()
    residual = torch.randn(2, 9, 12)
    layer = model.layers[0]
    heads = [
        attention_head(residual, *(getattr(layer, f"W_{name}")[head] for name in "QKVO"))
        for head in range(3)
    ]
    torch.testing.assert_close(layer(residual), sum(heads), atol=1e-5, rtol=1e-5)


def test_a_later_token_changes_no_earlier_logit():
    model = small_model(normalization="LN")
    tokens = torch.randint(17, (1, 9))
    changed = tokens.clone()
    changed[0, 6] = (changed[0, 6] + 1) % 17
    before, after = model(tokens), model(changed)
    torch.testing.assert_close(before[:, :6], after[:, :6])
    assert not torch.allclose(before[:, 6:], after[:, 6:])


def test_initialization_depends_on_the_seed_only():
    first, again, other = small_model(1), small_model(1), small_model(2)
    assert torch.equal(first.W_E, again.W_E)
    assert torch.equal(first.layers[1].W_O, again.layers[1].W_O)
    assert not torch.equal(first.W_E, other.W_E)


def test_given_embeddings_are_kept():
    positions = sinusoids(9, 12)
    model = AttentionOnly(AttentionOnlyConfig(**SIZES))
    initialize(model, std=0.1, seed=0, W_pos=positions)
    assert torch.equal(model.W_pos.detach(), positions)


def test_one_step_back_is_the_same_rotation_everywhere():
    positions = sinusoids(40, 8)
    dots = (positions @ positions.T).diagonal(offset=-3)
    torch.testing.assert_close(dots, dots[:1].expand_as(dots), atol=1e-5, rtol=1e-4)


@pytest.mark.usefixtures("as_for_a_reader")
def test_too_many_tokens_are_refused():
    with pytest.raises(ValueError, match="10 tokens do not fit in this model's context of 9"):
        small_model()(torch.zeros(1, 10, dtype=torch.long))


@pytest.mark.parametrize(
    ("change", "says"),
    [({"n_heads": 0}, "n_heads=0"), ({"normalization": "RMS"}, "use 'LN' or None")],
)
def test_sizes_that_make_no_model_are_refused(change: dict, says: str):
    with pytest.raises(ValueError, match=says):
        AttentionOnlyConfig(**(SIZES | change))


def test_sinusoids_alternate_sin_and_cos_from_one_radian_a_position_to_slow():
    d_model = 128
    table, position = sinusoids(40, d_model, scale=0.5), torch.arange(40)
    torch.testing.assert_close(table[:, 0], 0.5 * position.sin())
    torch.testing.assert_close(table[:, 1], 0.5 * position.cos())
    slowest = math.exp(-3.5 * (d_model - 2) / d_model)
    assert slowest == pytest.approx(0.03, abs=0.003)
    torch.testing.assert_close(table[:, -2], 0.5 * (slowest * position).sin())


def test_weights_are_drawn_with_the_standard_deviation_asked_for():
    model = small_model(d_model=60, d_vocab=70, normalization="LN")
    assert model.W_E.std().item() == pytest.approx(0.5, rel=0.05)
    assert model.layers[0].W_Q.std().item() == pytest.approx(0.5, rel=0.05)
    assert torch.equal(model.norm.weight, torch.ones(60))
