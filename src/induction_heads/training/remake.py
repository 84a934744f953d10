"""Training any model of the zoo again: its record, and how it differs from the shipped one."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from induction_heads.models.checkpoint_files import UnknownModel
from induction_heads.training import (
    few_shot_model,
    matching_models,
    records,
    tasks_model,
    text_zoo,
    unseen_models,
    zoo_files,
)
from induction_heads.training.differences import differences_from_spread
from induction_heads.training.recipes import RECIPES
from induction_heads.training.text_models import TEXT, TEXT_ZOO


class NotOffered(ValueError):
    """The model does not have this option. The message says which to use."""


@dataclass(frozen=True)
class Request:
    """What to train. Seed None is that of the recipe; `spread` is the number of seeds."""

    name: str
    seed: int | None
    spread: int | None
    out: Path | None
    progress: bool

    def other_seeds(self, first: int) -> list[int]:
        """The seeds to train besides the first one."""
        spread = self.spread or 1
        return [seed for seed in range(spread) if seed != first][: spread - 1]


@dataclass(frozen=True)
class Trained:
    """The record of a run, its differences from the shipped one, and a summary, line by line."""

    record: dict[str, Any]
    differences: list[str]
    summary: list[str]
    matching: str = "It matches the shipped model: same heads, loss within the stated spread."


def trainers() -> dict[str, Callable[[Request], Trained]]:
    """Name of the zoo → the function that trains it again. Each may raise NotOffered."""
    return {
        **dict.fromkeys(RECIPES, _recipe),
        **dict.fromkeys(TEXT_ZOO, _text_model),
        tasks_model.NAME: _tasks_model,
        few_shot_model.NAME: _few_shot_model,
        matching_models.NAME: _matching_models,
        unseen_models.NAME: _unseen_models,
    }


def _recipe(request: Request) -> Trained:
    recipe = RECIPES[request.name]
    first = recipe.seed if request.seed is None else request.seed

    def run_of(seed: int) -> Any:
        return records.train_and_measure(request.name, recipe, seed=seed, progress=request.progress)

    run, record = run_of(first)
    if request.out:
        # Before the other seeds, which take a while.
        zoo_files.save_recipe_run(run, recipe, record, request.out)
    if request.spread:
        others = [run_of(seed) for seed in request.other_seeds(first)]
        record["spread"] = records.spread_over_seeds([record, *(other for _, other in others)])
        if request.out:
            zoo_files.save_recipe_run(run, recipe, record, request.out)
            if recipe.keep_seeds:
                zoo_files.save_seeds(others, recipe, request.out)
    try:
        shipped = records.shipped_record(request.name)
        differences = differences_from_spread(record, shipped)
    except UnknownModel as error:
        return Trained(record, [str(error)], _summary(record))
    return Trained(record, differences, _summary(record), _matching(record["seed"], shipped))


def _matching(seed: int, shipped: dict[str, Any]) -> str:
    """What it means that a run of this seed does not differ from the shipped ones."""
    if seed == shipped["seed"]:
        return "It matches the shipped model: same heads, loss within the stated spread."
    if seed in shipped["spread"]["seeds"]:
        return f"It matches the shipped run of seed {seed}: same heads, loss within the spread."
    return (
        f"No run of seed {seed} is stored. It matches the other seeds: one of them has the same "
        "kinds of heads in the same layers, and the loss is within their spread."
    )


def _text_model(request: Request) -> Trained:
    if request.spread and TEXT_ZOO[request.name] in TEXT:
        raise NotOffered(
            f"{request.name} is part of a sweep, so --spread does not apply. Use --seed."
        )
    model, record = text_zoo.train_and_measure(
        request.name, seed=request.seed, progress=request.progress
    )
    if request.out:
        text_zoo.save_text_model(model, record, request.out)  # Before the other seeds, as above.
    if request.spread:
        others = request.other_seeds(record["seed"])
        record["other_seeds"] = text_zoo.other_seeds(
            request.name, others, progress=request.progress
        )
        if request.out:
            text_zoo.save_text_model(model, record, request.out)
    loss = record["snapshots"][-1]["loss"]
    summary = _summary(record | {"held_out_loss": loss, "cpu_seconds": record["seconds"]})
    return Trained(record, record["differences"], summary)


def _tasks_model(request: Request) -> Trained:
    if request.spread:
        raise NotOffered(f"--spread does not apply to {request.name}. Use --seed.")
    model, record = tasks_model.train_and_measure(request.seed or 0, progress=request.progress)
    if request.out:
        tasks_model.save_tasks_model(model, [record], request.out)
    last = record["snapshots"][-1]
    layer, head = tasks_model.best_head(last["effect"])
    summary = (
        f"{record['name']}, seed {record['seed']}: {record['cpu_seconds']:.1f} CPU-seconds, "
        f"accuracy {last['accuracy']:.2f} with seven examples and {last['no_example']:.2f} with "
        f"none. Largest indirect effect: L{layer}H{head}."
    )
    differences = tasks_model.differences_from_shipped(record, tasks_model.shipped_records())
    return Trained(record, differences, [summary], "It matches the shipped records.")


def _few_shot_model(request: Request) -> Trained:
    if request.spread:
        raise NotOffered(f"--spread does not apply to {request.name}. Use --seed.")
    model, record = few_shot_model.train_and_measure(request.seed or 0, progress=request.progress)
    if request.out:
        few_shot_model.save_few_shot_model(model, record, request.out)
    last = record["snapshots"][-1]
    layer, head = tasks_model.best_head(last["effect"])
    summary = (
        f"{record['name']}, seed {record['seed']}: {record['cpu_seconds']:.1f} CPU-seconds, "
        f"accuracy {last['accuracy']:.2f} with five examples and {last['no_example']:.2f} with "
        f"none. Largest indirect effect: L{layer}H{head}."
    )
    shipped = few_shot_model.shipped_records()
    differences = few_shot_model.differences_from_shipped(record, shipped)
    return Trained(record, differences, [summary], "It matches the shipped records.")


def _matching_models(request: Request) -> Trained:
    if request.spread or request.seed is not None:
        raise NotOffered(f"{request.name} has its own seeds: leave out --seed and --spread.")
    record = matching_models.train_and_measure(request.out, progress=request.progress)
    summary = f"{len(record['runs'])} runs, {record['cpu_seconds']:.0f} CPU-seconds."
    shipped = records.shipped_record(request.name)
    differences = matching_models.differences_from_shipped(record, shipped)
    return Trained(record, differences, [summary], "They match the shipped records.")


def _unseen_models(request: Request) -> Trained:
    if request.spread or request.seed is not None:
        raise NotOffered(f"{request.name} is not trained: leave out --seed and --spread.")
    record = unseen_models.build_zoo_models(request.out)
    summary = f"{len(record['models'])} models, written by hand and not trained."
    differences = unseen_models.differences_from_zoo()
    return Trained(record, differences, [summary], "They match the shipped models.")


def _summary(record: dict[str, Any]) -> list[str]:
    """The outcome of a run, line by line."""
    last = record["snapshots"][-1]
    lines = [
        f"{record['name']}, seed {record['seed']}: {record['cpu_seconds']:.1f} CPU-seconds, "
        f"held-out loss {record['held_out_loss']:.3f} nats, "
        f"loss on the second copy {last['second_copy_loss']:.3f} nats."
    ]
    for kind, places in record["found"].items():
        heads = ", ".join(f"L{layer}H{head}" for layer, head in places) or "none"
        lines.append(f"  {kind.replace('_', '-')} heads: {heads}")
    return lines
