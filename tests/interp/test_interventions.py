"""Interventions: the fast way equals the plain one, and what is cut is what was asked for."""

from functools import partial

import pytest
import torch

from induction_heads.data.tokens import make_repeated_tokens
from induction_heads.grading.wire import pack, read_message
from induction_heads.interp.ablation import (
    ABLATION_HOOKS,
    METHODS,
    ablation_scores,
    second_copy_loss,
)
from induction_heads.interp.interventions import (
    logits_without_path,
    path_ablation,
    pattern_preserving_ablation,
    stripe_knockout,
    verify_induction_behavior,
)
from induction_heads.interp.losses import per_token_loss
from induction_heads.models.hand_built import hand_built, hand_built_heads
from induction_heads.models.loading import load_attention_only, load_model, to_transformer_lens
from induction_heads.models.plain_data import HookData

DECOYS = (
    "fixed_offset",
    "duplicate_token",
    "bos_sink",
    "previous_token",
    "anti_induction",
    "no_copying",
)


def looped(bridge, tokens, method, last):
    """The plain definition: one forward pass per head, with a hook."""
    with torch.inference_mode():
        clean = per_token_loss(bridge(tokens), tokens)[:, -last:].mean()
        rises = torch.zeros(bridge.cfg.n_layers, bridge.cfg.n_heads)
        for layer in range(bridge.cfg.n_layers):
            for head in range(bridge.cfg.n_heads):
                hook = partial(ABLATION_HOOKS[method], head=head)
                hooks = [(f"blocks.{layer}.attn.hook_z", hook)]
                logits = bridge.run_with_hooks(tokens, fwd_hooks=hooks)
                loss = per_token_loss(logits, tokens)[:, -last:].mean()
                rises[layer, head] = loss - clean
    return rises


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["toy-2l", "markov-2l", "python-2l"])
def test_all_heads_at_once_equal_the_loop_over_hooks(name: str, method: str):
    bridge, own = load_model(name), load_attention_only(name)
    tokens = make_repeated_tokens(bridge, 12, batch=4)
    for last in (11, tokens.shape[1] - 1):
        plain = looped(bridge, tokens, method, last)
        assert plain.max() > 0.2  # The effects are far above the tolerance.
        for model in (bridge, own):
            fast = ablation_scores(model, tokens, method=method, last=last)
            torch.testing.assert_close(fast, plain, atol=2e-5, rtol=0)


def test_ablation_scores_say_what_they_cannot_do():
    model, tokens = hand_built("induction"), torch.arange(8)[None]
    with pytest.raises(ValueError, match="zero, mean, resample"):
        ablation_scores(model, tokens, method="knockout")
    with pytest.raises(ValueError, match="last=8 of 8 tokens"):
        ablation_scores(model, tokens, last=8)


def test_hooks_change_one_head_and_leave_their_input():
    z = torch.arange(24.0).reshape(2, 3, 2, 2)
    before = z.clone()
    for hook in ABLATION_HOOKS.values():
        changed = hook(z, None, head=1)
        torch.testing.assert_close(changed[:, :, 0], z[:, :, 0])
        assert not torch.equal(changed[:, :, 1], z[:, :, 1])
    torch.testing.assert_close(z, before)


def test_a_previous_token_head_works_through_later_patterns_only():
    seed = 3
    heads = hand_built_heads("induction", n_heads=3, seed=seed)
    model = hand_built("induction", n_heads=3, seed=seed)
    tokens = make_repeated_tokens(model, 10)
    clean = model(tokens)
    kept = pattern_preserving_ablation(model, tokens, *heads["previous_token"])
    torch.testing.assert_close(kept, clean, atol=1e-3, rtol=0)
    without = pattern_preserving_ablation(model, tokens, *heads["induction"])
    assert second_copy_loss(without, tokens, 10) > second_copy_loss(clean, tokens, 10) + 2


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_induction_head_reads_its_previous_token_head_from_the_key_side(seed: int):
    heads = hand_built_heads("induction", n_heads=3, seed=seed)
    model = hand_built("induction", n_heads=3, seed=seed, d_vocab=40)
    sender, receiver = heads["previous_token"], heads["induction"]
    rises = {side: path_ablation(model, sender, receiver, side) for side in "QKV"}
    assert rises["K"] > 2
    assert abs(rises["Q"]) < 1e-3
    assert abs(rises["V"]) < 1e-3


def test_a_value_path_is_linear_in_what_the_sender_wrote():
    model = load_model("python-2l")
    tokens = make_repeated_tokens(model, 8, batch=2)
    last = logits_without_path(model, tokens, (0, 0), (1, 0), "V")
    # A value path is linear: it is the clean pattern times what the sender wrote, through W_V W_O.
    names = ["blocks.0.attn.hook_z", "blocks.1.hook_resid_pre", "blocks.1.attn.hook_pattern"]
    _, cache = model.run_with_cache(tokens)
    wrote = cache[names[0]][:, :, 0] @ model.blocks[0].attn.W_O[0]
    norm = model.blocks[1].ln1
    lost = norm(cache[names[1]]) - norm(cache[names[1]] - wrote)
    OV = model.blocks[1].attn.W_V[0] @ model.blocks[1].attn.W_O[0]
    residual = cache["blocks.1.hook_resid_post"] - cache[names[2]][:, 0] @ lost @ OV
    torch.testing.assert_close(last, model.unembed(model.ln_final(residual)), atol=1e-3, rtol=0)


def test_paths_that_do_not_exist_are_refused():
    model, tokens = hand_built("induction"), torch.arange(8)[None]
    with pytest.raises(ValueError, match="choose Q, K or V"):
        logits_without_path(model, tokens, (0, 0), (1, 0), "O")
    with pytest.raises(ValueError, match="earlier layer"):
        logits_without_path(model, tokens, (1, 0), (1, 1), "K")
    with pytest.raises(ValueError, match="no L1H2"):
        pattern_preserving_ablation(model, tokens, 1, 2)


def test_a_knocked_out_stripe_is_gone_and_rows_still_sum_to_one():
    pattern = torch.ones(6, 6).tril() / torch.arange(1, 7)[:, None]
    pattern[5] = torch.eye(6)[3]  # All of the last row is on the stripe.
    changed = stripe_knockout(pattern, 3)
    torch.testing.assert_close(changed.sum(dim=-1), torch.ones(6))
    assert all(changed[query, query - 2] == 0 for query in (3, 4, 5))
    torch.testing.assert_close(changed[:3], pattern[:3])
    torch.testing.assert_close(changed[5], torch.tensor([0.2, 0.2, 0.2, 0, 0.2, 0.2]))
    with pytest.raises(ValueError, match="does not fit twice"):
        stripe_knockout(pattern, 4)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("toy-1l", set()),
        ("toy-2l", {(1, 0), (1, 1)}),
        ("markov-2l", {(1, 0), (1, 1)}),
        ("python-2l", {(1, 0), (1, 3)}),
    ],
)
def test_true_heads_of_the_zoo_are_accepted_and_no_other(name: str, expected: set):
    model = load_model(name)
    heads = torch.cartesian_prod(torch.arange(model.cfg.n_layers), torch.arange(model.cfg.n_heads))
    accepted = {
        (layer, head)
        for layer, head in heads.tolist()
        if verify_induction_behavior(model, layer, head)["is_induction"]
    }
    assert accepted == expected


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("kind", ["induction", "q_composition", *DECOYS])
def test_hand_built_induction_heads_are_accepted_and_decoys_refused(kind: str, seed: int):
    options = {"n_heads": 3, "seed": seed, "d_vocab": 24 + 8 * seed, "n_ctx": 40}
    offset = (7, 11, 15)[seed]
    bridge = to_transformer_lens(hand_built(kind, offset=offset, **options))
    for name, (layer, head) in hand_built_heads(kind, n_heads=3, seed=seed).items():
        found = verify_induction_behavior(bridge, layer, head)
        assert found["is_induction"] == (name in ("induction", "q_composition")), (name, found)


def test_a_hook_point_travels_as_data():
    import io

    sent = HookData("blocks.3.attn.hook_z")
    received = read_message(io.BytesIO(pack([sent])))[0]
    assert (received.name, received.layer()) == ("blocks.3.attn.hook_z", 3)
