"""The families of toys: which models there are, and how each is trained and on which data."""

from dataclasses import dataclass, replace

from induction_heads.data.tokens import Sampler
from induction_heads.data.toy_rows import D_VOCAB, DATA_KINDS
from induction_heads.models.attention_only import AttentionOnly, AttentionOnlyConfig
from induction_heads.models.smeared_keys import with_smeared_keys
from induction_heads.training.initial_weights import initialized
from induction_heads.training.run import Settings
from induction_heads.training.spec import SweptModel


@dataclass(frozen=True)
class ToyVariant(SweptModel):
    """One toy: its sizes, its data, its seed and its training.

    The seed decides the initial weights and the data. A model with smeared keys starts from the
    same weights as the one without.
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
        """The name without the seed, as in `2l-2h-64-tiled`."""
        smeared = "-smeared" if self.smeared else ""
        return f"{self.n_layers}l-{self.n_heads}h-{self.d_model}-{self.data}{smeared}"

    @property
    def data_words(self) -> str:
        """A description of its training data."""
        return DATA_KINDS[self.data].words

    def config(self) -> AttentionOnlyConfig:
        """The sizes of the model."""
        return AttentionOnlyConfig(
            self.n_layers,
            self.n_heads,
            self.d_model,
            self.d_head,
            D_VOCAB,
            DATA_KINDS[self.data].n_pos,
        )

    def settings(self) -> Settings:
        """The settings of the toys of the zoo, with its own length and learning rate."""
        return Settings(steps=self.steps, learning_rate=self.learning_rate)

    def sampler(self) -> Sampler:
        """Draws batches of its training rows."""
        return DATA_KINDS[self.data].sample

    def new_model(self) -> AttentionOnly:
        """The untrained model."""
        model = initialized(AttentionOnly(self.config()), self.seed)
        return with_smeared_keys(model) if self.smeared else model

    def cost(self) -> float:
        """A rough estimate of its CPU-seconds, for sharing out the work and the time left.

        Measured on one core of a small server: a fixed time for each multiplication and addition
        of the training, for each layer in a step, for each snapshot, and for each head in one.
        """
        data, width = DATA_KINDS[self.data], self.n_heads * self.d_head
        per_token = self.n_layers * width * (4 * self.d_model + 2 * data.n_pos)
        per_token += self.d_model * D_VOCAB
        tokens = 6 * self.steps * data.batch * data.n_pos
        heads = self.n_layers * self.n_heads
        training = 1.2e-11 * tokens * per_token + 1.5e-3 * self.steps * self.n_layers
        return training + self.snapshots * (0.02 + 0.009 * heads)


_GROUPS = (
    *(ToyVariant(n_layers=n) for n in (1, 2, 3)),
    *(ToyVariant(n_layers=n, smeared=True) for n in (1, 2)),
    *(ToyVariant(n_heads=n, d_head=64 // n) for n in (1, 4, 8)),
    ToyVariant(d_model=32, d_head=16),
    ToyVariant(d_model=128, n_heads=4, learning_rate=1e-2),
    *(ToyVariant(data=name) for name in ("noisy", "one-copy", "random")),
    *(ToyVariant(n_layers=n, data="markov", steps=1300, learning_rate=1e-2) for n in (1, 2)),
)

REPLICATION: tuple[ToyVariant, ...] = tuple(
    replace(variant, seed=seed) for variant in _GROUPS for seed in range(4)
)
"""Sixty toys, 15 kinds with four seeds each, in the spirit of Olsson et al. 2022.

Theirs are 34 models of 1 to 40 layers, most of them trained on text.
"""

LONGER = {
    "noise-15": 1200,
    "rows-50": 1200,
    "zipf-15-tiled": 1200,
    "context-48-tokens": 800,
    "context-64-rows": 800,
    "context-64-tokens": 1200,
}
"""Data → steps, where 400 steps might be too few for induction heads to form."""

DATA_FAMILY: tuple[ToyVariant, ...] = tuple(
    ToyVariant(
        data=name,
        seed=seed,
        steps=LONGER.get(name, 400),
        snapshots=25 if name == "tiled" or name.startswith("context") else 13,
    )
    for name in DATA_KINDS
    if name != "markov"  # Part of the replication.
    for seed in range(3)
)
"""Two-layer toys on other data, three seeds each: noise, repeats, frequencies, order, context."""

_BRIEFLY = ToyVariant(steps=60, snapshots=4)

TRIAL: tuple[ToyVariant, ...] = (
    replace(_BRIEFLY, n_layers=1),
    _BRIEFLY,
    replace(_BRIEFLY, n_layers=1, smeared=True),
    replace(_BRIEFLY, n_layers=3),
    replace(_BRIEFLY, seed=1),
)
"""Five models that are barely trained, to test the command within seconds."""
