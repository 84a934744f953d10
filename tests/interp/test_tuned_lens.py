"""The tuned lens: its loss, its training, and the control model."""

import math

import pytest
import torch

from induction_heads.data.tokens import repeated_tokens
from induction_heads.interp.logit_lens import logit_lens, residual_streams
from induction_heads.interp.tuned_lens import (
    Translator,
    least_squares_translator,
    shuffle_layers,
    train_translator,
    tuned_lens_loss,
)
from induction_heads.models.loading import load_model

TOKENS = repeated_tokens(300, 10, batch=160, seed=3)


@pytest.fixture(scope="module")
def streams():
    model = load_model("python-2l")
    found = residual_streams(model, TOKENS)
    with torch.no_grad():
        return model, found, model(TOKENS)


def test_with_the_identity_the_lens_is_the_logit_lens(streams):
    model, found, _ = streams
    identity = Translator(torch.eye(found.shape[-1]), torch.zeros(found.shape[-1]))
    torch.testing.assert_close(
        identity.logits(model, found[1]), logit_lens(model, TOKENS)[1], atol=1e-4, rtol=1e-4
    )


def test_the_loss_is_the_divergence_from_the_model_to_the_lens(streams):
    model, found, logits = streams
    width = found.shape[-1]
    weight = torch.eye(width) + 0.1 * torch.randn(
        width, width, generator=torch.Generator().manual_seed(0)
    )
    bias = torch.linspace(-0.1, 0.1, width)
    x, final = found[1].flatten(0, 1)[:5], logits.flatten(0, 1)[:5]
    loss = tuned_lens_loss(model, x, final, weight, bias).item()
    lens = Translator(weight, bias).logits(model, x[None])[0]
    expected = 0.0
    for own, other in zip(final.double().softmax(-1), lens.double().softmax(-1), strict=True):
        for p, q in zip(own.tolist(), other.tolist(), strict=True):
            expected += p * (math.log(p) - math.log(q)) if p > 0 else 0.0
    assert loss == pytest.approx(expected / 5, rel=1e-4)


def test_at_the_last_depth_the_identity_has_no_loss(streams):
    model, found, logits = streams
    width = found.shape[-1]
    loss = tuned_lens_loss(
        model, found[-1].flatten(0, 1), logits.flatten(0, 1), torch.eye(width), torch.zeros(width)
    )
    assert abs(loss.item()) < 1e-5


def test_training_lowers_the_loss_on_other_rows_and_leaves_the_model_alone(streams):
    model, found, logits = streams
    before = model.W_U.clone()
    width = found.shape[-1]
    start = Translator(torch.eye(width), torch.zeros(width))
    x, final = found[1].flatten(0, 1), logits.flatten(0, 1)
    n = 144 * TOKENS.shape[1]
    trained = train_translator(model, x[:n], final[:n], start, steps=30)
    again = train_translator(model, x[:n], final[:n], start, steps=30)
    other = train_translator(model, x[:n], final[:n], start, steps=30, seed=1)
    assert trained.weight.equal(again.weight)
    assert not trained.weight.equal(other.weight)

    def held_out(one: Translator) -> float:
        return tuned_lens_loss(model, x[n:], final[n:], one.weight, one.bias).item()

    assert held_out(trained) < held_out(start)
    assert model.W_U.equal(before)
    assert all(weight.grad is None for weight in model.parameters())


@pytest.mark.usefixtures("as_for_a_reader")
def test_streams_and_logits_of_different_examples_are_refused(streams):
    model, found, logits = streams
    start = Translator(torch.eye(found.shape[-1]), torch.zeros(found.shape[-1]))
    with pytest.raises(ValueError, match="one row of logits for each stream"):
        train_translator(model, found[1, 0], logits[0, :5], start)


def test_the_least_squares_map_is_exact_where_there_is_an_affine_map():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(200, 6, generator=generator) + 3
    weight, bias = torch.randn(6, 6, generator=generator), torch.randn(6, generator=generator)
    found = least_squares_translator(x, x @ weight + bias, penalty=1e-7)
    torch.testing.assert_close(found.weight, weight, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(found.bias, bias, atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("name", ["python-2l", "pythia-4l"])
def test_shuffled_layers_keep_the_embedding_and_the_entries(name):
    model, whole = load_model(name), load_model(name)
    shuffle_layers(model, seed=1)
    before, after = residual_streams(whole, TOKENS), residual_streams(model, TOKENS)
    torch.testing.assert_close(before[0], after[0])
    assert not torch.allclose(before[1], after[1], atol=0.1)
    pairs = zip(whole.blocks[0].parameters(), model.blocks[0].parameters(), strict=True)
    moved = 0
    for old, new in pairs:
        assert old.flatten().sort().values.equal(new.flatten().sort().values)
        moved += not old.equal(new)
    assert moved > 0
