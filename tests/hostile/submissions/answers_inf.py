# verdict: row_sums=failed, doubled=failed
"""Answers infinity."""

import torch


def row_sums(matrix):
    return matrix.sum(1) + torch.inf


def doubled(number):
    return float("-inf")
