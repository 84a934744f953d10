"""Solutions of chapter 1, "Attention", with a reason for each line that needs one."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def causal_mask(n_pos: int) -> Bool[Tensor, "query key"]:
    """True where the key is not after the query.

    Rows are queries and columns are keys, so "key ≤ query" is the lower triangle with its diagonal.
    """
    return torch.ones(n_pos, n_pos, dtype=torch.bool).tril()


def visible_pairs_formula() -> str:
    """Query i sees i + 1 keys, so the sum is 1 + 2 + … + n_pos.

    Twice the sum, written forward and backward, is n_pos columns of n_pos + 1 each. It is a little
    more than half of the square, because the diagonal counts.
    """
    return "n_pos * (n_pos + 1) / 2"


def attention_pattern(
    queries: Float[Tensor, "*batch query d_head"], keys: Float[Tensor, "*batch key d_head"]
) -> Float[Tensor, "*batch query key"]:
    """Scores of all pairs, hidden keys at −∞, then the softmax: the definition in its own order."""
    # .mT turns the last two axes only, so any batch axes stay where they are.
    scores = queries @ keys.mT / math.sqrt(queries.shape[-1])
    # e^−∞ = 0: the hidden keys leave the numerator and the denominator before rows are normalized.
    visible = scores.masked_fill(~causal_mask(scores.shape[-1]), -math.inf)
    # The last axis is the key. Each query shares out a weight of 1 over its keys.
    return visible.softmax(dim=-1)


def attention_head(
    residual: Float[Tensor, "*batch pos d_model"],
    W_Q: Float[Tensor, "d_model d_head"],
    W_K: Float[Tensor, "d_model d_head"],
    W_V: Float[Tensor, "d_model d_head"],
    W_O: Float[Tensor, "d_head d_model"],
) -> Float[Tensor, "*batch pos d_model"]:
    """Two independent steps: where to look, and what to move from there."""
    pattern = attention_pattern(residual @ W_Q, residual @ W_K)
    # A row of the pattern times the values is the weighted mean of the values at the keys.
    mixed = pattern @ (residual @ W_V)
    # Back to d_model. The caller adds it to the residual stream.
    return mixed @ W_O


def attention_from_circuits(
    residual: Float[Tensor, "*batch pos d_model"],
    W_QK: Float[Tensor, "d_model d_model"],
    W_OV: Float[Tensor, "d_model d_model"],
    d_head: int,
) -> Float[Tensor, "*batch pos d_model"]:
    """The head with its four matrices multiplied out: q·k = x W_QK xᵀ, and v W_O = x W_OV.

    `attention_pattern` cannot be called here: it would divide by sqrt(d_model), the width of x.
    """
    # The scale belongs to the head's width, which a d_model × d_model matrix does not show.
    scores = residual @ W_QK @ residual.mT / math.sqrt(d_head)
    visible = scores.masked_fill(~causal_mask(scores.shape[-1]), -math.inf)
    return visible.softmax(dim=-1) @ residual @ W_OV


def count_attention_parameters(n_layers: int, n_heads: int, d_model: int, d_head: int) -> int:
    """Each of the four matrices has d_model × d_head numbers; W_O is only transposed."""
    per_head = 4 * d_model * d_head
    return n_layers * n_heads * per_head
