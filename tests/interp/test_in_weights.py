"""What is read from a model of exemplars and labels."""

import pytest
import torch

from induction_heads.data.exemplar_rows import RowKind, as_tokens, held_out_rows
from induction_heads.interp.in_weights import (
    accuracy_without_each,
    answer_shares,
    circuit_scores,
    context_votes,
    label_accuracy,
    label_logits,
    largest_fall,
)
from induction_heads.models.attention_only import AttentionLayer, AttentionOnly, AttentionOnlyConfig
from induction_heads.training.in_weights_runs import new_exemplar_model

KIND = RowKind(n_classes=12)


def test_logits_are_those_of_the_labels_after_the_last_exemplar():
    rows = held_out_rows(KIND, batch=5)
    for width in (0, 8):
        model = new_exemplar_model(KIND, 0, width=width)
        expected = model(rows)[:, -2, :16]
        torch.testing.assert_close(label_logits(model, rows), expected)
        changed = rows.clone()
        changed[:, -1] = (changed[:, -1] + 1) % 16
        torch.testing.assert_close(label_logits(model, changed), expected)


def even_model() -> AttentionOnly:
    """All weights are 0, so both heads of both layers attend evenly."""
    model = AttentionOnly(AttentionOnlyConfig(2, 2, 8, 4, KIND.d_vocab, 10))
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    return model


def test_even_heads_score_what_the_docstring_says():
    scores = circuit_scores(even_model(), held_out_rows(KIND, batch=32))
    torch.testing.assert_close(scores["right"], torch.full((2, 2), 2 / 9))
    torch.testing.assert_close(scores["wrong"], torch.full((2, 2), 2 / 9))
    places = torch.tensor([2.0, 4.0, 6.0, 8.0])
    torch.testing.assert_close(scores["previous"], (1 / places).mean().expand(2, 2))


def test_a_head_that_looks_one_back_scores_one_at_the_labels_and_none_else_does():
    model = even_model()
    with torch.no_grad():
        model.W_pos[:8] = torch.eye(8)
        weight = torch.zeros(8, 8)
        weight[torch.arange(1, 8), torch.arange(7)] = 60.0  # Position i asks for i − 1.
        layer = model.layers[0]
        assert isinstance(layer, AttentionLayer)
        layer.W_Q[1], layer.W_K[1] = weight[:, :4], torch.eye(8)[:, :4]
    scores = circuit_scores(model, held_out_rows(KIND, batch=8))
    # The keys of the head have four dimensions, so positions 1 and 3 see their predecessor.
    assert scores["previous"][0, 1] > 0.5 > 0.3 > scores["previous"][0, 0]


def test_accuracy_counts_the_last_token():
    model = even_model()
    with torch.no_grad():
        model.W_pos[8, 0] = 1.0
        model.W_U[0, 3] = 1.0  # Always label 3.
    rows = as_tokens(torch.arange(5).expand(4, -1), torch.tensor([[0] * 4 + [3]] * 3 + [[0] * 5]))
    assert label_accuracy(model, rows) == 0.75
    torch.testing.assert_close(accuracy_without_each(model, rows), torch.full((2, 2), 0.75))


def test_votes_are_shares_and_even_without_a_pair():
    rows = torch.tensor([[9, 1, 9, 2, 8, 0, 9, 1, 9], [9, 1, 9, 2, 8, 0, 9, 1, 7]])
    expected = torch.tensor([[0, 2 / 3, 1 / 3], [1 / 3] * 3])
    torch.testing.assert_close(context_votes(rows, 3), expected)


def test_shares_need_a_row_in_which_the_sources_disagree():
    same = torch.tensor([1, 2])
    with pytest.raises(ValueError, match="nothing is shown"):
        answer_shares(torch.randn(2, 4), same, same)


def test_a_fall_is_from_an_earlier_to_a_later_value():
    curves = torch.tensor([[0.0, 0.9, 0.2, 1.0], [0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]])
    torch.testing.assert_close(largest_fall(curves), torch.tensor([0.7, 0.0, 0.3]))
