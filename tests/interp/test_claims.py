"""Claims predict planted models, gains add up to the logit, and interventions are drawn fairly."""

import math

import pytest
import torch

from induction_heads.interp.claims import (
    Claim,
    Intervention,
    claim_rows,
    claim_targets,
    copying_gains,
    decisive_intervention,
    draw_interventions,
    gain_without_arrow,
    measured_loss,
    predicted_loss,
    prediction_skill,
)
from induction_heads.models.loading import as_hooked
from induction_heads.models.planted import planted

CLEAN = Intervention(silent=[], cut=[], match=3, lag=1, shift=0)
MODEL = planted("K", gains=(4.0, -1.5), seed=4)
SIZES = {"n_layers": 3, "n_heads": 4, "d_vocab": 32}


@pytest.fixture(scope="module")
def bridge():
    return as_hooked(MODEL)


@pytest.fixture(scope="module")
def claim(bridge) -> Claim:
    gains = copying_gains(bridge, 1, 0)
    copiers = [
        [*place, gains[tuple(place)].item()] for place in (gains.abs() > 1).nonzero().tolist()
    ]
    arrows = [
        [[layer, head], place, side]
        for *place, gain in copiers
        for layer in range(place[0])
        for head in range(4)
        for side in "QK"
        if abs(gain_without_arrow(bridge, 1, 0, (layer, head), tuple(place), side)) < abs(gain) / 2
    ]
    return Claim(copiers=copiers, arrows=arrows, match=1, lag=1, shift=0)


def test_gains_of_all_heads_add_up_to_the_logit_of_the_target(bridge):
    rows = claim_rows(32, 3)
    target = claim_targets(rows, 1, 0, 32)[:, None]
    logits = MODEL(rows)[:, -1] - MODEL.embed(rows)[:, -1] @ MODEL.W_U
    of_target = logits.gather(1, target)
    margin = (of_target - (logits.sum(dim=1, keepdim=True) - of_target) / 31).mean()
    assert copying_gains(bridge, 1, 0).sum().item() == pytest.approx(margin.item(), abs=1e-3)


def test_claim_has_the_planted_gains_and_one_sender(claim: Claim):
    assert sorted(round(gain, 1) for *_, gain in claim["copiers"]) == [-1.5, 4.0]
    assert [side for *_, side in claim["arrows"]] == ["K", "K"]
    assert len({tuple(sender) for sender, *_ in claim["arrows"]}) == 1


def test_claim_predicts_held_out_interventions_and_a_claim_without_heads_does_not(bridge, claim):
    drawn = draw_interventions(claim, 12, **SIZES, seed=3)
    losses = [measured_loss(bridge, each, batch=16, seed=3) for each in drawn]
    clean = measured_loss(bridge, CLEAN, batch=16, seed=3)
    empty: Claim = {**claim, "copiers": []}
    skills = [
        prediction_skill([predicted_loss(said, each, 32) for each in drawn], losses, clean)
        for said in (claim, empty)
    ]
    assert skills[0] > 0.8
    assert skills[1] < 0.3


def test_interventions_have_one_arrow_or_silent_heads_and_go_beyond_the_claim(claim: Claim):
    drawn = draw_interventions(claim, 200, **SIZES, seed=0)
    assert drawn == draw_interventions(claim, 200, **SIZES, seed=0)
    assert drawn != draw_interventions(claim, 200, **SIZES, seed=1)
    assert all((len(each["cut"]) == 1) != bool(each["silent"]) for each in drawn)
    assert {each["match"] for each in drawn} == {0, 1, 2, 3}
    assert {side for each in drawn for *_, side in each["cut"]} == set("QKV")
    assert all(start[0] < end[0] for each in drawn for start, end, _ in each["cut"])
    named = [place[:2] for place in claim["copiers"]] + [sender for sender, *_ in claim["arrows"]]
    silent = [head for each in drawn for head in each["silent"]]
    assert 0.6 < sum(head in named for head in silent) / len(silent) < 0.85


def test_a_claim_without_heads_can_be_drawn_about():
    empty = Claim(copiers=[], arrows=[], match=1, lag=1, shift=0)
    assert len(draw_interventions(empty, 9, **SIZES, seed=0)) == 9


def test_sides_of_an_arrow_are_different_arrows(claim: Claim):
    sender, receiver, _ = claim["arrows"][0]
    other: Intervention = {**CLEAN, "cut": [[sender, receiver, "Q"]]}
    assert predicted_loss(claim, other, 32) == predicted_loss(claim, CLEAN, 32)


def test_decisive_intervention_is_not_one_about_which_both_agree(claim: Claim):
    rival: Claim = {**claim, "match": 2}
    matches = [Intervention(**{**CLEAN, "match": match}) for match in range(4)]
    assert decisive_intervention(claim, rival, matches, 32) == 1


def test_more_than_one_change_at_once_is_rejected():
    arrow = [[0, 0], [1, 0], "K"]
    with pytest.raises(ValueError, match="Cut one arrow, or"):
        measured_loss(MODEL, {**CLEAN, "cut": [arrow], "silent": [[0, 0]]})
    with pytest.raises(ValueError, match="Got 2 arrows"):
        measured_loss(MODEL, {**CLEAN, "cut": [arrow, arrow]})


def test_the_target_wraps_around_the_vocabulary():
    rows = claim_rows(32, 2, batch=16)
    assert torch.equal(claim_targets(rows, 1, 31, 32), (rows[:, 3] - 1) % 32)


def test_without_a_working_copier_every_token_is_a_guess():
    empty = Claim(copiers=[], arrows=[], match=0, lag=1, shift=0)
    assert predicted_loss(empty, CLEAN, 50) == pytest.approx(math.log(50))
