"""Exercises of chapter 1, "Attention". Fill in the functions; the chapter has the definitions.

Check all of them with `induction-heads check ch01`, or one with
`induction-heads check causal_mask`.
"""

import math  # noqa: F401

import torch  # noqa: F401
from jaxtyping import Bool, Float
from torch import Tensor


def causal_mask(n_pos: int) -> Bool[Tensor, "query key"]:
    """The causal mask: True where a query may look, at itself and at what came before.

    ★ · 3 minutes. Why: without it, a model learning to predict the next token could simply read it.

    For n_pos = 3 the rows are [True, False, False], [True, True, False], [True, True, True].
    Start from this question: for which pairs (query, key) is the key not in the future?
    """
    raise NotImplementedError


def visible_pairs_formula() -> str:
    """How many of the n_pos × n_pos pairs (query, key) the causal mask leaves, as a formula.

    ★ · 3 minutes, with pen and paper. Why: it is the number of nonzero weights a pattern can have.

    Return a Python expression in `n_pos` as text, such as "2 * n_pos**2 - 1" (which is wrong).
    It may use + - * / // % **, sqrt, log, exp, log2, min, max and pi. Any equivalent form passes.
    Count the pairs for 1, 2, 3 and 4 positions first.
    """
    raise NotImplementedError


def attention_pattern(
    queries: Float[Tensor, "*batch query d_head"], keys: Float[Tensor, "*batch key d_head"]
) -> Float[Tensor, "*batch query key"]:
    """Where a head looks: the softmax over the keys of q·k / sqrt(d_head), no key in the future.

    ★★ · 10 minutes. Why: everything this course says about where a head looks is read off this
    matrix.

    Queries and keys have the same shape. There may be any number of batch axes in front, also none.
    Every row of the answer sums to 1, and what lies above the diagonal is 0. Scores can be near 100
    or −100, which PyTorch's softmax can take and a plain exponential cannot.
    Start from the scores of all pairs; then ask what score makes a weight exactly 0.
    """
    raise NotImplementedError


def attention_head(
    residual: Float[Tensor, "*batch pos d_model"],
    W_Q: Float[Tensor, "d_model d_head"],
    W_K: Float[Tensor, "d_model d_head"],
    W_V: Float[Tensor, "d_model d_head"],
    W_O: Float[Tensor, "d_head d_model"],
) -> Float[Tensor, "*batch pos d_model"]:
    """What one head adds to the residual stream at every position.

    ★★ · 8 minutes. Why: this is the whole unit that the course searches for, scores and removes.

    The answer is the head's own term, without the residual stream that it is added to.
    You may call `attention_pattern` from above.
    """
    raise NotImplementedError


def attention_from_circuits(
    residual: Float[Tensor, "*batch pos d_model"],
    W_QK: Float[Tensor, "d_model d_model"],
    W_OV: Float[Tensor, "d_model d_model"],
    d_head: int,
) -> Float[Tensor, "*batch pos d_model"]:
    """The same output, from the QK matrix W_Q W_Kᵀ and the OV matrix W_V W_O.

    ★★ · 10 minutes. Why: it shows that "where" and "what" are set by separate weights.

    Vectors are rows: a position's vector is multiplied from the right, x W_OV.
    Do not split the matrices again. Write q·k and the output in terms of x, W_QK and W_OV first.
    """
    raise NotImplementedError


def count_attention_parameters(n_layers: int, n_heads: int, d_model: int, d_head: int) -> int:
    """The number of weights in W_Q, W_K, W_V and W_O of every head of a model, without biases.

    ★ · 10 minutes, with pen and paper. Why: it says how much of a model its heads are, and how much
    smaller they are than their QK and OV matrices.

    With n_layers=1, n_heads=1, d_model=5, d_head=2, the head of the chapter, it is 40.
    Derive it before you write it: how many numbers are in each of the four matrices?
    """
    raise NotImplementedError
