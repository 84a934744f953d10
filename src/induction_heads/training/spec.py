"""The description of a model of a sweep: sizes, data, a seed, a length, a name."""

from torch import nn

from induction_heads.data.tokens import Sampler
from induction_heads.training.run import Settings


class SweptModel:
    """The description of a model to train and measure. Its subclasses are frozen dataclasses."""

    n_layers: int
    n_heads: int
    seed: int
    steps: int
    snapshots: int
    data: str
    smeared: bool

    @property
    def group(self) -> str:
        """The name without the seed: what differs from other models of the family."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """The name in tables and figures: group and seed, as in `2l-2h-64-tiled-s0`."""
        return f"{self.group}-s{self.seed}"

    @property
    def data_words(self) -> str:
        """A description of its training data."""
        raise NotImplementedError

    def settings(self) -> Settings:
        """Its hyperparameters."""
        raise NotImplementedError

    def sampler(self) -> Sampler:
        """Draws batches of its training rows."""
        raise NotImplementedError

    def new_model(self) -> nn.Module:
        """The untrained model."""
        raise NotImplementedError

    def cost(self) -> float:
        """A rough estimate of its CPU-seconds, for sharing out the work and the time left."""
        raise NotImplementedError
