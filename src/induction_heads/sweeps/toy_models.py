"""Families of models to sweep: which models there are, how each is trained and on which data."""

from dataclasses import dataclass, replace
from functools import partial

from induction_heads.attention_only import AttentionOnly, AttentionOnlyConfig, initialize
from induction_heads.data_kinds import KINDS, STEPS
from induction_heads.recipes import RECIPES
from induction_heads.smeared_keys import with_smeared_keys
from induction_heads.swept_model import SweptModel
from induction_heads.training import Sampler, Settings
from induction_heads.training_data import D_VOCAB, Data, one_copy_rows, random_rows, tiled_rows

DATA = {
    "tiled": Data(
        32, 32, RECIPES["toy-2l"].sample,
        "a block of 4 to 16 distinct tokens three times, then a fresh block three times",
    ),
    "noisy": Data(
        32, 32, partial(tiled_rows, noise=0.1),
        "as tiled, then one token in ten replaced by a random one",
    ),
    "one-copy": Data(
        32, 32, one_copy_rows,
        "a block of 8 to 16 distinct tokens twice, then tokens that do not repeat",
    ),
    "random": Data(
        32, 32, random_rows, "independent random tokens: the control that teaches nothing",
    ),
    "markov": Data(
        64, 16, RECIPES["markov-2l"].sample,
        "a block of 8 to 32 tokens of a Markov chain three times, then the next block three times",
    ),
    **KINDS,
}  # fmt: skip
"""Name → training data."""


@dataclass(frozen=True)
class Variant(SweptModel):
    """One model of a family: its sizes, its data, its seed and its training.

    The seed decides the weights at the start and the order of the data. A model with smeared keys
    starts from the same weights as its sibling without.
    """

    n_layers: int = 2
    n_heads: int = 2
    d_model: int = 64
    d_head: int = 32
    data: str = "tiled"
    smeared: bool = False
    seed: int = 0
    steps: int = 400
    learning_rate: float = 2e-2
    snapshots: int = 25

    @property
    def group(self) -> str:
        """All that tells a variant from the others but its seed, as in `2l-2h-64-tiled`."""
        smeared = "-smeared" if self.smeared else ""
        return f"{self.n_layers}l-{self.n_heads}h-{self.d_model}-{self.data}{smeared}"

    @property
    def data_words(self) -> str:
        """Its training data in words."""
        return DATA[self.data].words

    def config(self) -> AttentionOnlyConfig:
        """The sizes of the model."""
        return AttentionOnlyConfig(
            self.n_layers, self.n_heads, self.d_model, self.d_head, D_VOCAB, DATA[self.data].n_pos
        )

    def settings(self) -> Settings:
        """How it is trained: as the toys of the zoo, but for length and learning rate."""
        return Settings(steps=self.steps, learning_rate=self.learning_rate)

    def sampler(self) -> Sampler:
        """Draws batches of its training rows."""
        return DATA[self.data].sample

    def new_model(self) -> AttentionOnly:
        """The model before training."""
        std = 0.8 / self.d_model**0.5
        model = initialize(AttentionOnly(self.config()), std=std, seed=self.seed)
        return with_smeared_keys(model) if self.smeared else model

    def cost(self) -> float:
        """A rough guess of the CPU-seconds it takes, to share out the work and tell what is left.

        Measured on one core of a small server: a fixed time for each multiplication and addition
        of the training, for each layer in a step, for each snapshot and for each head in one.
        """
        data, width = DATA[self.data], self.n_heads * self.d_head
        a_token = self.n_layers * width * (4 * self.d_model + 2 * data.n_pos)
        a_token += self.d_model * D_VOCAB
        tokens = 6 * self.steps * data.batch * data.n_pos
        heads = self.n_layers * self.n_heads
        training = 1.2e-11 * tokens * a_token + 1.5e-3 * self.steps * self.n_layers
        return training + self.snapshots * (0.02 + 0.009 * heads)


_GROUPS = (
    *(Variant(n_layers=n) for n in (1, 2, 3)),
    *(Variant(n_layers=n, smeared=True) for n in (1, 2)),
    *(Variant(n_heads=n, d_head=64 // n) for n in (1, 4, 8)),
    Variant(d_model=32, d_head=16),
    Variant(d_model=128, n_heads=4, learning_rate=1e-2),
    *(Variant(data=name) for name in ("noisy", "one-copy", "random")),
    *(Variant(n_layers=n, data="markov", steps=1300, learning_rate=1e-2) for n in (1, 2)),
)

REPLICATION: tuple[Variant, ...] = tuple(
    replace(variant, seed=seed) for variant in _GROUPS for seed in range(4)
)
"""Sixty small models, 15 kinds with four seeds each, in the spirit of Olsson et al. 2022.

Theirs are 34 models of 1 to 40 layers, most of them trained on text; these are toys.
"""

_KINDS_OF_DATA = ("tiled", "noisy", "one-copy", "random", *KINDS)

DATA_FAMILY: tuple[Variant, ...] = tuple(
    Variant(data=name, seed=seed, steps=STEPS.get(name, 400),
            snapshots=25 if name == "tiled" or name.startswith("context") else 13)
    for name in _KINDS_OF_DATA for seed in range(3)
)  # fmt: skip
"""Two-layer toys on other data, three seeds each: noise, repeats, frequencies, order, context."""

_BRIEFLY = Variant(steps=60, snapshots=4)

TRIAL: tuple[Variant, ...] = (
    replace(_BRIEFLY, n_layers=1),
    _BRIEFLY,
    replace(_BRIEFLY, n_layers=1, smeared=True),
    replace(_BRIEFLY, n_layers=3),
    replace(_BRIEFLY, seed=1),
)
"""Five models that are hardly trained: to see the machinery work within seconds."""
