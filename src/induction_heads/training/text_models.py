"""A family of models trained on real text, most of them one change away from a plain recipe.

The text is the source of the Python standard library. All models but `python-2l` and the same model
in the GPT-2 architecture see 6.1 million tokens (2,048 per step) at the same learning rate.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import nn

from induction_heads.data.python_text import partly_tiled_rows, python_streams
from induction_heads.data.tokens import Sampler
from induction_heads.models.attention_only import AttentionOnly, AttentionOnlyConfig
from induction_heads.models.rotary_positions import with_rotary_positions
from induction_heads.models.small_hugging_face import BOS_TOKEN, new_small_model
from induction_heads.training.initial_weights import initialized
from induction_heads.training.run import Settings
from induction_heads.training.spec import SweptModel

TOKENS_A_STEP = 2048
"""Rows times positions of a batch, whatever the length of a row."""

TILED = {"none": (0, 0), "eighth": (1 / 8, 0), "half": (1 / 2, 1 / 4)}
"""Name → share of rows in which passages appear three times, share with shuffled passages."""


@dataclass(frozen=True)
class TextVariant(SweptModel):
    """One model of the family: its architecture, its data, its seed and its training.

    `positions` start as sinusoidal or random and are then trained, or are rotary.
    """

    n_layers: int = 2
    n_heads: int = 4
    d_model: int = 128
    d_head: int = 32
    n_ctx: int = 128
    d_vocab: int = 1024
    tiled: str = "eighth"
    positions: str = "sinusoidal"
    normalization: str | None = "LN"
    architecture: str = "attention-only"
    seed: int = 0
    steps: int = 3000
    learning_rate: float = 4e-3
    weight_decay: float = 0.01
    snapshots: int = 16

    @property
    def group(self) -> str:
        """How it differs from the plain recipe: `plain`, `no-tiling`, `context-64`, …"""
        differs = [
            words
            for (name, value), words in DIFFERENCES.items()
            if getattr(self, name) == value != getattr(PLAIN, name)
        ]
        return "-".join(differs) or "plain"

    @property
    def data(self) -> str:
        """The name of its data, after the share of tiled rows."""
        return self.tiled

    @property
    def data_words(self) -> str:
        """A description of its training data."""
        return DATA_WORDS[self.tiled]

    @property
    def bos_token(self) -> int | None:
        """The token before every row, or None."""
        return BOS_TOKEN.get(self.architecture, 0)

    @property
    def smeared(self) -> bool:
        """False: no model of this family has smeared keys."""
        return False

    def settings(self) -> Settings:
        """The settings of `python-2l`, with its own steps, learning rate and weight decay."""
        return Settings(
            steps=self.steps,
            learning_rate=self.learning_rate,
            betas=(0.9, 0.98),
            weight_decay=self.weight_decay,
            warmup=200,
            bfloat16=True,
        )

    def new_model(self) -> nn.Module:
        """The untrained model."""
        sizes = (self.n_layers, self.n_heads, self.d_model)
        if self.architecture != "attention-only":
            return new_small_model(
                self.architecture, *sizes, self.d_vocab, self.n_ctx, seed=self.seed
            )
        config = AttentionOnlyConfig(
            *sizes, self.d_head, self.d_vocab, self.n_ctx, self.normalization, bos_token=0
        )
        sinusoidal = self.positions != "random"
        model = initialized(
            AttentionOnly(config), self.seed, small_embedding=True, sinusoidal=sinusoidal
        )
        return with_rotary_positions(model) if self.positions == "rotary" else model

    def sampler(self) -> Sampler:
        """Draws batches of its training rows."""
        stream, batch = python_streams(self.d_vocab)[0], TOKENS_A_STEP // self.n_ctx
        tiled, shuffled = (round(share * batch) for share in TILED[self.tiled])
        return lambda generator: partly_tiled_rows(
            stream,
            self.n_ctx,
            batch,
            generator,
            tiled=tiled,
            shuffled=shuffled,
            bos_token=self.bos_token,
        )

    def cost(self) -> float:
        """A rough estimate of its CPU-seconds, measured on one core of a small server."""
        size = self.d_vocab + self.n_layers * (700 + self.n_ctx)
        size *= 1.0 if self.architecture == "attention-only" else 1.5
        return self.steps * size / 95_000 + 1.5 * self.snapshots


PLAIN = TextVariant()
"""The recipe that every other one is compared with."""

DIFFERENCES = {
    ("weight_decay", 0.03): "python-2l",
    ("n_layers", 1): "one-layer",
    ("architecture", "gpt2"): "gpt2",
    ("architecture", "llama"): "llama",
    ("architecture", "neox"): "pythia",
    ("tiled", "none"): "no-tiling",
    ("positions", "random"): "random-positions",
    ("positions", "rotary"): "rotary",
    ("n_ctx", 64): "context-64",
    ("n_ctx", 256): "context-256",
    ("d_vocab", 2048): "vocabulary-2048",
    ("normalization", None): "no-layer-norm",
}
"""(Field, value) → the name of the difference."""

DATA_WORDS = {
    "none": "running text",
    "eighth": "running text; in an eighth of the rows pieces of the text appear three times",
    "half": "half running text; in a quarter of the rows pieces of the text appear three times, in "
    "a quarter the same with the tokens of a piece in random order",
}
"""Name in `TILED` → description."""

_PYTHON_2L = replace(
    PLAIN, tiled="half", steps=7500, learning_rate=8e-3, weight_decay=0.03, snapshots=25
)

_GPT2 = replace(_PYTHON_2L, architecture="gpt2", learning_rate=4e-3, snapshots=12)

_FOUR_LAYERS = replace(_GPT2, n_layers=4, steps=5000)

_COMPARED = (
    replace(PLAIN, tiled="none"),
    replace(PLAIN, positions="random"),
    replace(PLAIN, tiled="none", positions="random"),
    replace(PLAIN, positions="rotary"),
    replace(PLAIN, n_ctx=64),
    replace(PLAIN, n_ctx=256),
    replace(PLAIN, d_vocab=2048),
    replace(PLAIN, normalization=None),
    replace(PLAIN, n_layers=1),
)


def _seeds(variant: TextVariant, count: int) -> Sequence[TextVariant]:
    return [replace(variant, seed=seed) for seed in range(count)]


TEXT: tuple[TextVariant, ...] = (
    *_seeds(_PYTHON_2L, 5),
    _GPT2,
    *_seeds(PLAIN, 3),
    *(variant for compared in _COMPARED for variant in _seeds(compared, 2)),
)
"""`python-2l` with five seeds and once in the GPT-2 architecture; the plain recipe with three
seeds; nine recipes that differ from it in one or two settings, each with two of these seeds."""

TEXT_ZOO = {
    "gpt2-2l": _GPT2,
    "llama-4l": replace(_FOUR_LAYERS, architecture="llama"),
    "pythia-4l": replace(_FOUR_LAYERS, architecture="neox"),
}
"""Zoo name → model. Only `gpt2-2l` is in `TEXT` and so part of the sweep."""
