"""Rows with a Markov chain each, and the predictions that are best for them."""

import pytest
import torch

from induction_heads.data.chain_rows import (
    bayes_bigram,
    chain_rows,
    counted_unigram,
    prediction_loss,
)


def test_rows_follow_the_prior():
    rows = chain_rows(3, 2, batch=60000, seed=0)
    moves = torch.bincount(3 * rows[:, 0] + rows[:, 1], minlength=9) / len(rows)
    assert moves.tolist() == pytest.approx([1 / 9] * 9, abs=0.01)
    # Under a flat prior the same transition twice has probability E[p²] = 2 / (3 · 4).
    rows = chain_rows(3, 3, batch=60000, seed=1)
    stays = (rows[:, 0] == rows[:, 1]) & (rows[:, 1] == rows[:, 2])
    assert stays.float().mean().item() == pytest.approx(2 / 12, abs=0.01)


def test_the_seed_decides_the_rows():
    assert chain_rows(4, 9, seed=3).equal(chain_rows(4, 9, seed=3))
    assert not chain_rows(4, 9, seed=3).equal(chain_rows(4, 9, seed=4))


@pytest.mark.parametrize("options", [{"n_states": 1, "n_pos": 5}, {"n_states": 3, "n_pos": 0}])
def test_too_few_states_or_positions_are_refused(options):
    with pytest.raises(ValueError, match="at least two states"):
        chain_rows(**options)


def test_nothing_beats_the_exact_posterior():
    rows = chain_rows(3, 40, batch=4000, seed=2)
    best = prediction_loss(bayes_bigram(rows, 3), rows)
    exact = bayes_bigram(rows, 3)
    for mixed in (0.1, 0.5):
        other = (1 - mixed) * exact + mixed * counted_unigram(rows, 3)
        assert prediction_loss(other, rows) > best
    sharper = exact**1.2 / (exact**1.2).sum(dim=-1, keepdim=True)
    assert prediction_loss(sharper, rows) > best


def test_the_posterior_says_how_often_it_is_right():
    rows = chain_rows(3, 30, batch=20000, seed=5)
    said = bayes_bigram(rows, 3)[:, :-1, 0]
    zero = (rows[:, 1:] == 0).float()
    for low, high in ((0.1, 0.2), (0.4, 0.5), (0.7, 0.8)):
        there = (said >= low) & (said < high)
        assert zero[there].mean().item() == pytest.approx(said[there].mean().item(), abs=0.01)


def test_predictions_are_distributions_at_every_position():
    rows = chain_rows(4, 7, batch=3)
    for found in (bayes_bigram(rows, 4), counted_unigram(rows, 4, 2.0)):
        assert found.shape == (3, 7, 4)
        assert found.sum(dim=-1).allclose(torch.ones(3, 7))
    assert bayes_bigram(rows, 4)[:, 0].allclose(torch.full((3, 4), 0.25))


def test_a_state_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="from 0 to 3 for 3 states"):
        bayes_bigram(torch.tensor([[0, 3]]), 3)
