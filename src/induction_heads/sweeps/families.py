"""The families of models that can be swept, by name: their models, their measure, their words."""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from induction_heads import sweep_record, text_record
from induction_heads.sweep_family import DATA_FAMILY, REPLICATION, TRIAL
from induction_heads.swept_model import SweptModel
from induction_heads.text_family import TEXT
from induction_heads.training import snapshot_steps

Record = dict[str, Any]


@dataclass(frozen=True)
class Family:
    """Models that are swept together, how one of them is measured, and what its page says.

    `record` trains a model and measures it. A head of a snapshot is silenced `ablations_per_head`
    times. `named_for`, `measured` and `limits` are sentences for the page.
    """

    models: Sequence[SweptModel]
    record: Callable[[Any], Record]
    ablations_per_head: int
    named_for: str
    measured: str
    limits: str

    def planned_ablations(self, model: SweptModel) -> int:
        """How many ablations a model asks for, if its training does not diverge."""
        steps = snapshot_steps(model.steps, model.snapshots)
        return model.n_layers * model.n_heads * len(steps) * self.ablations_per_head

    def sample(self, share: float) -> "Family":
        """A fixed share of the family, at least one model: always the same, drawn by their names.

        Raises ValueError unless 0 < share ≤ 1.
        """
        if not 0 < share <= 1:
            raise ValueError(f"A share of {share} came in; use one above 0 and up to 1.")
        drawn = sorted(self.models, key=lambda m: hashlib.sha256(m.name.encode()).hexdigest())
        kept = {model.name for model in drawn[: math.ceil(share * len(drawn))]}
        return replace(self, models=tuple(m for m in self.models if m.name in kept))


_TOY_MEASURED = (
    f"Every head of every snapshot is silenced {sweep_record.ABLATIONS_PER_HEAD} times: on two "
    f"batches of {sweep_record.ROWS} rows with two copies of a random block of each length in "
    f"{sweep_record.PERIODS}, and on as many controls whose second block is another one. "
)
_TEXT_MEASURED = (
    f"Every head of every snapshot is silenced {text_record.ABLATIONS_PER_HEAD} times: on "
    f"{text_record.ROWS} rows with two copies of a random block of each length in "
    f"{text_record.PERIODS}, on as many controls whose second block is another one, and on "
    f"{text_record.NATURAL_BATCHES} batches of held-out text. "
)
_IN_COMMON = (
    "The effect is the rise of the loss on the second block, from its second token on. The "
    "in-context-learning score is the loss over the last quarter of a row minus the loss over its "
    "first quarter."
)
_HIDDEN = (
    " Two heads that do the same work hide each other: silencing one costs little, and that does "
    "not mean that it does nothing. A formation step is only known up to the distance between two "
    "snapshots."
)


def _toys(models: Sequence[SweptModel]) -> Family:
    limits = "These are toys on made-up data. They do not say when induction heads form in a "
    return Family(
        models, sweep_record.model_record, sweep_record.ABLATIONS_PER_HEAD,
        "A group is named for layers, heads, width (d_model), data and smeared keys.",
        _TOY_MEASURED + _IN_COMMON, limits + "language model." + _HIDDEN,
    )  # fmt: skip


_SMALL_TEXT = (
    "These models have one or two layers and a context of at most 256 tokens, and the text is "
    "source code, which repeats more than prose. Most kinds have two seeds."
)

FAMILIES = {
    "data": _toys(DATA_FAMILY),
    "replication": _toys(REPLICATION),
    "text": Family(
        TEXT, text_record.text_record, text_record.ABLATIONS_PER_HEAD,
        "A group is named for what it does not share with the plain recipe.",
        _TEXT_MEASURED + _IN_COMMON, _SMALL_TEXT + _HIDDEN,
    ),
    "trial": _toys(TRIAL),
}  # fmt: skip
"""Name → family, for the command line."""
