"""What a trained model's folder says about it: measured records, and cards written from them."""

import json
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

from induction_heads.activations import head_scores
from induction_heads.analysis import analyze
from induction_heads.attention_only import AttentionOnly
from induction_heads.losses import per_token_loss
from induction_heads.models import UnknownModel, save_model, save_snapshots, zoo_folder
from induction_heads.recipes import Recipe, run_recipe
from induction_heads.scores import induction_score, previous_token_score
from induction_heads.tokens import make_repeated_tokens
from induction_heads.training import TrainingRun, next_token_loss

FOUND_KINDS = ("previous_token", "induction")
"""The kinds of head by which two training runs are compared."""

HELD_OUT_SEED = 1_000_000
"""Seed of the held-out batches: far from every training seed."""

CURVE_POINTS = 200
"""A stored loss curve has about this many points, each the mean of the steps since the last one."""


def held_out_loss(model: AttentionOnly, recipe: Recipe, batches: int = 20) -> float:
    """Mean next-token loss in nats on batches that training never drew."""
    generator = torch.Generator().manual_seed(HELD_OUT_SEED)
    with torch.inference_mode():
        losses = [next_token_loss(model, recipe.held_out(generator)).item() for _ in range(batches)]
    return mean(losses)


def longest_period(recipe: Recipe) -> int:
    """The period of the repeated tokens on which snapshots are scored."""
    usable = recipe.config.n_ctx - (recipe.config.bos_token is not None)
    return min(usable // 2, recipe.config.d_vocab // 2)


def snapshot_rows(run: TrainingRun[AttentionOnly], recipe: Recipe) -> list[dict[str, Any]]:
    """For each snapshot: step, both scores of every head, the loss in the second copy (nats)."""
    model, period = AttentionOnly(recipe.config), longest_period(recipe)
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
                **{name: _rounded(score.tolist()) for name, score in scores.items()},
            }
        )
    return rows


def _rounded(values: list[list[float]]) -> list[list[float]]:
    return [[round(value, 3) for value in row] for row in values]


def found_heads(model: Any) -> dict[str, list[list[int]]]:
    """Kind → [layer, head] of the heads that `analyze` finds, in order."""
    report = analyze(model)
    return {kind: sorted([h[0], h[1]] for h in report.found(kind)) for kind in FOUND_KINDS}


def curve(losses: Sequence[float]) -> list[list[float]]:
    """[step, mean loss since the last point] for a stored loss curve."""
    every = max(1, len(losses) // CURVE_POINTS)
    return [
        [start + every, round(mean(losses[start : start + every]), 4)]
        for start in range(0, len(losses) - every + 1, every)
    ]


def train_and_measure(
    name: str, recipe: Recipe, *, seed: int, progress: bool = True
) -> tuple[TrainingRun[AttentionOnly], dict[str, Any]]:
    """One run of a recipe and its record: what was trained, how, and what came out."""
    started = time.process_time()
    run = run_recipe(recipe, seed=seed, progress=progress)
    seconds = time.process_time() - started
    run.model.requires_grad_(False)
    command = f"induction-heads train {name}" + ("" if seed == recipe.seed else f" --seed {seed}")
    return run, {
        "name": name,
        "command": command,
        "seed": seed,
        "settings": asdict(recipe.settings),
        "cpu_seconds": round(seconds, 1),
        "versions": {"python": platform.python_version(), "torch": torch.__version__.split("+")[0]},
        "parameters": sum(weight.numel() for weight in run.model.parameters()),
        "held_out_loss": round(held_out_loss(run.model, recipe), 4),
        "found": found_heads(run.model),
        "curve": curve(run.losses),
        "snapshots": snapshot_rows(run, recipe),
    }


def spread_over_seeds(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Held-out losses and found heads of several seeds, and their mean and standard deviation."""
    losses = [record["held_out_loss"] for record in records]
    return {
        "seeds": [record["seed"] for record in records],
        "held_out_loss": losses,
        "mean": round(mean(losses), 4),
        "standard_deviation": round(stdev(losses), 4),
        "found": [record["found"] for record in records],
        "second_copy_loss": [record["snapshots"][-1]["second_copy_loss"] for record in records],
    }


def shipped_record(name: str) -> dict[str, Any]:
    """The stored record of a zoo model. Raises UnknownModel if the zoo has none of that name."""
    path = zoo_folder(name) / "training.json"
    record = json.loads(path.read_text()) if path.is_file() else {}
    if "spread" not in record:
        raise UnknownModel(
            f"The zoo has no record of {name!r} with a spread over seeds to compare with."
        )
    return record


def differences(new: dict[str, Any], shipped: dict[str, Any]) -> list[str]:
    """What sets a new run apart from the shipped one, as sentences; empty if they match.

    The loss must lie within three standard deviations over the shipped seeds. With the same seed
    the same heads must be found. With another seed heads may sit elsewhere, and seeds differ in how
    many there are: then the kinds in each layer must be those of one of the shipped seeds.
    """
    spread = shipped["spread"]
    tolerance = 3 * spread["standard_deviation"]
    apart = []
    if abs(new["held_out_loss"] - spread["mean"]) > tolerance:
        apart.append(
            f"The held-out loss is {new['held_out_loss']:.3f} nats; the shipped runs have "
            f"{spread['mean']:.3f} ± {tolerance:.3f} (three standard deviations over seeds)."
        )
    if new["seed"] == shipped["seed"]:
        if new["found"] != shipped["found"]:
            apart.append(f"Heads: {heads_in_words(new['found'])}. "
                         f"Shipped: {heads_in_words(shipped['found'])}.")  # fmt: skip
    elif layers_of(new["found"]) not in map(layers_of, spread["found"]):
        apart.append(
            f"Heads: {heads_in_words(new['found'])}. "
            "No shipped seed has these kinds in these layers."
        )
    return apart


def layers_of(found: dict[str, list[list[int]]]) -> dict[str, list[int]]:
    """Kind → the layers of its heads, without saying which head of the layer it is."""
    return {kind: sorted(place[0] for place in places) for kind, places in found.items()}


def heads_in_words(found: dict[str, list[list[int]]]) -> str:
    """`previous-token L0H1; induction L1H0, L1H3`."""
    return "; ".join(
        f"{kind.replace('_', '-')} " + (", ".join(f"L{h[0]}H{h[1]}" for h in places) or "none")
        for kind, places in found.items()
    )


def loss_at(points: Sequence[Sequence[float]], step: int) -> float:
    """The stored training loss nearest to a step."""
    return min(points, key=lambda point: abs(point[0] - step))[1]


def save_folder(
    run: TrainingRun[AttentionOnly], recipe: Recipe, record: dict[str, Any], folder: Path
) -> None:
    """Write weights, snapshots, record, card and (for text) tokenizer to `folder`."""
    save_model(run.model, folder)
    save_snapshots(run.snapshots, folder)
    (folder / "training.json").write_text(json.dumps(record) + "\n")
    (folder / "card.md").write_text(card(recipe, record))
    if recipe.tokenizer is not None:
        recipe.tokenizer().save(str(folder / "tokenizer.json"))


def save_seeds(
    runs: Sequence[tuple[TrainingRun[AttentionOnly], dict[str, Any]]], folder: Path
) -> None:
    """Write the models of further seeds to `seed-1` and so on in `folder`."""
    for run, record in runs:
        save_model(run.model, folder / f"seed-{record['seed']}")


def card(recipe: Recipe, record: dict[str, Any]) -> str:
    """The model card: data and license, recipe, seed, command, curve, known heads, limits."""
    config, settings = recipe.config, recipe.settings
    rows = [
        f"| {row['step']} | {loss_at(record['curve'], row['step']):.2f} "
        f"| {max(map(max, row['previous_token'])):.2f} "
        f"| {max(map(max, row['induction'])):.2f} | {row['second_copy_loss']:.2f} |"
        for row in record["snapshots"]
    ]
    low_precision = ", bfloat16 matrix products" if settings.bfloat16 else ""
    spread = record.get("spread")
    over_seeds = (
        f"Over seeds {spread['seeds']} the held-out loss is {spread['mean']:.3f} nats with a "
        f"standard deviation of {spread['standard_deviation']:.3f}; the loss in the second copy is "
        f"{', '.join(f'{loss:.2f}' for loss in spread['second_copy_loss'])}. "
        "Heads found, seed by seed: " + " / ".join(map(heads_in_words, spread["found"])) + "."
        if spread
        else "Only this seed was run."
    )
    return "\n".join(
        [
            f"# {record['name']}",
            "",
            f"An attention-only transformer: {config.n_layers} layers of {config.n_heads} heads, "
            f"d_model {config.d_model}, d_head {config.d_head}, d_vocab {config.d_vocab}, "
            f"n_ctx {config.n_ctx}, normalization {config.normalization or 'none'}, "
            f"BOS token {'none' if config.bos_token is None else config.bos_token}; "
            f"{record['parameters']:,} parameters, stored in half precision.",
            "",
            f"**Data.** {recipe.data}",
            "",
            f"**License of the data.** {recipe.license}",
            "",
            f"**Recipe.** AdamW, {settings.steps} steps, learning rate {settings.learning_rate}, "
            f"betas {settings.betas}, weight decay {settings.weight_decay}, clipped at "
            f"{settings.clip}, {settings.warmup} warm-up steps, linear decay over the last "
            f"{settings.decay:.0%}{low_precision}. Seed {record['seed']}. Made with Python "
            f"{record['versions']['python']} and PyTorch {record['versions']['torch']} in "
            f"{record['cpu_seconds']:.0f} CPU-seconds.",
            "",
            f"**Command.** `{record['command']}` trains it again and compares the result with "
            "this one.",
            "",
            f"**Known heads.** {heads_in_words(record['found'])}. "
            f"Held-out loss {record['held_out_loss']:.3f} nats. "
            f"{over_seeds}",
            "",
            "**Curve.** At each snapshot: the training loss in nats, the highest score of any "
            "head, and the loss on the second copy of a random block:",
            "",
            "| step | training loss | previous-token | induction | second-copy loss |",
            "|---|---|---|---|---|",
            *rows,
            "",
            f"**Limits.** {recipe.limits}",
            "",
        ]
    )
