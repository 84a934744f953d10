"""The explorer's trainer against PyTorch: every gradient, every update, a whole run."""

import json
from itertools import pairwise

import numpy as np
import pytest
import torch

from induction_heads.explorer.export import exported_model
from induction_heads.models.attention_only import AttentionOnly, AttentionOnlyConfig
from induction_heads.models.smeared_keys import SmearedKeys
from induction_heads.training.run import Settings, next_token_loss, train

KINDS = {"plain": AttentionOnly, "smeared": SmearedKeys}


def small_model(seed):
    """A model of random sizes, one or two layers, smeared or not, and rows for it."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda low, high: int(torch.randint(low, high, (), generator=generator))  # noqa: E731
    config = AttentionOnlyConfig(
        n_layers=1 + seed % 2,
        n_heads=draw(1, 4),
        d_model=draw(3, 14),
        d_head=draw(1, 8),
        d_vocab=draw(4, 20),
        n_ctx=draw(5, 14),
    )
    model = (SmearedKeys if seed // 2 % 2 else AttentionOnly)(config).double()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.6, generator=generator)
    shape = (draw(1, 5), draw(3, config.n_ctx + 1))
    return model, torch.randint(config.d_vocab, shape, generator=generator)


def flat(tensors):
    return torch.cat([tensor.detach().double().flatten() for tensor in tensors]).numpy()


def sizes_of(model):
    return json.loads(exported_model(model, "model"))["sizes"]


@pytest.mark.parametrize("precision", [64, 32])
def test_every_gradient_of_24_random_models_equals_torch(precision, ask):
    """Double precision: each number. Single: each weight matrix, relative to its largest."""
    asked, expected, lengths = [], [], []
    for seed in range(24):
        model, rows = small_model(seed)
        if precision == 32:
            model = model.float().double()  # What single precision holds.
        loss = next_token_loss_in_double(model, rows)
        loss.backward()
        assert all(parameter.grad is not None for parameter in model.parameters())
        weights, gradient = flat(model.parameters()), [p.grad for p in model.parameters()]
        asked.append({"sizes": sizes_of(model), "weights": weights.tolist(), "rows": rows.tolist()})
        expected.append(flat([loss, *gradient]))
        lengths += [1, *(part.numel() for part in gradient)]
    answered, expected = (
        ask("gradients", precision=precision, models=asked),
        np.concatenate(expected),
    )
    assert len(answered) == len(expected) == sum(lengths)
    if precision == 64:
        assert np.allclose(answered, expected, rtol=1e-8, atol=1e-13)
    for start, end in pairwise(np.cumsum([0, *lengths])):
        largest = np.abs(expected[start:end]).max()
        assert np.abs(answered[start:end] - expected[start:end]).max() <= 1e-4 * largest


def next_token_loss_in_double(model, rows):
    """`next_token_loss` casts to single precision; this does not."""
    logits = model(rows)[:, :-1]
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())


def test_updates_equal_torch_adamw_with_clipping_and_schedule(ask):
    settings = Settings(steps=60, warmup=10, decay=0.4, weight_decay=0.1, clip=1.0)
    generator = torch.Generator().manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(50, generator=generator).double())
    lengths = torch.rand(60, 1, generator=generator) * 0.4  # Some norms are below the clip.
    gradients = (lengths * torch.randn(60, 50, generator=generator)).double()
    start = weight.tolist()
    optimizer = torch.optim.AdamW([weight], lr=0.0, betas=settings.betas, weight_decay=0.1)
    expected, clipped = [], 0
    for step, gradient in enumerate(gradients):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * settings.rate(step)
        weight.grad = gradient.clone()
        clipped += int(torch.nn.utils.clip_grad_norm_([weight], settings.clip) > settings.clip)
        optimizer.step()
        expected.append(weight.detach().clone())
    assert 10 < clipped < 50
    answered = ask(
        "updates", settings=in_javascript(settings), weights=start, gradients=gradients.tolist()
    )
    assert np.allclose(answered, torch.cat(expected).numpy(), rtol=1e-10, atol=1e-12)


def in_javascript(settings):
    return {
        "steps": settings.steps,
        "learningRate": settings.learning_rate,
        "betas": settings.betas,
        "weightDecay": settings.weight_decay,
        "clip": settings.clip,
        "warmup": settings.warmup,
        "decay": settings.decay,
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_layers", [1, 2])
def test_a_run_equals_torch_on_the_same_batches(kind, n_layers, ask):
    """The package's own `train`, from the page's first weights, on the page's batches."""
    steps, settings = 30, Settings(steps=40, warmup=10)
    options = {
        "sizes": {"nLayers": n_layers, "smeared": kind == "smeared"},
        "data": {"batch": 8, "noise": 0.05},
        "settings": in_javascript(settings),
        "seed": 4,
    }
    model = KINDS[kind](AttentionOnlyConfig(n_layers, 2, 32, 16, 32, 32))
    count = sum(weight.numel() for weight in model.parameters())
    answered = ask("training", options=options, steps=steps)
    rows = answered[count:-count].reshape(steps, 8 * 32 + 1)
    torch.nn.utils.vector_to_parameters(torch.tensor(answered[:count]).float(), model.parameters())
    batches = iter(torch.tensor(rows[:, :-1]).long().reshape(steps, 8, 32))
    padding = torch.zeros(8, 32, dtype=torch.long)  # For the ten steps that the page was not asked.
    run = train(
        model, lambda _: next(batches, padding), settings, snapshots_at=[steps], progress=False
    )
    assert np.allclose(run.losses[:steps], rows[:, -1], atol=1e-4)
    after = torch.cat(
        [run.snapshots[steps][name].flatten() for name, _ in model.named_parameters()]
    )
    assert np.abs(answered[-count:] - after.numpy()).max() < 2e-3
    assert next_token_loss(model, padding).isfinite()


def test_torch_agrees_that_the_random_models_are_both_kinds():
    kinds = {(len(model.layers), type(model)) for model, _ in map(small_model, range(24))}
    assert len(kinds) == 4


def test_one_layer_with_smeared_keys_forms_an_induction_head_and_one_without_does_not(ask):
    """The small default at 150 steps: less than a second of one processor each."""
    scores = {}
    for smeared in (True, False):
        sizes = {"nLayers": 1, "smeared": smeared}
        scores[smeared] = ask("formation", options={"sizes": sizes, "seed": 0}, steps=150)
    _, induction, second_copy_loss = scores[True]
    assert induction > 0.5
    assert second_copy_loss < 1.5
    assert scores[False][1] < 0.3
    assert scores[False][2] > 2.5


@pytest.mark.slow
def test_two_layers_form_an_induction_head(ask):
    previous_token, induction, second_copy_loss = ask("formation", options={"seed": 1}, steps=380)
    assert previous_token > 0.4
    assert induction > 0.5
    assert second_copy_loss < 1.5
