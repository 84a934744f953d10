"""Inputs that several exercises of chapter 13 share."""

import torch
from torch import Tensor


def random_text(generator: torch.Generator, d_vocab: int, batch: int, n_pos: int) -> Tensor:
    """Rows with right and wrong repeats: most of the second half copies the first."""
    rows = torch.randint(d_vocab, (batch, n_pos), generator=generator)
    half = n_pos // 2
    again = torch.rand(batch, half, generator=generator) < 0.6
    rows[:, -half:] = torch.where(again, rows[:, :half], rows[:, -half:])
    return rows


def short_matches(generator: torch.Generator) -> Tensor:
    """Two rows of ten tokens in which no pair of tokens comes twice: every repeat is wrong."""
    order = torch.tensor([0, 1, 0, 2, 1, 3, 0, 4, 2, 5])
    return torch.stack([torch.randperm(9, generator=generator)[order] for _ in range(2)])


def one_sided_text(generator: torch.Generator) -> Tensor:
    """Five rows of 24 tokens; token 9 repeats rightly only and token 8 wrongly only."""
    rows = torch.randint(5, (5, 24), generator=generator)
    rows[:2, :2] = rows[:2, 12:14] = torch.tensor([9, 7])
    rows[2:, 4], rows[2:, 5], rows[2:, 15], rows[2:, 16] = 8, 6, 8, 7
    return rows
