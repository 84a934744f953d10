"""The models that an explorer shows: by name, by weights, with their snapshots."""

import hashlib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from induction_heads.attention_only import AttentionOnly
from induction_heads.explorer.element import PAGE_MODELS
from induction_heads.explorer.export import exported_model, exported_snapshots
from induction_heads.models import (
    UnknownModel,
    from_transformer_lens,
    load_attention_only,
    load_snapshots,
)
from induction_heads.recipes import train_smeared_toy
from induction_heads.smeared_keys import SmearedKeys

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    Given = str | AttentionOnly | TransformerBridge

SMEARED = "toy-1l-smeared"
"""Not in the zoo: it is trained when it is first shown, in a few CPU-seconds."""

MOST_WEIGHTS = 100_000
"""Larger models of the zoo are shown without their snapshots, which would be megabytes of text."""

Snapshots = Mapping[int, "AttentionOnly | Mapping[str, Tensor]"]
"""Training step → a model, or its weights by name, as `train` returns them."""


@dataclass(frozen=True)
class ShownModel:
    """A model under the name that the page knows it by."""

    name: str
    title: str
    model: AttentionOnly
    snapshots: Mapping[int, AttentionOnly] | None = None

    @property
    def in_site(self) -> bool:
        """Whether a built site has this model, with its snapshots, as files."""
        return self.name in PAGE_MODELS

    def data(self) -> dict[tuple[str, str], str]:
        """("model" or "snapshots", name) → the text that `weights.js` reads."""
        if self.in_site:
            return _page_data(self.name)
        found = {("model", self.name): exported_model(self.model, self.name)}
        if self.snapshots is not None:
            found["snapshots", self.name] = exported_snapshots(dict(self.snapshots), self.name)
        return found


def shown_models(
    given: "Given | Sequence[str] | Mapping[str, Given]", snapshots: Snapshots | None = None
) -> list[ShownModel]:
    """One model or several, each with its name and title.

    A model of the site comes with its snapshots, by name or by weights; a small one of the zoo by
    name. `snapshots` are those of the
    only model. Raises ValueError for what the explorer cannot run, UnknownModel for a name that
    does not exist.
    """
    if isinstance(given, Mapping):
        named = list(given.items())
    elif isinstance(given, Sequence) and not isinstance(given, str):
        named = [(name, name) for name in given]
    else:
        named = [(given if isinstance(given, str) else None, given)]
    if not named:
        raise ValueError("No model came in. Pass one, a list of names, or title → model.")
    if snapshots is not None and len(named) != 1:
        raise ValueError(
            f"Snapshots came in with {len(named)} models. Pass the one model that they are of."
        )
    return [_shown(model, title, snapshots) for title, model in named]


def _shown(given: Any, title: str | None, snapshots: Snapshots | None) -> ShownModel:
    model = attention_only(given)
    page_name = None if snapshots is not None else _page_name(model)
    if page_name is not None:
        return ShownModel(page_name, title or page_name, model)
    digest = hashlib.sha256()
    for weight in model.parameters():
        digest.update(weight.detach().half().numpy().tobytes())
    name = f"model-{digest.hexdigest()[:10]}"
    if snapshots is None and isinstance(given, str) and _size(model) <= MOST_WEIGHTS:
        snapshots = load_snapshots(given)
    found = None if snapshots is None else _as_models(model, snapshots)
    return ShownModel(name, title or "this model", model, found)


def attention_only(given: Any) -> AttentionOnly:
    """The plain module of what came in: a name, a module, or a TransformerBridge of this course.

    Raises ValueError for anything else; UnknownModel for a name that does not exist.
    """
    if isinstance(given, str):
        try:
            return _named(given)
        except UnknownModel as error:
            raise UnknownModel(f"{error} The explorer also runs {SMEARED}.") from error
    if type(given) in (AttentionOnly, SmearedKeys):
        return given if given.W_E.device.type == "cpu" else deepcopy(given).cpu()
    if type(given).__name__ == "TransformerBridge":
        return from_transformer_lens(given)
    raise ValueError(
        f"A {type(given).__name__} came in; the explorer runs attention-only models: a name of the "
        "zoo such as 'toy-2l', an AttentionOnly or SmearedKeys module, or what load_model returns "
        "for them."
    )


def _as_models(model: AttentionOnly, snapshots: Snapshots) -> dict[int, AttentionOnly]:
    """The snapshots as modules. Raises ValueError if the last one is not the model itself."""
    found = {
        step: one if isinstance(one, AttentionOnly) else _with_weights(model, one)
        for step, one in snapshots.items()
    }
    last = max(found, default=None)
    if last is None or not _equal(found[last], model):
        raise ValueError(
            f"The last snapshot (step {last}) is not the model that came in. Pass the model as it "
            "is after training, and its own snapshots with the last step among them."
        )
    return found


def _with_weights(like: AttentionOnly, weights: Mapping[str, Tensor]) -> AttentionOnly:
    model = type(like)(like.config)
    model.load_state_dict({name: weight.float() for name, weight in weights.items()})
    return model.requires_grad_(False).eval()


def _size(model: AttentionOnly) -> int:
    return sum(weight.numel() for weight in model.parameters())


def _equal(one: AttentionOnly, other: AttentionOnly) -> bool:
    same_kind = type(one) is type(other) and one.config == other.config
    weights = zip(one.parameters(), other.parameters(), strict=False)
    return same_kind and all(torch.equal(a, b) for a, b in weights)


@cache
def _named(name: str) -> AttentionOnly:
    """The model of this name. Raises UnknownModel if there is none."""
    return _smeared()[0] if name == SMEARED else load_attention_only(name)


@cache
def _smeared() -> tuple[SmearedKeys, dict[int, AttentionOnly]]:
    run = train_smeared_toy()
    model = run.model.requires_grad_(False).eval()
    return model, _as_models(model, run.snapshots)


@cache
def _page_data(name: str) -> dict[tuple[str, str], str]:
    snapshots = _smeared()[1] if name == SMEARED else load_snapshots(name)
    return {
        ("model", name): exported_model(_named(name), name),
        ("snapshots", name): exported_snapshots(snapshots, name),
    }


def _page_name(model: AttentionOnly) -> str | None:
    """The name under which a site has exactly these weights as files."""
    # A model of another kind is none of them: the smeared one need not be trained to know that.
    names = [name for name in PAGE_MODELS if (name == SMEARED) == (type(model) is SmearedKeys)]
    return next((name for name in names if _equal(_named(name), model)), None)
