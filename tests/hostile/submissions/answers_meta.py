# verdict: row_sums=error, doubled=error
# message: a tensor without ordinary values
"""Answers with tensors of the meta device, which have no values."""

import torch


def row_sums(matrix):
    return matrix.sum(1).to("meta")


def doubled(number):
    return {"answer": torch.zeros(10**6, 10**6, device="meta")}
