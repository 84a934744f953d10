# verdict: row_sums=error or failed or timeout, doubled=passed
"""Answers with a list that holds one tensor of 100 MB a thousand times."""

import torch


def row_sums(matrix):
    return [torch.zeros(25 * 2**20)] * 1000


def doubled(number):
    return 2 * number
