"""Silencing every head of a model in turn, compared with a loop over `run_with_hooks`."""

import tempfile
from functools import partial
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from benchmarks.analysis import save_gpt2_small_shape
from benchmarks.head_scores import gpt2_small_shape, n_layers_for, only_of_all
from benchmarks.ratios import Ratio, compare, seconds
from induction_heads.data.tokens import repeated_tokens
from induction_heads.interp.ablation import (
    ABLATION_HOOKS,
    METHODS,
    ablation_attribution,
    ablation_scores,
)
from induction_heads.interp.losses import per_token_loss
from induction_heads.models.loading import load_model

PEER = "loop over run_with_hooks"
PERIOD = 24
"""On the large models the loss of the second copy counts, as in `second_copy_loss`."""


def loop_over_hooks(
    bridge: Any, tokens: Int[Tensor, "batch pos"], method: str, last: int
) -> Tensor:
    """The same rises, one forward pass per head."""
    with torch.inference_mode():
        clean = per_token_loss(bridge(tokens), tokens)[:, -last:].mean()
        rises = torch.zeros(bridge.cfg.n_layers, bridge.cfg.n_heads)
        for layer, head in torch.cartesian_prod(*map(torch.arange, rises.shape)).tolist():
            hook = partial(ABLATION_HOOKS[method], head=head)
            hooks = [(f"blocks.{layer}.attn.hook_z", hook)]
            logits = bridge.run_with_hooks(tokens, fwd_hooks=hooks)
            rises[layer, head] = per_token_loss(logits, tokens)[:, -last:].mean() - clean
    return rises


def of_large_model(name: str, model: Any, rounds: int) -> list[Ratio]:
    """Zero ablation of every head, and its first-order estimate, each against the loop."""
    n_layers, d_vocab, last = model.cfg.n_layers, model.cfg.d_vocab, PERIOD - 1
    tokens = repeated_tokens(d_vocab, PERIOD, batch=2, bos_token=0)
    ways = {
        "ours": partial(ablation_scores, model, tokens, last=last),
        "estimate": partial(ablation_attribution, model, tokens, last=last),
        "loop": partial(loop_over_hooks, model, tokens, "zero", last),
    }
    exact, estimate = ways["ours"](), ways["estimate"]()  # Warm up.
    times = {way: [] for way in ways}
    for _ in range(rounds):
        for way, work in ways.items():
            times[way].append(seconds(work))
    error = (estimate - exact).abs().max() / exact.abs().max()
    work = f"ablation of {12 * n_layers} heads, {name}"
    demands = only_of_all(0.50, n_layers), only_of_all(0.05, n_layers)
    return [
        compare(f"zero {work}", times["ours"], PEER, times["loop"], demands[0]),
        compare(
            f"first order of {work} (off by {error:.0%} of the largest rise)",
            times["estimate"],
            PEER,
            times["loop"],
            demands[1],
        ),
    ]


def of_toy(rounds: int, methods: tuple[str, ...]) -> list[Ratio]:
    """Every method on `toy-2l`, where all tokens but the first count."""
    model, tokens = load_model("toy-2l"), repeated_tokens(64, 12, batch=8)
    found = []
    for method in methods:
        ways = {
            "ours": partial(ablation_scores, model, tokens, method=method),
            "loop": partial(loop_over_hooks, model, tokens, method, tokens.shape[1] - 1),
        }
        times = {way: [] for way in ways}
        for work in ways.values():
            work()  # Warm up.
        for _ in range(rounds):
            for way, work in ways.items():
                times[way].append(seconds(work))
        work = f"{method} ablation, 2 layers, attention only"
        found.append(compare(work, times["ours"], PEER, times["loop"], 0.40))
    return found


def ratios(rounds: int) -> list[Ratio]:
    """Ours against the loop: the shape of GPT-2 small as both kinds of bridge, and `toy-2l`.

    The loop over 144 heads takes most of a minute, so there are at most three rounds of it, and in
    a quick run one round in a smaller model.
    """
    quick, n_layers = rounds <= 2, n_layers_for(rounds)
    few = 1 if quick else min(rounds, 3)
    found = of_large_model("native", gpt2_small_shape(n_layers), few)
    with tempfile.TemporaryDirectory() as folder:
        save_gpt2_small_shape(folder, n_layers)
        found += of_large_model("Hugging Face", load_model(folder, progress=False), few)
    return found + of_toy(max(rounds, 5), METHODS[:1] if quick else METHODS)
