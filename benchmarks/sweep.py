"""All ablations of one snapshot of a sweep, beside a loop over `run_with_hooks`."""

from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.ratios import Ratio, compare, times_in_turn
from induction_heads.interventions import ABLATION_HOOKS
from induction_heads.losses import per_token_loss
from induction_heads.models import load_attention_only, to_transformer_lens
from induction_heads.sweep_record import ablation_effects, probes


def loop_over_hooks(bridge: Any) -> Float[Tensor, "probe layer head"]:
    """The same rises, one forward pass for each head and probe batch."""
    rises = torch.zeros(len(probes()), bridge.cfg.n_layers, bridge.cfg.n_heads)
    with torch.inference_mode():
        for index, probe in enumerate(probes()):
            tokens, last = probe.tokens, probe.period - 1
            clean = per_token_loss(bridge(tokens), tokens)[:, -last:].mean()
            for layer, head in torch.cartesian_prod(*map(torch.arange, rises.shape[1:])).tolist():
                hook = partial(ABLATION_HOOKS["zero"], head=head)
                hooks = [(f"blocks.{layer}.attn.hook_z", hook)]
                logits = bridge.run_with_hooks(tokens, fwd_hooks=hooks)
                rises[index, layer, head] = per_token_loss(logits, tokens)[:, -last:].mean() - clean
    return rises


def ratios(rounds: int) -> list[Ratio]:
    """Ours against the loop: four heads, each on every probe batch."""
    model = load_attention_only("toy-2l")
    bridge = to_transformer_lens(model)
    ways = {"peer": partial(loop_over_hooks, bridge), "ours": partial(ablation_effects, model)}
    times = times_in_turn(ways, max(rounds, 5))
    peer = "loop over run_with_hooks"
    return [compare("head ablation in a sweep", times["ours"], peer, times["peer"], demand=0.40)]
