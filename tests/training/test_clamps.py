"""Training with patterns held."""

from dataclasses import replace

import pytest
import torch

from induction_heads.data.tokens import repeated_tokens
from induction_heads.interp.scores import induction_score, previous_token_score
from induction_heads.models.attention_only import AttentionOnly, AttentionOnlyConfig, initialize
from induction_heads.training.clamps import (
    clamp_patterns_during_training,
    clamped_copying,
    clamped_patterns,
    given_parts,
    induction_pattern,
    previous_token_pattern,
    uniform_pattern,
)
from induction_heads.training.recipes import RECIPES, new_model
from induction_heads.training.run import train


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
        pytest.raises(ValueError, match="2 layers of 2 heads"),
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
    run = train(
        new_model(recipe, 3),
        recipe.sample,
        replace(recipe.settings, steps=8, decay=0.0),
        seed=3,
        progress=False,
    )
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


def test_a_clamped_head_copies_what_it_attends_to_and_nothing_else(model):
    free = model(TOKENS)
    pattern = patterns(model)[1, :, 0]
    with torch.no_grad():
        silent = model.layers[1].W_O[0].clone()
        model.layers[1].W_O[0] = 0
        others = model(TOKENS)
        model.layers[1].W_O[0] = silent
    with clamped_copying(model, 0, strength=3.0):
        found = model(TOKENS)
    expected = others.clone()
    for row in range(3):
        for query in range(10):
            for key in range(query + 1):
                expected[row, query, TOKENS[row, key]] += 3 * pattern[row, query, key]
    assert found.allclose(expected, atol=1e-5)
    assert model(TOKENS).equal(free)  # The model is its own again.


def test_the_control_copies_the_wrong_tokens(model):
    copies = torch.arange(12).roll(1)
    with clamped_copying(model, 1):
        right = model(TOKENS)
    with clamped_copying(model, 1, copies=copies):
        wrong = model(TOKENS)
    with clamped_copying(model, 1, strength=0.0):
        none = model(TOKENS)
    assert (wrong - none)[..., copies].allclose(right - none, atol=1e-5)


def test_a_head_whose_output_is_clamped_learns_where_to_attend_and_not_what_to_write(model):
    with clamped_copying(model, 1):
        model(TOKENS).log_softmax(dim=-1)[..., 0].sum().backward()
    layer = model.layers[1]
    assert layer.W_V.grad[1].abs().max() == 0
    assert layer.W_O.grad[1].abs().max() == 0
    assert layer.W_Q.grad[1].abs().max() > 0
    assert layer.W_O.grad[0].abs().max() > 0


def test_all_three_parts_given_predict_a_copy_at_once(model):
    with given_parts(model, ("mark", "match", "copying"), strength=20.0):
        predicted = model(TOKENS).argmax(dim=-1)
    assert predicted[:, 5:9].equal(TOKENS[:, 6:])


def test_the_mark_is_the_pattern_of_l0h0_and_the_match_that_of_l1h0(model):
    free = patterns(model)
    with given_parts(model, ["mark"]):
        marked = patterns(model)
    assert marked[0, :, 0].equal(previous_token_pattern(12)[:10, :10].expand(3, -1, -1))
    with given_parts(model, ["match"]):
        matched = patterns(model)
    assert matched[1, :, 0].equal(induction_pattern(TOKENS))
    assert matched[0].equal(free[0])


def test_an_unknown_part_is_refused(model):
    with pytest.raises(ValueError, match="mark, match, copying"), given_parts(model, ["marks"]):
        pass


def test_a_head_to_copy_must_be_in_the_last_layer(model):
    with pytest.raises(ValueError, match="2 layers of 2 heads"), clamped_copying(model, 2):
        pass
