"""`tasks-4l`: a GPT-2 of four layers that infers from examples which mapping to apply.

Three seeds are stored with their weights. A second version of each was trained without the loss on
what an induction head would predict, as in Sahin et al. (2025), and a control without as many
random targets. Only the records of these are stored.
"""

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from induction_heads.data.few_shot_rows import (
    BOS,
    D_VOCAB,
    N_CTX,
    N_OF_TASKS,
    N_PAIRS,
    N_REPEATED,
    N_SYMBOLS,
    N_TASKS,
    copied_targets,
    few_shot_training_rows,
)
from induction_heads.interp.few_shot import (
    N_EXAMPLES,
    copying,
    copying_costs,
    decimals,
    dissociation,
    few_shot_accuracy,
    few_shot_effects,
    induction_scores,
    patched_states,
    vector_curve,
)
from induction_heads.interp.formation import best
from induction_heads.models.interface import HookedModel, parameter_count
from induction_heads.models.small_hugging_face import SmallHuggingFace, new_small_model
from induction_heads.training.cards import (
    GENERATED,
    Card,
    command_words,
    made_with,
    recipe_words,
    table,
)
from induction_heads.training.records import (
    loss_at,
    loss_curve,
    rounded,
    shipped_record,
    train_command,
)
from induction_heads.training.run import Settings, TrainingRun, train
from induction_heads.training.tasks_model import as_bridge, best_head
from induction_heads.training.zoo_files import save_hugging_face, save_record
from induction_heads.versions import versions

NAME = "tasks-4l"
N_LAYERS, N_HEADS, D_MODEL = 4, 8, 64
SETTINGS = Settings(
    steps=1200, learning_rate=5e-3, betas=(0.9, 0.98), weight_decay=0.01, warmup=100
)
SNAPSHOT_STEPS = (0, 100, 200, 300, 400, 600, 800, 1000, 1200)
SEEDS = (0, 1, 2)
"""The seeds with stored weights and records."""


LeftOut = Literal["", "copies", "random"]
"""Which targets do not count: none, `copied_targets`, or as many at random places of each row."""


def left_out_targets(
    tokens: Int[Tensor, "batch pos"], which: LeftOut, generator: torch.Generator
) -> Bool[Tensor, "batch pos"]:
    """True at each position whose next token does not count in the loss.

    In each row as many are left out at random as there are copied targets.

    >>> tokens, generator = torch.tensor([[5, 7, 5, 7, 5, 7]]), torch.Generator().manual_seed(0)
    >>> left_out_targets(tokens, "copies", generator).int().tolist()
    [[0, 0, 1, 1, 1, 0]]
    >>> left_out_targets(tokens, "random", generator).sum().item()
    3
    """
    copied = copied_targets(tokens) & (which != "")
    if which != "random":
        return copied
    luck = torch.rand(tokens.shape, generator=generator)
    luck[:, -1] = 2.0  # The last position has no target.
    return luck.argsort(dim=1).argsort(dim=1) < copied.sum(dim=1, keepdim=True)


class SomeUncounted(nn.Module):
    """A model whose logits are constant at `left_out_targets`.

    The loss there is constant too, so it teaches nothing, while the tokens remain in the row.
    """

    def __init__(self, model: nn.Module, which: LeftOut, seed: int = 0):
        super().__init__()
        self.model = model
        self.which: LeftOut = which
        self.generator = torch.Generator().manual_seed(seed)

    def forward(self, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_vocab"]:
        """The logits of the model, and zeros at the targets that are left out."""
        uncounted = left_out_targets(tokens, self.which, self.generator)
        return self.model(tokens).masked_fill(uncounted[..., None], 0.0)


def train_few_shot_model(
    seed: int = 0,
    *,
    left_out: LeftOut = "",
    settings: Settings = SETTINGS,
    progress: bool = False,
) -> TrainingRun[SmallHuggingFace]:
    """Four layers of eight heads with MLPs, trained on `few_shot_training_rows`.

    The loss does not count the targets `left_out`. The snapshots are at `SNAPSHOT_STEPS`.
    """
    model = new_small_model("gpt2", N_LAYERS, N_HEADS, D_MODEL, D_VOCAB, N_CTX, seed=seed)
    learner = SomeUncounted(model, left_out, seed) if left_out else model
    at = [step for step in SNAPSHOT_STEPS if step <= settings.steps]
    run = train(
        learner, few_shot_training_rows, settings, seed=seed, snapshots_at=at, progress=progress
    )
    snapshots = {
        step: {name.removeprefix("model."): weight for name, weight in weights.items()}
        for step, weights in run.snapshots.items()
    }
    return TrainingRun(model, run.losses, snapshots, run.earlier_seconds)


def abilities(model: HookedModel) -> dict[str, Any]:
    """Accuracies, copying, and the induction score of every head."""
    score, loss = copying(model)
    return {
        "accuracy": decimals(few_shot_accuracy(model)),
        "no_example": decimals(few_shot_accuracy(model, 0)),
        "one_example": decimals(few_shot_accuracy(model, 1)),
        "shuffled": decimals(few_shot_accuracy(model, corrupted="shuffled")),
        "random": decimals(few_shot_accuracy(model, corrupted="random")),
        "score": decimals(score),
        "copy_loss": decimals(loss),
        "induction": rounded(induction_scores(model), 3),
    }


def abilities_and_heads(model: HookedModel) -> dict[str, Any]:
    """The same, and the indirect effect and the copying cost of every head."""
    return abilities(model) | {
        "effect": rounded(few_shot_effects(model)),
        "cost": rounded(copying_costs(model)),
    }


def snapshots_measured(
    run: TrainingRun[SmallHuggingFace],
    measure: Callable[[HookedModel], dict[str, Any]] = abilities_and_heads,
) -> list[dict[str, Any]]:
    """The measurements at each snapshot. Leaves the model of the run with its last weights."""
    snapshots = []
    for step, weights in run.snapshots.items():
        run.model.load_state_dict(weights)
        snapshots.append({"step": step, **measure(as_bridge(run.model))})
    return snapshots


def train_and_measure(
    seed: int = 0, *, progress: bool = False
) -> tuple[SmallHuggingFace, dict[str, Any]]:
    """A run and its record: the loss curve, the snapshots, and what heads and states carry."""
    started = time.process_time()
    run = train_few_shot_model(seed, progress=progress)
    seconds = time.process_time() - started + run.earlier_seconds
    return run.model, measured_run(run, seed, seconds)


def measured_run(run: TrainingRun[SmallHuggingFace], seed: int, seconds: float) -> dict[str, Any]:
    """The record of a run that took so many CPU-seconds. The model keeps its last weights."""
    snapshots = snapshots_measured(run)
    last, bridge = snapshots[-1], as_bridge(run.model)
    effects, costs = torch.tensor(last["effect"]), torch.tensor(last["cost"])
    return {
        "name": NAME,
        "command": train_command(NAME, seed or None),
        "seed": seed,
        "settings": asdict(SETTINGS),
        "cpu_seconds": round(seconds, 1),
        "versions": versions(),
        "parameters": parameter_count(run.model),
        "curve": loss_curve(run.losses),
        "snapshots": snapshots,
        "examples": [decimals(few_shot_accuracy(bridge, n)) for n in range(N_EXAMPLES + 1)],
        "vectors": vector_curve(bridge),
        "states": patched_states(bridge),
        "dissociation": dissociation(bridge, effects, costs),
    }


UNCOUNTED_RUNS: dict[str, tuple[LeftOut, int]] = {
    f"without-{which}-s{seed}": (which, seed) for which in ("copies", "random") for seed in SEEDS
}
"""Name → which targets do not count, and the seed, for the runs of the experiment `hapax`."""


def uncounted_result(name: str) -> dict[str, Any]:
    """Train one of `UNCOUNTED_RUNS` and measure its snapshots."""
    which, seed = UNCOUNTED_RUNS[name]
    run = train_few_shot_model(seed, left_out=which)
    return {"snapshots": snapshots_measured(run, abilities)}


def shipped_records() -> list[dict[str, Any]]:
    """The stored records of all seeds, that of seed 0 first."""
    return [shipped_record(NAME), *(shipped_record(f"{NAME}/seed-{seed}") for seed in SEEDS[1:])]


def differences_from_shipped(record: dict[str, Any], shipped: list[dict[str, Any]]) -> list[str]:
    """How a new run differs from the shipped ones, as sentences; empty if it matches.

    Accuracy with five examples must be within 0.05 of one of the shipped seeds, and the head with
    the largest effect must be in the same layer as that of one of them.
    """
    sentences, last = [], record["snapshots"][-1]
    accuracies = [other["snapshots"][-1]["accuracy"] for other in shipped]
    if min(abs(last["accuracy"] - value) for value in accuracies) > 0.05:
        sentences.append(f"Accuracy is {last['accuracy']:.2f}; the shipped runs have {accuracies}.")
    layers = [best_head(other["snapshots"][-1]["effect"])[0] for other in shipped]
    if best_head(last["effect"])[0] not in layers:
        sentences.append("The head with the largest effect is in another layer.")
    return sentences


def save_few_shot_model(model: SmallHuggingFace, record: dict[str, Any], folder: Path) -> None:
    """Write the weights in half precision, the config, the record and the card."""
    save_hugging_face(model, folder, torch.float16)
    save_record(record, card(record), folder)


def card(record: dict[str, Any]) -> str:
    """The model card of one seed."""
    last = record["snapshots"][-1]
    rows = [
        (
            snapshot["step"],
            f"{loss_at(record['curve'], snapshot['step']):.2f}",
            f"{snapshot['accuracy']:.2f}",
            f"{best(snapshot['induction']):.2f}",
            f"{best(snapshot['effect']):.2f}",
        )
        for snapshot in record["snapshots"]
    ]
    columns = ("step", "training loss", "accuracy", "induction", "indirect effect")
    effect, induction = (
        "L{}H{}".format(*best_head(last[kind])) for kind in ("effect", "induction")
    )
    return Card(
        NAME if record["seed"] == 0 else f"{NAME}/seed-{record['seed']}",
        "A transformer of the GPT-2 architecture, with MLPs, biases and tied embeddings: "
        f"{N_LAYERS} layers of {N_HEADS} heads, d_model {D_MODEL}, d_vocab {D_VOCAB}, n_ctx "
        f"{N_CTX}, BOS token {BOS}; {record['parameters']:,} parameters, stored in half precision "
        "in Hugging Face format.",
        f"Generated. Of {N_OF_TASKS + N_REPEATED} rows per step, {N_OF_TASKS} have BOS and "
        f"{N_PAIRS} examples `x → f(x)` of one of {N_TASKS} fixed mappings from {N_SYMBOLS} input "
        f"ids to {N_SYMBOLS} output ids, without a repeated input. In the other {N_REPEATED} rows "
        "a block of 3 to 9 tokens repeats up to six times.",
        GENERATED,
        f"{recipe_words(record['settings'])} Position embeddings start as sinusoids. Seed "
        f"{record['seed']}. {made_with(record, record['cpu_seconds'])}",
        command_words(record),
        known_heads=f"Largest indirect effect: {effect}. Highest induction score: {induction}. "
        f"Accuracy with five examples: {last['accuracy']:.3f}.",
        curve="At each snapshot: the training loss in nats, the accuracy with five examples, and "
        f"the highest induction score and indirect effect of any head:\n\n{table(columns, rows)}",
        limits="Eight mappings of 8 symbols, memorized: it cannot learn a new mapping from "
        "examples. Two rows of five repeat by design.",
    ).markdown()
