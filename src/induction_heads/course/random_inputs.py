"""Random inputs for the exercises, drawn from a seed or a generator. Bounded, whatever the seed."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def whole_numbers(seed: int, n: int, low: int, high: int) -> list[int]:
    """`n` different whole numbers from `low` to `high`, in random order."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(high - low + 1, generator=generator)[:n]
    return (order + low).tolist()


def decimals(seed: int, n: int, low: float, high: float) -> list[float]:
    """`n` numbers between `low` and `high`, with three decimals."""
    generator = torch.Generator().manual_seed(seed)
    shares = torch.rand(n, generator=generator, dtype=torch.float64)
    return [round(value, 3) for value in (low + (high - low) * shares).tolist()]


def random_patterns(generator: torch.Generator, *shape: int) -> Float[Tensor, "*batch query key"]:
    """Causal attention patterns, uneven enough to tell mistakes apart.

    `shape` ends with the number of positions: `random_patterns(generator, 2, 3, 5)` is [2 3 5 5].
    """
    scores = 2 * torch.randn(*shape, shape[-1], generator=generator)
    future = torch.ones(shape[-1], shape[-1], dtype=torch.bool).triu(1)
    return scores.masked_fill(future, -math.inf).softmax(dim=-1)
