"""The explorer's forward pass, against PyTorch and `induction_heads.interp.interventions`."""

import json

import numpy as np
import pytest
import torch

from induction_heads.explorer.export import exported_model
from induction_heads.interp.interventions import logits_without_path
from induction_heads.interp.losses import per_token_loss
from induction_heads.models.attention_only import AttentionOnly, AttentionOnlyConfig, initialize
from induction_heads.models.loading import load_attention_only, to_transformer_lens
from induction_heads.models.smeared_keys import SmearedKeys

from .cases import TOYS, largest_difference, random_triples


def random_model(kind=AttentionOnly, *, seed=0, std=0.4, **sizes):
    """A small model with weights large enough that its patterns are far from even."""
    default = {
        "n_layers": 2,
        "n_heads": 3,
        "d_model": 10,
        "d_head": 5,
        "d_vocab": 13,
        "n_ctx": 12,
    }
    model = initialize(kind(AttentionOnlyConfig(**default | sizes)), std=std, seed=seed)
    for name, weight in model.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(weight, generator=torch.Generator().manual_seed(seed))
    # What the page gets is in half precision: compare with exactly that.
    return model.half().float().requires_grad_(False)


@pytest.mark.parametrize("name", TOYS)
def test_logits_equal_torch_with_any_change_at_any_snapshot(name, ask):
    """Over the three toys, 1,080 random triples of tokens, intervention and snapshot."""
    request, expected = random_triples(name)
    assert sum(len(case["rows"]) for case in request["cases"]) == 360
    assert largest_difference(ask(**request), expected) < 1e-5


@pytest.mark.parametrize("name", ["toy-1l", "toy-2l", "markov-2l", "python-2l"])
def test_exported_model_is_the_model_of_the_zoo(name, ask):
    """The zoo is stored in half precision, so nothing is lost."""
    model = load_attention_only(name)
    weights = torch.cat([weight.flatten() for weight in model.parameters()])
    answered = ask("weights", model=json.loads(exported_model(model, name)))
    assert np.array_equal(answered, weights.double().numpy())


@pytest.mark.parametrize("normalization", [None, "LN"])
@pytest.mark.parametrize("kind", [AttentionOnly, SmearedKeys])
@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_every_part_of_a_run_equals_torch(kind, normalization, n_layers, ask):
    model = random_model(kind, n_layers=n_layers, normalization=normalization, seed=n_layers)
    rows = torch.randint(13, (1, 11), generator=torch.Generator().manual_seed(3))
    residuals, patterns, mixed = [model.embed(rows)], [], []
    for layer in model.layers:
        x = layer.norm(residuals[-1])
        patterns.append(layer.pattern(x))
        mixed.append(patterns[-1] @ torch.einsum("bpm,hmd->bhpd", x, layer.W_V))
        residuals.append(residuals[-1] + layer(residuals[-1]))
    logits = model(rows)
    parts = [logits, per_token_loss(logits, rows), *patterns, *mixed, *residuals]
    answered = ask("everything", model=json.loads(exported_model(model, "m")), row=rows[0].tolist())
    expected = torch.cat([part.flatten() for part in parts]).numpy()
    assert np.allclose(answered, expected, atol=2e-5, rtol=1e-5)


def without_path(model, rows, senders, receiver, side):
    """`logits_without_path` written out for one layer after another, for any model of ours."""
    residual = model.embed(rows)
    first, second = model.layers
    x = first.norm(residual)
    z = first.pattern(x) @ torch.einsum("bpm,hmd->bhpd", x, first.W_V)
    written = sum(z[:, head] @ first.W_O[head] for head in senders)
    residual = residual + first(residual)
    x, cut = second.norm(residual), second.norm(residual - written)
    pattern = second.pattern(x)
    if side != "V":
        kept = second.W_K if side == "Q" else second.W_Q
        weights = second.W_Q if side == "Q" else second.W_K
        # A layer that reads both inputs side by side: each projection has zeros for the other one.
        both = torch.cat([x, cut], dim=-1)
        wide = type(second)(AttentionOnlyConfig(1, model.config.n_heads, 20, 5, 13, 12))
        zeros = torch.zeros_like(kept)
        own, other = torch.cat([kept, zeros], dim=1), torch.cat([zeros, weights], dim=1)
        wide.W_Q.data, wide.W_K.data = (other, own) if side == "Q" else (own, other)
        if hasattr(second, "alpha"):
            wide.alpha.data = second.alpha.data
        pattern = pattern.clone()
        pattern[:, receiver] = wide.pattern(both)[:, receiver]
    v = torch.einsum("bpm,hmd->bhpd", x, second.W_V)
    if side == "V":
        v[:, receiver] = cut @ second.W_V[receiver]
    residual = residual + torch.einsum("bhpd,hdm->bpm", pattern @ v, second.W_O)
    return model.norm(residual) @ model.W_U


@pytest.mark.parametrize("normalization", [None, "LN"])
@pytest.mark.parametrize("kind", [AttentionOnly, SmearedKeys])
@pytest.mark.parametrize("side", ["Q", "K", "V"])
def test_cut_paths_of_smeared_and_normed_models_equal_torch(kind, normalization, side, ask):
    model = random_model(kind, normalization=normalization, seed=5)
    rows = torch.randint(13, (3, 9), generator=torch.Generator().manual_seed(5))
    cut = [{"sender": [0, head], "receiver": [1, 2], "side": side} for head in (0, 1)]
    with torch.no_grad():
        expected = without_path(model, rows, [0, 1], 2, side).flatten().numpy()
    answered = ask(
        "logits",
        model=json.loads(exported_model(model, "m")),
        cases=[{"snapshot": -1, "rows": rows.tolist(), "change": {"cut": cut}}],
    )
    assert np.allclose(answered, expected, atol=2e-5, rtol=1e-5)
    assert np.abs(expected - model(rows).flatten().numpy()).max() > 1e-3


@pytest.mark.parametrize("normalization", [None, "LN"])
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"off": [{"head": [1, 1], "how": "zero"}]},
        {"cut": [{"sender": [0, 0], "receiver": [1, 0], "side": "V"}]},
        {"knockout": [{"head": [1, 2]}]},
    ],
    ids=["clean", "off", "cut", "knockout"],
)
def test_contributions_add_up_to_the_logit(normalization, change, ask):
    model = random_model(SmearedKeys, normalization=normalization, seed=8)
    rows = torch.randint(13, (6, 12), generator=torch.Generator().manual_seed(8)).tolist()
    cases = [
        {"row": row, "query": 2 * i, "token": (3 * i) % 13, "change": change}
        for i, row in enumerate(rows)
    ]
    answered = ask("contributions", model=json.loads(exported_model(model, "m")), cases=cases)
    logit, parts, heads, sources = answered.reshape(-1, 4).T
    assert np.allclose(parts, logit, atol=2e-5)
    assert np.allclose(sources, heads, atol=2e-5)


def test_mean_that_stands_in_contributes_from_no_source(ask):
    model = random_model(seed=9)
    change = {
        "off": [
            {"head": head, "how": "mean"}
            for head in ([0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2])
        ],
        "mean": True,
    }
    case = {"row": list(range(10)), "query": 9, "token": 4, "change": change}
    answered = ask("contributions", model=json.loads(exported_model(model, "m")), cases=[case])
    logit, parts, heads, sources = answered
    assert sources == 0
    assert abs(heads) > 1e-3
    assert parts == pytest.approx(logit, abs=2e-5)


def test_what_a_logit_loses_without_a_path_equals_torch(ask):
    """Every arrow of the drawn circuit between two heads, on the toy's two copies."""
    toy = load_attention_only("toy-2l")
    row, query, token = [0, 1, 2, 3, 0, 1, 2], 6, 3
    answered = ask(
        "pathEffects",
        model=json.loads(exported_model(toy, "toy-2l")),
        row=row,
        query=query,
        token=token,
    )
    bridge, rows = to_transformer_lens(toy), torch.tensor([row])

    def above_mean(logits):
        return (logits[0, query, token] - logits[0, query].mean()).item()

    with torch.inference_mode():
        whole = above_mean(bridge(rows))
        expected = [
            whole - above_mean(logits_without_path(bridge, rows, (0, sender), (1, receiver), side))
            for sender in (0, 1)
            for receiver in (0, 1)
            for side in "QKV"
        ]
    assert answered == pytest.approx(expected, abs=1e-4)
    assert max(expected) > 1
