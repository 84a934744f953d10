"""The stored runs on rows from Markov chains: what a model has learned, snapshot by snapshot.

The task of Edelman et al. 2024 at a small size. `induction-heads experiment chains` trains the
models again.
"""

from functools import cache
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.data.chain_rows import (
    bayes_bigram,
    chain_rows,
    counted_unigram,
    prediction_loss,
)
from induction_heads.data.tokens import follows_earlier_copy
from induction_heads.interp.ablation import ablation_scores
from induction_heads.interp.activations import attention_patterns
from induction_heads.interp.scores import previous_token_score
from induction_heads.models.attention_only import AttentionOnly, AttentionOnlyConfig
from induction_heads.training.initial_weights import initialized
from induction_heads.training.records import HELD_OUT_SEED
from induction_heads.training.run import Settings, TrainingRun, train

N_STATES, N_POS, BATCH = 3, 64, 32

PSEUDO_COUNT = 3.0
"""The whole number with the lowest loss of `counted_unigram` on these rows."""

SETTINGS = Settings(steps=600, learning_rate=1e-2)
MEASURED_AT = (*range(0, 100, 10), *range(100, SETTINGS.steps + 1, 25))

SEEDS = {2: (0, 1, 2, 3, 4), 1: (0, 1, 2)}
"""Number of layers → seeds."""

RUNS = {
    f"{n_layers}-layer{'s' * (n_layers > 1)}-s{seed}": (n_layers, seed)
    for n_layers, seeds in SEEDS.items()
    for seed in seeds
}
"""Name → number of layers and seed."""


def chain_sampler(generator: torch.Generator) -> Int[Tensor, "batch pos"]:
    """One batch of training rows."""
    return chain_rows(N_STATES, N_POS, batch=BATCH, seed=generator)


def train_chain_model(
    n_layers: int, seed: int, settings: Settings = SETTINGS
) -> TrainingRun[AttentionOnly]:
    """Train a model with one head per layer. The seed decides the initial weights and the rows."""
    config = AttentionOnlyConfig(n_layers, 1, d_model=64, d_head=64, d_vocab=N_STATES, n_ctx=N_POS)
    measured = [step for step in MEASURED_AT if step <= settings.steps]
    return train(
        initialized(AttentionOnly(config), seed),
        chain_sampler,
        settings,
        seed=seed,
        snapshots_at=measured,
        progress=False,
    )


@cache
def held_out_rows() -> Int[Tensor, "batch pos"]:
    """The rows that every snapshot is measured on."""
    return chain_rows(N_STATES, N_POS, batch=512, seed=HELD_OUT_SEED)


def rulers(tokens: Int[Tensor, "batch pos"]) -> dict[str, Float[Tensor, "batch pos state"]]:
    """The predictions to compare with: uniform, from counts of states, and from counts of pairs."""
    return {
        "uniform": torch.full((*tokens.shape, N_STATES), 1 / N_STATES),
        "unigram": counted_unigram(tokens, N_STATES, PSEUDO_COUNT),
        "bigram": bayes_bigram(tokens, N_STATES),
    }


def ruler_losses() -> dict[str, float]:
    """The loss of each ruler in nats on the held-out rows."""
    rows = held_out_rows()
    return {name: prediction_loss(each, rows) for name, each in rulers(rows).items()}


def attention_to_followers(
    patterns: Float[Tensor, "layer batch head query key"], tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "layer head"]:
    """Attention to the keys that follow an earlier copy of the query's state.

    A mean over the second half of the row. A statistical induction head scores one: the keys that
    it attends to are the successors of this state so far.
    """
    half = tokens.shape[1] // 2
    on = (patterns * follows_earlier_copy(tokens)[:, None]).sum(dim=-1)
    return on[..., half:].mean(dim=(1, 3))


def even_attention_to_followers(tokens: Int[Tensor, "batch pos"]) -> float:
    """`attention_to_followers` of a head that attends evenly to all visible keys."""
    visible = torch.ones(tokens.shape[1], tokens.shape[1]).tril()
    even = visible / visible.sum(dim=-1, keepdim=True)
    every = even.expand(1, len(tokens), 1, -1, -1)
    return attention_to_followers(every, tokens).item()


def measured(model: AttentionOnly) -> dict[str, Any]:
    """The loss, the distance to each ruler, and what each head does, on the held-out rows.

    A distance is the mean of KL(ruler ‖ model) in nats. `rise` is the cost of zero-ablating a head.
    """
    rows = held_out_rows()
    with torch.inference_mode():
        log_model = model(rows).log_softmax(dim=-1)
        patterns = attention_patterns(model, rows)
    distances = {
        name: (each * (each.log() - log_model)).sum(dim=-1).mean().item()
        for name, each in rulers(rows).items()
    }
    heads = {
        "followers": attention_to_followers(patterns, rows),
        "previous_token": torch.stack([previous_token_score(p).mean(dim=0) for p in patterns]),
        "rise": ablation_scores(model, rows),
    }
    numbers = {"loss": prediction_loss(log_model.exp(), rows)} | {
        f"from_{name}": distance for name, distance in distances.items()
    }
    measurements: dict[str, Any] = {name: round(value, 4) for name, value in numbers.items()}
    return measurements | {
        name: [round(v, 3) for v in each[:, 0].tolist()] for name, each in heads.items()
    }


def chain_result(name: str) -> dict[str, Any]:
    """Train one of `RUNS` and measure its snapshots."""
    n_layers, seed = RUNS[name]
    return {"snapshots": snapshots_measured(train_chain_model(n_layers, seed))}


def snapshots_measured(run: TrainingRun[AttentionOnly]) -> list[dict[str, Any]]:
    """The measurements at each snapshot. Leaves the model of the run with its last weights."""
    snapshots = []
    for step, weights in run.snapshots.items():
        run.model.load_state_dict(weights)
        snapshots.append({"step": step, **measured(run.model)})
    return snapshots
