"""Types of patterns and scores, and the causal mask, for the checks and mistakes of chapter 2."""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Patterns = Float[Tensor, "*batch query key"]
Scores = Float[Tensor, "*batch"]
HeadScores = Mapping[str, Float[Tensor, "layer head"]]
"""The name of a score → its value for every head."""


def hidden_keys(n_pos: int) -> Bool[Tensor, "query key"]:
    """True where the key comes after the query."""
    return torch.ones(n_pos, n_pos, dtype=torch.bool).triu(diagonal=1)
