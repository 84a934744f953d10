"""One head written out: against loops, and the properties every pattern has."""

import math

import pytest
import torch

from induction_heads.models.attention import (
    attention_from_circuits,
    attention_head,
    attention_pattern,
    causal_mask,
    count_attention_parameters,
    score_gap_needed,
)


def weights(seed: int = 0, d_model: int = 6, d_head: int = 3) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(d_model, d_head)] * 3 + [(d_head, d_model)]
    return [torch.randn(shape, generator=generator) for shape in shapes]


def test_a_query_sees_itself_and_the_past():
    mask = causal_mask(4)
    assert all(mask[q, k] == (k <= q) for q in range(4) for k in range(4))


def test_no_positions_is_refused():
    with pytest.raises(ValueError, match="at least one position"):
        causal_mask(0)


def test_pattern_equals_the_loop_definition():
    queries, keys = torch.randn(2, 5, 3), torch.randn(2, 5, 3)
    pattern = attention_pattern(queries, keys)
    for b in range(2):
        for q in range(5):
            powers = [math.exp(queries[b, q] @ keys[b, k] / math.sqrt(3)) for k in range(q + 1)]
            for k in range(5):
                expected = powers[k] / sum(powers) if k <= q else 0.0
                assert pattern[b, q, k].item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.usefixtures("as_for_a_reader")
def test_queries_and_keys_of_different_shape_are_refused():
    with pytest.raises(ValueError, match="must have the same shape"):
        attention_pattern(torch.randn(4, 3), torch.randn(4, 2))


def test_both_ways_to_write_a_head_agree():
    residual, (W_Q, W_K, W_V, W_O) = torch.randn(2, 5, 6), weights()
    directly = attention_head(residual, W_Q, W_K, W_V, W_O)
    by_matrices = attention_from_circuits(residual, W_Q @ W_K.T, W_V @ W_O, 3)
    torch.testing.assert_close(directly, by_matrices, atol=1e-5, rtol=1e-5)


def test_parameter_count_is_that_of_the_tensors():
    assert count_attention_parameters(1, 1, 6, 3) == sum(w.numel() for w in weights())
    assert count_attention_parameters(3, 5, 6, 3) == 15 * sum(w.numel() for w in weights())


@pytest.mark.parametrize(("weight", "n_keys"), [(0.5, 2), (0.9, 31), (0.01, 5)])
def test_a_key_with_the_needed_gap_gets_the_weight(weight: float, n_keys: int):
    scores = torch.zeros(n_keys)
    scores[0] = score_gap_needed(weight, n_keys)
    assert scores.softmax(dim=0)[0].item() == pytest.approx(weight, abs=1e-6)


def test_a_weight_of_one_is_refused():
    with pytest.raises(ValueError, match="0 < weight < 1"):
        score_gap_needed(1.0, 4)
