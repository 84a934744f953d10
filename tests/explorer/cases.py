"""Random triples of tokens, intervention and snapshot, with the logits that the package gives."""

import json
from functools import cache, partial

import numpy as np
import torch

from induction_heads.data.tokens import distinct_tokens, follows_earlier_copy, repeated_tokens
from induction_heads.explorer.export import exported_model, exported_snapshots, quantized
from induction_heads.interp.ablation import ABLATION_HOOKS
from induction_heads.interp.interventions import (
    logits_without_path,
    pattern_preserving_ablation,
    stripe_knockout,
)
from induction_heads.models.loading import load_attention_only, load_snapshots, to_transformer_lens

TOYS = ("toy-1l", "toy-2l", "markov-2l")
AT = (0, 2, 4, 5, 6, 7, 8, 9, 11, 13, 16, 19)
"""The snapshots that are tried, of 20: those around the phase change among them."""


def snapshots_as_read(snapshots):
    """The models that the page rebuilds from `exported_snapshots`, by step."""
    spacing, differences = quantized(snapshots)
    steps = sorted(snapshots)
    last = snapshots[steps[-1]]
    rebuilt = [weight.detach().half().double().flatten().numpy() for weight in last.parameters()]
    models = {steps[-1]: with_weights(last, rebuilt)}
    for step, row in zip(steps[-2::-1], differences, strict=True):
        parts = zip(rebuilt, row, spacing, strict=True)
        rebuilt = [weight + units * unit for weight, units, unit in parts]
        models[step] = with_weights(last, rebuilt)
    return {step: models[step] for step in steps}


def with_weights(like, weights):
    model = type(like)(like.config)
    with torch.no_grad():
        for parameter, weight in zip(model.parameters(), weights, strict=True):
            parameter.copy_(torch.from_numpy(weight).float().view_as(parameter))
    return model.requires_grad_(False).eval()


@cache
def random_triples(name, n_cases=90):
    """Four triples a case for one toy: a request for `answers.js`, and the expected logits."""
    generator = torch.Generator().manual_seed(TOYS.index(name))
    snapshots = load_snapshots(name)
    read = list(snapshots_as_read(snapshots).values())
    bridges = {at: to_transformer_lens(read[at]) for at in AT}
    cases, expected = [], []
    with torch.inference_mode():
        for _ in range(n_cases):
            snapshot = AT[int(torch.randint(len(AT), (), generator=generator))]
            rows, period = some_rows(generator, read[snapshot], 4)
            change, logits = some_change(generator, bridges[snapshot], rows, period)
            cases.append({"snapshot": snapshot, "rows": rows.tolist(), "change": change})
            expected.append(logits.flatten())
    request = {
        "question": "logits",
        "model": json.loads(exported_model(load_attention_only(name), name)),
        "snapshots": json.loads(exported_snapshots(snapshots, name)),
        "cases": cases,
    }
    return request, torch.cat(expected).double().numpy()


def largest_difference(answered, expected):
    assert answered.shape == expected.shape
    return np.abs(answered - expected).max()


def some_rows(generator, model, count):
    """Rows that repeat, with or without noise, or that do not; of any length that fits."""
    config = model.config
    period = int(torch.randint(3, config.n_ctx // 2 + 1, (), generator=generator))
    rows = repeated_tokens(config.d_vocab, period, batch=count, seed=generator)
    kind = int(torch.randint(3, (), generator=generator))
    if kind == 1:
        noisy = torch.rand(rows.shape, generator=generator) < 0.2
        rows = torch.where(noisy, torch.randint_like(rows, config.d_vocab), rows)
    if kind == 2:
        rows = distinct_tokens(config.d_vocab, 2 * period, count, generator)
    return rows, period


def without_stripes(pattern, rows):
    """The pattern [batch query key] without the keys after earlier copies, rows of sum 1 again."""
    removed = follows_earlier_copy(rows)
    rest = pattern.masked_fill(removed, 0)
    left = rest.sum(dim=-1, keepdim=True)
    elsewhere = (~removed).float().tril()
    evenly = elsewhere / elsewhere.sum(dim=-1, keepdim=True)
    return torch.where(left > 1e-6, rest / left.clamp_min(1e-6), evenly)


def knocked_out(bridge, rows, layer, head, period):
    def hook(pattern, hook):
        pattern = pattern.clone()
        removed = without_stripes(pattern[:, head], rows)
        if torch.equal(rows[:, :period], rows[:, period:]) and rows.shape[1] == 2 * period:
            # On two whole copies of distinct tokens this is the knockout of the package.
            torch.testing.assert_close(removed, stripe_knockout(pattern[:, head], period))
        pattern[:, head] = removed
        return pattern

    name = f"blocks.{layer}.attn.hook_pattern"
    return bridge.run_with_hooks(rows, fwd_hooks=[(name, hook)])


def some_change(generator, bridge, rows, period):
    """A random intervention for the page, and the logits that the package gives for it."""
    n_layers, n_heads = bridge.cfg.n_layers, bridge.cfg.n_heads
    draw = lambda n: int(torch.randint(n, (), generator=generator))  # noqa: E731
    kinds = ["none", "zero", "mean", "knockout"] + ["freeze", "cut", "cut"] * (n_layers > 1)
    kind, layer, head = kinds[draw(len(kinds))], draw(n_layers), draw(n_heads)
    if kind == "none":
        return {}, bridge(rows)
    if kind in ("zero", "mean"):
        hook = (f"blocks.{layer}.attn.hook_z", partial(ABLATION_HOOKS[kind], head=head))
        change = {"off": [{"head": [layer, head], "how": kind}], "mean": kind == "mean"}
        return change, bridge.run_with_hooks(rows, fwd_hooks=[hook])
    if kind == "knockout":
        change = {"knockout": [{"head": [layer, head]}]}
        return change, knocked_out(bridge, rows, layer, head, period)
    if kind == "freeze":
        change = {"off": [{"head": [0, head], "how": "zero"}], "freeze": [1]}
        return change, pattern_preserving_ablation(bridge, rows, 0, head)
    sender, receiver, side = [0, head], [1, draw(n_heads)], "QKV"[draw(3)]
    change = {"cut": [{"sender": sender, "receiver": receiver, "side": side}]}
    return change, logits_without_path(bridge, rows, tuple(sender), tuple(receiver), side)
