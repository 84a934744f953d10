"""Copying, measured: three scores that agree on the toys, and where the weights mislead."""

import pytest
import torch
from drawn import reference_function

from induction_heads.data.tokens import (
    distinct_tokens,
    make_repeated_tokens,
    repeated_tokens,
    with_bos,
)
from induction_heads.interp.circuits import copying_scores, logit_copying_score
from induction_heads.interp.copying import (
    effective_embedding_of,
    olsson_copying_scores,
    random_copying_scores,
    repeat_copying,
)
from induction_heads.models.attention_only import AttentionLayer
from induction_heads.models.hand_built import hand_built, hand_built_heads
from induction_heads.models.interface import embedding
from induction_heads.models.loading import load_attention_only, load_model, to_transformer_lens


def brute_force(bridge, tokens: torch.Tensor, period: int, layer: int, head: int):
    """Rank and logits of one head, query by query, with the library's own final norm."""
    with torch.inference_mode():
        _, cache = bridge.run_with_cache(tokens)
    residual = cache["ln_final.hook_in"]
    written = cache[f"blocks.{layer}.attn.hook_z"][:, :, head] @ bridge.blocks[layer].attn.W_O[head]
    start = tokens.shape[1] - period
    ranks, logits = [], []
    for row in range(len(tokens)):
        for query in range(start, tokens.shape[1] - 1):
            # A small step along what was written: the norm's scale stays, its gain applies.
            x, step = residual[row, query].double(), written[row, query].double()
            norm = bridge.ln_final.original_component
            weight = norm.weight.double() if hasattr(norm, "weight") else None
            if weight is None:
                moved = step
            elif "RMS" in type(norm).__name__:
                moved = step / x.square().mean().sqrt() * weight
            else:
                moved = (step - step.mean()) / (x - x.mean()).square().mean().sqrt() * weight
            effect = moved @ bridge.W_U.double()
            target = effect[tokens[row, query + 1]].item()
            others = [
                effect[token].item()
                for token in tokens[row, start:]
                if token != tokens[row, query + 1]
            ]
            below, above = (sum(o < target for o in others), sum(o > target for o in others))
            ranks.append((below - above) / len(others))
            logits.append(target - sum(others) / len(others))
    return sum(ranks) / len(ranks), sum(logits) / len(logits)


@pytest.mark.parametrize(
    ("name", "heads"),
    [("gpt2-2l", [(1, 3), (0, 2)]), ("llama-4l", [(3, 3)]), ("toy-2l", [(1, 0)])],
)
def test_every_head_scores_what_a_loop_over_its_queries_gives(name: str, heads: list):
    bridge = load_model(name)
    tokens = make_repeated_tokens(bridge, 7, batch=2)
    found = repeat_copying(bridge, tokens, 7)
    for layer, head in heads:
        rank, logits = brute_force(bridge, tokens, 7, layer, head)
        assert found.rank[layer, head].item() == pytest.approx(rank, abs=0.02)
        assert found.logits[layer, head].item() == pytest.approx(logits, rel=1e-2, abs=1e-3)


def test_eigenvalues_need_the_effective_embedding_in_a_model_with_mlps():
    model = load_model("gpt2-2l")
    tokens = make_repeated_tokens(model, 30, batch=8)
    measured, bare = repeat_copying(model, tokens, 30).rank, copying_scores(model)
    effective = copying_scores(model, effective_embedding_of(model))
    for head in (0, 3):  # Its induction heads.
        assert measured[1, head] > 0.45
        assert bare[1, head] < 0
        assert effective[1, head] > 0.85
    assert measured[0].abs().max() < 0.1
    assert measured[1, 1:3].abs().max() < 0.1
    # The weights say what a head would write, and not where it looks.
    assert effective[1, 1] > 0.9


@pytest.mark.parametrize(
    ("name", "heads"), [("pythia-4l", [(2, 1), (2, 3)]), ("llama-4l", [(3, 3)])]
)
def test_effective_embedding_is_that_of_the_mlp_alone(name: str, heads: list):
    model = load_model(name)
    embed, block = embedding(model), model.blocks[0]
    found = effective_embedding_of(model, batch=300)
    with torch.no_grad():
        expected = embed + block.mlp(block.ln2(embed[None]))[0]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    scores = copying_scores(model, found)
    assert all(scores[head] > 0.95 > copying_scores(model)[head] + 0.3 for head in heads)


def test_effective_embedding_is_that_of_the_exercise_on_gpt2():
    model = load_model("gpt2-2l")
    norm, mlp = model.blocks[0].ln2, model.blocks[0].mlp
    weights = (norm.weight, norm.bias, mlp.W_in, mlp.b_in, mlp.W_out, mlp.b_out)
    effective = reference_function("effective_embedding")
    by_hand = effective(embedding(model), *(weight.detach() for weight in weights))
    # The model computes GELU with a tanh, the exercise exactly.
    torch.testing.assert_close(effective_embedding_of(model), by_hand, atol=0.02, rtol=1e-3)


@pytest.mark.parametrize("name", ["toy-2l", "python-2l"])
def test_effective_embedding_without_mlps_is_the_embedding(name: str):
    for model in (load_attention_only(name), load_model(name)):
        assert torch.equal(effective_embedding_of(model), embedding(model))


def test_an_embedding_of_another_shape_is_refused(as_for_a_reader):
    with pytest.raises(ValueError, match="one row for each token"):
        copying_scores(load_attention_only("toy-2l"), torch.ones(8, 64))


@pytest.mark.parametrize(
    ("name", "heads"), [("llama-4l", {(3, 3)}), ("pythia-4l", {(2, 1), (2, 3)})]
)
def test_the_induction_heads_of_other_architectures_copy_and_no_other_head(name: str, heads: set):
    model = load_model(name)
    rank = repeat_copying(model, make_repeated_tokens(model, 30, batch=8), 30).rank
    copies = {tuple(place) for place in (rank > 0.3).nonzero().tolist()}
    assert copies == heads
    assert sorted(rank.abs().flatten())[-1 - len(heads)] < 0.15


@pytest.mark.parametrize(
    ("kind", "rank"), [("induction", 1), ("anti_induction", -1), ("no_copying", 0)]
)
def test_hand_built_heads_copy_lower_or_do_neither(kind: str, rank: float):
    model = hand_built(kind)
    place = hand_built_heads(kind)[kind]
    found = repeat_copying(model, make_repeated_tokens(model, 16), 16)
    assert found.rank[place].item() == pytest.approx(rank, abs=1e-6)
    assert found.logits[place].item() == pytest.approx(10 * rank, abs=0.1)
    olsson = olsson_copying_scores(model, distinct_tokens(32, 25, 4))[place].item()
    assert olsson == pytest.approx(1 if rank == 1 else -1, abs=1e-3)  # It cannot tell these two.


@pytest.mark.parametrize("name", ["toy-2l", "python-2l"])
def test_with_random_output_weights_the_same_patterns_copy_nothing(name: str):
    model = load_attention_only(name)
    tokens = make_repeated_tokens(model, 14, batch=16)
    before = repeat_copying(model, tokens, 14).rank[1]
    for layer in model.layers:
        assert isinstance(layer, AttentionLayer)
        spread = layer.W_O.std()
        layer.W_O.copy_(spread * torch.randn(layer.W_O.shape, generator=torch.Generator()))
    after = repeat_copying(model, tokens, 14).rank[1]
    assert before.max() > 0.7
    assert after.abs().max() < 0.3


def test_both_forms_of_a_model_copy_alike():
    model = load_attention_only("python-2l")
    bridge = to_transformer_lens(model)
    tokens = make_repeated_tokens(model, 20, batch=4)
    ours, theirs = repeat_copying(model, tokens, 20), repeat_copying(bridge, tokens, 20)
    torch.testing.assert_close(ours.rank, theirs.rank, atol=2e-3, rtol=0)
    torch.testing.assert_close(ours.logits, theirs.logits, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(
        olsson_copying_scores(model, tokens),
        olsson_copying_scores(bridge, tokens),
        atol=1e-3,
        rtol=0,
    )


def test_a_gap_and_a_bos_token_move_the_second_copy():
    model = load_attention_only("python-2l")
    for gap in (0, 9):
        tokens = repeated_tokens(model.config.d_vocab, 20, batch=4, gap=gap, bos_token=0)
        assert repeat_copying(model, tokens, 20, gap).rank[1, 0] > 0.6
    with pytest.raises(ValueError, match="Two copies of 20 tokens, 0 apart"):
        repeat_copying(model, tokens, 20)
    with pytest.raises(ValueError, match="Two copies of 40 tokens"):
        repeat_copying(model, tokens, 40)


def test_olssons_score_is_that_of_one_head_at_a_time_where_there_is_no_norm():
    model = load_attention_only("toy-2l")
    tokens = distinct_tokens(model.config.d_vocab, 25, 3)
    found = olsson_copying_scores(model, tokens)
    for layer in range(2):
        for head in range(2):
            expected = logit_copying_score(model, layer, head, tokens)
            assert found[layer, head].item() == pytest.approx(expected, abs=1e-4)


def test_olssons_score_of_a_head_that_does_not_look_at_tokens_is_known():
    model = load_attention_only("python-2l")
    tokens = with_bos(distinct_tokens(model.config.d_vocab, 25, 32, 0, (0,)), 0)
    scores = olsson_copying_scores(model, tokens, skip=1)
    assert scores[1, 1:3].mean().item() == pytest.approx(4 / 26 - 1, abs=0.05)
    assert scores[1, 0] > scores[1, 1] + 0.5


def test_random_heads_have_the_eigenvalues_of_their_ov_circuit_and_copy_nothing():
    model = load_model("toy-2l")
    scores = random_copying_scores(model, model.W_E, n=100)
    assert torch.equal(scores, random_copying_scores(model, model.W_E, n=100))
    assert scores.mean().abs() < 0.05
    assert 0.02 < scores.std() < 0.2
    generator = torch.Generator().manual_seed(3)
    d_model, d_head = model.cfg.d_model, model.cfg.d_head
    W_V = torch.randn(1, d_model, d_head, generator=generator)[0]
    W_O = torch.randn(1, d_head, d_model, generator=generator)[0]
    values = torch.linalg.eigvals((model.W_E @ W_V @ W_O @ model.W_U).detach())
    plain = values.real.sum() / values.abs().sum()  # The others of d_vocab eigenvalues are 0.
    found = random_copying_scores(model, model.W_E, n=1, seed=3)[0]
    torch.testing.assert_close(found, plain, atol=1e-3, rtol=0)
