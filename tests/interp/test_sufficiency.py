"""A circuit computed alone: its definition, what the models show, and what it refuses."""

import math

import pytest
import torch

from induction_heads.course.random_models import loud_neighbors, random_model
from induction_heads.data.tokens import make_repeated_tokens, repeated_tokens
from induction_heads.interp.ablation import head_hooks, second_copy_loss
from induction_heads.interp.sufficiency import (
    TOKEN,
    InductionTerms,
    idealized_circuit_logits,
    knockout_losses,
    minimal_circuit_logits,
    two_head_circuit,
)
from induction_heads.models.hand_built import hand_built, hand_built_heads
from induction_heads.models.loading import load_attention_only, load_model, to_transformer_lens
from induction_heads.models.rotary_positions import with_rotary_positions


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_circuit_of_a_hand_built_model_is_the_model(seed: int):
    heads = hand_built_heads("induction", n_heads=3, seed=seed)
    model = hand_built("induction", n_heads=3, seed=seed)
    tokens = make_repeated_tokens(model, 10)
    alone = minimal_circuit_logits(model, tokens, heads["previous_token"], [heads["induction"]])
    # Before the second copy nothing matches, and the model's head has a place to rest.
    torch.testing.assert_close(alone[:, 10:], model(tokens)[:, 10:], atol=1e-2, rtol=0)


def by_tables(model, tokens, previous, induction):
    """One row and one query at a time, from a table of matches and a table of copies."""
    W_Q, W_K, W_V, W_O = (
        torch.stack([getattr(layer, name) for layer in model.layers])
        for name in ("W_Q", "W_K", "W_V", "W_O")
    )
    marks = model.W_E @ W_V[previous] @ W_O[previous]
    logits = torch.zeros(*tokens.shape, model.config.d_vocab)
    for head in induction:
        matches = model.W_E @ W_Q[head] @ (marks @ W_K[head]).T / math.sqrt(W_Q.shape[-1])
        copies = model.W_E @ W_V[head] @ W_O[head] @ model.W_U
        for row, ids in enumerate(tokens.tolist()):
            for query in range(len(ids)):
                scores = [0.0] + [
                    matches[ids[query], ids[key - 1]].item() for key in range(1, query + 1)
                ]
                weights = torch.tensor(scores).softmax(dim=0)
                for key in range(query + 1):
                    logits[row, query] += weights[key] * copies[ids[key]]
    return logits


@pytest.mark.parametrize(
    ("previous", "induction"), [((0, 1), [(1, 0), (2, 2)]), ((1, 2), [(2, 0)]), ((0, 0), [(1, 1)])]
)
def test_the_circuit_is_one_table_of_matches_and_one_of_copies_a_head(previous, induction):
    model = loud_neighbors(seed=3, bos_token=0)
    tokens = repeated_tokens(20, 6, batch=3, bos_token=0)
    expected = by_tables(model, tokens, previous, induction)
    for one in (model, to_transformer_lens(model)):
        alone = minimal_circuit_logits(one, tokens, previous, induction)
        torch.testing.assert_close(alone, expected, atol=1e-4, rtol=1e-4)


def test_with_layer_norm_each_reader_divides_by_the_scale_of_the_models_own_pass():
    model = loud_neighbors(n_layers=2, n_heads=2, normalization="LN", seed=1)
    generator = torch.Generator().manual_seed(0)
    for name, weight in model.named_parameters():
        if "norm" in name:  # Gains far from 1, and biases that are left out.
            weight.add_(0.5 * torch.randn(weight.shape, generator=generator))
    tokens = torch.randint(20, (1, 7), generator=generator)
    first, second = model.layers
    before = model.embed(tokens)[0]
    between = before + first(before[None])[0]
    after = between + second(between[None])[0]

    def divided(mark, stream, norm):
        centered = mark - mark.mean(dim=-1, keepdim=True)
        return centered * norm.weight / stream.std(dim=-1, correction=0, keepdim=True)

    W_E = model.W_E[tokens[0]]
    moved = torch.zeros_like(W_E)
    moved[2:] = (first.norm(W_E) @ first.W_V[1] @ first.W_O[1])[:-2]
    queries = divided(W_E, between, second.norm) @ second.W_Q[0]
    keys = divided(moved, between, second.norm) @ second.W_K[0]
    scores = queries @ keys.T / math.sqrt(model.config.d_head)
    pattern = scores.masked_fill(torch.ones(7, 7).triu(1).bool(), -math.inf).softmax(dim=-1)
    values = divided(W_E + moved, between, second.norm)
    written = pattern @ values @ second.W_V[0] @ second.W_O[0]
    expected = divided(written, after, model.norm) @ model.W_U

    two_back = ((0, 1), 2)
    terms = InductionTerms(matches=((TOKEN, two_back),), copies=(TOKEN, two_back))
    alone = idealized_circuit_logits(model, tokens, {(1, 0): terms})
    torch.testing.assert_close(alone[0], expected, atol=1e-3, rtol=1e-3)


def test_the_two_heads_of_the_toy_predict_the_second_copy_and_a_wrong_head_does_not():
    model = load_model("toy-2l")
    tokens = make_repeated_tokens(model, 12, batch=16)
    induction = [(1, 0), (1, 1)]
    with torch.no_grad():
        clean = second_copy_loss(model(tokens), tokens, 12)
    alone = minimal_circuit_logits(model, tokens, (0, 0), induction)
    assert second_copy_loss(alone, tokens, 12) < clean
    wrong = minimal_circuit_logits(model, tokens, (0, 1), induction)
    assert second_copy_loss(wrong, tokens, 12) > 4
    off_by_one = {head: InductionTerms(matches=((TOKEN, ((0, 0), 2)),)) for head in induction}
    moved = idealized_circuit_logits(model, tokens, off_by_one)
    assert second_copy_loss(moved, tokens, 12) > 4


def test_the_text_model_needs_its_current_token_head_in_the_query_and_in_the_values():
    model = load_attention_only("python-2l")
    tokens = make_repeated_tokens(model, 12, batch=16)
    current, previous, heads = ((0, 3), 0), ((0, 1), 1), [(1, 0), (1, 3)]

    def loss(query, copies):
        terms = InductionTerms(matches=((query, previous),), copies=copies)
        logits = idealized_circuit_logits(model, tokens, dict.fromkeys(heads, terms))
        return second_copy_loss(logits, tokens, 12)

    two_heads = minimal_circuit_logits(model, tokens, (0, 1), heads)
    assert second_copy_loss(two_heads, tokens, 12) == pytest.approx(loss(TOKEN, (TOKEN,)))
    with_both = loss(current, (TOKEN, current))
    assert with_both < loss(current, (TOKEN,)) - 1
    assert with_both < loss(TOKEN, (TOKEN, current)) - 1


def test_knockouts_leave_out_the_same_heads_of_the_model_and_of_the_circuit():
    model = load_model("toy-2l")
    tokens = make_repeated_tokens(model, 12, batch=8)
    losses = knockout_losses(model, tokens, (0, 0), [(1, 0), (1, 1)])
    assert len(losses) == 8
    for removed, (rest, _) in losses.items():
        with torch.no_grad():
            logits = model.run_with_hooks(tokens, fwd_hooks=head_hooks(removed))
        assert rest == pytest.approx(second_copy_loss(logits, tokens, 12))
    # With nothing left, the circuit guesses evenly among the 64 ids.
    assert losses[(0, 0), (1, 0), (1, 1)][1] == pytest.approx(math.log(64), abs=1e-4)
    assert losses[(1, 0), (1, 1)][1] == pytest.approx(math.log(64), abs=1e-4)
    one = minimal_circuit_logits(model, tokens, (0, 0), [(1, 1)])
    assert losses[((1, 0),)][1] == pytest.approx(second_copy_loss(one, tokens, 12))


def test_circuits_that_cannot_be_computed_are_refused():
    model, tokens = random_model(), torch.arange(6)[None]
    for previous, induction in (((1, 0), [(1, 1)]), ((2, 0), [(1, 1)])):
        with pytest.raises(ValueError, match="not in a later layer"):
            two_head_circuit(previous, induction)
    for induction in ([], [(1, 0), (1, 0)]):
        with pytest.raises(ValueError, match="at least one, each once"):
            two_head_circuit((0, 0), induction)
    with pytest.raises(ValueError, match="no L1H2"):
        minimal_circuit_logits(model, tokens, (0, 0), [(1, 2)])
    with pytest.raises(ValueError, match="no L0H2"):
        minimal_circuit_logits(model, tokens, (0, 2), [(1, 0)])
    with pytest.raises(ValueError, match="looks ahead"):
        idealized_circuit_logits(model, tokens, {(1, 0): InductionTerms(((TOKEN, ((0, 0), -1)),))})
    with pytest.raises(ValueError, match="cannot read L1H1"):
        idealized_circuit_logits(model, tokens, {(1, 0): InductionTerms(((TOKEN, ((1, 1), 1)),))})
    with pytest.raises(ValueError, match="more than plain heads"):
        minimal_circuit_logits(with_rotary_positions(model), tokens, (0, 0), [(1, 0)])
    with pytest.raises(ValueError, match="more than plain heads"):
        minimal_circuit_logits(load_model("gpt2-2l"), tokens, (0, 0), [(1, 0)])
