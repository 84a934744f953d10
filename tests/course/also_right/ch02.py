"""Other correct implementations of the exercises of chapter 2."""

import math
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from induction_heads.course.ch02_attention_patterns.inputs import Patterns, Scores
from induction_heads.course.ch02_attention_patterns.mistakes import (
    _best_reaching,
    _cached,
    _current_by_trace,
    _detector,
    _first_by_subtraction,
    _previous_by_gather,
    _types_by_overwriting,
)


def hidden_keys(n_pos: int) -> Bool[Tensor, "query key"]:
    """True where the key comes after the query."""
    return torch.ones(n_pos, n_pos, dtype=torch.bool).triu(diagonal=1)


def _previous_by_masking(pattern: Patterns) -> Scores:
    below = torch.ones(pattern.shape[-1] - 1)
    return (pattern * torch.diag(below, diagonal=-1)).sum(dim=(-2, -1)) / len(below)


PREVIOUS_ALSO_RIGHT = (_previous_by_masking, _previous_by_gather)


def _first_by_matrix_product(pattern: Patterns) -> Scores:
    over_queries = torch.ones(pattern.shape[-1]).index_fill(0, torch.tensor(0), 0)
    return (over_queries @ pattern)[..., 0] / over_queries.sum()


FIRST_ALSO_RIGHT = (_first_by_matrix_product, _first_by_subtraction)


def _current_by_einsum(pattern: Patterns) -> Scores:
    return torch.einsum("...ii->...i", pattern)[..., 1:].mean(dim=-1)


CURRENT_ALSO_RIGHT = (_current_by_einsum, _current_by_trace)


def _patterns_by_hooks(model: Any, tokens: Tensor) -> Tensor:
    found = {}

    def keep(activation: Tensor, hook: Any) -> None:
        found[hook.name] = activation.clone()

    model.run_with_hooks(tokens, fwd_hooks=[(lambda name: name.endswith("hook_pattern"), keep)])
    return torch.stack(list(found.values()))  # The layers fire in order.


def _patterns_from_queries_and_keys(model: Any, tokens: Tensor) -> Tensor:
    q = torch.stack(_cached(model, tokens, "attn.hook_q"))
    k = torch.stack(_cached(model, tokens, "attn.hook_k"))
    scores = torch.einsum("lbqhd,lbkhd->lbhqk", q, k) / math.sqrt(model.cfg.d_head)
    return scores.masked_fill(hidden_keys(tokens.shape[1]), -math.inf).softmax(dim=-1)


PATTERNS_ALSO_RIGHT = (_patterns_by_hooks, _patterns_from_queries_and_keys)


TYPES_ALSO_RIGHT = (_detector(_best_reaching), _types_by_overwriting)


def _even_by_softmax(n_pos: int) -> float:
    scores = torch.zeros(n_pos, n_pos, dtype=torch.float64)
    return scores.masked_fill(hidden_keys(n_pos), -math.inf).softmax(dim=-1)[1:, 0].mean().item()


def _even_by_digamma(n_pos: int) -> float:
    # The digamma function at n + 1 is H_n − γ, and at 2 it is 1 − γ.
    ends = torch.tensor([n_pos + 1, 2], dtype=torch.float64).digamma()
    return ((ends[0] - ends[1]) / (n_pos - 1)).item()


EVEN_ALSO_RIGHT = (_even_by_softmax, _even_by_digamma)


ALSO_RIGHT = {
    "previous_token_score": PREVIOUS_ALSO_RIGHT,
    "first_token_score": FIRST_ALSO_RIGHT,
    "current_token_score": CURRENT_ALSO_RIGHT,
    "attention_patterns": PATTERNS_ALSO_RIGHT,
    "detect_head_types": TYPES_ALSO_RIGHT,
    "uniform_first_token_score": EVEN_ALSO_RIGHT,
}
"""Exercise → other answers that its check must accept."""
