"""The record of a training run: what is measured of an attention-only model of the zoo."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from statistics import mean, stdev
from typing import Any

import torch
from torch import Tensor

from induction_heads.data.token_ranks import TRAINING_TEXT, drawn_in_words, ranks_from_counts
from induction_heads.data.tokens import make_repeated_tokens
from induction_heads.interp.activations import head_scores
from induction_heads.interp.analysis import analyze
from induction_heads.interp.losses import per_token_loss
from induction_heads.interp.scores import induction_score, previous_token_score
from induction_heads.models.attention_only import AttentionOnly
from induction_heads.models.checkpoint_files import UnknownModel
from induction_heads.models.interface import Model, parameter_count
from induction_heads.models.loading import zoo_folder
from induction_heads.training.recipes import Recipe, run_recipe
from induction_heads.training.run import TrainingRun, next_token_loss
from induction_heads.versions import versions

HEAD_KINDS = ("previous_token", "induction")
"""The kinds of head that a record names."""

HELD_OUT_SEED = 1_000_000
"""Seed of the held-out batches: far from every training seed."""

CURVE_POINTS = 200
"""The approximate number of points of a stored loss curve."""


def loss_curve(losses: Sequence[float]) -> list[list[float]]:
    """[step, mean loss since the previous point], in about `CURVE_POINTS` points."""
    every = max(1, len(losses) // CURVE_POINTS)
    return [
        [start + every, round(mean(losses[start : start + every]), 4)]
        for start in range(0, len(losses) - every + 1, every)
    ]


def loss_at(curve: Sequence[Sequence[float]], step: int) -> float:
    """The loss of a stored curve at the point nearest to a step.

    >>> loss_at([[2, 0.5], [4, 0.25]], 1)
    0.5
    """
    return min(curve, key=lambda point: abs(point[0] - step))[1]


def rounded(heads: Tensor, digits: int = 4) -> list[list[float]]:
    """The values of all heads as [layer][head], rounded."""
    # Adding 0 makes −0 a 0.
    return [[round(value, digits) + 0.0 for value in row] for row in heads.tolist()]


def held_out_loss(model: AttentionOnly, recipe: Recipe, batches: int = 20) -> float:
    """The mean next-token loss in nats on batches that were not trained on."""
    generator = torch.Generator().manual_seed(HELD_OUT_SEED)
    with torch.inference_mode():
        losses = [next_token_loss(model, recipe.held_out(generator)).item() for _ in range(batches)]
    return mean(losses)


def longest_period(recipe: Recipe) -> int:
    """The period of the repeated tokens on which snapshots are scored."""
    usable = recipe.config.n_ctx - (recipe.config.bos_token is not None)
    return min(usable // 2, recipe.config.d_vocab // 2)


def snapshot_rows(run: TrainingRun[AttentionOnly], recipe: Recipe) -> list[dict[str, Any]]:
    """For each snapshot: step, both scores of every head, the loss on the second copy (nats)."""
    model, period = AttentionOnly(recipe.config), longest_period(recipe)
    model.token_ranks = run.model.token_ranks
    tokens = make_repeated_tokens(model, period, batch=32, seed=1)
    scorers = {
        "previous_token": previous_token_score,
        "induction": lambda pattern: induction_score(pattern, period),
    }
    rows = []
    for step, weights in run.snapshots.items():
        model.load_state_dict(weights)
        scores = head_scores(model, tokens, scorers)
        with torch.inference_mode():
            losses = per_token_loss(model(tokens), tokens)
        rows.append(
            {
                "step": step,
                "second_copy_loss": round(losses[:, -period + 1 :].mean().item(), 4),
                **{name: rounded(score, digits=3) for name, score in scores.items()},
            }
        )
    return rows


def heads_of_each_kind(model: Model) -> dict[str, list[list[int]]]:
    """Kind → sorted [layer, head] of the heads that `analyze` reports."""
    report = analyze(model)
    return {kind: sorted([h[0], h[1]] for h in report.found(kind)) for kind in HEAD_KINDS}


def heads_in_words(heads: dict[str, list[list[int]]]) -> str:
    """All heads by kind, in a line.

    >>> heads_in_words({"previous_token": [[0, 1]], "induction": [[1, 0], [1, 3]]})
    'previous-token L0H1; induction L1H0, L1H3'
    """
    return "; ".join(
        f"{kind.replace('_', '-')} " + (", ".join(f"L{h[0]}H{h[1]}" for h in places) or "none")
        for kind, places in heads.items()
    )


def train_and_measure(
    name: str, recipe: Recipe, *, seed: int, progress: bool = True
) -> tuple[TrainingRun[AttentionOnly], dict[str, Any]]:
    """A run of a recipe and its record: what was trained, how, and the measurements."""
    started = time.process_time()
    run = run_recipe(recipe, seed=seed, progress=progress)
    seconds = time.process_time() - started + run.earlier_seconds
    run.model.requires_grad_(False)
    if recipe.token_counts is not None:
        run.model.token_ranks = ranks_from_counts(recipe.token_counts(), TRAINING_TEXT)
    return run, {
        "name": name,
        "command": train_command(name, None if seed == recipe.seed else seed),
        "seed": seed,
        "settings": asdict(recipe.settings),
        "cpu_seconds": round(seconds, 1),
        "versions": versions(),
        "parameters": parameter_count(run.model),
        "held_out_loss": round(held_out_loss(run.model, recipe), 4),
        "tokens": drawn_in_words(run.model),
        "found": heads_of_each_kind(run.model),
        "curve": loss_curve(run.losses),
        "snapshots": snapshot_rows(run, recipe),
    }


def train_command(name: str, seed: int | None = None) -> str:
    """The command that trains a model of the zoo again; None stands for its own seed."""
    return f"induction-heads train {name}" + ("" if seed is None else f" --seed {seed}")


def spread_over_seeds(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Held-out losses and heads of several seeds, and the mean and standard deviation."""
    losses = [record["held_out_loss"] for record in records]
    return {
        "seeds": [record["seed"] for record in records],
        "held_out_loss": losses,
        "mean": round(mean(losses), 4),
        "standard_deviation": round(stdev(losses), 4),
        "tokens": records[0]["tokens"],
        "found": [record["found"] for record in records],
        "second_copy_loss": [record["snapshots"][-1]["second_copy_loss"] for record in records],
    }


def shipped_record(name: str) -> dict[str, Any]:
    """The record that ships with a model of the zoo. Raises UnknownModel if none does."""
    path = zoo_folder(name) / "training.json"
    if not path.is_file():
        raise UnknownModel(f"The zoo has no record of {name!r} to compare with.")
    return json.loads(path.read_text(encoding="utf-8"))
