"""The families of models to sweep, by name: their models, their measurements, their pages."""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from induction_heads.interp.formation import ModelRecord
from induction_heads.sweeps import toy_record
from induction_heads.sweeps.toy_models import DATA_FAMILY, REPLICATION, TRIAL
from induction_heads.training import text_record
from induction_heads.training.run import snapshot_steps
from induction_heads.training.spec import SweptModel
from induction_heads.training.text_models import TEXT


@dataclass(frozen=True)
class Family:
    """Models that are swept together, their measurements, and the text of their page.

    `record` trains and measures a model. Each head of a snapshot is ablated `ablations_per_head`
    times. `named_for`, `measured` and `limits` are sentences for the page.
    """

    models: Sequence[SweptModel]
    record: Callable[[Any], ModelRecord]
    ablations_per_head: int
    named_for: str
    measured: str
    limits: str

    def planned_ablations(self, model: SweptModel) -> int:
        """The number of ablations of a model, if its training does not diverge."""
        steps = snapshot_steps(model.steps, model.snapshots)
        return model.n_layers * model.n_heads * len(steps) * self.ablations_per_head

    def sample(self, share: float) -> "Family":
        """A fixed share of the models, at least one, chosen by a hash of their names.

        Raises ValueError unless 0 < share ≤ 1.
        """
        if not 0 < share <= 1:
            raise ValueError(f"Got a share of {share}. Use a share above 0 and up to 1.")
        ordered = sorted(self.models, key=lambda m: hashlib.sha256(m.name.encode()).hexdigest())
        names = {model.name for model in ordered[: math.ceil(share * len(ordered))]}
        return replace(self, models=tuple(m for m in self.models if m.name in names))


_TOY_MEASURED = (
    f"Every head of every snapshot is ablated {toy_record.ABLATIONS_PER_HEAD} times: on two "
    f"batches of {toy_record.ROWS} rows with two copies of a random block of each length in "
    f"{toy_record.PERIODS}, and on as many controls with a different second block. "
)
_TEXT_MEASURED = (
    f"Every head of every snapshot is ablated {text_record.ABLATIONS_PER_HEAD} times: on "
    f"{text_record.ROWS} rows with two copies of a random block of each length in "
    f"{text_record.PERIODS}, on as many controls with a different second block, and on "
    f"{text_record.NATURAL_BATCHES} batches of held-out text. "
)
_IN_COMMON = (
    "The effect is the rise of the loss on the second block from its second token on. The "
    "in-context-learning score is the loss over the last quarter of a row minus the loss over its "
    "first quarter."
)
_HIDDEN = (
    " Two heads that do the same work mask each other: a head whose ablation costs little may "
    "still do something. A formation step is only known up to the distance between two snapshots."
)


def _toys(models: Sequence[SweptModel]) -> Family:
    limits = "These are toys on generated data. They do not show when induction heads form in a "
    return Family(
        models,
        toy_record.model_record,
        toy_record.ABLATIONS_PER_HEAD,
        "A group is named after layers, heads, width (d_model), data and smeared keys.",
        _TOY_MEASURED + _IN_COMMON,
        limits + "language model." + _HIDDEN,
    )


_SMALL_TEXT = (
    "These models have one or two layers and a context of at most 256 tokens, and the text is "
    "source code, which repeats more than prose. Most kinds have two seeds."
)

FAMILIES = {
    "data": _toys(DATA_FAMILY),
    "replication": _toys(REPLICATION),
    "text": Family(
        TEXT,
        text_record.text_record,
        text_record.ABLATIONS_PER_HEAD,
        "A group is named after its differences from the plain recipe.",
        _TEXT_MEASURED + _IN_COMMON,
        _SMALL_TEXT + _HIDDEN,
    ),
    "trial": _toys(TRIAL),
}
"""Name → family, for the command line."""
