"""Writing the folder of a zoo model: weights, record and card."""

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from induction_heads.data.token_ranks import save_token_counts
from induction_heads.models.attention_only import AttentionOnly
from induction_heads.models.hugging_face import without_progress_bars
from induction_heads.models.loading import save_model, save_snapshots
from induction_heads.models.small_hugging_face import SmallHuggingFace
from induction_heads.training.cards import recipe_card
from induction_heads.training.recipes import Recipe
from induction_heads.training.run import TrainingRun


def save_record(record: dict[str, Any], card: str, folder: Path) -> None:
    """Write `training.json` and `card.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "training.json").write_text(json.dumps(record) + "\n", encoding="utf-8")
    (folder / "card.md").write_text(card, encoding="utf-8")


def save_recipe_run(
    run: TrainingRun[AttentionOnly], recipe: Recipe, record: dict[str, Any], folder: Path
) -> None:
    """Write the weights, snapshots, record, card and, for text, tokenizer and counts of a run."""
    save_model(run.model, folder)
    save_snapshots(run.snapshots, folder)
    save_record(record, recipe_card(recipe, record), folder)
    _save_text_files(recipe, folder)


def _save_text_files(recipe: Recipe, folder: Path) -> None:
    """Write the tokenizer and the token counts of a model of text."""
    if recipe.tokenizer is not None:
        recipe.tokenizer().save(str(folder / "tokenizer.json"))
    if recipe.token_counts is not None:
        save_token_counts(recipe.token_counts(), folder)


def save_seeds(
    runs: Sequence[tuple[TrainingRun[AttentionOnly], dict[str, Any]]], recipe: Recipe, folder: Path
) -> None:
    """Write the models and records of further seeds to `seed-1` and so on in `folder`."""
    for run, record in runs:
        seed_folder = folder / f"seed-{record['seed']}"
        save_model(run.model, seed_folder)
        (seed_folder / "training.json").write_text(json.dumps(record) + "\n", encoding="utf-8")
        _save_text_files(recipe, seed_folder)


def save_hugging_face(model: SmallHuggingFace, folder: Path, dtype: torch.dtype) -> None:
    """Write weights and config in Hugging Face format. The model stays as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    # A copy: rotary frequencies, which are not weights, would not survive a cast to half precision.
    stored = copy.deepcopy(model.hf).to(dtype)
    with without_progress_bars():
        stored.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
