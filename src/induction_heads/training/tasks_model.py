"""`tasks-2l`: the small GPT-2 that reads from examples which mapping to apply, and its record."""

import copy
import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from induction_heads.activations import head_scores
from induction_heads.cards import curve, loss_at
from induction_heads.hugging_face import without_progress_bars
from induction_heads.mapping_tasks import (
    BOS,
    D_VOCAB,
    N_CTX,
    N_TASKS,
    few_shot_prompts,
    training_rows,
    with_shuffled_answers,
)
from induction_heads.models import zoo_folder
from induction_heads.scores import induction_score
from induction_heads.small_hugging_face import SmallHuggingFace, new_small_model
from induction_heads.task_vectors import (
    accuracy_with,
    function_vector,
    indirect_effects,
    mean_outputs,
)
from induction_heads.tokens import repeated_tokens
from induction_heads.training import Settings, TrainingRun, train

NAME = "tasks-2l"
SETTINGS = Settings(
    steps=1500, learning_rate=5e-3, betas=(0.9, 0.98), weight_decay=0.01, warmup=100
)
SNAPSHOT_STEPS = (0, 400, 700, 900, 1000, 1100, 1200, 1500)
SEEDS = (0, 1)
"""The seeds whose records are kept; the weights are those of the first."""

PERIOD = 8
POINT = "blocks.1.hook_resid_mid"
"""Where vectors are added: behind the heads of layer 1, in front of its MLP."""


def train_mapping_model(seed: int = 0, *, progress: bool = False) -> TrainingRun[SmallHuggingFace]:
    """Two layers of four heads with MLPs, trained on `training_rows`. About a CPU-minute."""
    model = new_small_model("gpt2", 2, 4, 64, D_VOCAB, N_CTX, seed=seed)
    return train(model, training_rows, SETTINGS, seed=seed, snapshots_at=SNAPSHOT_STEPS,
                 progress=progress)  # fmt: skip


def as_bridge(model: SmallHuggingFace) -> Any:
    """A copy of the model as a TransformerLens `TransformerBridge`, for hooks."""
    from transformer_lens.model_bridge.sources import build_bridge_from_module

    hf = copy.deepcopy(model.hf)  # The bridge changes the modules that it is built around.
    bridge = build_bridge_from_module(hf, "GPT2LMHeadModel", hf_config=hf.config, tokenizer=None)
    return bridge.requires_grad_(False).eval()


def all_effects(bridge: Any, *, seed: int = 0, batch: int = 64) -> Tensor:
    """The indirect effect of every head for each mapping: [task layer head].

    The prompts have seven examples; the corrupted ones are others, with shuffled answers.
    """
    found = []
    for task in range(N_TASKS):
        prompts, _ = few_shot_prompts(task, batch, seed=seed)
        rows, answers = few_shot_prompts(task, batch, seed=seed + 1)
        corrupted = with_shuffled_answers(rows, seed=seed)
        found.append(indirect_effects(bridge, prompts, corrupted, answers))
    return torch.stack(found)


def accuracy(bridge: Any, n_examples: int, *, shuffled: bool = False, seed: int = 1) -> float:
    """The share of right answers over all mappings, 64 prompts of each."""
    right = []
    for task in range(N_TASKS):
        rows, answers = few_shot_prompts(task, 64, n_examples, seed=seed)
        rows = with_shuffled_answers(rows, seed=seed) if shuffled else rows
        right.append(accuracy_with(bridge, rows, answers))
    return sum(right) / len(right)


def vector_accuracies(bridge: Any, n_heads: int = 3, *, seed: int = 5) -> dict[str, float]:
    """Accuracy over all mappings with a vector added to prompts without examples.

    The vectors are the function vector of the mapping; that of another mapping; the sum of as many
    heads with the smallest effects; a random vector of the same length; and none.
    """
    effects = all_effects(bridge).mean(dim=0)
    outputs = [mean_outputs(bridge, few_shot_prompts(task, seed=0)[0]) for task in range(N_TASKS)]
    right = torch.stack([function_vector(each, effects, n_heads) for each in outputs])
    lowest = torch.stack([function_vector(each, -effects, n_heads) for each in outputs])
    drawn = torch.randn(right.shape, generator=torch.Generator().manual_seed(seed))
    random = drawn / drawn.norm(dim=1, keepdim=True) * right.norm(dim=1, keepdim=True)
    vectors = {
        "function vector": right, "another task's": right.roll(1, dims=0),
        "lowest heads": lowest, "random": random, "none": torch.zeros_like(right),
    }  # fmt: skip
    return {name: round(bare_accuracy(bridge, each, seed=seed), 4)
            for name, each in vectors.items()}  # fmt: skip


def bare_accuracy(bridge: Any, vectors: Tensor, point: str = POINT, *, seed: int = 5) -> float:
    """Accuracy over all mappings without examples, with each mapping's vector added at `point`."""
    right = []
    for task, vector in enumerate(vectors):
        rows, answers = few_shot_prompts(task, 64, 0, seed=seed)
        right.append(accuracy_with(bridge, rows, answers, point, vector))
    return sum(right) / len(right)


def snapshot_record(bridge: Any, step: int) -> dict[str, Any]:
    """Accuracy with seven examples, and induction score and indirect effect of every head."""
    tokens = repeated_tokens(D_VOCAB, PERIOD, batch=64, bos_token=BOS, seed=1)
    scorer: dict[str, Callable] = {"induction": lambda pattern: induction_score(pattern, PERIOD)}
    return {
        "step": step,
        "accuracy": round(accuracy(bridge, 7), 4),
        "no_example": round(accuracy(bridge, 0), 4),
        "shuffled": round(accuracy(bridge, 7, shuffled=True), 4),
        "induction": _rounded(head_scores(bridge, tokens, scorer)["induction"]),
        "effect": _rounded(all_effects(bridge, batch=32).mean(dim=0)),
    }


def _rounded(values: Tensor) -> list[list[float]]:
    return [[round(value, 4) for value in row] for row in values.tolist()]


def train_and_measure(
    seed: int = 0, *, progress: bool = False
) -> tuple[SmallHuggingFace, dict[str, Any]]:
    """One run and its record: losses, snapshots, what it took."""
    started = time.process_time()
    run = train_mapping_model(seed, progress=progress)
    seconds = time.process_time() - started
    snapshots = []
    for step, weights in run.snapshots.items():
        run.model.load_state_dict(weights)
        snapshots.append(snapshot_record(as_bridge(run.model), step))
    return run.model, {
        "name": NAME,
        "command": f"induction-heads train {NAME}" + (f" --seed {seed}" if seed else ""),
        "seed": seed,
        "settings": asdict(SETTINGS),
        "cpu_seconds": round(seconds, 1),
        "versions": {"python": platform.python_version(), "torch": torch.__version__.split("+")[0]},
        "parameters": sum(weight.numel() for weight in run.model.parameters()),
        "curve": curve(run.losses),
        "snapshots": snapshots,
        "vectors": vector_accuracies(as_bridge(run.model)),
    }


def shipped_records() -> list[dict[str, Any]]:
    """The stored records of all seeds, that of the shipped weights first."""
    first = json.loads((zoo_folder(NAME) / "training.json").read_text(encoding="utf-8"))
    return [first, *first["other_seeds"]]


def differences(record: dict[str, Any], shipped: list[dict[str, Any]]) -> list[str]:
    """What sets a new run apart from the shipped ones, as sentences; empty if it matches.

    Accuracy with seven examples must be within 0.05 of one of the shipped seeds, and the head with
    the largest effect must be in the same layer as theirs.
    """
    apart, last = [], record["snapshots"][-1]
    reached = [other["snapshots"][-1]["accuracy"] for other in shipped]
    if min(abs(last["accuracy"] - value) for value in reached) > 0.05:
        apart.append(f"Accuracy is {last['accuracy']:.2f}; the shipped runs have {reached}.")
    layers = [best_head(other["snapshots"][-1]["effect"])[0] for other in shipped]
    if best_head(last["effect"])[0] not in layers:
        apart.append("The head with the largest effect is in another layer.")
    return apart


def best_head(values: list[list[float]]) -> tuple[int, int]:
    """(layer, head) of the largest value."""
    places = [(layer, head) for layer, row in enumerate(values) for head in range(len(row))]
    return max(places, key=lambda place: values[place[0]][place[1]])


def save_mapping_model(
    model: SmallHuggingFace, records: list[dict[str, Any]], folder: Path
) -> None:
    """Write the weights in half precision, the config, the records and the card.

    The first record is that of the weights; the others are of further seeds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with without_progress_bars():
        model.hf.half().save_pretrained(folder)
    model.hf.float()
    (folder / "generation_config.json").unlink(missing_ok=True)
    record = records[0] | {"other_seeds": records[1:]}
    (folder / "training.json").write_text(json.dumps(record) + "\n")
    (folder / "card.md").write_text(card(records))


def card(records: list[dict[str, Any]]) -> str:
    """The model card: data and license, recipe, command, known heads, curve, limits."""
    record = records[0]
    rows = "\n".join(
        f"| {s['step']} | {loss_at(record['curve'], s['step']):.2f} | {s['accuracy']:.2f} "
        f"| {max(map(max, s['induction'])):.2f} | {max(map(max, s['effect'])):.2f} |"
        for s in record["snapshots"]
    )
    ends = [other["snapshots"][-1] for other in records]
    heads = ", ".join("L{}H{} of seed {}".format(*best_head(end["effect"]), other["seed"])
                      for end, other in zip(ends, records, strict=True))  # fmt: skip
    reached = ", ".join(f"{end['accuracy']:.3f}" for end in ends)
    return f"""# {NAME}

A transformer of the GPT-2 architecture, with MLPs, biases and tied embeddings: 2 layers of 4 \
heads, d_model 64, d_vocab {D_VOCAB}, n_ctx {N_CTX}, BOS token {BOS}; {record["parameters"]:,} \
parameters, stored in half precision in Hugging Face format.

**Data.** Generated. Of 64 rows a step, 48 hold BOS and eight examples of one of {N_TASKS} fixed \
mappings from 16 input ids to 16 output ids; no input stands twice. In the other 16 a block of 3 \
to 8 tokens repeats to the end.

**License of the data.** The data are random numbers; there is nothing to license.

**Recipe.** AdamW, {SETTINGS.steps} steps, learning rate {SETTINGS.learning_rate}, betas \
{SETTINGS.betas}, weight decay {SETTINGS.weight_decay}, clipped at {SETTINGS.clip}, \
{SETTINGS.warmup} warm-up steps, linear decay over the last {SETTINGS.decay:.0%}. Position \
embeddings start as sinusoids. Seed {record["seed"]}. Made with Python \
{record["versions"]["python"]} and PyTorch {record["versions"]["torch"]} in \
{record["cpu_seconds"]:.0f} CPU-seconds.

**Command.** `{record["command"]}` trains it again and compares the result with the stored records.

**Known heads.** Largest indirect effect: {heads}. Accuracy with seven examples, seed by seed: \
{reached}. Only the weights of seed {record["seed"]} are shipped; `training.json` has the records \
of the others.

**Curve.** At each snapshot: training loss in nats, accuracy with seven examples, the highest \
induction score and the highest indirect effect of any head:

| step | training loss | accuracy | induction | indirect effect |
|---|---|---|---|---|
{rows}

**Limits.** Eight mappings of 16 symbols, learned by heart: it cannot learn a new mapping from \
examples. A quarter of the rows repeat on purpose.
"""
