"""The stored runs on how positions start: structure and scale, each with the other held fixed.

Sinusoidal positions of `sinusoids` have a root mean square of 0.21, and random ones of 128
dimensions one of 0.07, so a comparison of the two changes two things. Here `toy-2l` starts with
both structures at both scales. `induction-heads experiment positions` trains the models again.
"""

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float

from induction_heads.models.attention_only import sinusoids
from induction_heads.training.recipes import RECIPES, new_model
from induction_heads.training.run import train

SEEDS = (0, 1, 2)
STEPS = 300
SCALES = (0.07, 0.21)
"""Root mean squares of the position embedding at the start."""

RUNS = {
    f"{structure}-{scale:.2f}-s{seed}": (structure, scale, seed)
    for structure in ("sinusoidal", "random")
    for scale in SCALES
    for seed in SEEDS
}
"""Name → structure, scale, seed."""


def starting_positions(
    structure: str, scale: float, seed: int, n_ctx: int, d_model: int
) -> Float[torch.Tensor, "pos d_model"]:
    """A position embedding with this root mean square, sinusoidal or drawn with this seed.

    >>> starting_positions("sinusoidal", 0.5, 0, 10, 8).square().mean().sqrt().item()
    0.5
    """
    if structure == "sinusoidal":
        drawn = sinusoids(n_ctx, d_model, scale=1.0)
    elif structure == "random":
        drawn = torch.randn(n_ctx, d_model, generator=torch.Generator().manual_seed(seed))
    else:
        raise ValueError(f"Got the structure {structure!r}. Use 'sinusoidal' or 'random'.")
    return scale * drawn / drawn.square().mean().sqrt()


def position_result(name: str) -> dict[str, Any]:
    """Train one of `RUNS` and return its loss at each step."""
    structure, scale, seed = RUNS[name]
    recipe = RECIPES["toy-2l"]
    model, config = new_model(recipe, seed), recipe.config
    with torch.no_grad():
        model.W_pos.copy_(starting_positions(structure, scale, seed, config.n_ctx, config.d_model))
    settings = replace(recipe.settings, steps=STEPS, decay=0.0)
    run = train(model, recipe.sample, settings, seed=seed, progress=False)
    return {"losses": [round(loss, 3) for loss in run.losses]}
