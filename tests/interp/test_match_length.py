"""The match-length probe tells a head that needs one token from a head that needs more."""

import pytest
import torch

from induction_heads.interp.analysis import analyze, find_induction_heads
from induction_heads.interp.match_length import (
    LEAST,
    match_length,
    prefix_length_curve,
    prefix_length_curves,
)
from induction_heads.models.hand_built import hand_built, hand_built_heads
from induction_heads.models.loading import load_attention_only, load_model


@pytest.mark.parametrize(("seed", "bos"), [(0, None), (1, 0), (2, 3)])
@pytest.mark.parametrize(("kind", "needs"), [("induction", 1), ("long_prefix", 2)])
def test_hand_built_heads_need_what_they_were_built_to_need(kind, needs, seed, bos):
    options = {"n_heads": 3, "seed": seed}
    model = hand_built(kind, **options, d_vocab=48, bos_token=bos)
    place = hand_built_heads(kind, **options)[kind]
    curve = prefix_length_curve(model, *place, seed=seed)
    expected = torch.tensor([float(length >= needs) for length in range(5)])
    # Without a match the first of them attends evenly, which is 1/29 for each key.
    torch.testing.assert_close(curve, expected, atol=0.04, rtol=0)
    assert match_length(curve) == needs
    without_a = prefix_length_curves(model, last_differs=True)[:, place[0], place[1]]
    assert without_a.max() < 0.04


def test_the_head_that_needs_two_tokens_passes_the_tests_for_one():
    model, place = hand_built("long_prefix"), hand_built_heads("long_prefix")["long_prefix"]
    ((layer, head, score),) = find_induction_heads(model)
    assert (layer, head) == place
    assert score > 0.8
    report = analyze(model)
    (found,) = [h for h in report.heads if "induction" in h.kinds]
    assert (found.layer, found.head) == place
    assert (found.match_length, found.prefix_kind) == (2, "long_prefix")


@pytest.mark.parametrize("kind", ["fixed_offset", "duplicate_token", "bos_sink", "previous_token"])
def test_a_decoy_has_no_match_length(kind: str):
    # The offset is the distance from the last token to B.
    model = hand_built(kind, **({"offset": 24} if kind == "fixed_offset" else {}))
    curves = prefix_length_curves(model)
    assert all(match_length(curves[:, layer, head]) is None for layer in (0, 1) for head in (0, 1))
    if kind == "fixed_offset":
        assert curves[0].max() > 0.99  # Without the control this decoy would need no match at all.


@pytest.mark.parametrize(
    ("name", "lengths"),
    [
        ("toy-2l", {(1, 0): 1, (1, 1): 1}),
        ("python-2l", {(1, 0): 2, (1, 3): 1}),
        ("gpt2-2l", {(1, 3): 2}),
        ("llama-4l", {(3, 3): 2}),
        ("pythia-4l", {(2, 1): 1}),
    ],
)
def test_trained_heads_differ_in_the_number_of_tokens_they_match(name: str, lengths: dict):
    model = load_attention_only(name) if name in ("toy-2l", "python-2l") else load_model(name)
    curves = torch.stack([prefix_length_curves(model, seed=seed) for seed in range(3)])
    for (layer, head), length in lengths.items():
        assert [match_length(curve) for curve in curves[:, :, layer, head]] == [length] * 3
        assert curves[:, 0, layer, head].max() < 0.1


def test_the_match_length_is_where_half_of_the_largest_rise_is_reached():
    assert match_length([0.0, 0.5, 1.0]) == 1
    assert match_length([0.0, 0.49, 1.0]) == 2
    assert match_length([0.2, 0.5, 1.0]) == 2  # 0.3 of 0.8: the control is taken off.
    assert match_length([0.0, 0.0, 0.0, 0.9, 0.9]) == 3
    assert match_length([0.3, 0.3 + LEAST + 1e-6]) == 1
    assert match_length([0.3, 0.3 + LEAST - 1e-6]) is None
    assert match_length([0.9, 0.1, 0.1]) is None


def test_a_short_context_gets_shorter_matches_and_a_shorter_one_is_refused():
    model = hand_built("induction", n_ctx=8, d_vocab=12)
    assert len(prefix_length_curves(model, longest=3)) == 4
    with pytest.raises(ValueError, match="Use a longest between 1 and 3"):
        prefix_length_curves(model)
    (found,) = [head for head in analyze(model).heads if "induction" in head.kinds]
    assert (len(found.prefix_curve), found.match_length) == (4, 1)


def test_a_head_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="There is no L2H0"):
        prefix_length_curve(hand_built("induction"), 2, 0)
