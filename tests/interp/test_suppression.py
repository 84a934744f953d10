"""Copy suppression and self-repair, where the right answer is known by construction."""

import math

import pytest
import torch
from drawn import reference_function

from induction_heads.data.matching_rows import other_answer
from induction_heads.data.tokens import make_repeated_tokens, repeats_earlier_token
from induction_heads.interp.activations import attention_patterns
from induction_heads.interp.suppression import (
    compensation,
    copy_suppression_score,
    head_effects,
    measured_repair,
    seen_so_far,
    suppression_by_weights,
    suppression_circuits,
)
from induction_heads.models.hand_built import hand_built_suppressor, suppressor_heads
from induction_heads.models.loading import load_model, to_transformer_lens
from induction_heads.training.matching_models import (
    load_matching_model,
    measured_rows,
    stored_runs,
)
from induction_heads.training.swap_heads import KINDS, by_kind, swap_record

PERIOD = 10


def built(strength: float, seed: int = 0):
    model = hand_built_suppressor(strength=strength, seed=seed)
    return to_transformer_lens(model), make_repeated_tokens(model, PERIOD, batch=8, seed=seed)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_hand_built_suppressor_attends_to_what_is_predicted_and_lowers_it(seed: int):
    model, tokens = built(0.5, seed)
    layer, head = suppressor_heads(seed=seed)["suppressor"]
    pattern = attention_patterns(model, tokens)[layer, :, head]
    query = torch.arange(PERIOD, 2 * PERIOD - 1)  # Predicts the token at query − PERIOD + 1.
    assert pattern[:, query, query - PERIOD + 1].min() > 0.9
    effect = head_effects(model, tokens, layer, head)[1]
    predicted = effect[:, query].gather(-1, tokens[:, query + 1, None])
    torch.testing.assert_close(predicted, torch.full_like(predicted, -5.0), atol=0.1, rtol=0)
    assert copy_suppression_score(*head_effects(model, tokens, layer, head), tokens) < -2


@pytest.mark.parametrize("strength", [0.0, 0.5])
def test_what_returns_is_what_the_suppressor_took(strength: float):
    model, tokens = built(strength)
    place = suppressor_heads()["induction"]
    direct, returned = measured_repair(model, tokens, *place, PERIOD - 1)
    assert direct == pytest.approx(10, abs=0.1)
    # Without a prediction the suppressor looks everywhere and still takes a little.
    assert returned == pytest.approx(10 * strength, abs=0.7 * strength + 1e-3)


def test_heads_of_the_last_layer_without_norm_are_not_repaired():
    model = load_model("toy-2l")
    tokens = make_repeated_tokens(model, 12, batch=8)
    direct, returned = measured_repair(model, tokens, 1, 0, 11)
    assert direct > 1
    assert abs(returned) < 1e-4


def test_with_the_last_mlp_frozen_only_the_final_norm_reacts():
    model, head = load_model("gpt2-2l"), 3
    tokens = make_repeated_tokens(model, 12, batch=2)
    direct, returned = measured_repair(model, tokens, 1, head, 11, frozen_mlps=[1])
    logits, cache = model.run_with_cache(tokens)
    written = cache["blocks.1.attn.hook_z"][:, :, head] @ model.W_O[1, head]
    without = model.ln_final(cache["blocks.1.hook_resid_post"] - written) @ model.W_U
    fall = (logits - without - getattr(model, "b_U", 0))[:, :-1].gather(-1, tokens[:, 1:, None])
    assert returned == pytest.approx(direct - fall[:, -11:].mean().item(), abs=2e-2)
    assert measured_repair(model, tokens, 1, head, 11)[1] < -4  # The MLP reacts, and loses more.
    assert returned > 1


@pytest.mark.parametrize(("name", "layers"), [("toy-2l", [1]), ("gpt2-2l", [2]), ("gpt2-2l", [-1])])
def test_a_layer_without_an_mlp_cannot_be_frozen(name: str, layers: list[int]):
    model = load_model(name)
    with pytest.raises(ValueError, match="layers with an MLP are"):
        measured_repair(model, make_repeated_tokens(model, 8), 1, 0, 7, frozen_mlps=layers)


def test_parts_of_the_residual_stream_sum_to_the_logits_with_the_norm_held():
    model = load_model("python-2l")
    tokens = make_repeated_tokens(model, 12, batch=4)
    before = head_effects(model, tokens, 1, 0)[0]
    heads = sum(head_effects(model, tokens, 1, head)[1] for head in range(model.cfg.n_heads))
    torch.testing.assert_close(before + heads, model(tokens), atol=2e-3, rtol=1e-4)


def test_the_formula_is_the_measure_on_two_equal_heads():
    a, r = 1.5, 0.8
    both, one = torch.tensor([2 * a, r]), torch.tensor([a, r])
    clean, ablated = ((v / v.norm())[None, None, :].repeat(1, 2, 1) for v in (both, one))
    direct = (torch.tensor([a, 0.0]) / both.norm())[None, None, :].repeat(1, 2, 1)
    share = compensation(direct, clean, ablated, torch.tensor([[0, 0]])) / direct[0, 0, 0]
    formula = reference_function("repair_by_norm_formula")()
    expected = eval(formula, {"sqrt": math.sqrt, "a": a, "r": r})
    assert share.item() == pytest.approx(expected, rel=1e-5)


def test_seen_so_far_counts_the_position_itself():
    seen = seen_so_far(torch.tensor([[2, 0, 2]]), 3)
    assert seen.tolist() == [[[False, False, True], [True, False, True], [True, False, True]]]


@pytest.mark.usefixtures("as_for_a_reader")
def test_wrong_shapes_and_rows_without_copies_are_told_so():
    logits = torch.zeros(1, 3, 4)
    with pytest.raises(ValueError, match="Pass"):
        copy_suppression_score(logits, logits, torch.zeros(1, 2, dtype=torch.long))
    with pytest.raises(ValueError, match="rows that repeat"):
        copy_suppression_score(logits, logits, torch.tensor([[1, 2, 3]]))
    with pytest.raises(ValueError, match="three times"):
        compensation(logits, logits[:, :2], logits, torch.zeros(1, 3, dtype=torch.long))
    assert not repeats_earlier_token(torch.tensor([[1, 2, 3]])).any()


def test_only_the_hand_built_suppressor_lowers_and_finds_every_token():
    model = to_transformer_lens(hand_built_suppressor(strength=0.5))
    ids = torch.arange(model.cfg.d_vocab)
    both = {
        (layer, head): min(suppression_by_weights(*suppression_circuits(model, layer, head, ids)))
        for layer in range(3)
        for head in range(2)
    }
    assert {place for place, share in both.items() if share > 0.5} == {
        suppressor_heads()["suppressor"]
    }


def test_a_head_that_writes_nothing_lowers_nothing():
    assert suppression_by_weights(torch.zeros(5, 5), torch.zeros(5, 5)) == (0.0, 0.0)
    assert suppression_by_weights(torch.zeros(5, 5), torch.eye(5), n_lowest=5) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("ov", "qk", "n", "message"),
    [((2, 3), (2, 2), 1, "ov"), ((3, 3), (2, 2), 1, "qk"), ((3, 3), (3, 3), 4, "n_lowest=4")],
)
def test_circuits_that_do_not_fit_are_refused(as_for_a_reader, ov, qk, n, message):
    with pytest.raises(ValueError, match=message):
        suppression_by_weights(torch.zeros(ov), torch.zeros(qk), n)


def test_nothing_returns_if_every_candidate_is_held():
    model = load_model("pythia-4l")
    tokens = make_repeated_tokens(model, 12, batch=4)
    held = {"frozen_mlps": [2, 3], "frozen_attention": [3], "frozen_norm": True}
    assert abs(measured_repair(model, tokens, 2, 3, 11, **held)[1]) < 1e-3
    with pytest.raises(ValueError, match="the layers behind layer 2 are"):
        measured_repair(model, tokens, 2, 3, 11, frozen_attention=[2])


def test_the_shipped_model_of_swaps_gives_its_record():
    last, model = stored_runs("swaps")[0][-1], load_matching_model("swaps")
    again = swap_record(model, measured_rows("swaps"))
    for kind in KINDS:
        for name, values in again[kind].items():
            torch.testing.assert_close(
                torch.tensor(values), torch.tensor(last[kind][name]), atol=0.05, rtol=0.05
            )


def test_behind_the_second_first_id_the_earlier_answer_is_wrong():
    rows = by_kind(measured_rows("swaps"))
    for kind, of_kind in rows.items():
        row, query, key = of_kind.marked[:, :-1].nonzero(as_tuple=True)
        earlier, later = of_kind.tokens[row, key], of_kind.tokens[row, query + 1]
        assert torch.equal(earlier if kind == "copied" else other_answer(earlier), later)
        assert len(row) > 300
