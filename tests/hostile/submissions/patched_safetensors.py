# verdict: row_sums=error, doubled=passed
# message: sent something that is not an answer
"""Replaces the function that writes tensors by one that writes rubbish."""

import safetensors.torch

from induction_heads.grading import wire

wire.save = safetensors.torch.save = lambda tensors, metadata=None: b"\xff" * 999


def row_sums(matrix):
    return matrix.sum(1)


def doubled(number):
    return 2 * number
