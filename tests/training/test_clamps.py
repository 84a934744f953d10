"""Training with patterns held."""

from dataclasses import replace

import pytest
import torch

from induction_heads.attention_only import AttentionOnly, AttentionOnlyConfig, initialize
from induction_heads.clamped import (
    clamp_patterns_during_training,
    clamped_patterns,
    induction_pattern,
    previous_token_pattern,
    uniform_pattern,
)
from induction_heads.recipes import RECIPES, new_model
from induction_heads.scores import induction_score, previous_token_score
from induction_heads.tokens import repeated_tokens
from induction_heads.training import train


@pytest.fixture
def model() -> AttentionOnly:
    config = AttentionOnlyConfig(2, 2, d_model=16, d_head=8, d_vocab=12, n_ctx=12)
    return initialize(AttentionOnly(config), std=0.3, seed=0)


TOKENS = repeated_tokens(12, 5, batch=3)


def patterns(model: AttentionOnly, tokens=TOKENS):
    """[layer batch head query key], layer by layer."""
    residual, found = model.embed(tokens), []
    for layer in model.layers:
        found.append(layer.pattern(residual))  # pyright: ignore[reportCallIssue]
        residual = residual + layer(residual)
    return torch.stack(found)


def test_only_the_named_head_is_held(model):
    free, back = patterns(model), previous_token_pattern(12)
    with clamped_patterns(model, {(0, 1): back}):
        held = patterns(model)
    assert held[0, :, 1].equal(back[:10, :10].expand(3, -1, -1))
    assert held[0, :, 0].equal(free[0, :, 0])
    assert not held[1].allclose(free[1])  # Layer 1 reads something else.


def test_a_function_gets_the_tokens_of_the_batch(model):
    with clamped_patterns(model, {(1, 0): induction_pattern}):
        assert patterns(model)[1, :, 0].equal(induction_pattern(TOKENS))


def test_the_model_is_its_own_again_afterwards_even_if_something_fails(model):
    before = model(TOKENS)
    with clamped_patterns(model, {(0, 0): uniform_pattern(12)}):
        assert not model(TOKENS).allclose(before)
    assert model(TOKENS).equal(before)
    broken = clamped_patterns(model, {(0, 0): uniform_pattern(12)})
    with pytest.raises(TypeError), broken:
        model(TOKENS, "one argument too many")
    assert model(TOKENS).equal(before)
    assert "pattern" not in model.layers[0].__dict__


@pytest.mark.parametrize("head", [(2, 0), (0, 2), (-1, 0)])
def test_a_head_that_is_not_there_is_refused(model, head):
    with (
        pytest.raises(IndexError, match="2 layers of 2 heads"),
        clamped_patterns(model, {head: uniform_pattern(4)}),
    ):
        pass


def test_a_held_head_learns_no_queries_and_keys_and_goes_on_learning_what_it_writes(model):
    with clamped_patterns(model, {(0, 1): uniform_pattern(12)}):
        model(TOKENS).square().sum().backward()
    layer = model.layers[0]
    assert layer.W_Q.grad[1].abs().max() == 0
    assert layer.W_K.grad[1].abs().max() == 0
    assert layer.W_V.grad[1].abs().max() > 0
    assert layer.W_Q.grad[0].abs().max() > 0


def test_without_clamps_it_is_the_ordinary_training():
    recipe = RECIPES["toy-2l"]
    run = train(new_model(recipe, 3), recipe.sample, replace(recipe.settings, steps=8, decay=0.0),
                seed=3, progress=False)  # fmt: skip
    assert clamp_patterns_during_training({}, seed=3, steps=8).tolist() == pytest.approx(run.losses)


def test_the_perfect_patterns_score_one():
    tokens = repeated_tokens(20, 6, batch=2)
    assert previous_token_score(previous_token_pattern(12)).item() == 1.0
    assert induction_score(induction_pattern(tokens), 6).mean().item() == 1.0
    assert torch.allclose(uniform_pattern(7).sum(dim=-1), torch.ones(7))


def test_a_query_without_an_earlier_copy_looks_at_position_0():
    found = induction_pattern(torch.tensor([[4, 5, 6, 5]]))
    assert found[0, :3, 0].tolist() == [1, 1, 1]
    assert found[0, 3].tolist() == [0, 0, 1, 0]
