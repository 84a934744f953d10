"""What every model of a sweep has, whatever it is trained on: sizes, a seed, a length, a name."""

from torch import nn

from induction_heads.training import Sampler, Settings


class SweptModel:
    """The description of one model to train and measure. Its descendants are frozen dataclasses."""

    n_layers: int
    n_heads: int
    seed: int
    steps: int
    snapshots: int
    data: str
    smeared: bool

    @property
    def group(self) -> str:
        """All that tells it from other models of its family but the seed."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """The name in tables and figures: the group and the seed, as in `2l-2h-64-tiled-s0`."""
        return f"{self.group}-s{self.seed}"

    @property
    def data_words(self) -> str:
        """Its training data in words."""
        raise NotImplementedError

    def settings(self) -> Settings:
        """How it is trained."""
        raise NotImplementedError

    def sampler(self) -> Sampler:
        """Draws batches of its training rows."""
        raise NotImplementedError

    def new_model(self) -> nn.Module:
        """The model before training."""
        raise NotImplementedError

    def cost(self) -> float:
        """A rough guess of its CPU-seconds, to share out the work and tell what is left."""
        raise NotImplementedError
