"""Inputs and plain definitions that the checks and the mistakes of chapter 4 share."""

import random

import torch

PERIODS = (8, 12, 16)


def tokens_by_python_random(model, period=16, batch=8, seed=0):
    """`make_repeated_tokens` by Python's own random numbers, row by row."""
    drawn, bos = random.Random(seed), model.cfg.bos_token
    ids = [i for i in range(model.cfg.d_vocab) if i != bos]
    blocks = [drawn.sample(ids, period) for _ in range(batch)]
    return torch.tensor([([] if bos is None else [bos]) + 2 * block for block in blocks])


PREFIX, FILLERS = 4, 20
"""Tokens of the prefix, A among them, and tokens between B and the second prefix."""


def prefix_rows_by_python_random(model, match, batch=64, seed=0):
    """Rows of `prefix_length_curve`, made token by token, and the position of B.

    `match` is the set of places, counted back from the end of the row (0 is A), that repeat.
    """
    drawn, bos = random.Random(seed), model.cfg.bos_token
    ids = [i for i in range(model.cfg.d_vocab) if i != bos]
    rows = []
    for _ in range(batch):
        sample = drawn.sample(ids, 2 * PREFIX + 1 + FILLERS)
        first, last = sample[: PREFIX + 1 + FILLERS], sample[PREFIX + 1 + FILLERS :]
        for back in match:
            last[PREFIX - 1 - back] = first[PREFIX - 1 - back]
        rows.append(([] if bos is None else [bos]) + first + last)
    return torch.tensor(rows), PREFIX + (bos is not None)


def ranked(found: list[tuple[int, int, float]], sign: int = -1) -> list[tuple[int, int, float]]:
    """The highest score first, or the lowest where `sign` is 1."""
    return sorted(found, key=lambda item: sign * item[2])
