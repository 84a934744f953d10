"""Transcoders: what they learn, what the controls do not, and the loss recovered."""

import math

import pytest
import torch

from induction_heads import load_model
from induction_heads.data.mapping_rows import training_rows
from induction_heads.interp.losses import per_token_loss
from induction_heads.interp.transcoder import (
    Transcoder,
    explained_variance,
    linear_map,
    loss_recovered,
    loss_with_mlp_output,
    mlp_vectors,
    top_neurons,
    train_transcoder,
    transcoder_parts,
)


@pytest.fixture(scope="module")
def tasks():
    return load_model("tasks-2l")


@pytest.fixture(scope="module")
def rows():
    return training_rows(torch.Generator().manual_seed(4))[::4]


def sparse_mlp(seed: int, n: int = 4000) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and outputs of an MLP of ten ReLU neurons, most of them off."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 8, generator=generator)
    W_in, W_out = torch.randn(10, 8, generator=generator), torch.randn(10, 8, generator=generator)
    return x, (x @ W_in.T - 3).relu() @ W_out


def test_transcoder_learns_a_sparse_mlp_and_shuffled_outputs_teach_it_nothing():
    x, y = sparse_mlp(0)
    shuffled = y[torch.randperm(len(y), generator=torch.Generator().manual_seed(1))]
    options = {"k": 4, "n_features": 40, "steps": 400}
    right = train_transcoder(x[:3000], y[:3000], **options)
    wrong = train_transcoder(x[:3000], shuffled[:3000], **options)
    straight = linear_map(x[:3000], y[:3000], x[3000:])
    assert explained_variance(y[3000:], right(x[3000:])) > 0.85
    assert explained_variance(y[3000:], straight) < 0.7
    assert explained_variance(y[3000:], wrong(x[3000:])) < 0.05


def test_weights_are_scaled_back_to_the_units_of_inputs_and_outputs():
    x, y = sparse_mlp(0)
    options = {"k": 4, "n_features": 40, "steps": 60}
    one = train_transcoder(x, y, **options)
    other = train_transcoder(x * 10 + 3, y * 100 - 5, **options)
    torch.testing.assert_close(other(x * 10 + 3), one(x) * 100 - 5, atol=0.05, rtol=1e-3)
    torch.testing.assert_close(one.decoder.norm(dim=-1), torch.ones(40))


def test_activations_are_the_k_largest_and_never_negative():
    x, y = sparse_mlp(3)
    trained = train_transcoder(x, y, k=3, n_features=12, steps=5)
    all_on = Transcoder(
        trained.encoder, trained.encoder_bias, trained.decoder, trained.decoder_bias, k=12
    )
    for f, every in zip(
        trained.activations(x[:20]).tolist(), all_on.activations(x[:20]).tolist(), strict=True
    ):
        expected = sorted(every, reverse=True)[:3]
        assert sorted(f, reverse=True)[:3] == expected
        assert min(f) == 0
        assert sum(value > 0 for value in f) <= 3


def test_parts_and_error_sum_to_the_outputs():
    x, y = sparse_mlp(2, 30)
    t = train_transcoder(x, y, k=3, n_features=12, steps=5)
    weights = (t.encoder, t.encoder_bias, t.decoder, t.decoder_bias)
    written, error = transcoder_parts(x, y, *weights, k=3)
    assert ((written != 0).any(dim=-1).sum(dim=1) <= 3).all()
    torch.testing.assert_close(written.sum(dim=1) + t.decoder_bias + error, y)
    torch.testing.assert_close(y - error, t(x))


def test_loss_recovered_is_one_for_the_own_outputs_and_zero_for_their_mean(tasks, rows):
    for layer in (0, 1):
        _, own = mlp_vectors(tasks, rows, layer)
        assert loss_recovered(tasks, rows, layer, own) == pytest.approx(1)
        mean = own.mean(dim=(0, 1), keepdim=True).expand_as(own)
        assert loss_recovered(tasks, rows, layer, mean) == pytest.approx(0, abs=1e-5)
        assert loss_recovered(tasks, rows, layer, -own) < 0


def test_losses_are_those_of_a_pass_written_out(tasks, rows):
    """Layer 1 of the model by hand, with other outputs of its MLP."""
    _, cache = tasks.run_with_cache(rows)
    outputs = torch.randn(64, generator=torch.Generator().manual_seed(0))
    stream = cache["blocks.1.hook_resid_mid"] + outputs
    logits = tasks.ln_final(stream) @ tasks.W_U
    expected = per_token_loss(logits, rows).mean().item()
    found = loss_with_mlp_output(tasks, rows, 1, outputs.expand(1, 1, 64))
    assert found == pytest.approx(expected, abs=1e-5)


def test_all_neurons_are_the_mlp_and_fewer_are_the_largest_writers(tasks, rows):
    inputs, own = mlp_vectors(tasks, rows[:2], 1)
    torch.testing.assert_close(top_neurons(tasks, 1, 256)(inputs), own, atol=1e-3, rtol=1e-3)
    mlp = tasks.blocks[1].mlp
    x = inputs[0, 5]
    writes = {}
    for neuron in range(256):
        z = (x @ mlp.W_in[:, neuron] + mlp.b_in[neuron]).item()
        value = 0.5 * z * (1 + math.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))
        writes[neuron] = value * mlp.W_out[neuron]
    largest = sorted(writes, key=lambda neuron: -writes[neuron].norm().item())[:3]
    expected = mlp.b_out + sum(writes[neuron] for neuron in largest)
    torch.testing.assert_close(
        top_neurons(tasks, 1, 3)(inputs)[0, 5], expected, atol=1e-3, rtol=1e-3
    )


@pytest.mark.usefixtures("as_for_a_reader")
def test_unusable_input_is_explained(tasks, rows):
    x, y = sparse_mlp(0, 20)
    with pytest.raises(ValueError, match="k=0 of 12 features: use 1 to 12"):
        train_transcoder(x, y, k=0, n_features=12)
    with pytest.raises(ValueError, match="Got 20 inputs and 19 outputs"):
        train_transcoder(x, y[:-1])
    with pytest.raises(ValueError, match="There is no layer 2"):
        mlp_vectors(tasks, rows, 2)
    with pytest.raises(ValueError, match="has no MLP to replace"):
        mlp_vectors(load_model("toy-2l"), torch.zeros(1, 4, dtype=torch.long), 0)
    llama = load_model("llama-4l")
    with pytest.raises(ValueError, match="neurons are known here for"):
        top_neurons(llama, 0, 4)
