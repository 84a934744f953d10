"""The logit lens."""

import pytest
import torch

from induction_heads.data.tokens import repeated_tokens
from induction_heads.interp.logit_lens import logit_lens, right_token_probability
from induction_heads.models.loading import load_attention_only, load_model

TOKENS = repeated_tokens(60, 8, batch=4, seed=1)


@pytest.mark.parametrize("name", ["toy-2l", "python-2l", "gpt2-2l"])
def test_the_last_depth_is_the_model(name):
    model = load_model(name)
    lens = logit_lens(model, TOKENS)
    assert lens.shape[0] == model.cfg.n_layers + 1
    assert torch.allclose(lens[-1], model(TOKENS), atol=1e-4)


def test_the_first_depth_knows_nothing_of_earlier_tokens():
    model = load_attention_only("toy-2l")
    other = TOKENS.clone()
    other[:, :8] = TOKENS[:, :8].flip(1)
    before, after = logit_lens(model, TOKENS)[:, :, 9], logit_lens(model, other)[:, :, 9]
    assert torch.allclose(before[0], after[0], atol=1e-5)
    assert not torch.allclose(before[-1], after[-1], atol=0.1)


def test_in_the_toy_the_right_token_arrives_in_the_last_layer():
    chances = right_token_probability(logit_lens(load_attention_only("toy-2l"), TOKENS), TOKENS)
    second_copy = chances[:, :, 8:].mean(dim=(1, 2))
    assert second_copy[:2].max() < 0.1
    assert second_copy[2] > 0.8


def test_probabilities_are_those_of_the_next_token():
    lens = torch.zeros(1, 1, 3, 5)
    lens[0, 0, 0, 4] = 100.0  # Position 0 is sure of token 4.
    chances = right_token_probability(lens, torch.tensor([[0, 4, 1]]))
    assert chances[0, 0].tolist() == pytest.approx([1.0, 0.2])
