"""What weights say, against the full matrices and against models whose weights we wrote."""

import pytest
import torch

from induction_heads.activations import attention_patterns
from induction_heads.circuits import copying_scores, positional_pattern, previous_token_readout
from induction_heads.models import (
    hand_built,
    hand_built_heads,
    load_attention_only,
    to_transformer_lens,
)


@pytest.mark.parametrize("name", ["toy-2l", "markov-2l"])
def test_copying_scores_equal_those_of_the_full_matrix(name: str):
    model = load_attention_only(name)
    scores = copying_scores(model)
    for layer in range(2):
        for head in range(2):
            weights = model.layers[layer]
            full = model.W_E @ weights.W_V[head] @ weights.W_O[head] @ model.W_U
            eigenvalues = torch.linalg.eigvals(full.double())
            expected = (eigenvalues.real.sum() / eigenvalues.abs().sum()).item()
            assert scores[layer, head].item() == pytest.approx(expected, abs=2e-3)
    assert scores.max() > 0.9
    assert scores.min() < -0.5


@pytest.mark.parametrize("name", ["toy-2l", "python-2l"])
def test_both_forms_of_a_model_have_the_same_copying_scores(name: str):
    model = load_attention_only(name)
    torch.testing.assert_close(
        copying_scores(model), copying_scores(to_transformer_lens(model)), atol=1e-4, rtol=1e-3
    )


@pytest.mark.parametrize(
    ("kind", "expected"), [("induction", 1.0), ("anti_induction", -1.0), ("no_copying", 0.0)]
)
def test_hand_built_heads_copy_as_they_were_written(kind: str, expected: float):
    layer, head = hand_built_heads(kind)[kind]
    assert copying_scores(hand_built(kind))[layer, head].item() == pytest.approx(expected, abs=1e-3)


def test_the_positional_pattern_of_a_previous_token_head_is_one_back():
    layer, head = hand_built_heads("previous_token")["previous_token"]
    pattern = positional_pattern(hand_built("previous_token"), layer, head)
    assert pattern.shape == (64, 64)
    assert pattern.diagonal(offset=-1).min() > 0.999


def test_positions_alone_give_the_pattern_of_a_head_that_ignores_tokens():
    layer, head = hand_built_heads("fixed_offset")["fixed_offset"]
    model = hand_built("fixed_offset")
    tokens = torch.randint(32, (1, 64))
    seen = attention_patterns(model, tokens)[layer, 0, head]
    torch.testing.assert_close(positional_pattern(model, layer, head), seen, atol=1e-4, rtol=1e-4)


def test_a_previous_token_head_names_the_previous_token_and_an_even_head_does_not():
    _, head = hand_built_heads("previous_token")["previous_token"]
    model = to_transformer_lens(hand_built("previous_token"))
    assert previous_token_readout(model, 0, head) == 1
    assert previous_token_readout(model, 0, 1 - head) < 0.1


def test_a_readout_of_layer_one_is_refused():
    with pytest.raises(ValueError, match="defined for heads of layer 0"):
        previous_token_readout(hand_built("induction"), 1, 0)


@pytest.mark.parametrize("place", [(2, 0), (0, 2), (-1, 0)])
def test_a_head_that_is_not_there_is_refused(place: tuple[int, int]):
    with pytest.raises(IndexError, match="2 layers of 2 heads, counted from 0"):
        positional_pattern(hand_built("induction"), *place)
