"""An MLP after the heads: what it computes, and what is left without a head."""

import pytest
import torch

from induction_heads.models.attention_only import (
    AttentionLayer,
    AttentionOnly,
    AttentionOnlyConfig,
    initialize,
)
from induction_heads.models.with_mlp import WithMLP, last_residual

CONFIG = AttentionOnlyConfig(2, n_heads=2, d_model=12, d_head=5, d_vocab=17, n_ctx=9)


def model() -> WithMLP:
    built = initialize(WithMLP(CONFIG, 7), std=0.5, seed=0)
    assert isinstance(built, WithMLP)
    return built


def tokens():
    return torch.randint(17, (3, 9), generator=torch.Generator().manual_seed(1))


def test_the_logits_at_the_end_are_those_of_the_last_residual():
    for each in (model(), initialize(AttentionOnly(CONFIG), std=0.5, seed=0)):
        last = last_residual(each, tokens())
        if isinstance(each, WithMLP):
            neurons = last @ each.W_in + each.b_in
            last = last + torch.where(neurons > 0, neurons, 0) @ each.W_out
        torch.testing.assert_close(last @ each.W_U, each(tokens())[:, -1], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("head", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_leaving_a_head_out_is_setting_its_output_weights_to_zero(head):
    whole, cut = model(), model()
    with torch.no_grad():
        layer = cut.layers[head[0]]
        assert isinstance(layer, AttentionLayer)
        layer.W_O[head[1]] = 0
    without = last_residual(whole, tokens(), [head])
    torch.testing.assert_close(without, last_residual(cut, tokens()))
    assert not torch.allclose(without, last_residual(whole, tokens()), atol=1e-3)


def test_all_heads_can_be_left_out():
    whole = model()
    without = last_residual(whole, tokens(), [(0, 0), (0, 1), (1, 0), (1, 1)])
    torch.testing.assert_close(without, whole.embed(tokens())[:, -1])


def test_a_later_token_changes_no_earlier_logit():
    whole, rows = model(), tokens()
    changed = rows.clone()
    changed[:, -1] = (changed[:, -1] + 1) % 17
    torch.testing.assert_close(whole(changed)[:, :-1], whole(rows)[:, :-1])


def test_heads_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="2 layers of 2 heads"):
        last_residual(model(), tokens(), [(2, 0)])


def test_an_mlp_needs_a_neuron():
    with pytest.raises(ValueError, match="needs a neuron"):
        WithMLP(CONFIG, 0)
