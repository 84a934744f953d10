"""The models of the matching tasks: training, measurements with a control, stored runs.

`induction-heads train matching` trains all tasks again, with three seeds each.
"""

import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from induction_heads.interp.activations import attention_patterns
from induction_heads.interp.losses import per_token_loss
from induction_heads.interp.matching_scores import similarity_curves
from induction_heads.models.attention_only import AttentionOnly
from induction_heads.models.loading import load_attention_only, save_model
from induction_heads.models.ngram_head import WithNgramHead
from induction_heads.training.cards import GENERATED, Card, command_words, made_with, table
from induction_heads.training.initial_weights import initialized
from induction_heads.training.matching_tasks import TASKS, Mask, MatchingTask, MeasuredRows
from induction_heads.training.records import rounded, shipped_record, train_command
from induction_heads.training.run import TrainingRun, snapshot_steps, train
from induction_heads.training.swap_heads import swap_record
from induction_heads.training.zoo_files import save_record
from induction_heads.versions import versions

NAME = "matching"
SEEDS = (0, 1, 2)
"""The seeds with stored runs; the stored weights are those of the first."""

ONE_LAYER = ("lags",)
"""The tasks for which a one-layer model is trained as well, as a control."""

GRADED = ("neighbors",)
"""The tasks on a ring of ids, in which two tokens can be more or less alike."""

N_SNAPSHOTS = 15
MEASURED_SEED = 1_000_000
"""Seed of the rows that models are measured on: far from every training seed."""


def new_matching_model(
    name: str, seed: int, *, ngram: bool = False, one_layer: bool = False
) -> AttentionOnly:
    """The untrained model of a task; with `ngram` one of its heads is hard-coded.

    With `one_layer` it has only the first of its two layers.
    """
    task = TASKS[name]
    if one_layer:
        return initialized(AttentionOnly(replace(task.config, n_layers=1)), seed)
    if ngram and task.ngram is None:
        raise ValueError(f"The task {name!r} has no n-gram head. Leave out `ngram`.")
    model = WithNgramHead(task.config, task.ngram or 1) if ngram else AttentionOnly(task.config)
    return initialized(model, seed)


def train_matching_model(
    name: str,
    seed: int = 0,
    *,
    ngram: bool = False,
    one_layer: bool = False,
    progress: bool = False,
) -> TrainingRun[AttentionOnly]:
    """Train the model of a task. The seed decides the initial weights and the data."""
    task = TASKS[name]
    steps = snapshot_steps(task.settings.steps, N_SNAPSHOTS)
    return train(
        new_matching_model(name, seed, ngram=ngram, one_layer=one_layer),
        task.sample,
        task.settings,
        seed=seed,
        snapshots_at=steps,
        progress=progress,
    )


def measured_rows(name: str) -> MeasuredRows:
    """The rows that all models of a task are measured on."""
    return TASKS[name].measured_rows(torch.Generator().manual_seed(MEASURED_SEED))


def attention_to(
    pattern: Float[Tensor, "layer batch head query key"], mask: Mask
) -> Float[Tensor, "layer head"]:
    """The attention to the marked keys, as a mean over all queries that have such a key."""
    on = torch.einsum("lbhqk,bqk->lh", pattern, mask.to(pattern.dtype))
    return on / mask.any(dim=-1).sum()


def answer_loss(model: nn.Module, rows: MeasuredRows) -> float:
    """The mean loss in nats on the next tokens that the rule of the task applies to."""
    with torch.inference_mode():
        losses = per_token_loss(model(rows.tokens), rows.tokens)
    return losses[rows.marked.any(dim=-1)[:, :-1]].mean().item()


def measured(model: AttentionOnly, rows: MeasuredRows) -> dict[str, Any]:
    """The loss where the rule applies; the attention of each head by the rule and the control."""
    measures: dict[str, Any] = {"loss": round(answer_loss(model, rows), 4)}
    if isinstance(model, WithNgramHead):  # Its attention is not measured.
        return measures
    patterns = attention_patterns(model, rows.tokens)
    for which in ("marked", "control"):
        measures[which] = rounded(attention_to(patterns, getattr(rows, which)), digits=3)
    return measures


def run_record(run: TrainingRun[AttentionOnly], name: str) -> list[dict[str, Any]]:
    """The measurements at each snapshot. Leaves the model of the run with its last weights.

    The last snapshot of a task in `GRADED` also has its `similarity_curves`, that of `swaps` what
    each head does with the earlier answer.
    """
    rows, snapshots = measured_rows(name), []
    for step, weights in run.snapshots.items():
        run.model.load_state_dict(weights)
        snapshots.append({"step": step, **measured(run.model, rows)})
    if name in GRADED:
        attention, copying = similarity_curves(run.model)
        by_distance = [rounded(heads, digits=3) for heads in attention]
        snapshots[-1] |= {"attention_by_distance": by_distance, "copying": rounded(copying)}
    if name == "swaps":
        snapshots[-1] |= swap_record(run.model, rows)
    return snapshots


def all_runs() -> Iterator[tuple[str, str, int]]:
    """Every stored run: (task, kind, seed). The kind is "", "ngram" or "one-layer"."""
    for name, task in TASKS.items():
        kinds = ["", *["ngram"] * bool(task.ngram), *["one-layer"] * (name in ONE_LAYER)]
        for kind in kinds:
            for seed in SEEDS:
                yield name, kind, seed


def run_name(name: str, kind: str, seed: int) -> str:
    """`copies-s0`, or with the kind: `copies-ngram-s0`, `lags-one-layer-s0`."""
    return "-".join([name, *[kind] * bool(kind), f"s{seed}"])


def train_and_measure(
    out: Path | None = None, *, tasks: tuple[str, ...] = tuple(TASKS), progress: bool = True
) -> dict[str, Any]:
    """Train all runs of these tasks and return the record; with `out`, also write the folder."""
    runs, started, earlier = {}, time.process_time(), 0.0
    for name, kind, seed in all_runs():
        if name not in tasks:
            continue
        run = train_matching_model(
            name, seed, ngram=kind == "ngram", one_layer=kind == "one-layer", progress=progress
        )
        runs[run_name(name, kind, seed)] = run_record(run, name)
        earlier += run.earlier_seconds
        if out and seed == SEEDS[0] and not kind:
            save_model(run.model, out / name)
    record = {
        "name": NAME,
        "command": train_command(NAME),
        "seeds": list(SEEDS),
        "cpu_seconds": round(time.process_time() - started + earlier, 1),
        "versions": versions(),
        "settings": {name: asdict(task.settings) for name, task in TASKS.items()},
        "runs": runs,
    }
    if out:
        save_record(record, card(record), out)
    return record


def load_matching_model(name: str) -> AttentionOnly:
    """The shipped model of a task, of seed 0. Raises KeyError for an unknown task.

    >>> load_matching_model("concepts").config.n_layers
    2
    """
    if name not in TASKS:
        raise KeyError(f"No matching task is called {name!r}. Tasks: {', '.join(TASKS)}.")
    return load_attention_only(f"{NAME}/{name}")


def stored_runs(
    name: str, *, ngram: bool = False, one_layer: bool = False
) -> list[list[dict[str, Any]]]:
    """The snapshots of each stored seed of a task, in the order of the seeds.

    >>> [snapshots[-1]["step"] for snapshots in stored_runs("copies")]
    [400, 400, 400]
    >>> list(stored_runs("copies")[0][-1])
    ['step', 'loss', 'marked', 'control']
    """
    runs, kind = shipped_record(NAME)["runs"], "ngram" * ngram or "one-layer" * one_layer
    return [runs[run_name(name, kind, seed)] for seed in SEEDS]


def differences_from_shipped(
    record: dict[str, Any], shipped: dict[str, Any], tolerance: float = 0.1
) -> list[str]:
    """A sentence for each run whose last loss differs by more than `tolerance` nats."""
    return [
        f"{run}: the last loss is {rows[-1]['loss']:.3f} nats, shipped "
        f"{shipped['runs'][run][-1]['loss']:.3f}."
        for run, rows in record["runs"].items()
        if not abs(rows[-1]["loss"] - shipped["runs"][run][-1]["loss"]) <= tolerance
    ]


def most_by_rule(row: dict[str, Any]) -> tuple[float, float]:
    """The attention by the rule and by the control, of the head in which they differ most.

    `row` is a snapshot of `stored_runs`.
    """
    marked, control = (list(chain.from_iterable(row[name])) for name in ("marked", "control"))
    return max(zip(marked, control, strict=True), key=lambda pair: pair[0] - pair[1])


def _row(name: str, task: MatchingTask, runs: dict[str, Any]) -> tuple[str, ...]:
    last = [runs[run_name(name, "", seed)][-1] for seed in SEEDS]
    losses = ", ".join(f"{each['loss']:.2f}" for each in last)
    scores = ", ".join(f"{most_by_rule(each)[0]:.2f}" for each in last)
    controls = ", ".join(f"{most_by_rule(each)[1]:.2f}" for each in last)
    return name, task.words, losses, scores, controls


def card(record: dict[str, Any]) -> str:
    """The card of the folder with the models of all tasks."""
    rows = [
        _row(name, task, record["runs"])
        for name, task in TASKS.items()
        if run_name(name, "", 0) in record["runs"]
    ]
    controls = ""
    for name in ONE_LAYER:
        names = [run_name(name, "one-layer", seed) for seed in SEEDS]
        if names[0] in record["runs"]:
            losses = ", ".join(f"{record['runs'][run][-1]['loss']:.2f}" for run in names)
            controls += f" With one layer, {name} ends at {losses}."
    columns = ("task", "rows", "loss", "attention", "control")
    seeds = ", ".join(map(str, record["seeds"]))
    return Card(
        NAME,
        f"{len(rows)} attention-only transformers of d_model 64, one for each task, of two layers "
        "(`swaps` has three); "
        "stored in half precision, seed 0.",
        "Generated. The table describes the rows of each task.",
        GENERATED,
        "AdamW as for `toy-2l`, with the steps and learning rates in `training.json`. "
        f"{made_with(record, record['cpu_seconds'])}",
        command_words(record, "all of them"),
        measured=f"For seeds {seeds}: the loss in nats where the rule of the task applies, and the "
        "attention by that rule and by the control, of the head in which they differ most."
        f"{controls}\n\n"
        f"{table(columns, rows)}",
        limits="Generated rows of one kind each. They are not evidence about language models.",
    ).markdown()
