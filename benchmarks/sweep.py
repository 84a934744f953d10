"""All ablations of one snapshot of a sweep, compared with a loop over `run_with_hooks`."""

from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.ratios import Ratio, compare, times_in_turn
from induction_heads.interp.ablation import ABLATION_HOOKS
from induction_heads.interp.losses import per_token_loss
from induction_heads.models.loading import load_attention_only, to_transformer_lens
from induction_heads.sweeps.toy_record import ablation_effects, block_pairs


def loop_over_hooks(bridge: Any) -> Float[Tensor, "sample layer head"]:
    """The same rises, one forward pass for each head and batch."""
    rises = torch.zeros(len(block_pairs()), bridge.cfg.n_layers, bridge.cfg.n_heads)
    with torch.inference_mode():
        for index, pairs in enumerate(block_pairs()):
            tokens, last = pairs.tokens, pairs.period - 1
            clean = per_token_loss(bridge(tokens), tokens)[:, -last:].mean()
            for layer, head in torch.cartesian_prod(*map(torch.arange, rises.shape[1:])).tolist():
                hook = partial(ABLATION_HOOKS["zero"], head=head)
                hooks = [(f"blocks.{layer}.attn.hook_z", hook)]
                logits = bridge.run_with_hooks(tokens, fwd_hooks=hooks)
                rises[index, layer, head] = per_token_loss(logits, tokens)[:, -last:].mean() - clean
    return rises


def ratios(rounds: int) -> list[Ratio]:
    """Ours against the loop: four heads, each on every batch."""
    model = load_attention_only("toy-2l")
    bridge = to_transformer_lens(model)
    ways = {"peer": partial(loop_over_hooks, bridge), "ours": partial(ablation_effects, model)}
    times = times_in_turn(ways, max(rounds, 5))
    peer = "loop over run_with_hooks"
    return [compare("head ablation in a sweep", times["ours"], peer, times["peer"], demand=0.40)]
