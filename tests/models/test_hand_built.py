"""Hand-built models do exactly what they say, wherever their heads are."""

import pytest
import torch

from induction_heads.data.tokens import follows_earlier_copy, repeated_tokens, repeats_earlier_token
from induction_heads.interp.activations import attention_patterns
from induction_heads.interp.losses import per_token_loss
from induction_heads.models.hand_built import KINDS, hand_built, hand_built_heads

TOKENS = repeated_tokens(32, 9, batch=4, gap=3)


def pattern_of(kind: str, name: str, **options) -> torch.Tensor:
    layer, head = hand_built_heads(
        kind, **{key: options[key] for key in ("n_heads", "seed") if key in options}
    )[name]
    return attention_patterns(hand_built(kind, **options), TOKENS)[layer, :, head]


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("kind", ["induction", "anti_induction", "no_copying"])
def test_induction_patterns_look_after_the_earlier_copy(kind: str, seed: int):
    pattern = pattern_of(kind, kind, seed=seed, n_heads=3)
    target = follows_earlier_copy(TOKENS)
    assert (pattern * target).sum(dim=-1)[target.any(dim=-1)].min() > 0.999


def test_the_long_prefix_head_looks_after_a_match_of_two():
    pattern = pattern_of("long_prefix", "long_prefix", n_heads=3)
    target, found = follows_earlier_copy(TOKENS), []
    for query in target.any(dim=-1)[0].nonzero().flatten().tolist():
        found.append((pattern[:, query] * target[:, query]).sum(dim=-1))
    assert found[0].max() < 0.001  # Only one token of the first query matches.
    assert torch.stack(found[1:]).min() > 0.999


def test_the_two_back_head_looks_two_back():
    pattern = pattern_of("long_prefix", "two_back", n_heads=2)
    assert pattern.diagonal(offset=-2, dim1=-2, dim2=-1).min() > 0.999


def test_two_heads_of_one_layer_need_two_places():
    with pytest.raises(ValueError, match="use n_heads of at least 2"):
        hand_built("long_prefix", n_heads=1)


def test_the_duplicate_token_head_looks_at_the_earlier_copy():
    pattern = pattern_of("duplicate_token", "duplicate_token")
    target = repeats_earlier_token(TOKENS)
    assert (pattern * target).sum(dim=-1)[target.any(dim=-1)].min() > 0.999


def test_the_previous_token_head_looks_one_back():
    pattern = pattern_of("previous_token", "previous_token")
    assert pattern.diagonal(offset=-1, dim1=-2, dim2=-1).min() > 0.999


@pytest.mark.parametrize("offset", [1, 4, 15])
def test_the_fixed_offset_head_looks_that_far_back(offset: int):
    pattern = pattern_of("fixed_offset", "fixed_offset", offset=offset)
    assert pattern.diagonal(offset=-offset, dim1=-2, dim2=-1).min() > 0.999
    torch.testing.assert_close(pattern[:, offset - 1, :offset], torch.full((4, offset), 1 / offset))


def test_the_sink_looks_at_the_first_position():
    assert pattern_of("bos_sink", "bos_sink")[..., 0].min() > 0.999


def second_copy_loss(kind: str) -> float:
    model = hand_built(kind)
    return per_token_loss(model(TOKENS), TOKENS)[:, -8:].mean().item()


def test_only_the_true_circuit_predicts_the_second_copy():
    assert second_copy_loss("induction") < 0.01
    assert second_copy_loss("no_copying") == pytest.approx(
        torch.tensor(32.0).log().item(), abs=1e-4
    )
    assert second_copy_loss("anti_induction") > 5


def test_the_rotation_changes_no_logit():
    first = hand_built("induction", n_heads=1, seed=0)
    second = hand_built("induction", n_heads=1, seed=1)
    assert not torch.allclose(first.W_E, second.W_E)
    torch.testing.assert_close(first(TOKENS), second(TOKENS), atol=1e-3, rtol=1e-3)


def test_the_places_of_the_heads_vary_with_the_seed():
    places = {
        hand_built_heads("induction", n_heads=4, seed=seed)["induction"] for seed in range(20)
    }
    assert len(places) == 4


def test_an_unknown_kind_says_which_there_are():
    with pytest.raises(ValueError, match="kind='nonsense' is not known") as caught:
        hand_built("nonsense")
    assert all(kind in str(caught.value) for kind in KINDS)


def test_an_offset_outside_the_context_is_refused():
    with pytest.raises(ValueError, match="offset=64 does not fit in a context of 64"):
        hand_built("fixed_offset", offset=64)


def test_sharpness_is_the_score_of_a_match():
    pattern = pattern_of("bos_sink", "bos_sink", sharpness=2.0)
    e = torch.tensor(2.0).exp()
    expected = e / (e + torch.arange(TOKENS.shape[1]))
    torch.testing.assert_close(pattern[0, :, 0], expected, atol=1e-4, rtol=1e-4)
