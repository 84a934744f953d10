"""What a model loses without some heads, and how much each head writes."""

import pytest
import torch

from induction_heads.data.tokens import make_repeated_tokens
from induction_heads.interp.ablation import zero_ablation_hook
from induction_heads.interp.head_costs import logits_without, loss_rises, written_lengths
from induction_heads.interp.losses import per_token_loss
from induction_heads.models.loading import load_model


@pytest.mark.parametrize("name", ["toy-2l", "gpt2-2l", "llama-4l"])
def test_the_rise_is_that_of_plain_hooks(name: str):
    model = load_model(name)
    tokens = make_repeated_tokens(model, 8, batch=2)

    def hooked(z, hook):
        return zero_ablation_hook(zero_ablation_hook(z, hook, head=0), hook, head=1)

    with torch.inference_mode():
        silent = model.run_with_hooks(tokens, fwd_hooks=[("blocks.1.attn.hook_z", hooked)])
        whole = model(tokens)
    torch.testing.assert_close(logits_without(model, tokens, [(1, 0), (1, 1)]), silent)
    rises = loss_rises(model, tokens, [(1, 0), (1, 1)])
    torch.testing.assert_close(
        rises, per_token_loss(silent, tokens) - per_token_loss(whole, tokens)
    )


def test_without_heads_to_silence_nothing_rises():
    model = load_model("toy-2l")
    assert not loss_rises(model, make_repeated_tokens(model, 8, batch=2), []).any()


@pytest.mark.parametrize("name", ["toy-2l", "llama-4l"])
def test_lengths_are_those_of_what_a_layer_writes_with_one_head(name: str):
    model = load_model(name)
    tokens = make_repeated_tokens(model, 6, batch=2)
    lengths = written_lengths(model, tokens)
    assert lengths.shape == (model.cfg.n_layers, model.cfg.n_heads)
    others = [(0, head) for head in range(1, model.cfg.n_heads)]
    hooks = [
        ("blocks.0.attn.hook_z", lambda z, hook, at=at: zero_ablation_hook(z, hook, head=at))
        for _, at in others
    ]
    found = {}
    hooks.append(("blocks.0.hook_attn_out", lambda out, hook: found.update(out=out)))
    with torch.inference_mode():
        model.run_with_hooks(tokens, fwd_hooks=hooks)
    alone = found["out"].norm(dim=-1).mean()
    torch.testing.assert_close(lengths[0, 0], alone, rtol=1e-4, atol=1e-5)


def test_a_head_that_the_model_lacks_is_refused():
    model = load_model("toy-2l")
    with pytest.raises(ValueError, match="head"):
        logits_without(model, make_repeated_tokens(model, 6), [(1, 7)])
