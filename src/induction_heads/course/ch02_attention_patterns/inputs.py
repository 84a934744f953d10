"""Types of patterns and scores, for the checks and mistakes of chapter 2."""

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor

Patterns = Float[Tensor, "*batch query key"]
Scores = Float[Tensor, "*batch"]
HeadScores = Mapping[str, Float[Tensor, "layer head"]]
"""The name of a score → its value for every head."""
