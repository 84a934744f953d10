"""Composition scores, scores split by who wrote them, and circuits of two heads."""

import math
from itertools import product

import pytest
import torch
from drawn import reference_function

from induction_heads.interp.analysis import find_induction_heads, find_previous_token_heads
from induction_heads.interp.composition import (
    SIDES,
    composition_score,
    composition_scores,
    decompose_attention_scores,
    k_composed_qk_circuit,
    random_composition_baseline,
    virtual_head,
)
from induction_heads.models.hand_built import hand_built, hand_built_heads
from induction_heads.models.loading import load_model, to_transformer_lens


@pytest.fixture(scope="module")
def toy():
    return load_model("toy-2l")


@pytest.mark.usefixtures("as_for_a_reader")
def test_score_of_identities_and_of_matrices_that_do_not_meet():
    assert composition_score(torch.eye(4), torch.eye(4)) == pytest.approx(0.5)
    first, second = torch.eye(2)
    assert composition_score(first.diag(), second.diag()) == 0
    with pytest.raises(ValueError, match="multiplied"):
        composition_score(torch.ones(2, 3), torch.ones(2, 3))
    with pytest.raises(ValueError, match="zero"):
        composition_score(torch.zeros(2, 2), torch.ones(2, 2))


@pytest.mark.parametrize("name", ["toy-2l", "python-2l"])
def test_scores_of_all_heads_equal_the_plain_definition_and_transformer_lens(name):
    model = load_model(name)
    scores = composition_scores(model)
    for side in SIDES:
        theirs = model.all_composition_scores(side)
        assert torch.allclose(scores[side], theirs.float(), atol=1e-4)
        assert scores[side][1].count_nonzero() == 0  # No layer follows layer 1.
    for first, second in product(range(model.cfg.n_heads), repeat=2):
        OV = model.W_V[0, first] @ model.W_O[0, first]
        QK = model.W_Q[1, second] @ model.W_K[1, second].T
        reads = {"Q": QK, "K": QK.T, "V": model.W_V[1, second] @ model.W_O[1, second]}
        for side in SIDES:
            plain = composition_score(OV, reads[side])
            assert scores[side][0, first, 1, second].item() == pytest.approx(plain, abs=1e-4)


def test_baseline_is_near_the_root_of_one_over_d_model_and_depends_on_the_seed_only():
    baseline = random_composition_baseline(64, 32, samples=20)
    assert baseline == pytest.approx(64**-0.5, rel=0.1)
    assert baseline == random_composition_baseline(64, 32, samples=20)
    assert baseline != random_composition_baseline(64, 32, samples=20, seed=1)


def test_baseline_of_thin_heads_is_the_mean_and_not_the_root_of_the_mean_square():
    """For d_head = 1 the score is |cos| of two random directions: Γ(8) / (√π Γ(8.5)) for 16."""
    exact = math.gamma(8) / (math.sqrt(math.pi) * math.gamma(8.5))
    assert random_composition_baseline(16, 1, samples=2000) == pytest.approx(exact, rel=0.06)
    assert exact < 0.9 * 16**-0.5


@pytest.mark.parametrize("layer", [0, 1])
def test_parts_sum_to_the_scores_behind_the_pattern(toy, layer):
    tokens = torch.randint(64, (3, 10), generator=torch.Generator().manual_seed(0))
    parts = decompose_attention_scores(toy, tokens, layer, 1)
    assert parts.shape == (3, 2 + 2 * layer, 2 + 2 * layer, 10, 10)
    scores = parts.sum(dim=(1, 2))
    mask = torch.ones(10, 10).tril().bool()
    pattern = scores.masked_fill(~mask, float("-inf")).softmax(dim=-1)
    _, cache = toy.run_with_cache(tokens)
    expected = cache[f"blocks.{layer}.attn.hook_pattern"][:, 1]
    assert torch.allclose(pattern, expected, atol=1e-5)


def test_layer_norm_and_missing_heads_are_refused(toy):
    tokens = torch.arange(5)[None]
    with pytest.raises(ValueError, match="layer norm"):
        decompose_attention_scores(load_model("python-2l"), tokens, 1, 0)
    with pytest.raises(ValueError, match="There is no L2H0"):
        decompose_attention_scores(toy, tokens, 2, 0)
    with pytest.raises(ValueError, match="earlier layer"):
        k_composed_qk_circuit(toy, (1, 0), (1, 1))
    with pytest.raises(ValueError, match="earlier layer"):
        virtual_head(toy, (1, 0), (0, 1))


def test_k_composed_circuit_of_a_hand_built_model_is_a_diagonal():
    model = hand_built("induction", d_vocab=12, n_ctx=16, n_heads=3, seed=4)
    heads = hand_built_heads("induction", n_heads=3, seed=4)
    table = k_composed_qk_circuit(model, heads["previous_token"], heads["induction"]).AB
    assert torch.allclose(table, table[0, 0] * torch.eye(12), atol=1e-2)
    assert table[0, 0] > 1


def test_k_composed_circuit_prefers_the_own_token_in_the_trained_model(toy):
    previous = find_previous_token_heads(toy)[0][:2]
    for layer, head, _ in find_induction_heads(toy):
        table = k_composed_qk_circuit(toy, previous, (layer, head)).AB
        assert (table.argmax(dim=1) == torch.arange(64)).float().mean() > 0.9


def test_virtual_head_is_the_product_of_two_ov_matrices(toy):
    product = toy.W_V[0, 0] @ toy.W_O[0, 0] @ toy.W_V[1, 1] @ toy.W_O[1, 1]
    assert torch.allclose(virtual_head(toy, (0, 0), (1, 1)).AB, product, atol=1e-4)


@pytest.mark.parametrize("d_vocab", [11, 20])
def test_built_circuit_continues_a_repeated_block(d_vocab):
    build = reference_function("build_induction_circuit")
    model = to_transformer_lens(build(d_vocab, 20))
    block = torch.randperm(d_vocab, generator=torch.Generator().manual_seed(1))[:10]
    tokens = block.repeat(2)[None]
    assert torch.equal(model(tokens)[0, 10:-1].argmax(dim=-1), block[1:])


def test_pointer_arithmetic_is_induction_through_the_query_side():
    options = {"n_heads": 3, "seed": 2}
    model = hand_built("q_composition", d_vocab=20, n_ctx=24, **options)
    heads = hand_built_heads("q_composition", **options)
    assert [h[:2] for h in find_induction_heads(model)] == [heads["q_composition"]]
    scores = composition_scores(model)
    index = (*heads["pointer"], *heads["q_composition"])
    assert scores["Q"][index] > 0.05
    assert scores["K"][index] < 1e-3


def test_perfect_circuit_can_score_like_unrelated_heads():
    """Writer V, product V and reader 5 V in squared norms: 1 / √(5 V) for V tokens."""
    model = hand_built("induction", d_vocab=32, n_ctx=64)
    assert composition_scores(model)["K"].max().item() == pytest.approx(160**-0.5, rel=1e-3)
    assert random_composition_baseline(160, 97, samples=10) == pytest.approx(160**-0.5, rel=0.05)
