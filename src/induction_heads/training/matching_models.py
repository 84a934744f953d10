"""The models of the matching tasks: trained, measured against a control, and read back.

`induction-heads train matching` trains them again: all tasks, three seeds each.
"""

import json
import platform
import time
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from induction_heads.activations import attention_patterns
from induction_heads.attention_only import AttentionOnly, initialize
from induction_heads.losses import per_token_loss
from induction_heads.matching_tasks import TASKS, Looked, Mask, MatchingTask
from induction_heads.models import load_attention_only, save_model, zoo_folder
from induction_heads.ngram_layers import WithNgramHead
from induction_heads.training import TrainingRun, snapshot_steps, train

NAME = "matching"
SEEDS = (0, 1, 2)
"""The seeds whose records are kept; the weights are those of the first."""

N_SNAPSHOTS = 15
MEASURED_SEED = 1_000_000
"""Seed of the rows on which models are measured: far from every training seed."""


def new_matching_model(name: str, seed: int, *, ngram: bool = False) -> AttentionOnly:
    """The model of a task before training; with `ngram` one of its heads is hard-coded."""
    task = TASKS[name]
    if ngram and task.ngram is None:
        raise ValueError(f"No n-gram head is tried on {name!r}.")
    model = WithNgramHead(task.config, task.ngram or 1) if ngram else AttentionOnly(task.config)
    return initialize(model, std=0.8 / task.config.d_model**0.5, seed=seed)


def train_matching_model(
    name: str, seed: int = 0, *, ngram: bool = False, progress: bool = False
) -> TrainingRun[AttentionOnly]:
    """Train the model of a task. The seed decides the weights at the start and the data."""
    task = TASKS[name]
    steps = snapshot_steps(task.settings.steps, N_SNAPSHOTS)
    return train(new_matching_model(name, seed, ngram=ngram), task.sample, task.settings,
                 seed=seed, snapshots_at=steps, progress=progress)  # fmt: skip


def measured_rows(name: str) -> Looked:
    """The rows on which the models of a task are measured, the same for all of them."""
    return TASKS[name].looked(torch.Generator().manual_seed(MEASURED_SEED))


def attention_to(
    pattern: Float[Tensor, "layer batch head query key"], mask: Mask
) -> Float[Tensor, "layer head"]:
    """Attention to the marked keys, as a mean over all queries of all rows that have one."""
    on = torch.einsum("lbhqk,bqk->lh", pattern, mask.to(pattern.dtype))
    return on / mask.any(dim=-1).sum()


def answer_loss(model: nn.Module, looked: Looked) -> float:
    """Mean loss in nats of the next tokens that the task's rule has something to say about."""
    with torch.inference_mode():
        losses = per_token_loss(model(looked.tokens), looked.tokens)
    return losses[looked.marked.any(dim=-1)[:, :-1]].mean().item()


def measured(model: AttentionOnly, looked: Looked) -> dict[str, Any]:
    """Loss where the rule speaks; where each head looks: by the rule, and by the other rule."""
    found: dict[str, Any] = {"loss": round(answer_loss(model, looked), 4)}
    if isinstance(model, WithNgramHead):  # Where its heads look is not asked.
        return found
    patterns = attention_patterns(model, looked.tokens)
    for which in ("marked", "control"):
        scores = attention_to(patterns, getattr(looked, which)).tolist()
        found[which] = [[round(score, 3) for score in layer] for layer in scores]
    return found


def run_record(run: TrainingRun[AttentionOnly], name: str) -> list[dict[str, Any]]:
    """What was measured at each snapshot. The run's model is left with its last weights."""
    looked, rows = measured_rows(name), []
    for step, weights in run.snapshots.items():
        run.model.load_state_dict(weights)
        rows.append({"step": step, **measured(run.model, looked)})
    return rows


def all_runs() -> Iterator[tuple[str, bool, int]]:
    """Every run that is kept: (task, whether a head is hard-coded, seed)."""
    for name, task in TASKS.items():
        for ngram in (False, True) if task.ngram else (False,):
            for seed in SEEDS:
                yield name, ngram, seed


def run_name(name: str, ngram: bool, seed: int) -> str:
    """`copies-s0`, or `copies-ngram-s0` with a hard-coded head."""
    return f"{name}-ngram-s{seed}" if ngram else f"{name}-s{seed}"


def train_and_measure(
    out: Path | None = None, *, tasks: tuple[str, ...] = tuple(TASKS), progress: bool = True
) -> dict[str, Any]:
    """Train every kept run of these tasks and return the record; with `out`, write it there."""
    runs, started = {}, time.process_time()
    for name, ngram, seed in all_runs():
        if name not in tasks:
            continue
        run = train_matching_model(name, seed, ngram=ngram, progress=progress)
        runs[run_name(name, ngram, seed)] = run_record(run, name)
        if out and seed == SEEDS[0] and not ngram:
            save_model(run.model, out / name)
    record = {
        "name": NAME, "command": f"induction-heads train {NAME}", "seeds": list(SEEDS),
        "cpu_seconds": round(time.process_time() - started, 1),
        "versions": {"python": platform.python_version(), "torch": torch.__version__.split("+")[0]},
        "settings": {name: asdict(task.settings) for name, task in TASKS.items()},
        "runs": runs,
    }  # fmt: skip
    if out:
        (out / "training.json").write_text(json.dumps(record) + "\n", encoding="utf-8")
        (out / "card.md").write_text(card(record), encoding="utf-8")
    return record


def load_matching_model(name: str) -> AttentionOnly:
    """The shipped model of a task, of seed 0. Raises KeyError for a task that there is not."""
    if name not in TASKS:
        raise KeyError(f"No matching task is called {name!r}. They are {', '.join(TASKS)}.")
    return load_attention_only(f"{NAME}/{name}")


def stored_runs(name: str, *, ngram: bool = False) -> list[list[dict[str, Any]]]:
    """The snapshots of each kept seed of a task, in the order of the seeds."""
    runs = shipped_record()["runs"]
    return [runs[run_name(name, ngram, seed)] for seed in SEEDS]


def shipped_record() -> dict[str, Any]:
    """The record of the shipped runs."""
    return json.loads((zoo_folder(NAME) / "training.json").read_text(encoding="utf-8"))


def differences(new: dict[str, Any], shipped: dict[str, Any], tolerance: float = 0.1) -> list[str]:
    """Sentences on the runs whose last loss differs by more than `tolerance` nats."""
    return [
        f"{run}: the last loss is {rows[-1]['loss']:.3f} nats, shipped "
        f"{shipped['runs'][run][-1]['loss']:.3f}."
        for run, rows in new["runs"].items()
        if not abs(rows[-1]["loss"] - shipped["runs"][run][-1]["loss"]) <= tolerance
    ]


def most_by_rule(row: dict[str, Any]) -> tuple[float, float]:
    """Attention by the rule and by the control, of the head in which they differ most.

    `row` is one snapshot of `stored_runs`. The rule's share comes first, and is the larger one.
    """
    marked, control = (list(chain.from_iterable(row[name])) for name in ("marked", "control"))
    return max(zip(marked, control, strict=True), key=lambda pair: pair[0] - pair[1])


def _row(name: str, task: MatchingTask, runs: dict[str, Any]) -> str:
    last = [runs[run_name(name, False, seed)][-1] for seed in SEEDS]
    losses = ", ".join(f"{each['loss']:.2f}" for each in last)
    scores = ", ".join(f"{most_by_rule(each)[0]:.2f}" for each in last)
    controls = ", ".join(f"{most_by_rule(each)[1]:.2f}" for each in last)
    return f"| {name} | {task.words} | {losses} | {scores} | {controls} |"


def card(record: dict[str, Any]) -> str:
    """The card of the folder: data, license, recipe, command, what was measured, limits."""
    rows = [_row(name, task, record["runs"]) for name, task in TASKS.items()
            if run_name(name, False, 0) in record["runs"]]  # fmt: skip
    return "\n".join([
        f"# {NAME}", "",
        f"{len(rows)} attention-only transformers of two layers and d_model 64, one for each task; "
        "stored in half precision, seed 0.", "",
        "**License of the data.** The data are random numbers; there is nothing to license.", "",
        "**Recipe.** AdamW as for `toy-2l`, with the steps and learning rates of training.json. "
        f"Made with Python {record['versions']['python']} and PyTorch "
        f"{record['versions']['torch']}; all runs together took {record['cpu_seconds']:.0f} "
        "CPU-seconds.", "",
        f"**Command.** `{record['command']}` trains all of them again and compares.", "",
        f"**Measured**, for seeds {record['seeds']}: the loss in nats where the rule of the task "
        "speaks, and attention by that rule and by the control, of the head in which they differ "
        "most.", "",
        "| task | rows | loss | attention | control |", "|---|---|---|---|---|", *rows, "",
        "**Limits.** Generated rows of one kind each. Nothing here says what a language model "
        "does.", "",
    ])  # fmt: skip
