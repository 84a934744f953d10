"""What weights say, against the full matrices and against models whose weights we wrote."""

import pytest
import torch

from induction_heads.data.tokens import distinct_tokens, make_repeated_tokens, with_bos
from induction_heads.interp.activations import attention_patterns
from induction_heads.interp.circuits import (
    copying_scores,
    eigenvalue_copying_score,
    induction_circuit_parameters,
    logit_attribution,
    logit_copying_score,
    ov_circuit,
    positional_pattern,
    previous_token_readout,
    qk_circuit,
)
from induction_heads.models.attention import attention_pattern
from induction_heads.models.attention_only import AttentionOnly, AttentionOnlyConfig, initialize
from induction_heads.models.hand_built import hand_built, hand_built_heads
from induction_heads.models.loading import load_attention_only, load_model, to_transformer_lens


@pytest.mark.parametrize("name", ["toy-2l", "markov-2l"])
def test_copying_scores_equal_those_of_the_full_matrix(name: str):
    model = load_attention_only(name)
    scores = copying_scores(model)
    for layer in range(2):
        for head in range(2):
            weights = model.layers[layer]
            full = model.W_E @ weights.W_V[head] @ weights.W_O[head] @ model.W_U
            eigenvalues = torch.linalg.eigvals(full.double())
            expected = (eigenvalues.real.sum() / eigenvalues.abs().sum()).item()
            assert scores[layer, head].item() == pytest.approx(expected, abs=2e-3)
    assert scores.max() > 0.9
    assert scores.min() < -0.5


@pytest.mark.parametrize("name", ["toy-2l", "python-2l"])
def test_both_forms_of_a_model_have_the_same_copying_scores(name: str):
    model = load_attention_only(name)
    torch.testing.assert_close(
        copying_scores(model), copying_scores(to_transformer_lens(model)), atol=1e-4, rtol=1e-3
    )


@pytest.mark.parametrize(
    ("kind", "expected"), [("induction", 1.0), ("anti_induction", -1.0), ("no_copying", 0.0)]
)
def test_hand_built_heads_copy_as_they_were_written(kind: str, expected: float):
    layer, head = hand_built_heads(kind)[kind]
    assert copying_scores(hand_built(kind))[layer, head].item() == pytest.approx(expected, abs=1e-3)


def test_the_positional_pattern_of_a_previous_token_head_is_one_back():
    layer, head = hand_built_heads("previous_token")["previous_token"]
    pattern = positional_pattern(hand_built("previous_token"), layer, head)
    assert pattern.shape == (64, 64)
    assert pattern.diagonal(offset=-1).min() > 0.999


def test_positions_alone_give_the_pattern_of_a_head_that_ignores_tokens():
    layer, head = hand_built_heads("fixed_offset")["fixed_offset"]
    model = hand_built("fixed_offset")
    tokens = torch.randint(32, (1, 64))
    seen = attention_patterns(model, tokens)[layer, 0, head]
    torch.testing.assert_close(positional_pattern(model, layer, head), seen, atol=1e-4, rtol=1e-4)


def test_a_previous_token_head_names_the_previous_token_and_an_even_head_does_not():
    _, head = hand_built_heads("previous_token")["previous_token"]
    model = to_transformer_lens(hand_built("previous_token"))
    assert previous_token_readout(model, 0, head) == 1
    assert previous_token_readout(model, 0, 1 - head) < 0.1


def test_a_readout_of_layer_one_is_refused():
    with pytest.raises(ValueError, match="defined for heads of layer 0"):
        previous_token_readout(hand_built("induction"), 1, 0)


@pytest.mark.parametrize("place", [(2, 0), (0, 2), (-1, 0)])
def test_a_head_that_is_not_there_is_refused(place: tuple[int, int]):
    with pytest.raises(ValueError, match="this model has 2 layers of 2 heads"):
        positional_pattern(hand_built("induction"), *place)


HEADS = [("toy-2l", 0, 1), ("toy-2l", 1, 0), ("python-2l", 1, 3)]


@pytest.mark.parametrize(("name", "layer", "head"), HEADS)
def test_circuits_stand_for_the_full_matrices(name: str, layer: int, head: int):
    model = load_attention_only(name)
    weights = model.layers[layer]
    QK = model.W_E @ weights.W_Q[head] @ weights.W_K[head].T @ model.W_E.T
    OV = model.W_E @ weights.W_V[head] @ weights.W_O[head] @ model.W_U
    for given in (model, to_transformer_lens(model)):
        torch.testing.assert_close(qk_circuit(given, layer, head).AB, QK, atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(ov_circuit(given, layer, head).AB, OV, atol=1e-3, rtol=1e-3)
    assert OV.abs().max() > 0.5  # The effect is far above the tolerance.
    assert not torch.allclose(QK, QK.T, atol=0.1)  # A transposed circuit would be noticed.


def test_a_circuit_is_the_pattern_of_tokens_without_positions():
    layer, head = hand_built_heads("duplicate_token")["duplicate_token"]
    matches = qk_circuit(hand_built("duplicate_token"), layer, head).AB
    assert torch.equal(matches.argmax(dim=1), torch.arange(32))


@pytest.mark.parametrize(("name", "layer", "head"), HEADS)
def test_eigenvalue_copying_equals_that_of_the_full_matrix(name: str, layer: int, head: int):
    circuit = ov_circuit(load_attention_only(name), layer, head)
    values = torch.linalg.eigvals(circuit.AB.double())
    expected = (values.real.sum() / values.abs().sum()).item()
    assert eigenvalue_copying_score(circuit) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("name", ["toy-2l", "markov-2l"])
def test_without_layer_norm_both_ways_to_the_copying_score_agree(name: str):
    model = load_attention_only(name)
    scores = copying_scores(model)
    for layer in range(2):
        for head in range(2):
            score = eigenvalue_copying_score(ov_circuit(model, layer, head))
            assert score == pytest.approx(scores[layer, head].item(), abs=1e-3)


@pytest.mark.parametrize(
    ("kind", "eigenvalues", "logits"),
    [("induction", 1.0, 1.0), ("anti_induction", -1.0, -1.0), ("no_copying", 0.0, -1.0)],
)
def test_hand_built_heads_score_as_written(kind: str, eigenvalues: float, logits: float):
    model, (layer, head) = hand_built(kind), hand_built_heads(kind)[kind]
    tokens = distinct_tokens(32, 20, batch=3)
    score = eigenvalue_copying_score(ov_circuit(model, layer, head))
    assert score == pytest.approx(eigenvalues, abs=1e-3)
    assert logit_copying_score(model, layer, head, tokens) == pytest.approx(logits, abs=1e-3)


@pytest.mark.parametrize(("name", "layer", "head"), HEADS)
def test_logit_copying_equals_its_definition(name: str, layer: int, head: int):
    model = load_model(name)
    tokens = distinct_tokens(model.cfg.d_vocab, 9, batch=2, seed=1)
    values = model.run_with_cache(tokens)[1][f"blocks.{layer}.attn.hook_v"]
    shares = []
    for row in range(2):
        for pos in range(9):
            written = values[row, pos, head] @ model.W_O[layer, head] @ model.W_U
            raised = (written - written.mean()).clamp_min(0)[tokens[row]].tolist()
            shares.append(raised[pos] / (raised[pos] + sum(raised)) if sum(raised) else 0)
    expected = 4 * sum(shares) / len(shares) - 1
    assert logit_copying_score(model, layer, head, tokens) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", ["toy-1l", "toy-2l", "markov-2l"])
def test_attribution_sums_to_the_logit_of_the_next_token(name: str):
    model = load_attention_only(name)
    tokens = make_repeated_tokens(model, period=8)
    parts = logit_attribution(model, tokens)
    logits = model(tokens)[:, :-1].gather(-1, tokens[:, 1:, None]).squeeze(-1)
    assert parts.shape == (2 + 2 * model.config.n_layers, 8, 15)
    torch.testing.assert_close(parts.sum(dim=0), logits, atol=1e-4, rtol=1e-4)
    assert logits.std() > 1


def test_with_layer_norm_attribution_sums_to_what_comes_before_it():
    model = load_model("python-2l")
    tokens = make_repeated_tokens(model, period=8)
    residual = model.run_with_cache(tokens)[1]["blocks.1.hook_resid_post"]
    directions = model.W_U.T[tokens[:, 1:]]
    expected = (residual[:, :-1] * directions).sum(dim=-1)
    torch.testing.assert_close(
        logit_attribution(model, tokens).sum(dim=0), expected, atol=1e-3, rtol=1e-3
    )


def test_attribution_goes_to_the_head_that_copies():
    model, (layer, head) = hand_built("induction"), hand_built_heads("induction")["induction"]
    parts = logit_attribution(model, make_repeated_tokens(model, period=8))
    second_copy = parts[:, :, 8:].mean(dim=(1, 2))
    assert second_copy.argmax() == 2 + 2 * layer + head
    assert second_copy.max() > 9


def test_two_heads_of_gpt2_small_have_393216_weights():
    assert induction_circuit_parameters({"d_model": 768, "d_head": 64}) == 393_216


def test_two_heads_of_a_model_have_as_many_weights_as_counted():
    layer = load_attention_only("python-2l").layers[0]
    weights = (layer.W_Q, layer.W_K, layer.W_V, layer.W_O)
    count = 2 * sum(weight[0].numel() for weight in weights)
    assert induction_circuit_parameters({"d_model": 128, "d_head": 32}) == count


@pytest.mark.parametrize("function", [qk_circuit, ov_circuit])
def test_circuits_of_a_head_that_is_not_there_are_refused(function):
    with pytest.raises(ValueError, match="There is no L1H2"):
        function(hand_built("induction"), 1, 2)


def gained(seed: int = 0) -> AttentionOnly:
    """A random model with layer norms that scale every coordinate differently."""
    config = AttentionOnlyConfig(2, 2, 12, 4, 9, 10, normalization="LN", bos_token=4)
    model = initialize(AttentionOnly(config), std=0.5, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        if "norm.weight" in name:
            weight.data.uniform_(0.2, 3.0, generator=generator)
    return model.requires_grad_(False)


def test_copying_scores_fold_in_the_gain_of_both_layer_norms():
    model = gained()
    center = torch.eye(12) - 1 / 12
    for layer, weights in enumerate(model.layers):
        for head in range(2):
            read = model.W_E @ center @ weights.norm.weight.diag()
            written = center @ model.norm.weight.diag() @ model.W_U
            full = read @ weights.W_V[head] @ weights.W_O[head] @ written
            eigenvalues = torch.linalg.eigvals(full.double())
            expected = (eigenvalues.real.sum() / eigenvalues.abs().sum()).item()
            assert copying_scores(model)[layer, head].item() == pytest.approx(expected, abs=2e-3)


def test_positions_pass_the_layer_norm_before_they_are_compared():
    model = gained()
    layer = model.layers[1]
    positions = layer.norm(model.W_pos)
    expected = attention_pattern(positions @ layer.W_Q[1], positions @ layer.W_K[1])
    torch.testing.assert_close(positional_pattern(model, 1, 1), expected)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_readout_equals_a_loop_over_rows_positions_and_tokens(seed: int):
    model = gained(3)
    layer, head = model.layers[0], 1
    length = 8  # d_vocab 9 without the BOS token.
    tokens = with_bos(distinct_tokens(9, length, 2, seed, (4,)), 4)
    residual = layer.norm(model.W_E[tokens] + model.W_pos[: length + 1])
    pattern = attention_patterns(model, tokens)[0, :, head]
    right = []
    for row in range(2):
        for i in range(1, length + 1):
            written = pattern[row, i] @ residual[row] @ layer.W_V[head] @ layer.W_O[head]
            distances = [
                (
                    layer.norm(model.W_E[token] + model.W_pos[i - 1])
                    @ layer.W_V[head]
                    @ layer.W_O[head]
                    - written
                ).norm()
                for token in range(9)
            ]
            right.append(distances.index(min(distances)) == tokens[row, i - 1])
    expected = sum(map(int, right)) / len(right)
    assert previous_token_readout(model, 0, head, batch=2, seed=seed) == pytest.approx(expected)
