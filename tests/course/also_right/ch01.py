"""Other correct implementations of the exercises of chapter 1."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool
from torch import Tensor, nn

from induction_heads.course.ch01_attention.mistakes import _mask_by_comparison


def _mask_by_counting(n_pos: int) -> Bool[Tensor, "query key"]:
    # Row by row, the identity adds up to 1 in every column that has been passed.
    return torch.eye(n_pos).cumsum(dim=0).bool()


MASK_ALSO_RIGHT = (_mask_by_comparison, _mask_by_counting)


PAIRS_ALSO_RIGHT = (lambda: "(n_pos**2 + n_pos) // 2", lambda: "n_pos**2 - n_pos*(n_pos - 1)/2")


def _pattern_by_division(queries: Tensor, keys: Tensor) -> Tensor:
    scores = torch.einsum("...id,...jd->...ij", queries, keys) * queries.shape[-1] ** -0.5
    # Only differences count. Without the largest score of each row, e^100 would overflow.
    scores = scores.masked_fill(~_mask_by_counting(queries.shape[-2]), -math.inf)
    seen = torch.exp(scores - scores.amax(dim=-1, keepdim=True))
    return seen / seen.sum(dim=-1, keepdim=True)


def _pattern_by_torch(queries: Tensor, keys: Tensor) -> Tensor:
    # With the identity as values, what PyTorch's attention returns is the pattern itself.
    n_pos = queries.shape[-2]
    identity = torch.eye(n_pos).expand(*queries.shape[:-1], n_pos)
    return F.scaled_dot_product_attention(queries, keys, identity, is_causal=True)


PATTERN_ALSO_RIGHT = (_pattern_by_division, _pattern_by_torch)


def _head_by_einsum(residual: Tensor, W_Q: Tensor, W_K: Tensor, W_V: Tensor, W_O: Tensor) -> Tensor:
    scores = torch.einsum("...im,mh,nh,...jn->...ij", residual, W_Q, W_K, residual)
    weights = torch.exp(scores / W_Q.shape[1] ** 0.5).tril()
    return weights / weights.sum(dim=-1, keepdim=True) @ (residual @ (W_V @ W_O))


def _head_by_torch(residual: Tensor, W_Q: Tensor, W_K: Tensor, W_V: Tensor, W_O: Tensor) -> Tensor:
    q, k, v = (residual @ weight for weight in (W_Q, W_K, W_V))
    return F.linear(F.scaled_dot_product_attention(q, k, v, is_causal=True), W_O.T)


HEAD_ALSO_RIGHT = (_head_by_einsum, _head_by_torch)


def _matrices_by_factors(residual: Tensor, W_QK: Tensor, W_OV: Tensor, d_head: int) -> Tensor:
    # Any two factors of W_QK will do as W_Q and W_K: here those from its singular values.
    left, sizes, right = torch.linalg.svd(W_QK)
    scores = (residual @ left * sizes) @ (residual @ right.T).mT
    weights = torch.exp(scores / math.sqrt(d_head)).tril()
    return weights @ (residual @ W_OV) / weights.sum(dim=-1, keepdim=True)


def _matrices_by_torch(residual: Tensor, W_QK: Tensor, W_OV: Tensor, d_head: int) -> Tensor:
    return F.scaled_dot_product_attention(
        residual @ W_QK, residual, residual @ W_OV, is_causal=True, scale=d_head**-0.5
    )


MATRICES_ALSO_RIGHT = (_matrices_by_factors, _matrices_by_torch)


def _count_by_matrices(n_layers: int, n_heads: int, d_model: int, d_head: int) -> int:
    head = [(d_model, d_head), (d_model, d_head), (d_model, d_head), (d_head, d_model)]
    return sum(math.prod(shape) for _ in range(n_layers) for _ in range(n_heads) for shape in head)


def _count_by_layers(n_layers: int, n_heads: int, d_model: int, d_head: int) -> int:
    # All heads of a layer side by side: one map in for Q, K and V together, and one map out.
    width = n_heads * d_head
    read = nn.Linear(d_model, 3 * width, bias=False, device="meta")
    write = nn.Linear(width, d_model, bias=False, device="meta")
    return n_layers * (read.weight.numel() + write.weight.numel())


COUNT_ALSO_RIGHT = (_count_by_matrices, _count_by_layers)


ALSO_RIGHT = {
    "causal_mask": MASK_ALSO_RIGHT,
    "visible_pairs_formula": PAIRS_ALSO_RIGHT,
    "attention_pattern": PATTERN_ALSO_RIGHT,
    "attention_head": HEAD_ALSO_RIGHT,
    "attention_from_circuits": MATRICES_ALSO_RIGHT,
    "count_attention_parameters": COUNT_ALSO_RIGHT,
}
"""Exercise → other answers that its check must accept."""
