# verdict: row_sums=failed or error, doubled=passed
"""Answers with 250 MB, a thousand times more than any exercise asks for."""

import torch


def row_sums(matrix):
    return torch.zeros(250 * 2**20, dtype=torch.uint8)


def doubled(number):
    return 2 * number
