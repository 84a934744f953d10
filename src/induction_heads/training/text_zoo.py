"""The zoo models that are trained on text in Hugging Face format: three architectures."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from induction_heads.data.python_text import python_streams, python_token_counts
from induction_heads.data.token_ranks import save_token_counts
from induction_heads.interp.formation import FORMED, best, formation_step
from induction_heads.models.loading import zoo_folder
from induction_heads.models.small_hugging_face import SmallHuggingFace
from induction_heads.training import measurement
from induction_heads.training.cards import (
    Card,
    command_words,
    curve_words,
    made_with,
    recipe_words,
)
from induction_heads.training.differences import differences_from_seeds
from induction_heads.training.recipes import RECIPES
from induction_heads.training.records import (
    HEAD_KINDS,
    heads_in_words,
    shipped_record,
    train_command,
)
from induction_heads.training.text_models import TEXT, TEXT_ZOO
from induction_heads.training.text_record import ABLATIONS_PER_HEAD, snapshot_record
from induction_heads.training.zoo_files import save_hugging_face, save_record
from induction_heads.versions import versions

STORED_AS = {"gpt2": torch.float16, "llama": torch.bfloat16, "neox": torch.float16}
"""Architecture → precision of the stored weights: bfloat16 as Llama, float16 as Pythia."""


def train_and_measure(
    name: str, *, seed: int | None = None, progress: bool = True
) -> tuple[SmallHuggingFace, dict[str, Any]]:
    """A model of `TEXT_ZOO`, trained again, and its record. Raises KeyError for an unknown name.

    `differences` in the record are those from the stored seeds of the same recipe; they are empty
    if it matches or if nothing is stored yet.
    """
    variant = TEXT_ZOO[name] if seed is None else replace(TEXT_ZOO[name], seed=seed)
    model, record = measurement.train_and_measure(
        variant, snapshot_record, ABLATIONS_PER_HEAD, progress=progress
    )
    assert isinstance(model, SmallHuggingFace)
    stored = stored_seeds(name)
    differences = differences_from_seeds(record, stored) if stored else []
    return model, {
        "name": name,
        "command": train_command(name, seed),
        "seed": variant.seed,
        "versions": versions(),
        "settings": asdict(variant.settings()),
        "found": heads_over_threshold(record),
        **record,
        "matches": not differences,
        "differences": differences,
    }


def other_seeds(name: str, seeds: Sequence[int], *, progress: bool = True) -> list[dict[str, Any]]:
    """The records of further seeds, without their loss curves."""
    records = []
    for seed in seeds:
        _, record = train_and_measure(name, seed=seed, progress=progress)
        keys = ("seed", "model", "status", "why", "seconds", "found", "snapshots")
        records.append({key: record[key] for key in keys})
    return records


def stored_seeds(name: str) -> list[dict[str, Any]]:
    """The record that ships with a model and its `other_seeds`; empty if nothing is stored."""
    if not (zoo_folder(name) / "training.json").is_file():
        return []
    record = shipped_record(name)
    return [record, *record.get("other_seeds", [])]


def heads_over_threshold(record: dict[str, Any]) -> dict[str, list[list[int]]]:
    """Kind → [layer, head] of the heads with a score of at least `FORMED` in the last snapshot."""
    last = record["snapshots"][-1]
    return {
        kind: [
            [layer, head]
            for layer, heads in enumerate(last[kind])
            for head, score in enumerate(heads)
            if score >= FORMED
        ]
        for kind in HEAD_KINDS
    }


def save_text_model(model: SmallHuggingFace, record: dict[str, Any], folder: Path) -> None:
    """Write the weights, the config, the tokenizer, the record and the card."""
    name = record["name"]
    save_hugging_face(model, folder, STORED_AS[TEXT_ZOO[name].architecture])
    _save_tokenizer(name, folder)
    save_record(record, card(record), folder)


def _save_tokenizer(name: str, folder: Path) -> None:
    """Write the tokenizer, whether it adds a BOS token, and how common its tokens are."""
    from tokenizers import Tokenizer, processors

    variant = TEXT_ZOO[name]
    tokenizer = Tokenizer.from_str(python_streams(variant.d_vocab)[2].to_str())
    if variant.bos_token is None:
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)  # type: ignore[assignment]
    tokenizer.save(str(folder / "tokenizer.json"))
    save_token_counts(python_token_counts(variant.d_vocab), folder)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<bos>",
        "eos_token": "<bos>",
        "add_bos_token": variant.bos_token is not None,
        "clean_up_tokenization_spaces": False,
        "model_max_length": variant.n_ctx,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")


ARCHITECTURES = {
    "gpt2": "A transformer of the GPT-2 architecture, with MLPs, biases and tied embeddings",
    "llama": "A transformer of the Llama architecture, with rotary positions, RMS norm, gated MLPs "
    "and grouped-query attention (two query heads share one head of keys and values)",
    "neox": "A transformer of the GPT-NeoX architecture (that of Pythia), with rotary positions in "
    "a quarter of each head, attention and MLP in parallel, biases, layer norm and untied "
    "embeddings",
}
"""Architecture → the start of a card."""

_PRECISION = {torch.float16: "half precision", torch.bfloat16: "bfloat16"}
_WITH_BOS = "with a BOS token before every row"
_WITHOUT_BOS = (
    "with `<bos>` (token 0) before each file only: rows have none, as in the training of Pythia, "
    "and the stored tokenizer adds none"
)
_IN_WORDS = {2: "Two", 4: "Four"}


def card(record: dict[str, Any]) -> str:
    """The model card of a record with its `other_seeds`."""
    variant, text = TEXT_ZOO[record["name"]], RECIPES["python-2l"]
    kind, seeds = variant.architecture, [record, *record.get("other_seeds", [])]
    bos, data = f"BOS token {variant.bos_token}", text.data
    if variant.bos_token is None:
        bos, data = "no BOS token before a row", text.data.replace(_WITH_BOS, _WITHOUT_BOS)
    positions = "Position embeddings start as sinusoids. " if kind == "gpt2" else ""
    limits = (
        f"{_IN_WORDS[variant.n_layers]} layers and {variant.n_ctx} tokens of context. Half of the "
        "training rows repeat by design, so the strength of its heads is not what running text "
        "alone would give."
    )
    if variant not in TEXT:
        limits += f" It is not part of the sweep `text`; seeds trained: {len(seeds)}."
    return Card(
        record["name"],
        f"{ARCHITECTURES[kind]}: {variant.n_layers} layers of {variant.n_heads} heads, d_model "
        f"{variant.d_model}, d_vocab {variant.d_vocab}, n_ctx {variant.n_ctx}, {bos}; "
        f"{record['parameters']:,} parameters, stored in {_PRECISION[STORED_AS[kind]]} in Hugging "
        "Face format.",
        data,
        text.license,
        f"As `python-2l` at half its learning rate: {recipe_words(record['settings'])} {positions}"
        f"Seed {record['seed']}. {made_with(record, record['seconds'])} This includes the "
        "measurements.",
        command_words(record),
        known_heads=f"{heads_in_words(record['found'])}. Held-out loss "
        f"{record['snapshots'][-1]['loss']:.3f} nats. {_seeds_in_words(seeds)}",
        curve=curve_words(record),
        limits=limits,
    ).markdown()


def _seeds_in_words(seeds: Sequence[dict[str, Any]]) -> str:
    """The formation step, the final score and, for further seeds, the heads of each seed."""
    sentences = []
    for record in seeds:
        step, score = formation_step(record), best(record["snapshots"][-1]["induction"])
        facts = [] if record is seeds[0] else [heads_in_words(record["found"])]
        facts.append("none formed" if step is None else f"formed at step {step}, score {score:.2f}")
        sentences.append(f"Seed {record['seed']}: {'; '.join(facts)}.")
    return " ".join(sentences)
