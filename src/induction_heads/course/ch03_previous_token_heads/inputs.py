"""Inputs and plain definitions that the checks and the mistakes of chapter 3 share."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from induction_heads.data.tokens import distinct_tokens
from induction_heads.models.interface import HookedModel

Heads = list[tuple[int, int, float]]


def head_weights(model: HookedModel, layer: int, head: int) -> list[Tensor]:
    """W_Q, W_K, W_V and W_O of one head."""
    return [getattr(model, name)[layer, head] for name in ("W_Q", "W_K", "W_V", "W_O")]


def _visible_softmax(scores: Tensor) -> Tensor:
    future = torch.ones_like(scores).triu(1).bool()
    return scores.masked_fill(future, -torch.inf).softmax(dim=-1)


def _random_rows(model: HookedModel, batch: int, seed: int) -> Tensor:
    n_pos = min(model.cfg.n_ctx, model.cfg.d_vocab)
    noise = torch.rand(batch, model.cfg.d_vocab, generator=torch.Generator().manual_seed(seed))
    return noise.argsort(dim=-1)[:, :n_pos]


def find_by(
    score: Callable[[Tensor], Any], length: int = 64, batch: int = 8, seed: int = 0
) -> Callable[..., Heads]:
    """The heads whose `score` of a pattern [batch query key] reaches the threshold."""

    def answer(model: HookedModel, threshold: float = 0.4) -> Heads:
        n_pos = min(model.cfg.n_ctx, model.cfg.d_vocab, length)
        tokens = distinct_tokens(model.cfg.d_vocab, n_pos, batch=batch, seed=seed)
        _, cache = model.run_with_cache(tokens)
        found = []
        for layer in range(model.cfg.n_layers):
            for head in range(model.cfg.n_heads):
                pattern = cache[f"blocks.{layer}.attn.hook_pattern"][:, head]
                found.append((layer, head, float(score(pattern))))
        return sorted([item for item in found if item[2] >= threshold], key=lambda item: -item[2])

    return answer


def head_on_rows(model: HookedModel, layer: int, head: int) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens [batch pos], the head's pattern [batch query key] and what it writes."""
    tokens = _random_rows(model, batch=8, seed=4)
    W_Q, W_K, W_V, W_O = head_weights(model, layer, head)
    x = model.W_E[tokens] + model.W_pos[: tokens.shape[1]]
    pattern = _visible_softmax((x @ W_Q) @ (x @ W_K).mT / math.sqrt(model.cfg.d_head))
    return tokens, pattern, pattern @ x @ W_V @ W_O
