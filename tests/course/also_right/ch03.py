"""Other correct implementations of the exercises of chapter 3."""

import math
from typing import Any

import torch
from torch import Tensor

from induction_heads.course.ch03_previous_token_heads.inputs import (
    Heads,
    _random_rows,
    _visible_softmax,
    head_weights,
)


def _gap_from_logit(weight: float, n_keys: int) -> float:
    return torch.logit(torch.tensor(weight, dtype=torch.float64)).item() + math.log(n_keys - 1)


def _gap_from_one_other(weight: float, n_keys: int) -> float:
    """Each other key gets an equal part of what is left; the gap is the log of the ratio."""
    return math.log(weight) - math.log((1 - weight) / (n_keys - 1))


GAP_ALSO_RIGHT = (_gap_from_logit, _gap_from_one_other)


def _pattern_from_qk_circuit(model: Any, layer: int, head: int) -> Tensor:
    W_Q, W_K, _, _ = head_weights(model, layer, head)
    scores = model.W_pos @ (W_Q @ W_K.T) @ model.W_pos.T / model.cfg.d_head**0.5
    visible = torch.exp(scores - scores.amax(dim=-1, keepdim=True)).tril()
    return visible / visible.sum(dim=-1, keepdim=True)


def _pattern_from_forward_pass(model: Any, layer: int, head: int) -> Tensor:
    """Run the model with the residual stream before that layer replaced by the positions."""
    seen = {}

    def only_positions(residual: Tensor, hook: Any) -> Tensor:
        return model.W_pos[None].expand_as(residual)

    def keep(pattern: Tensor, hook: Any) -> None:
        seen["pattern"] = pattern[0, head].clone()

    hooks = [
        (f"blocks.{layer}.hook_resid_pre", only_positions),
        (f"blocks.{layer}.attn.hook_pattern", keep),
    ]
    model.run_with_hooks(torch.zeros(1, model.cfg.n_ctx, dtype=torch.long), fwd_hooks=hooks)
    return seen["pattern"]


PATTERN_ALSO_RIGHT = (_pattern_from_qk_circuit, _pattern_from_forward_pass)


def _find_from_weights(model: Any, threshold: float = 0.4) -> Heads:
    """Layer by layer from the weights, without the model's own forward pass."""
    tokens = _random_rows(model, batch=16, seed=5)
    x = model.W_E[tokens] + model.W_pos[: tokens.shape[1]]
    found, queries = [], torch.arange(1, tokens.shape[1])
    for layer in range(model.cfg.n_layers):
        added = torch.zeros_like(x)
        for head in range(model.cfg.n_heads):
            W_Q, W_K, W_V, W_O = head_weights(model, layer, head)
            pattern = _visible_softmax((x @ W_Q) @ (x @ W_K).mT / math.sqrt(model.cfg.d_head))
            added = added + pattern @ x @ W_V @ W_O
            found.append((layer, head, pattern[:, queries, queries - 1].mean().item()))
        x = x + added
    return sorted([item for item in found if item[2] >= threshold], key=lambda item: -item[2])


def _find_with_hooks(model: Any, threshold: float = 0.4) -> Heads:
    """Score inside a hook; the mask marks one entry for each query."""
    tokens = _random_rows(model, batch=12, seed=3)
    mask = torch.diag(torch.ones(tokens.shape[1] - 1), -1)
    found: Heads = []

    def hook(pattern: Tensor, hook: Any) -> None:
        scores = (pattern * mask).sum(dim=(-2, -1)).mean(dim=0) / mask.sum()
        layer = int(hook.name.split(".")[1])
        found.extend((layer, head, score) for head, score in enumerate(scores.tolist()))

    patterns = (lambda name: name.endswith("hook_pattern"), hook)
    model.run_with_hooks(tokens, fwd_hooks=[patterns])
    kept = [head for head in found if head[2] >= threshold]
    return sorted(kept, key=lambda head: head[2], reverse=True)


FIND_ALSO_RIGHT = (_find_from_weights, _find_with_hooks)


def _readout_from_hooks(model: Any, layer: int, head: int) -> float:
    """From z of a forward pass; |w|² is left out, as it is the same for every candidate."""
    tokens = _random_rows(model, batch=12, seed=9)
    _, cache = model.run_with_cache(tokens)
    _, _, W_V, W_O = head_weights(model, layer, head)
    written = cache[f"blocks.{layer}.attn.hook_z"][:, 1:, head] @ W_O
    candidates = (model.W_E + model.W_pos[: written.shape[1], None]) @ W_V @ W_O
    products = torch.einsum("bpm,pvm->bpv", written, candidates)
    nearest = (products - candidates.square().sum(dim=-1) / 2).argmax(dim=-1)
    return (nearest == tokens[:, :-1]).double().mean().item()


def _readout_row_by_row(model: Any, layer: int, head: int) -> float:
    """One row at a time, all positions and candidates at once, the circuits formed first."""
    W_Q, W_K, W_V, W_O = head_weights(model, layer, head)
    W_QK, W_OV = W_Q @ W_K.T / model.cfg.d_head**0.5, W_V @ W_O
    shares = []
    for row in _random_rows(model, batch=20, seed=21):
        x = model.W_E[row] + model.W_pos[: len(row)]
        written = _visible_softmax(x @ W_QK @ x.T) @ x @ W_OV
        candidates = (model.W_E + model.W_pos[: len(row) - 1, None]) @ W_OV
        nearest = (candidates - written[1:, None]).square().sum(dim=-1).argmin(dim=-1)
        shares.append((nearest == row[:-1]).float().mean().item())
    return sum(shares) / len(shares)


READOUT_ALSO_RIGHT = (_readout_from_hooks, _readout_row_by_row)


ALSO_RIGHT = {
    "score_gap_needed": GAP_ALSO_RIGHT,
    "positional_pattern": PATTERN_ALSO_RIGHT,
    "find_previous_token_heads": FIND_ALSO_RIGHT,
    "previous_token_readout": READOUT_ALSO_RIGHT,
}
"""Exercise → other answers that its check must accept."""
