"""Silencing every head of a model in turn, compared with a loop over `run_with_hooks`."""

from functools import partial
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from benchmarks.head_scores import gpt2_small_shape, n_layers_for, only_of_all
from benchmarks.ratios import Ratio, compare, seconds
from induction_heads.data.tokens import repeated_tokens
from induction_heads.interp.ablation import ABLATION_HOOKS, METHODS, ablation_scores
from induction_heads.interp.losses import per_token_loss
from induction_heads.models.loading import load_model


def loop_over_hooks(bridge: Any, tokens: Int[Tensor, "batch pos"], method: str) -> Tensor:
    """The same rises, one forward pass per head."""
    with torch.inference_mode():
        clean = per_token_loss(bridge(tokens), tokens).mean()
        rises = torch.zeros(bridge.cfg.n_layers, bridge.cfg.n_heads)
        for layer, head in torch.cartesian_prod(*map(torch.arange, rises.shape)).tolist():
            hook = partial(ABLATION_HOOKS[method], head=head)
            hooks = [(f"blocks.{layer}.attn.hook_z", hook)]
            logits = bridge.run_with_hooks(tokens, fwd_hooks=hooks)
            rises[layer, head] = per_token_loss(logits, tokens).mean() - clean
    return rises


def ratios(rounds: int) -> list[Ratio]:
    """Ours against the loop, per method, in the shape of GPT-2 small and on `toy-2l`.

    In the shape of GPT-2 small the unembedding of 50,257 tokens is a third of a forward pass, and
    each ablated head needs its own: nothing saves that part.
    The loop over 144 heads takes most of a minute, so there are at most three rounds of it, and in
    a quick run one round of one method in a smaller model.
    """
    quick, n_layers = rounds <= 2, n_layers_for(rounds)
    methods = METHODS[:1] if quick else METHODS
    large = repeated_tokens(50257, 24, batch=2, bos_token=0)
    small = repeated_tokens(64, 12, batch=8)
    found = []
    for name, model, tokens, demand, n_rounds in (
        (
            f"{12 * n_layers} heads",
            gpt2_small_shape(n_layers),
            large,
            only_of_all(0.50, n_layers),
            min(rounds, 3),
        ),
        ("2 layers, attention only", load_model("toy-2l"), small, 0.40, max(rounds, 5)),
    ):
        for _ in range(2):
            model(tokens)  # Warm up.
        for method in methods:
            ours, theirs = [], []
            for _ in range(n_rounds):
                ours.append(seconds(partial(ablation_scores, model, tokens, method=method)))
                theirs.append(seconds(partial(loop_over_hooks, model, tokens, method)))
            work = f"{method} ablation, {name}"
            found.append(compare(work, ours, "loop over run_with_hooks", theirs, demand))
    return found
