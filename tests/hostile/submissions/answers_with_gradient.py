# verdict: row_sums=passed, doubled=passed
"""Answers rightly with a tensor that still has its gradient and a hook on it."""

import torch


def row_sums(matrix):
    answer = torch.nn.Parameter(matrix.clone()).sum(1)
    answer.register_hook(lambda gradient: 1 / 0)
    return answer


def doubled(number):
    return 2 * torch.tensor(number)
