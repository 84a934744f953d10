"""Numbers drawn from a seed, for the inputs of exercises. Bounded, whatever the seed is."""

import torch


def whole_numbers(seed: int, n: int, low: int, high: int) -> list[int]:
    """`n` different whole numbers from `low` to `high`, in random order."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(high - low + 1, generator=generator)[:n]
    return (drawn + low).tolist()


def decimals(seed: int, n: int, low: float, high: float) -> list[float]:
    """`n` numbers between `low` and `high`, with three decimals."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand(n, generator=generator, dtype=torch.float64)
    return [round(value, 3) for value in (low + (high - low) * drawn).tolist()]
