"""One attention head, written out: mask, pattern, output, and its two circuits."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def causal_mask(n_pos: int) -> Bool[Tensor, "query key"]:
    """True where a query may look: at itself and at earlier keys.

    Raises ValueError if there are no positions.

    >>> causal_mask(3).int().tolist()
    [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    """
    if n_pos < 1:
        raise ValueError(f"n_pos={n_pos}: a sequence has at least one position.")
    return torch.ones(n_pos, n_pos, dtype=torch.bool).tril()


def causal_softmax(scores: Float[Tensor, "*batch pos pos"]) -> Float[Tensor, "*batch pos pos"]:
    """Softmax over the keys, with no weight on future keys.

    >>> causal_softmax(torch.zeros(3, 3))[1]
    tensor([0.5000, 0.5000, 0.0000])
    """
    visible = causal_mask(scores.shape[-1]).to(scores.device)
    return scores.masked_fill(~visible, -math.inf).softmax(dim=-1)


def attention_pattern(
    queries: Float[Tensor, "*batch query d_head"], keys: Float[Tensor, "*batch key d_head"]
) -> Float[Tensor, "*batch query key"]:
    """Softmax over the keys of q·k / sqrt(d_head), future keys left out (Vaswani et al. 2017).

    Each row sums to 1. Raises ValueError if queries and keys differ in shape.

    >>> queries = keys = torch.eye(2)
    >>> attention_pattern(queries, keys).shape
    torch.Size([2, 2])
    >>> attention_pattern(queries, keys)  # Key 1 is ahead by 1 / sqrt(2).
    tensor([[1.0000, 0.0000],
            [0.3302, 0.6698]])
    """
    if queries.shape != keys.shape:
        raise ValueError(
            f"Got queries of shape {list(queries.shape)} and keys of shape {list(keys.shape)}. "
            "They must have the same shape."
        )
    return causal_softmax(queries @ keys.mT / math.sqrt(queries.shape[-1]))


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
    """The same head from its QK matrix and its OV matrix (Elhage et al. 2021).

    `W_QK = W_Q W_Kᵀ` decides where to look and `W_OV = W_V W_O` what to write. The scale needs
    `d_head`, which the d_model × d_model matrices do not show.
    """
    return causal_softmax(residual @ W_QK @ residual.mT / math.sqrt(d_head)) @ residual @ W_OV


def count_attention_parameters(n_layers: int, n_heads: int, d_model: int, d_head: int) -> int:
    """Weights in the heads of a model: W_Q, W_K, W_V and W_O of every head, no biases.

    >>> count_attention_parameters(n_layers=1, n_heads=2, d_model=8, d_head=4)
    256
    """
    return n_layers * n_heads * 4 * d_model * d_head


def score_gap_needed(weight: float, n_keys: int) -> float:
    """How far one key's score must lie above all the others to receive `weight` of the attention.

    With one score g above n_keys − 1 equal ones the softmax gives e^g / (e^g + n_keys − 1); solved
    for g this is ln(weight (n_keys − 1) / (1 − weight)). Scores are those after the division by
    sqrt(d_head). Raises ValueError unless 0 < weight < 1 and n_keys ≥ 2.

    >>> score_gap_needed(0.5, n_keys=2)
    0.0
    >>> round(score_gap_needed(0.5, n_keys=11), 2)  # ln 10
    2.3
    >>> round(score_gap_needed(0.9, n_keys=11), 2)  # ln 90
    4.5
    """
    if not 0 < weight < 1 or n_keys < 2:
        raise ValueError(f"weight={weight} and n_keys={n_keys}: use 0 < weight < 1, n_keys ≥ 2.")
    return math.log(weight * (n_keys - 1) / (1 - weight))
