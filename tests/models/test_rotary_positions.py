"""Rotary positions: what they compute, and who refuses them."""

import cmath

import pytest
import torch

from induction_heads.models.attention_only import AttentionOnly, AttentionOnlyConfig, initialize
from induction_heads.models.loading import to_transformer_lens
from induction_heads.models.rotary_positions import rotate, with_rotary_positions


def model() -> AttentionOnly:
    config = AttentionOnlyConfig(2, n_heads=2, d_model=12, d_head=6, d_vocab=17, n_ctx=9)
    return initialize(AttentionOnly(config), std=0.5, seed=0)


def test_pairs_of_entries_turn_like_complex_numbers():
    vectors = torch.randn(2, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    turned = rotate(vectors)
    for pos in range(5):
        for pair in range(3):
            before = complex(vectors[1, 2, pos, pair], vectors[1, 2, pos, pair + 3])
            after = before * cmath.exp(1j * pos * 10_000 ** (-2 * pair / 6))
            assert turned[1, 2, pos, pair].item() == pytest.approx(after.real, abs=1e-5)
            assert turned[1, 2, pos, pair + 3].item() == pytest.approx(after.imag, abs=1e-5)


def test_scores_depend_on_the_distance_alone():
    generator = torch.Generator().manual_seed(1)
    query, key = (torch.randn(8, generator=generator).expand(1, 1, 12, 8) for _ in range(2))
    scores = (rotate(query) @ rotate(key).mT)[0, 0]
    for distance in range(-5, 6):
        along = scores.diagonal(distance)
        torch.testing.assert_close(along, along[:1].expand_as(along), atol=1e-4, rtol=0)
    assert scores.diagonal(0)[0] != pytest.approx(scores.diagonal(3)[0].item(), abs=1e-2)


def test_an_odd_d_head_is_refused():
    with pytest.raises(ValueError, match="d_head=5 is odd"):
        rotate(torch.zeros(1, 1, 2, 5))


def test_positions_are_neither_added_nor_trained():
    rotary = with_rotary_positions(model())
    assert rotary.W_pos.abs().sum() == 0
    assert not rotary.W_pos.requires_grad
    assert torch.equal(rotary.W_E, model().W_E)


def test_a_later_token_changes_no_earlier_logit_and_the_order_of_earlier_ones_matters():
    rotary, tokens = with_rotary_positions(model()), torch.arange(9)[None]
    changed = tokens.clone()
    changed[0, 6] = 16
    torch.testing.assert_close(rotary(tokens)[:, :6], rotary(changed)[:, :6])
    swapped = tokens[:, [1, 0, *range(2, 9)]]
    assert not torch.allclose(rotary(tokens)[:, -1], rotary(swapped)[:, -1], atol=1e-4)


def test_transformer_lens_is_not_given_a_model_that_it_would_read_wrongly():
    with pytest.raises(ValueError, match="RotaryPositions cannot be converted"):
        to_transformer_lens(with_rotary_positions(model()))
