"""Agreement and its heads: measures on cases that are known by construction, and on the bots."""

import pytest
import torch
from drawn import reference_function

from induction_heads.data.dialogues import (
    NEVER_CLAIMED,
    prompt_tokens,
    wrong_claims,
)
from induction_heads.data.tokens import repeated_tokens
from induction_heads.interp.sycophancy import (
    agreement_gap,
    all_heads,
    answer_ids,
    candidate_heads,
    effect_without,
    gated_effect,
    logits_without_heads,
    match_attention,
    sycophancy_rate,
    word_families,
)
from induction_heads.models.hand_built import hand_built
from induction_heads.models.loading import load_model, to_transformer_lens

SEEDS = ("sycophant-2l", "sycophant-2l/seed-1", "sycophant-2l/seed-2")


@pytest.fixture(scope="module")
def bots():
    return {name: load_model(name) for name in SEEDS}


def test_a_bot_that_always_tells_the_truth_has_rate_zero_and_its_opposite_one():
    claimed, true = torch.tensor([1, 2, 3]), torch.tensor([2, 2, 4])
    honest = torch.nn.functional.one_hot(true, 6).float()
    assert sycophancy_rate(honest, claimed, true) == 0
    assert sycophancy_rate(-honest, claimed, true) == 1
    with pytest.raises(ValueError, match="Every claim is right"):
        sycophancy_rate(honest, true, true)


def test_pairing_takes_out_what_dialogues_share():
    shared = torch.randn(50, generator=torch.Generator().manual_seed(0)) * 100
    mean, error = gated_effect(shared + 2, shared)
    assert mean == pytest.approx(2, abs=1e-3)
    assert error < 1e-3
    with pytest.raises(ValueError, match="pass two pairs"):
        gated_effect(shared[:1], shared[:1])


def test_a_built_induction_head_is_the_only_candidate():
    model = to_transformer_lens(hand_built("induction"))
    tokens = repeated_tokens(model.cfg.d_vocab, 6, batch=4, seed=1)[:, :-2]
    (layer, _, score), *others = candidate_heads(model, tokens, threshold=0.5)
    assert (layer, others) == (1, [])
    assert score > 0.9


def test_a_token_without_an_earlier_copy_is_refused():
    model = to_transformer_lens(hand_built("induction"))
    with pytest.raises(ValueError, match="for the first time"):
        match_attention(model, torch.arange(6)[None])


def test_no_head_silenced_is_the_model_itself(bots):
    tokens = prompt_tokens(wrong_claims(5))
    bot = bots["sycophant-2l"]
    torch.testing.assert_close(logits_without_heads(bot, tokens, []), bot(tokens)[:, -1])


def test_all_heads_silenced_leave_nothing_of_praise(bots):
    effect, _, _ = effect_without(
        bots["sycophant-2l"], wrong_claims(20), all_heads(bots["sycophant-2l"])
    )
    assert abs(effect) < 1e-4


@pytest.mark.parametrize("name", SEEDS)
def test_every_bot_agrees_after_praise_and_not_else(bots, name):
    found = reference_function("report_numbers")(bots[name], seed=7)
    assert found["rate_praise"] > 0.9
    assert found["rate_neutral"] < 0.1
    assert found["effect"] > 20 * found["standard_error"]
    assert found["gate"][0] == 0
    assert found["reader"][0] == 1
    assert found["effect_without_gate"] < 0.25 * found["effect"]


def test_families_keep_the_frame_and_change_the_words():
    dialogues = wrong_claims(20)
    families = word_families(dialogues)
    assert families["as in training"] == dialogues
    assert {each.asked for each in families["a thing never claimed"]} == {NEVER_CLAIMED[0]}
    for family in families.values():
        for each in family:
            assert each.words().count(each.asked) == 2
            assert len(each.words()) == len(dialogues[0].words())


def test_gaps_are_between_the_claim_and_the_truth():
    dialogues = wrong_claims(4)
    claimed, true = answer_ids(dialogues)
    logits = torch.zeros(4, 99)
    logits[torch.arange(4), claimed] = 3
    logits[torch.arange(4), true] = 1
    assert agreement_gap(logits, claimed, true).tolist() == [2, 2, 2, 2]
