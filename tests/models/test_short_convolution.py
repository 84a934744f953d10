"""The short convolution: the definition, no look at later positions, and its model."""

import pytest
import torch

from induction_heads.models.attention_only import AttentionOnlyConfig
from induction_heads.models.short_convolution import ShortConvolution, short_convolution
from induction_heads.training.initial_weights import initialized

CONFIG = AttentionOnlyConfig(1, 2, d_model=8, d_head=4, d_vocab=9, n_ctx=6)


def test_no_position_sees_a_later_one():
    x, kernel = torch.randn(1, 6, 3, requires_grad=True), torch.randn(4, 3)
    out = short_convolution(x, kernel)
    (gradient,) = torch.autograd.grad(out[0, 3].sum(), x)
    assert gradient[0, 4:].abs().sum() == 0
    assert (gradient[0, :4].abs().sum(dim=1) > 0).all()


def test_a_kernel_of_one_at_the_position_itself_doubles_the_embeddings():
    model = initialized(ShortConvolution(CONFIG, 2), seed=0)
    with torch.no_grad():
        model.W_conv.copy_(torch.tensor([[1.0], [0.0]]).expand(2, 8))
    tokens = torch.randint(9, (2, 5))
    plain = model.W_E[tokens] + model.W_pos[:5]
    torch.testing.assert_close(model.embed(tokens), 2 * plain)


def test_a_width_below_one_is_refused():
    with pytest.raises(ValueError, match="width=0: a convolution sees at least"):
        ShortConvolution(CONFIG, 0)


def test_a_kernel_may_be_longer_than_the_row():
    x, kernel = torch.ones(1, 2, 1), torch.tensor([[1.0], [2.0], [4.0]])
    assert short_convolution(x, kernel)[0, :, 0].tolist() == [1.0, 3.0]
