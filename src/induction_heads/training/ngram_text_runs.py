"""The stored runs on text with a fixed n-gram head in the last layer, at equal parameters.

After Akyürek et al. 2024, who put such heads into language models. The recipe is that of
`natural-2l`, with a tenth of its steps. `induction-heads experiment ngram-text` trains the models
again.
"""

from dataclasses import replace
from functools import cache
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from induction_heads.data.python_text import python_streams, text_rows
from induction_heads.interp.losses import per_token_loss
from induction_heads.models.attention_only import AttentionOnly
from induction_heads.models.ngram_head import WithNgramHead, ngram_induction_layer
from induction_heads.training.initial_weights import initialized
from induction_heads.training.recipes import RECIPES
from induction_heads.training.records import HELD_OUT_SEED
from induction_heads.training.run import train

RECIPE = RECIPES["natural-2l"]
STEPS = RECIPE.settings.steps // 10

KINDS = ("learned", "fixed-1", "fixed-2", "misplaced-2")
"""All heads learned; one head fixed to match one token, or two; fixed to another row's pattern."""

SEEDS = (0, 1, 2)
RUNS = {f"{kind}-s{seed}": (kind, seed) for kind in KINDS for seed in SEEDS}
"""Name → kind of model and seed."""

HELD_OUT_ROWS = 256
MEASURED_BATCH = 32


class WithMisplacedHead(WithNgramHead):
    """A control: every row gets the n-gram pattern of another row of its batch."""

    def looked_at(self, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch query key"]:
        """The n-gram pattern of the row before, and for the first row that of the last."""
        return super().looked_at(tokens).roll(1, dims=0)


def new_ngram_text_model(kind: str, seed: int) -> AttentionOnly:
    """The untrained model of a kind. All kinds have the same number of parameters."""
    if kind == "learned":
        model = AttentionOnly(RECIPE.config)
    else:
        name, n = kind.split("-")
        of_name = {"fixed": WithNgramHead, "misplaced": WithMisplacedHead}[name]
        model = of_name(RECIPE.config, int(n))
    return initialized(model, seed, small_embedding=True, sinusoidal=True)


@cache
def held_out_text() -> Int[Tensor, "row pos"]:
    """The rows of held-out source that all models are measured on."""
    generator = torch.Generator().manual_seed(HELD_OUT_SEED)
    return text_rows(python_streams()[1], RECIPE.config.n_ctx, HELD_OUT_ROWS, generator)


@cache
def places() -> dict[str, Bool[Tensor, "row next_pos"]]:
    """Where each loss is a mean: everywhere, and where the last 0, 1, or 2 and more tokens match.

    `new`: the last token has not occurred earlier in the row. `one`: it has, but not together with
    the token before it. `two`: the last two tokens have occurred together.
    """
    tokens = held_out_text()
    one, two = (ngram_induction_layer(tokens, n)[:, :-1].any(dim=-1) for n in (1, 2))
    return {"all": torch.ones_like(one), "new": ~one, "one": one & ~two, "two": two}


def held_out_losses(model: AttentionOnly) -> dict[str, float]:
    """The mean loss in nats on held-out text, at each of `places`."""
    with torch.inference_mode():
        losses = [
            per_token_loss(model(rows), rows) for rows in held_out_text().split(MEASURED_BATCH)
        ]
    loss = torch.cat(losses)
    return {name: round(loss[where].mean().item(), 4) for name, where in places().items()}


def ngram_text_result(name: str, steps: int = STEPS) -> dict[str, Any]:
    """The stored result of one run, ready for JSON: losses on the way and at the end."""
    kind, seed = RUNS[name]
    run = train(
        new_ngram_text_model(kind, seed),
        RECIPE.sample,
        replace(RECIPE.settings, steps=steps),
        seed=seed,
        snapshots_at=[steps // 6, steps // 3, 2 * steps // 3, steps],
        progress=False,
    )
    measured = []
    for step, weights in run.snapshots.items():
        run.model.load_state_dict(weights)
        measured.append({"step": step, "loss": held_out_losses(run.model)})
    return {"snapshots": measured}
