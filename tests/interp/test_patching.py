"""Patches put what was asked for where it was asked for, and the first order is a slope."""

import pytest
import torch

from induction_heads.course.random_models import loud_neighbors
from induction_heads.data.row_pairs import CHANGES, one_token_changed
from induction_heads.interp.patching import (
    DIRECTIONS,
    activation_patching_effects,
    attribution_patching_effects,
    mean_logit_difference,
)
from induction_heads.models.hand_built import hand_built, hand_built_heads
from induction_heads.models.loading import load_attention_only, load_model, to_transformer_lens


def random_pair(seed: int, batch: int = 3, n_pos: int = 6):
    generator = torch.Generator().manual_seed(seed)
    clean, corrupted = torch.randint(1, 20, (2, batch, n_pos), generator=generator)
    right, wrong = torch.tensor([3, 4, 5]), torch.tensor([6, 7, 8])
    return clean, corrupted, right, wrong


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_hand_built_previous_token_head_carries_the_earlier_copy(seed: int, direction: str):
    heads = hand_built_heads("induction", n_heads=3, seed=seed)
    model = hand_built("induction", n_heads=3, seed=seed)
    for changed, carriers in (("key", heads.values()), ("answer", [heads["induction"]])):
        pair = one_token_changed(model, changed, period=10, batch=4)
        effects = activation_patching_effects(model, *pair, direction)
        expected = torch.zeros(2, 3)
        for place in carriers:
            expected[place] = 1.0
        torch.testing.assert_close(effects, expected, atol=0.02, rtol=0)


def test_positions_of_a_last_layer_without_norm_add_up_to_the_head():
    model = to_transformer_lens(loud_neighbors(n_layers=2))
    pair = random_pair(0)
    for direction in DIRECTIONS:
        whole = activation_patching_effects(model, *pair, direction)
        parts = activation_patching_effects(model, *pair, direction, by_position=True)
        assert parts.shape == (2, 3, 6)
        torch.testing.assert_close(parts[1].sum(dim=-1), whole[1], atol=1e-3, rtol=1e-3)
        # Of the last layer, only what is written at the last position is read.
        torch.testing.assert_close(parts[1, :, :-1], torch.zeros(3, 5), atol=1e-4, rtol=0)


def test_a_patch_at_one_position_is_a_hook_at_that_position():
    model = to_transformer_lens(loud_neighbors())
    clean, corrupted, right, wrong = random_pair(1)
    parts = activation_patching_effects(
        model, clean, corrupted, right, wrong, "denoise", by_position=True
    )
    _, cache = model.run_with_cache(clean)
    name = "blocks.0.attn.hook_z"

    def patch(z, hook):
        z = z.clone()
        z[:, 2, 1] = cache[name][:, 2, 1]
        return z

    high, low, patched = (
        mean_logit_difference(logits, right, wrong)
        for logits in (
            model(clean),
            model(corrupted),
            model.run_with_hooks(corrupted, fwd_hooks=[(name, patch)]),
        )
    )
    torch.testing.assert_close(parts[0, 1, 2], (patched - low) / (high - low), atol=1e-4, rtol=0)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_noising_is_denoising_with_the_two_runs_exchanged(direction: str):
    model = to_transformer_lens(loud_neighbors())
    clean, corrupted, right, wrong = random_pair(2)
    other = DIRECTIONS[1 - DIRECTIONS.index(direction)]
    for effects in (activation_patching_effects, attribution_patching_effects):
        torch.testing.assert_close(
            effects(model, clean, corrupted, right, wrong, direction),
            effects(model, corrupted, clean, right, wrong, other),
            atol=1e-4,
            rtol=1e-4,
        )


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_first_order_is_exact_behind_the_last_softmax_and_a_slope_before(direction: str):
    model = to_transformer_lens(loud_neighbors(n_layers=2))
    clean, corrupted, right, wrong = random_pair(3)
    exact = activation_patching_effects(model, clean, corrupted, right, wrong, direction)
    first = attribution_patching_effects(model, clean, corrupted, right, wrong, direction)
    torch.testing.assert_close(first[1], exact[1], atol=1e-3, rtol=1e-3)
    assert not torch.allclose(first[0], exact[0], atol=0.02)
    # A small step toward the other run changes the measure by the slope.
    start, end = (corrupted, clean) if direction == "denoise" else (clean, corrupted)
    name = "blocks.0.attn.hook_z"
    z = [model.run_with_cache(rows)[1][name] for rows in (start, end)]

    def measure(share):
        def hook(value, hook):
            value = value.clone()
            value[:, :, 2] += share * (z[1] - z[0])[:, :, 2]
            return value

        logits = model.run_with_hooks(start, fwd_hooks=[(name, hook)])
        return mean_logit_difference(logits, right, wrong)

    slope = (measure(0.02) - measure(-0.02)) / 0.04
    total = mean_logit_difference(model(end), right, wrong) - measure(0.0)
    torch.testing.assert_close(first[0, 2], slope / total, atol=2e-2, rtol=2e-2)
    by_position = attribution_patching_effects(
        model, clean, corrupted, right, wrong, direction, by_position=True
    )
    torch.testing.assert_close(by_position.sum(dim=-1), first, atol=1e-4, rtol=1e-4)


def test_the_gradient_misses_most_of_the_previous_token_head_of_the_toy():
    model = load_attention_only("toy-2l")
    pair = one_token_changed(model, "key", batch=8)
    for direction in DIRECTIONS:
        exact = activation_patching_effects(model, *pair, direction)
        first = attribution_patching_effects(model, *pair, direction)
        assert exact[0, 0] > 0.9
        assert first[0, 0] < 0.6
        torch.testing.assert_close(first[1], exact[1], atol=1e-3, rtol=0)


def test_patches_leave_no_gradient_and_no_hook_behind():
    model = load_model("toy-2l")
    pair = one_token_changed(model, "key", batch=2)
    before = model(pair.clean)
    effects = attribution_patching_effects(model, *pair, "denoise")
    assert not effects.requires_grad
    torch.testing.assert_close(model(pair.clean), before)
    assert all(weight.grad is None for weight in model.parameters())


def test_patches_say_what_they_cannot_do(as_for_a_reader):
    model = to_transformer_lens(loud_neighbors())
    clean, corrupted, right, wrong = random_pair(4)
    for effects in (activation_patching_effects, attribution_patching_effects):
        with pytest.raises(ValueError, match="choose denoise or noise"):
            effects(model, clean, corrupted, right, wrong, "restore")
        with pytest.raises(ValueError, match="same length"):
            effects(model, clean, corrupted[:, 1:], right, wrong, "noise")
        with pytest.raises(ValueError, match="one of each for every row"):
            effects(model, clean, corrupted, right[:2], wrong, "noise")
        with pytest.raises(ValueError, match="nothing to restore"):
            effects(model, clean, clean, right, wrong, "noise")


@pytest.mark.parametrize("name", ["toy-2l", "python-2l"])
@pytest.mark.parametrize("changed", CHANGES)
def test_one_token_differs_and_the_answer_follows_the_earlier_copy(name: str, changed: str):
    model = load_attention_only(name)
    pair = one_token_changed(model, changed, batch=4)
    assert ((pair.clean != pair.corrupted).sum(dim=1) == 1).all()
    start, n_pos = int(name == "python-2l"), pair.clean.shape[1]
    assert n_pos == start + 12 + 7
    earlier = start + 6
    assert torch.equal(pair.clean[:, earlier], pair.clean[:, -1])
    assert torch.equal(pair.right, pair.clean[:, earlier + 1])
    assert (pair.right != pair.wrong).all()
    place = (pair.clean != pair.corrupted)[0].nonzero().item()
    expected = {
        "key": earlier,
        "answer": earlier + 1,
        "query": n_pos - 1,
        "before the query": n_pos - 2,
        "before the key": earlier - 1,
        "three before the query": n_pos - 4,
    }
    assert place == expected[changed]
    if changed != "query":
        new = pair.corrupted[:, place]
        assert not (pair.clean == new[:, None]).any()
    else:
        followers = pair.corrupted[:, start + 2]
        assert torch.equal(pair.corrupted[:, -1], pair.corrupted[:, start + 1])
        assert torch.equal(pair.wrong, followers)
    if changed == "answer":
        assert torch.equal(pair.wrong, pair.corrupted[:, place])


def test_other_changes_and_short_blocks_are_refused():
    model = load_attention_only("toy-2l")
    with pytest.raises(ValueError, match="choose one of key, answer"):
        one_token_changed(model, "value")
    with pytest.raises(ValueError, match="at least 8 tokens"):
        one_token_changed(model, "key", period=7)
