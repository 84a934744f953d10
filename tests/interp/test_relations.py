"""The relation index on heads that are written down."""

import pytest
import torch

from induction_heads.interp.relations import raised_logits, relation_index, tail_shares
from induction_heads.models.attention_only import AttentionLayer, AttentionOnly, AttentionOnlyConfig
from induction_heads.models.hand_built import hand_built, hand_built_heads

TOKENS = torch.tensor([[0, 3, 1, 4]])
SUBJECTS = torch.tensor([[-1, 0, -1, 2]])
TAIL_OF = torch.tensor([3, 4, -1, -1, -1])


def pattern(to_subject: float):
    weights = torch.zeros(1, 1, 4, 4)
    for query, subject in ((1, 0), (3, 2)):
        weights[0, 0, query, query] = 1 - to_subject
        weights[0, 0, query, subject] = to_subject
    return weights


def writes(tails):
    raised = torch.zeros(1, 5, 5)
    for subject, tail in tails.items():
        raised[0, subject, tail] = 2.0
    return raised


def test_a_head_that_looks_and_writes_the_tail_alone_scores_one():
    found = relation_index(pattern(1.0), writes({0: 3, 1: 4}), TOKENS, SUBJECTS, TAIL_OF)
    assert found.tolist() == [1.0]


def test_the_index_is_the_attention_times_the_share():
    raised = writes({0: 3, 1: 4})
    raised[0, :2, 2] = 2.0  # Half of what is raised goes elsewhere.
    found = relation_index(pattern(0.8), raised, TOKENS, SUBJECTS, TAIL_OF)
    assert found.tolist() == pytest.approx([0.4])


def test_wrong_tails_copies_and_a_silent_head_score_zero():
    for raised in (writes({0: 4, 1: 3}), writes({0: 0, 1: 1}), torch.full((1, 5, 5), 3.0)):
        assert relation_index(pattern(1.0), raised, TOKENS, SUBJECTS, TAIL_OF).tolist() == [0.0]


def test_no_fact_is_an_error():
    nothing = torch.full_like(SUBJECTS, -1)
    with pytest.raises(ValueError, match="No query asks"):
        relation_index(pattern(1.0), writes({}), TOKENS, nothing, TAIL_OF)


def test_the_hand_built_induction_head_copies_literally():
    model = hand_built("induction", d_vocab=8, n_ctx=16)
    layer, head = hand_built_heads("induction")["induction"]
    shares = tail_shares(raised_logits(model, layer), torch.arange(8))
    assert shares[head].tolist() == pytest.approx([1.0] * 8, abs=1e-4)


def test_raised_logits_are_what_one_token_adds():
    config = AttentionOnlyConfig(1, 2, 6, 3, 5, 4)
    model = AttentionOnly(config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator))
    weights = model.layers[0]
    assert isinstance(weights, AttentionLayer)
    for head in range(2):
        by_hand = model.W_E[3] @ weights.W_V[head] @ weights.W_O[head] @ model.W_U
        assert torch.allclose(raised_logits(model, 0)[head, 3], by_hand, atol=1e-5)
