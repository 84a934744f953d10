# verdict: row_sums=error, doubled=error
"""Answers with a nested tensor and a quantized one."""

import warnings

import torch

warnings.simplefilter("ignore")


def row_sums(matrix):
    return torch.quantize_per_tensor(matrix.sum(1), 0.1, 0, torch.qint8)


def doubled(number):
    return torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])
