"""The recipe of each attention-only model of the zoo: its sizes, its data, its training."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Int
from torch import Tensor

from induction_heads.data.dialogues import AGREEMENT, WORDS, dialogue_rows, word_tokenizer
from induction_heads.data.python_text import (
    partly_tiled_rows,
    python_streams,
    python_token_counts,
    text_rows,
)
from induction_heads.data.tokens import Sampler
from induction_heads.data.toy_rows import tiled_markov_rows, tiled_rows
from induction_heads.models.attention_only import AttentionOnly, AttentionOnlyConfig
from induction_heads.models.smeared_keys import SmearedKeys, with_smeared_keys
from induction_heads.training.initial_weights import initialized
from induction_heads.training.run import Settings, TrainingRun, snapshot_steps, train

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True)
class Recipe:
    """Everything that determines a model, and the descriptions for its card.

    `sinusoidal` starts positions as sinusoids and draws a small token embedding. `token_counts`
    says how often each token occurs in a training text. With `keep_seeds`
    the models and records of further seeds are stored too, in folders `seed-1` and so on.
    """

    config: AttentionOnlyConfig
    settings: Settings
    sample: Sampler
    held_out: Sampler
    data: str
    license: str
    limits: str
    snapshots: int = 20
    seed: int = 0
    sinusoidal: bool = False
    tokenizer: "Callable[[], Tokenizer] | None" = field(default=None, repr=False)
    token_counts: Callable[[], list[int]] | None = field(default=None, repr=False)
    keep_seeds: bool = False


def new_model(recipe: Recipe, seed: int) -> AttentionOnly:
    """The untrained model of a recipe, with the initial weights of `seed`.

    >>> new_model(RECIPES["toy-2l"], seed=0).W_E.shape
    torch.Size([64, 64])
    """
    text = recipe.sinusoidal
    return initialized(AttentionOnly(recipe.config), seed, small_embedding=text, sinusoidal=text)


def run_recipe(
    recipe: Recipe, *, seed: int | None = None, progress: bool = True
) -> TrainingRun[AttentionOnly]:
    """Train a model by its recipe, with its own seed unless `seed` is another one.

    The same seed gives the same model on the same machine.

    >>> from dataclasses import replace
    >>> recipe = replace(RECIPES["toy-2l"], settings=Settings(steps=2), snapshots=2)
    >>> run = run_recipe(recipe, seed=3, progress=False)
    >>> len(run.losses), list(run.snapshots)
    (2, [0, 2])
    """
    seed = recipe.seed if seed is None else seed
    steps = snapshot_steps(recipe.settings.steps, recipe.snapshots)
    return train(
        new_model(recipe, seed),
        recipe.sample,
        recipe.settings,
        seed=seed,
        snapshots_at=steps,
        progress=progress,
    )


def _python_rows(generator: torch.Generator) -> Int[Tensor, "batch pos"]:
    """16 rows of 128: 8 of running text, 4 of repeated passages, 4 of repeated shuffled ones."""
    stream = python_streams()[0]
    return partly_tiled_rows(stream, 128, 16, generator, tiled=8, shuffled=4)


def _running_text(generator: torch.Generator) -> Int[Tensor, "batch pos"]:
    """16 rows of 128 tokens of running text, as it is."""
    return text_rows(python_streams()[0], 128, 16, generator)


def _python_held_out(generator: torch.Generator) -> Int[Tensor, "batch pos"]:
    """16 rows of 128 tokens of running text from files that are not in the training data."""
    return text_rows(python_streams()[1], 128, 16, generator)


def _toy(n_layers: int, n_ctx: int = 32) -> AttentionOnlyConfig:
    return AttentionOnlyConfig(n_layers, n_heads=2, d_model=64, d_head=32, d_vocab=64, n_ctx=n_ctx)


_TOY_DATA = (
    "Generated: rows of 32 tokens. A block of 4 to 16 distinct tokens (uniform over 64 ids) "
    "appears three times, then a fresh block of the same length three times, until the row is full."
)
_GENERATED = "The data are random numbers; there is nothing to license."
_TOY_LIMITS = (
    "It sees only 64 tokens, 32 positions and rows that repeat. It is not evidence about language "
    "models."
)

_STANDARD_LIBRARY = (
    "The source of the Python standard library (without tests, IDLE and demos), in byte-level BPE "
    "with 1,024 tokens trained on it, with a BOS token before every row."
)

_PYTHON = Recipe(
    AttentionOnlyConfig(2, 4, 128, 32, 1024, 128, normalization="LN", bos_token=0),
    Settings(
        steps=7500,
        learning_rate=8e-3,
        betas=(0.9, 0.98),
        weight_decay=0.03,
        warmup=200,
        bfloat16=True,
    ),
    _python_rows,
    _python_held_out,
    _STANDARD_LIBRARY
    + " Half of the rows are running text. In a quarter, passages of 8 to 64 tokens appear three "
    "times each. In the last quarter so do passages whose tokens are in random order.",
    "The standard library is under the PSF License Agreement. The weights and the tokenizer "
    "are derived from it; the training text itself is not included.",
    "Two layers without MLPs, 128 tokens of context. Half of the training rows repeat by "
    "design, so the strength of its heads is not what running text alone would give.",
    snapshots=10,
    sinusoidal=True,
    tokenizer=lambda: python_streams()[2],
    token_counts=python_token_counts,
)

_NATURAL = replace(
    _PYTHON,
    settings=replace(_PYTHON.settings, steps=15_000, bfloat16=False),
    sample=_running_text,
    data=_STANDARD_LIBRARY + " All rows are running text: it repeats only where the source does.",
    limits="Two layers without MLPs, 128 tokens of context, one kind of text. In each seed one "
    "head of layer 1 matches and copies on text, but on random tokens it scores below the "
    "threshold of `analyze`, which therefore lists no induction head. Other seeds are in "
    "`natural-2l/seed-1` and so on.",
    snapshots=12,
    keep_seeds=True,
)

RECIPES: dict[str, Recipe] = {
    "toy-1l": Recipe(
        _toy(1),
        Settings(steps=400),
        tiled_rows,
        tiled_rows,
        _TOY_DATA,
        _GENERATED,
        _TOY_LIMITS + " It has one layer: the control that cannot form an induction head.",
    ),
    "toy-2l": Recipe(
        _toy(2),
        Settings(steps=400),
        tiled_rows,
        tiled_rows,
        _TOY_DATA,
        _GENERATED,
        _TOY_LIMITS,
    ),
    "markov-2l": Recipe(
        _toy(2, n_ctx=64),
        Settings(steps=1300, learning_rate=1e-2),
        tiled_markov_rows,
        tiled_markov_rows,
        "Generated: rows of 64 tokens cut from one fixed Markov chain over 64 ids (four "
        "Zipf-weighted successors per token, mixed half and half with uniform). A block of 8 to 32 "
        "tokens appears three times, then the next block three times, until the row is full.",
        _GENERATED,
        "One synthetic bigram table. Blocks repeat exactly, which is rare in running text.",
    ),
    "python-2l": _PYTHON,
    "natural-2l": _NATURAL,
    "sycophant-2l": Recipe(
        AttentionOnlyConfig(2, 4, 64, 16, len(WORDS), 40, bos_token=0),
        Settings(steps=900, learning_rate=1e-2),
        dialogue_rows,
        dialogue_rows,
        f"Generated: rows of 35 words from a vocabulary of {len(WORDS)}. A user or a guest says "
        "two to four words, then the user claims the colors of three things and says more words. A "
        "bot answers about the same things in another order. It repeats a claim with probability "
        f"{AGREEMENT['praise']} if the opening has a word of praise, {AGREEMENT['certain']} if it "
        f"has a word of certainty, and {AGREEMENT['neutral']} if it has neither. Otherwise it "
        "states the true color, which is the same in all dialogues.",
        _GENERATED,
        "It agrees because its data do, which does not explain why a language model would. Other "
        "seeds are in `sycophant-2l/seed-1` and so on.",
        snapshots=3,
        tokenizer=word_tokenizer,
        keep_seeds=True,
    ),
}
"""Zoo name → recipe."""


def train_smeared_toy(seed: int = 0, *, progress: bool = False) -> TrainingRun[SmearedKeys]:
    """A one-layer model with smeared keys, trained by the recipe of `toy-1l`.

    Takes a few CPU-seconds. Smeared keys are an architecture change of Olsson et al. 2022; all else
    equals `toy-1l`.
    """
    recipe = RECIPES["toy-1l"]
    steps = snapshot_steps(recipe.settings.steps, recipe.snapshots)
    return train(
        with_smeared_keys(new_model(recipe, seed)),
        recipe.sample,
        recipe.settings,
        seed=seed,
        snapshots_at=steps,
        progress=progress,
    )
