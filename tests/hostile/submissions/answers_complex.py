# verdict: row_sums=failed, doubled=error
"""Answers with complex numbers whose real part is right."""

import torch


def row_sums(matrix):
    return torch.complex(matrix.sum(1), torch.ones(len(matrix)))


def doubled(number):
    return complex(2 * number, 1)
