"""Heads that cover for each other."""

import pytest

from induction_heads import load_model
from induction_heads.data.tokens import make_repeated_tokens
from induction_heads.interp.ablation import ablation_scores, joint_ablation_gap
from induction_heads.models.hand_built import hand_built, hand_built_heads
from induction_heads.models.loading import to_transformer_lens


def test_two_induction_heads_of_the_toy_cover_for_each_other():
    toy = load_model("toy-2l")
    tokens = make_repeated_tokens(toy, period=12, batch=16)
    assert joint_ablation_gap(toy, tokens, [(1, 0), (1, 1)]) > 0.1


def test_a_mark_without_a_reader_costs_nothing_more():
    """Without the induction head the previous-token head has nobody to speak to."""
    places = hand_built_heads("induction")
    model = to_transformer_lens(hand_built("induction"))
    tokens = make_repeated_tokens(model, period=8, batch=8)
    alone = ablation_scores(model, tokens)[places["previous_token"]].item()
    assert alone > 1
    assert joint_ablation_gap(model, tokens, list(places.values())) == pytest.approx(
        -alone, abs=0.01
    )


@pytest.mark.usefixtures("as_for_a_reader")
@pytest.mark.parametrize("heads", [[(0, 0)], [(0, 0), (0, 0)], []])
def test_fewer_than_two_different_heads_are_refused(heads):
    model = hand_built("induction")
    with pytest.raises(ValueError, match="at least two heads"):
        joint_ablation_gap(model, make_repeated_tokens(model, period=8), heads)
