# verdict: row_sums=passed, doubled=failed
"""Answers with sparse tensors: a right one counts, a large empty one does not."""

import torch


def row_sums(matrix):
    return matrix.sum(1).to_sparse()


def doubled(number):
    return torch.sparse_coo_tensor(torch.zeros(1, 0), [], (1000,))
