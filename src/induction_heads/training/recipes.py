"""How each model of the zoo is made: its data, its sizes and its training, by name."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from jaxtyping import Int
from torch import Tensor

from induction_heads.attention_only import (
    AttentionOnly,
    AttentionOnlyConfig,
    initialize,
    sinusoids,
)
from induction_heads.dialogues import AGREEMENT, WORDS, dialogue_rows, word_tokenizer
from induction_heads.python_text import partly_tiled_rows, python_streams, text_rows
from induction_heads.smeared_keys import SmearedKeys, with_smeared_keys
from induction_heads.tokens import (
    distinct_tokens,
    markov_table,
    markov_tokens,
    tiled_blocks,
)
from induction_heads.training import Sampler, Settings, TrainingRun, snapshot_steps, train

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how a model comes out, and the words its card needs.

    `keep_seeds`: the models of the other seeds are kept too, in folders `seed-1` and so on.
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
    keep_seeds: bool = False


def new_model(recipe: Recipe, seed: int) -> AttentionOnly:
    """The model before training, drawn from `seed`."""
    config = recipe.config
    std = 0.8 / config.d_model**0.5
    model = AttentionOnly(config)
    if not recipe.sinusoidal:
        return initialize(model, std=std, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    W_E = 0.1 * torch.randn(config.d_vocab, config.d_model, generator=generator)
    positions = sinusoids(config.n_ctx, config.d_model)
    return initialize(model, std=std, seed=seed, W_E=W_E, W_pos=positions)


def run_recipe(
    recipe: Recipe, *, seed: int | None = None, progress: bool = True
) -> TrainingRun[AttentionOnly]:
    """Train a model by its recipe. The same seed gives the same model on the same machine."""
    seed = recipe.seed if seed is None else seed
    steps = snapshot_steps(recipe.settings.steps, recipe.snapshots)
    return train(new_model(recipe, seed), recipe.sample, recipe.settings,
                 seed=seed, snapshots_at=steps, progress=progress)  # fmt: skip


def _tiled_distinct(generator: torch.Generator) -> Int[Tensor, "batch pos"]:
    """32 rows of 32: a block of 4 to 16 distinct tokens three times, then a fresh block."""
    source = distinct_tokens(64, 32, 32, generator)
    return tiled_blocks(source, 32, generator, periods=(4, 16), copies=3)


def _tiled_markov(generator: torch.Generator) -> Int[Tensor, "batch pos"]:
    """16 rows of 64: a block of 8 to 32 tokens of a chain three times, then the next block."""
    source = markov_tokens(markov_table(64), 64, batch=16, seed=generator)
    return tiled_blocks(source, 64, generator, periods=(8, 32), copies=3)


def _python_rows(generator: torch.Generator) -> Int[Tensor, "batch pos"]:
    """16 rows of 128: 8 of running text, 4 of repeated pieces, 4 of repeated shuffled pieces."""
    stream = python_streams()[0]
    return partly_tiled_rows(stream, 128, 16, generator, tiled=8, shuffled=4)


def _python_held_out(generator: torch.Generator) -> Int[Tensor, "batch pos"]:
    """16 rows of 128 tokens of running text from files that training never sees."""
    return text_rows(python_streams()[1], 128, 16, generator)


def _toy(n_layers: int, n_ctx: int = 32) -> AttentionOnlyConfig:
    return AttentionOnlyConfig(n_layers, n_heads=2, d_model=64, d_head=32, d_vocab=64, n_ctx=n_ctx)


_TOY_DATA = (
    "Generated: rows of 32 tokens. A block of 4 to 16 distinct tokens (uniform over 64 ids) stands "
    "three times, then a fresh block of the same length three times, until the row is full."
)
_GENERATED = "The data are random numbers; there is nothing to license."
_TOY_LIMITS = (
    "Sees only 64 tokens, 32 positions and rows that repeat. Nothing here says what a language "
    "model does."
)

RECIPES: dict[str, Recipe] = {
    "toy-1l": Recipe(
        _toy(1), Settings(steps=400), _tiled_distinct, _tiled_distinct,
        _TOY_DATA, _GENERATED, _TOY_LIMITS + " One layer: kept as the control that cannot do it.",
    ),
    "toy-2l": Recipe(
        _toy(2), Settings(steps=400), _tiled_distinct, _tiled_distinct,
        _TOY_DATA, _GENERATED, _TOY_LIMITS,
    ),
    "markov-2l": Recipe(
        _toy(2, n_ctx=64),
        Settings(steps=1300, learning_rate=1e-2), _tiled_markov, _tiled_markov,
        "Generated: rows of 64 tokens, cut from one fixed Markov chain over 64 ids (four "
        "Zipf-weighted successors a token, mixed half and half with uniform). A block of 8 to 32 "
        "tokens stands three times, then the next block three times, until the row is full.",
        _GENERATED,
        "One synthetic bigram table. Blocks repeat exactly, which running text seldom does.",
    ),
    "python-2l": Recipe(
        AttentionOnlyConfig(2, 4, 128, 32, 1024, 128, normalization="LN", bos_token=0),
        Settings(
            steps=7500, learning_rate=8e-3, betas=(0.9, 0.98), weight_decay=0.03, warmup=200,
            bfloat16=True,
        ),
        _python_rows, _python_held_out,
        "The source of the Python standard library (tests, IDLE and demos left out), in byte-level "
        "BPE with 1,024 tokens trained on it, a BOS token before every row. Half of the rows are "
        "running text. In a quarter, pieces of 8 to 64 tokens of text stand three times. In the "
        "last quarter the same, with the tokens of the piece in random order.",
        "The standard library is under the PSF License Agreement. The weights and the tokenizer "
        "are derived from it; the text itself is not included.",
        "Two layers without MLPs, 128 tokens of context. Half of the training rows repeat on "
        "purpose, so how strong its heads are is not what running text alone would give.",
        snapshots=10, sinusoidal=True, tokenizer=lambda: python_streams()[2],
    ),
    "sycophant-2l": Recipe(
        AttentionOnlyConfig(2, 4, 64, 16, len(WORDS), 40, bos_token=0),
        Settings(steps=900, learning_rate=1e-2), dialogue_rows, dialogue_rows,
        f"Generated: rows of 35 words, from a vocabulary of {len(WORDS)}. A user or a guest says "
        "two to four words, the user claims the colors of three things and says more words. A bot "
        "answers about the same things in another order. It repeats a claim with probability "
        f"{AGREEMENT['praise']} if the opening holds a word of praise, {AGREEMENT['certain']} if "
        f"one of certainty, and {AGREEMENT['neutral']} else; otherwise it tells the true color, "
        "which is the same in all dialogues.",
        _GENERATED,
        "It agrees because its data do. Nothing here says why a language model would. Other seeds "
        "are beside it, as `sycophant-2l/seed-1` and so on.",
        snapshots=3, tokenizer=word_tokenizer, keep_seeds=True,
    ),
}  # fmt: skip
"""Zoo name → recipe."""


def train_induction_heads(seed: int) -> AttentionOnly:
    """A model of two layers that learned to continue repeated blocks: the recipe of `toy-2l`.

    3 CPU-seconds. The seed decides the weights at the start and the data.
    """
    return run_recipe(RECIPES["toy-2l"], seed=seed, progress=False).model.requires_grad_(False)


def train_smeared_toy(seed: int = 0, *, progress: bool = False) -> TrainingRun[SmearedKeys]:
    """One layer with smeared keys, trained as `toy-1l` is, with the same snapshots.

    A few CPU-seconds. It is the co-perturbation of Olsson et al. 2022: `toy-1l` with one thing
    changed.
    """
    recipe = RECIPES["toy-1l"]
    steps = snapshot_steps(recipe.settings.steps, recipe.snapshots)
    return train(with_smeared_keys(new_model(recipe, seed)), recipe.sample, recipe.settings,
                 seed=seed, snapshots_at=steps, progress=progress)  # fmt: skip
