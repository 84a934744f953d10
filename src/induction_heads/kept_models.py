"""The models of the text family that are kept in the zoo, in Hugging Face format."""

import json
import platform
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from induction_heads.cards import heads_in_words, loss_at
from induction_heads.hugging_face import without_progress_bars
from induction_heads.python_text import python_streams
from induction_heads.recipes import RECIPES
from induction_heads.small_gpt2 import SmallGPT2
from induction_heads.stored_sweeps import differences, stored_names, stored_sweep
from induction_heads.sweep_tables import FORMED, best, formation_step
from induction_heads.sweep_training import train_and_measure
from induction_heads.text_family import KEPT, TextVariant
from induction_heads.text_record import ABLATIONS_PER_HEAD, snapshot_record


def train_kept(
    name: str, *, seed: int | None = None, progress: bool = True
) -> tuple[SmallGPT2, dict[str, Any]]:
    """The model kept under a name, trained again, and its record. Raises KeyError for another name.

    `differences` in the record are those from the stored sweep; they are empty if it matches.
    """
    variant = KEPT[name] if seed is None else replace(KEPT[name], seed=seed)
    model, record = train_and_measure(
        variant, snapshot_record, ABLATIONS_PER_HEAD, progress=progress
    )
    assert isinstance(model, SmallGPT2)
    group = variant.group
    apart = differences("text", [record | {"model": f"{group}-s0"}]) if _stored(group) else []
    versions = {"python": platform.python_version(), "torch": torch.__version__.split("+")[0]}
    command = f"induction-heads train {name}" + ("" if seed is None else f" --seed {seed}")
    return model, {
        "name": name, "command": command, "seed": variant.seed, "versions": versions,
        "settings": asdict(variant.settings()), "found": found(record), **record,
        "matches": not apart, "differences": apart,
    }  # fmt: skip


def _stored(group: str) -> list[dict[str, Any]]:
    if "text" not in stored_names():
        return []
    return [record for model, record in stored_sweep("text") if model.group == group]


def found(record: dict[str, Any]) -> dict[str, list[list[int]]]:
    """Kind → [layer, head] of the heads that reach the threshold in the last snapshot."""
    last = record["snapshots"][-1]
    return {
        kind: [[layer, head] for layer, heads in enumerate(last[kind])
               for head, score in enumerate(heads) if score >= FORMED]
        for kind in ("previous_token", "induction")
    }  # fmt: skip


def save_kept(model: SmallGPT2, record: dict[str, Any], folder: Path) -> None:
    """Write the weights in half precision, the config, the tokenizer, the record and the card."""
    variant = KEPT[record["name"]]
    folder.mkdir(parents=True, exist_ok=True)
    with without_progress_bars():
        model.hf.half().save_pretrained(folder)
    model.hf.float()
    (folder / "generation_config.json").unlink(missing_ok=True)
    python_streams(variant.d_vocab)[2].save(str(folder / "tokenizer.json"))
    (folder / "training.json").write_text(json.dumps(record) + "\n")
    (folder / "card.md").write_text(card(record, variant))


def card(record: dict[str, Any], variant: TextVariant) -> str:
    """The model card: data and license, recipe, command, known heads, curve, limits."""
    settings, text = variant.settings(), RECIPES["python-2l"]
    rows = "\n".join(
        f"| {snapshot['step']} | {loss_at(record['curve'], snapshot['step']):.2f} "
        f"| {best(snapshot['previous_token']):.2f} | {best(snapshot['induction']):.2f} "
        f"| {snapshot['second_copy_loss']:.2f} |"
        for snapshot in record["snapshots"]
    )
    seeds = [(formation_step(other), best(other["snapshots"][-1]["induction"]))
             for other in _stored(variant.group)]  # fmt: skip
    spread = "; ".join(f"formed at step {step}, score {score:.2f}" for step, score in seeds)
    return f"""# {record["name"]}

A transformer of the GPT-2 architecture, with MLPs, biases and tied embeddings: {variant.n_layers} \
layers of {variant.n_heads} heads, d_model {variant.d_model}, d_vocab {variant.d_vocab}, n_ctx \
{variant.n_ctx}, BOS token 0; {record["parameters"]:,} parameters, stored in half precision in \
Hugging Face format.

**Data.** {text.data}

**License of the data.** {text.license}

**Recipe.** As `python-2l` at half its learning rate: AdamW, {settings.steps} steps, learning rate \
{settings.learning_rate}, betas {settings.betas}, weight decay {settings.weight_decay}, clipped at \
{settings.clip}, {settings.warmup} warm-up steps, linear decay over the last {settings.decay:.0%}, \
bfloat16 matrix products. Position embeddings start as sinusoids. Seed {record["seed"]}. Made with \
Python {record["versions"]["python"]} and PyTorch {record["versions"]["torch"]} in \
{record["seconds"]:.0f} CPU-seconds, measurements included.

**Command.** `{record["command"]}` trains it again and compares the result with the stored sweep.

**Known heads.** {heads_in_words(record["found"])}. Held-out loss \
{record["snapshots"][-1]["loss"]:.3f} nats. Over the stored seeds: {spread}.

**Curve.** At each snapshot: the training loss in nats, the highest score of any head, and the \
loss on the second copy of a random block:

| step | training loss | previous-token | induction | second-copy loss |
|---|---|---|---|---|
{rows}

**Limits.** Two layers and 128 tokens of context. Half of the training rows repeat on purpose, so \
how strong its heads are is not what running text alone would give.
"""
