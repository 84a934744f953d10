"""`tasks-2l`: a small GPT-2 that infers from examples which mapping to apply, and its record."""

import copy
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from induction_heads.data.mapping_rows import (
    BOS,
    D_VOCAB,
    N_CTX,
    N_TASKS,
    few_shot_prompts,
    training_rows,
    with_shuffled_answers,
)
from induction_heads.data.tokens import repeated_tokens
from induction_heads.interp.activations import head_scores
from induction_heads.interp.formation import best
from induction_heads.interp.scores import induction_score
from induction_heads.interp.task_vectors import (
    accuracy_with,
    function_vector,
    indirect_effects,
    mean_outputs,
)
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
from induction_heads.training.zoo_files import save_hugging_face, save_record
from induction_heads.versions import versions

NAME = "tasks-2l"
SETTINGS = Settings(
    steps=1500, learning_rate=5e-3, betas=(0.9, 0.98), weight_decay=0.01, warmup=100
)
SNAPSHOT_STEPS = (0, 400, 700, 900, 1000, 1100, 1200, 1500)
SEEDS = (0, 1, 2)
"""The seeds with a stored record; the stored weights are those of the first."""

PERIOD = 8
POINT = "blocks.1.hook_resid_mid"
"""Where vectors are added: after the heads of layer 1, before its MLP."""


def train_tasks_model(seed: int = 0, *, progress: bool = False) -> TrainingRun[SmallHuggingFace]:
    """Two layers of four heads with MLPs, trained on `training_rows` in about a CPU-minute."""
    model = new_small_model("gpt2", 2, 4, 64, D_VOCAB, N_CTX, seed=seed)
    return train(
        model, training_rows, SETTINGS, seed=seed, snapshots_at=SNAPSHOT_STEPS, progress=progress
    )


def as_bridge(model: SmallHuggingFace) -> HookedModel:
    """A copy of the model as a TransformerLens `TransformerBridge`, for hooks."""
    from transformer_lens.model_bridge.sources import build_bridge_from_module

    hf = copy.deepcopy(model.hf)  # Building the bridge changes the modules.
    bridge = build_bridge_from_module(hf, "GPT2LMHeadModel", hf_config=hf.config, tokenizer=None)
    return bridge.requires_grad_(False).eval()


def all_effects(bridge: HookedModel, *, seed: int = 0, batch: int = 64) -> Tensor:
    """The indirect effect of every head for each mapping: [task layer head].

    The prompts have seven examples; the corrupted prompts have different ones, with shuffled
    answers.
    """
    effects = []
    for task in range(N_TASKS):
        prompts, _ = few_shot_prompts(task, batch, seed=seed)
        rows, answers = few_shot_prompts(task, batch, seed=seed + 1)
        corrupted = with_shuffled_answers(rows, seed=seed)
        effects.append(indirect_effects(bridge, prompts, corrupted, answers))
    return torch.stack(effects)


def accuracy(
    bridge: HookedModel, n_examples: int, *, shuffled: bool = False, seed: int = 1
) -> float:
    """The mean accuracy over all mappings, on 64 prompts each."""
    accuracies = []
    for task in range(N_TASKS):
        rows, answers = few_shot_prompts(task, 64, n_examples, seed=seed)
        rows = with_shuffled_answers(rows, seed=seed) if shuffled else rows
        accuracies.append(accuracy_with(bridge, rows, answers))
    return sum(accuracies) / len(accuracies)


def vector_accuracies(bridge: HookedModel, n_heads: int = 3, *, seed: int = 5) -> dict[str, float]:
    """Accuracy over all mappings with a vector added to prompts without examples.

    The vectors are: the function vector of the mapping; that of another mapping; the sum of the
    `n_heads` heads with the smallest effects; a random vector of the same norm; and zero.
    """
    effects = all_effects(bridge).mean(dim=0)
    outputs = [mean_outputs(bridge, few_shot_prompts(task, seed=0)[0]) for task in range(N_TASKS)]
    own = torch.stack([function_vector(each, effects, n_heads) for each in outputs])
    lowest = torch.stack([function_vector(each, -effects, n_heads) for each in outputs])
    drawn = torch.randn(own.shape, generator=torch.Generator().manual_seed(seed))
    random = drawn / drawn.norm(dim=1, keepdim=True) * own.norm(dim=1, keepdim=True)
    vectors = {
        "function vector": own,
        "another task's": own.roll(1, dims=0),
        "lowest heads": lowest,
        "random": random,
        "none": torch.zeros_like(own),
    }
    return {
        name: round(bare_accuracy(bridge, each, seed=seed), 4) for name, each in vectors.items()
    }


def bare_accuracy(
    bridge: HookedModel, vectors: Tensor, point: str = POINT, *, seed: int = 5
) -> float:
    """Accuracy over all mappings without examples, with each mapping's vector added at `point`."""
    accuracies = []
    for task, vector in enumerate(vectors):
        rows, answers = few_shot_prompts(task, 64, 0, seed=seed)
        accuracies.append(accuracy_with(bridge, rows, answers, point, vector))
    return sum(accuracies) / len(accuracies)


def snapshot_record(bridge: HookedModel, step: int) -> dict[str, Any]:
    """Accuracy with seven examples, and induction score and indirect effect of every head."""
    tokens = repeated_tokens(D_VOCAB, PERIOD, batch=64, bos_token=BOS, seed=1)
    scorer: dict[str, Callable] = {"induction": lambda pattern: induction_score(pattern, PERIOD)}
    return {
        "step": step,
        "accuracy": round(accuracy(bridge, 7), 4),
        "no_example": round(accuracy(bridge, 0), 4),
        "shuffled": round(accuracy(bridge, 7, shuffled=True), 4),
        "induction": rounded(head_scores(bridge, tokens, scorer)["induction"]),
        "effect": rounded(all_effects(bridge, batch=32).mean(dim=0)),
    }


def train_and_measure(
    seed: int = 0, *, progress: bool = False
) -> tuple[SmallHuggingFace, dict[str, Any]]:
    """A run and its record: the loss curve, the snapshots, the accuracies with vectors."""
    started = time.process_time()
    run = train_tasks_model(seed, progress=progress)
    seconds = time.process_time() - started + run.earlier_seconds
    snapshots = []
    for step, weights in run.snapshots.items():
        run.model.load_state_dict(weights)
        snapshots.append(snapshot_record(as_bridge(run.model), step))
    return run.model, {
        "name": NAME,
        "command": train_command(NAME, seed or None),
        "seed": seed,
        "settings": asdict(SETTINGS),
        "cpu_seconds": round(seconds, 1),
        "versions": versions(),
        "parameters": parameter_count(run.model),
        "curve": loss_curve(run.losses),
        "snapshots": snapshots,
        "vectors": vector_accuracies(as_bridge(run.model)),
    }


def shipped_records() -> list[dict[str, Any]]:
    """The stored records of all seeds, that of the stored weights first."""
    first = shipped_record(NAME)
    return [first, *first["other_seeds"]]


def differences_from_shipped(record: dict[str, Any], shipped: list[dict[str, Any]]) -> list[str]:
    """How a new run differs from the shipped ones, as sentences; empty if it matches.

    Accuracy with seven examples must be within 0.05 of one of the shipped seeds, and the head with
    the largest effect must be in the same layer as theirs.
    """
    sentences, last = [], record["snapshots"][-1]
    accuracies = [other["snapshots"][-1]["accuracy"] for other in shipped]
    if min(abs(last["accuracy"] - value) for value in accuracies) > 0.05:
        sentences.append(f"Accuracy is {last['accuracy']:.2f}; the shipped runs have {accuracies}.")
    layers = [best_head(other["snapshots"][-1]["effect"])[0] for other in shipped]
    if best_head(last["effect"])[0] not in layers:
        sentences.append("The head with the largest effect is in another layer.")
    return sentences


def best_head(values: list[list[float]]) -> tuple[int, int]:
    """(layer, head) of the largest value."""
    places = [(layer, head) for layer, row in enumerate(values) for head in range(len(row))]
    return max(places, key=lambda place: values[place[0]][place[1]])


def save_tasks_model(model: SmallHuggingFace, records: list[dict[str, Any]], folder: Path) -> None:
    """Write the weights in half precision, the config, the records and the card.

    The first record is that of the weights; the others are of further seeds.
    """
    save_hugging_face(model, folder, torch.float16)
    save_record(records[0] | {"other_seeds": records[1:]}, card(records), folder)


def card(records: list[dict[str, Any]]) -> str:
    """The model card of the first record. The other records are of further seeds."""
    record = records[0]
    last = [other["snapshots"][-1] for other in records]
    heads = ", ".join(
        "L{}H{} of seed {}".format(*best_head(snapshot["effect"]), other["seed"])
        for snapshot, other in zip(last, records, strict=True)
    )
    accuracies = ", ".join(f"{snapshot['accuracy']:.3f}" for snapshot in last)
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
    return Card(
        NAME,
        "A transformer of the GPT-2 architecture, with MLPs, biases and tied embeddings: 2 layers "
        f"of 4 heads, d_model 64, d_vocab {D_VOCAB}, n_ctx {N_CTX}, BOS token {BOS}; "
        f"{record['parameters']:,} parameters, stored in half precision in Hugging Face format.",
        f"Generated. Of 64 rows per step, 48 have BOS and eight examples of one of {N_TASKS} fixed "
        "mappings from 16 input ids to 16 output ids, without a repeated input. In the other 16 "
        "rows a block of 3 to 8 tokens repeats until the end.",
        GENERATED,
        f"{recipe_words(record['settings'])} Position embeddings start as sinusoids. Seed "
        f"{record['seed']}. {made_with(record, record['cpu_seconds'])}",
        command_words(record),
        known_heads=f"Largest indirect effect: {heads}. Accuracy with seven examples, for each "
        f"seed: {accuracies}. Only the weights of seed {record['seed']} are stored; "
        "`training.json` has the records of all seeds.",
        curve="At each snapshot: the training loss in nats, the accuracy with seven examples, and "
        f"the highest induction score and indirect effect of any head:\n\n{table(columns, rows)}",
        limits="Eight mappings of 16 symbols, memorized: it cannot learn a new mapping from "
        "examples. A quarter of the rows repeat by design.",
    ).markdown()
