"""Heads that cover for each other: what silencing several costs beyond silencing each of them."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from induction_heads.interventions import zero_ablation_hook
from induction_heads.losses import per_token_loss


def joint_ablation_gap(
    model: Any, tokens: Int[Tensor, "batch pos"], heads: Sequence[tuple[int, int]]
) -> float:
    """The rise of the loss without all these heads, minus the sum of the rises without each.

    In nats, as a mean over all tokens, with zero ablation; `model` is a `TransformerBridge`. Above
    0 the heads cover for each other: each alone looks less needed than it is. Raises ValueError for
    fewer than two heads, or if one of them is named twice.
    """
    if len(set(heads)) < max(2, len(heads)):
        raise ValueError(f"{list(heads)} came in; name at least two heads, each of them once.")
    clean = _loss_without(model, tokens, [])
    alone = sum(_loss_without(model, tokens, [head]) - clean for head in heads)
    return _loss_without(model, tokens, heads) - clean - alone


def _loss_without(model: Any, tokens: Tensor, heads: Sequence[tuple[int, int]]) -> float:
    hooks = [
        (f"blocks.{layer}.attn.hook_z", partial(zero_ablation_hook, head=head))
        for layer, head in heads
    ]
    with torch.inference_mode():
        logits = model.run_with_hooks(tokens, fwd_hooks=hooks)
        return per_token_loss(logits, tokens).mean().item()
