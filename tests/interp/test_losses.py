"""The loss of every token against a loop, and what is made of losses."""

import math

import pytest
import torch
from drawn import reference_function

from induction_heads.interp.ablation import second_copy_loss
from induction_heads.interp.losses import (
    in_context_learning_score,
    late_minus_early_loss,
    per_token_loss,
)


def test_each_entry_is_the_surprise_of_the_next_token():
    logits, tokens = torch.randn(2, 5, 7), torch.randint(7, (2, 5))
    losses = per_token_loss(logits, tokens)
    assert losses.shape == (2, 4)
    for b in range(2):
        for i in range(4):
            probabilities = logits[b, i].exp() / logits[b, i].exp().sum()
            expected = -probabilities[tokens[b, i + 1]].log().item()
            assert losses[b, i].item() == pytest.approx(expected, abs=1e-5)


def test_even_logits_cost_the_log_of_the_vocabulary():
    losses = per_token_loss(torch.zeros(1, 3, 64), torch.zeros(1, 3, dtype=torch.long))
    torch.testing.assert_close(losses, torch.full((1, 2), 64.0).log())


@pytest.mark.usefixtures("as_for_a_reader")
def test_logits_and_tokens_of_different_length_are_refused():
    with pytest.raises(ValueError, match="same batch and positions"):
        per_token_loss(torch.zeros(1, 4, 8), torch.zeros(1, 5, dtype=torch.long))


def test_in_context_learning_score_is_late_minus_early():
    losses = torch.tensor([[4.0, 5.0, 3.0, 3.0, 3.0, 3.0, 1.0, 2.0, 0.0]]).repeat(2, 1)
    assert in_context_learning_score(losses) == pytest.approx((2 + 0) / 2 - (4 + 5) / 2)


def test_in_context_learning_score_of_a_model_without_a_context_is_zero():
    assert in_context_learning_score(torch.full((3, 31), 4.16)) == pytest.approx(0, abs=1e-6)


def test_rows_without_four_tokens_have_no_in_context_learning_score():
    with pytest.raises(ValueError, match="at least four"):
        in_context_learning_score(torch.ones(5, 3))


def test_uniform_copying_without_knowledge_costs_what_a_guess_costs():
    V, P = 64, 16
    assert uniform_copying(V, P, r=P / V) == pytest.approx(math.log(V))


def test_uniform_copying_is_the_best_that_one_share_allows():
    V, P, r = 64, 12, 0.6

    def loss(share):
        return -r * math.log(share / P) - (1 - r) * math.log((1 - share) / (V - P))

    assert uniform_copying(V, P, r) == pytest.approx(loss(r))
    assert uniform_copying(V, P, r) < min(loss(r - 0.01), loss(r + 0.01))


def uniform_copying(V, P, r):
    """The formula's value, by Python."""
    formula = reference_function("uniform_copying_loss_formula")()
    return eval(formula, {"log": math.log}, {"V": V, "P": P, "r": r})


def test_losses_are_computed_in_float32_whatever_the_logits_are_in():
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(4000, (4, 24), generator=generator)
    for dtype in (torch.bfloat16, torch.float16):
        logits = torch.randn(4, 24, 4000, generator=generator).to(dtype)
        exact = torch.nn.functional.cross_entropy(
            logits.double()[:, -12:-1].flatten(0, 1), tokens[:, -11:].flatten()
        )
        assert second_copy_loss(logits, tokens, 12) == pytest.approx(exact.item(), abs=1e-4)
    assert per_token_loss(torch.zeros(1, 2, 4).double(), tokens[:1, :2] % 4).dtype == torch.float64


@pytest.mark.usefixtures("as_for_a_reader")
def test_empty_rows_curves_with_nan_and_periods_that_do_not_fit_are_refused():
    one, none = torch.zeros(1, 1).long(), torch.zeros(0, 4).long()
    for tokens in (one, none):
        with pytest.raises(ValueError, match="no token comes after another"):
            per_token_loss(torch.zeros(*tokens.shape, 5), tokens)
    with pytest.raises(ValueError, match="NaN or infinite"):
        in_context_learning_score(torch.tensor([[1.0, 2.0, torch.nan, 3.0]]))
    for n_losses in (0, 5):
        with pytest.raises(ValueError, match="choose from 1 to 4"):
            late_minus_early_loss(torch.ones(1, 4), n_losses)
    for period in (1, 5):
        with pytest.raises(ValueError, match="choose from 2 to 4"):
            second_copy_loss(torch.zeros(1, 8, 9), torch.arange(8)[None], period)
