"""A model that only looks back: its predictions, and the mixture with the frequency of tokens."""

import math

import pytest
import torch

from induction_heads.interp.induction_only import (
    LONGEST,
    agreement_by_length,
    fitted_shares,
    fuzzy_match_prediction,
    latest_copy_choice,
    longest_match_choice,
    longest_match_prediction,
    look_up_losses,
    match_strength,
    mixture_losses,
    of_next_token,
    sides_taken,
)


def test_predictions_are_distributions_or_zero():
    tokens = torch.randint(6, (5, 20), generator=torch.Generator().manual_seed(0))
    exact, fuzzy = longest_match_prediction(tokens, 8), fuzzy_match_prediction(tokens, torch.eye(8))
    torch.testing.assert_close(exact.sum(dim=-1), (match_strength(tokens) > 0).float())
    torch.testing.assert_close(fuzzy[:, 1:].sum(dim=-1), torch.ones(5, 19))
    assert not fuzzy[:, 0].any()
    assert not exact[..., 6:].any()


def test_the_future_changes_no_prediction():
    tokens = torch.randint(4, (3, 16), generator=torch.Generator().manual_seed(1))
    for predict in (
        lambda rows: longest_match_prediction(rows, 4),
        lambda rows: fuzzy_match_prediction(rows, torch.eye(4)),
    ):
        torch.testing.assert_close(predict(tokens)[:, :9], predict(tokens[:, :9]))


def test_a_sharp_match_of_unrelated_embeddings_is_exact_in_its_window():
    tokens = torch.tensor([[0, 1, 2, 3, 4, 1, 2]])  # Two tokens match, and 3 followed.
    fuzzy = fuzzy_match_prediction(tokens, torch.eye(8), window=2, sharpness=50.0)
    torch.testing.assert_close(fuzzy[:, -1], longest_match_prediction(tokens, 8)[:, -1])


def test_a_similar_token_is_matched_where_nothing_is_equal():
    embedding = torch.eye(8)
    embedding[5] = embedding[1] + 0.3 * embedding[5]
    tokens = torch.tensor([[0, 1, 2, 3, 4, 5]])
    assert not longest_match_prediction(tokens, 8)[0, -1].any()
    assert fuzzy_match_prediction(tokens, embedding, sharpness=20.0)[0, -1].argmax() == 2


def test_fitted_shares_are_the_truth_of_a_mixture_and_lower_the_loss():
    generator = torch.Generator().manual_seed(2)
    chances = torch.rand(40, 50, 2, generator=generator) * torch.tensor([1.0, 0.2]) + 0.01
    lengths = torch.randint(LONGEST + 1, (40, 50), generator=generator)
    shares = fitted_shares(chances, lengths)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(LONGEST + 1))
    even = torch.full_like(shares, 0.5)
    best, plain = (mixture_losses(chances, lengths, each).mean() for each in (shares, even))
    assert best < plain
    for step in (-0.02, 0.02):  # No small change of a weight lowers the loss.
        moved = shares + step * torch.tensor([1.0, -1.0])
        assert mixture_losses(chances, lengths, moved.clamp(0, 1)).mean() >= best - 1e-6


def test_the_probability_of_the_next_token_is_read_at_the_position_before_it():
    tokens = torch.tensor([[2, 0, 1]])
    predictions = torch.arange(9.0).view(1, 3, 3)
    assert of_next_token(predictions, tokens).tolist() == [[0.0, 4.0]]


def test_a_window_of_no_token_is_refused():
    with pytest.raises(ValueError, match="window=0"):
        fuzzy_match_prediction(torch.zeros(1, 4, dtype=torch.long), torch.eye(2), window=0)


def test_losses_of_look_ups_fall_below_frequency_where_rows_repeat():
    generator = torch.Generator().manual_seed(3)
    blocks = [torch.randint(20, (16, 12), generator=generator) for _ in range(2)]
    rows, other = (torch.cat([block, block], dim=1) for block in blocks)
    losses = look_up_losses(rows, other, torch.eye(20), torch.full((20,), 1 / 20))
    assert losses["exact"] + 0.5 < losses["frequency"] == pytest.approx(math.log(20), abs=1e-5)
    assert losses["exact and fuzzy"] <= losses["fuzzy"] + 0.05
    assert losses["fuzzy, shuffled"] == pytest.approx(losses["fuzzy"], abs=1e-5)  # None is alike.


def test_a_longest_match_and_the_latest_copy_are_told_apart():
    tokens = torch.tensor([[0, 1, 2, 3, 1, 4, 0, 1, 5]])  # After 0 1 came 2, after the last 1 a 4.
    longest, latest = longest_match_choice(tokens, 8), latest_copy_choice(tokens)
    assert (longest[0, -1], latest[0, -1]) == (2, 4)
    for choices, sides in ((longest, (1.0, 0.0)), (latest, (0.0, 1.0))):
        assert sides_taken(choices, tokens, 8) == sides
    assert agreement_by_length(longest, tokens, 8)[:2].tolist() == [1.0, 1.0]
