"""One attention head, written out: mask, pattern, output, and the two circuits inside it."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def causal_mask(n_pos: int) -> Bool[Tensor, "query key"]:
    """True where a query may look: at itself and at what came before.

    Raises ValueError if there are no positions.

    >>> causal_mask(3).int().tolist()
    [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    """
    if n_pos < 1:
        raise ValueError(f"n_pos={n_pos}: a sequence has at least one position.")
    return torch.ones(n_pos, n_pos, dtype=torch.bool).tril()


def visible_pairs_formula() -> str:
    """How many pairs (query, key) the causal mask leaves among `n_pos` positions."""
    return "n_pos * (n_pos + 1) / 2"


def _softmax_of(scores: Float[Tensor, "*batch query key"]) -> Float[Tensor, "*batch query key"]:
    return scores.masked_fill(~causal_mask(scores.shape[-1]), -math.inf).softmax(dim=-1)


def attention_pattern(
    queries: Float[Tensor, "*batch query d_head"], keys: Float[Tensor, "*batch key d_head"]
) -> Float[Tensor, "*batch query key"]:
    """Softmax over the keys of q·k / sqrt(d_head), future keys left out (Vaswani et al. 2017).

    Each row sums to 1. Raises ValueError if queries and keys differ in shape.
    """
    if queries.shape != keys.shape:
        raise ValueError(f"queries {list(queries.shape)} and keys {list(keys.shape)} must agree.")
    return _softmax_of(queries @ keys.mT / math.sqrt(queries.shape[-1]))


def attention_head(
    residual: Float[Tensor, "*batch pos d_model"],
    W_Q: Float[Tensor, "d_model d_head"],
    W_K: Float[Tensor, "d_model d_head"],
    W_V: Float[Tensor, "d_model d_head"],
    W_O: Float[Tensor, "d_head d_model"],
) -> Float[Tensor, "*batch pos d_model"]:
    """What one head adds to the residual stream: pattern × values, through W_O."""
    return attention_pattern(residual @ W_Q, residual @ W_K) @ (residual @ W_V) @ W_O


def attention_from_circuits(
    residual: Float[Tensor, "*batch pos d_model"],
    W_QK: Float[Tensor, "d_model d_model"],
    W_OV: Float[Tensor, "d_model d_model"],
    d_head: int,
) -> Float[Tensor, "*batch pos d_model"]:
    """The same head from its two circuits (Elhage et al. 2021).

    `W_QK = W_Q W_Kᵀ` decides where to look and `W_OV = W_V W_O` what to write. `d_head` is needed
    for the scale: it cannot be read off a d_model × d_model matrix.
    """
    return _softmax_of(residual @ W_QK @ residual.mT / math.sqrt(d_head)) @ residual @ W_OV


def count_attention_parameters(n_layers: int, n_heads: int, d_model: int, d_head: int) -> int:
    """Weights in the heads of a model: W_Q, W_K, W_V and W_O of every head, no biases."""
    return n_layers * n_heads * 4 * d_model * d_head


def score_gap_needed(weight: float, n_keys: int) -> float:
    """How far one key's score must lie above all the others to receive `weight` of the attention.

    With one score g above n_keys − 1 equal ones the softmax gives e^g / (e^g + n_keys − 1); solved
    for g this is ln(weight (n_keys − 1) / (1 − weight)). Scores are those after the division by
    sqrt(d_head). Raises ValueError unless 0 < weight < 1 and n_keys ≥ 2.
    """
    if not 0 < weight < 1 or n_keys < 2:
        raise ValueError(f"weight={weight} and n_keys={n_keys}: use 0 < weight < 1, n_keys ≥ 2.")
    return math.log(weight * (n_keys - 1) / (1 - weight))
