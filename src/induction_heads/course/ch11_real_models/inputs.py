"""Inputs that several exercises of chapter 11 share."""

import torch
from torch import Tensor


def random_text(generator: torch.Generator, *, d_vocab: int, batch: int, n_pos: int) -> Tensor:
    """Rows with right and wrong repeats: most of the second half copies the first."""
    rows = torch.randint(d_vocab, (batch, n_pos), generator=generator)
    half = n_pos // 2
    again = torch.rand(batch, half, generator=generator) < 0.6
    rows[:, -half:] = torch.where(again, rows[:, :half], rows[:, -half:])
    return rows
