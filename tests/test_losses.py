"""The loss of every token, against a loop."""

import pytest
import torch

from induction_heads.losses import per_token_loss


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
    with pytest.raises(ValueError, match="must agree on"):
        per_token_loss(torch.zeros(1, 4, 8), torch.zeros(1, 5, dtype=torch.long))
