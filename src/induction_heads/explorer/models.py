"""The models that an explorer shows: by name or as modules, with their snapshots."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from induction_heads.explorer.element import SITE_MODELS
from induction_heads.explorer.export import exported_model, exported_snapshots
from induction_heads.models.attention_only import AttentionOnly
from induction_heads.models.checkpoint_files import UnknownModel
from induction_heads.models.interface import parameter_count
from induction_heads.models.loading import (
    from_transformer_lens,
    load_attention_only,
    load_snapshots,
)
from induction_heads.models.smeared_keys import SmearedKeys
from induction_heads.training.recipes import train_smeared_toy

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    ModelSource = str | AttentionOnly | TransformerBridge

SMEARED = "toy-1l-smeared"
"""Not in the zoo: it is trained when first needed, in a few CPU-seconds."""

MAX_PARAMETERS = 100_000
"""Larger models of the zoo come without snapshots, which would take megabytes of text."""

Snapshots = Mapping[int, "AttentionOnly | Mapping[str, Tensor]"]
"""Training step → a model or its state dict, as `train` returns them."""


@dataclass(frozen=True)
class ExplorerModel:
    """A model with the name that identifies it on the page, and its title."""

    name: str
    title: str
    model: AttentionOnly
    snapshots: Mapping[int, AttentionOnly] | None = None

    @property
    def in_site(self) -> bool:
        """Whether a built site has this model, with its snapshots, as files."""
        return self.name in SITE_MODELS

    def data(self) -> dict[tuple[str, str], str]:
        """("model" or "snapshots", name) → the text that `weights.js` reads."""
        if self.in_site:
            return _site_data(self.name)
        texts = {("model", self.name): exported_model(self.model, self.name)}
        if self.snapshots is not None:
            texts["snapshots", self.name] = exported_snapshots(dict(self.snapshots), self.name)
        return texts


def explorer_models(
    source: "ModelSource | Sequence[str] | Mapping[str, ModelSource]",
    snapshots: Snapshots | None = None,
) -> list[ExplorerModel]:
    """One model or several, each with its name and title.

    A model of the site brings its snapshots, whether given by name or as a module; a small model of
    the zoo only by name. `snapshots` requires a single model. Raises ValueError for a model that
    the explorer cannot run, UnknownModel for a name that does not exist.
    """
    if isinstance(source, Mapping):
        named = list(source.items())
    elif isinstance(source, Sequence) and not isinstance(source, str):
        named = [(name, name) for name in source]
    else:
        named = [(source if isinstance(source, str) else None, source)]
    if not named:
        raise ValueError(
            "Got no model. Pass one, a list of names, or a mapping from title to model."
        )
    if snapshots is not None and len(named) != 1:
        raise ValueError(
            f"Got snapshots with {len(named)} models. Pass only the model they belong to."
        )
    return [_explorer_model(model, title, snapshots) for title, model in named]


def _explorer_model(source: Any, title: str | None, snapshots: Snapshots | None) -> ExplorerModel:
    model = attention_only(source)
    site_name = None if snapshots is not None else _site_name(model)
    if site_name is not None:
        return ExplorerModel(site_name, title or site_name, model)
    digest = hashlib.sha256()
    for weight in model.parameters():
        digest.update(weight.detach().half().numpy().tobytes())
    name = f"model-{digest.hexdigest()[:10]}"
    if snapshots is None and isinstance(source, str) and parameter_count(model) <= MAX_PARAMETERS:
        with suppress(UnknownModel):  # Some models of the zoo are stored without snapshots.
            snapshots = load_snapshots(source)
    modules = None if snapshots is None else _as_modules(model, snapshots)
    return ExplorerModel(name, title or "this model", model, modules)


def attention_only(source: Any) -> AttentionOnly:
    """The plain module for a name, a module, or a TransformerBridge of this course.

    Raises ValueError for anything else; UnknownModel for a name that does not exist.
    """
    if isinstance(source, str):
        try:
            return _named(source)
        except UnknownModel as error:
            raise UnknownModel(f"{error} The explorer also runs {SMEARED}.") from error
    if type(source) in (AttentionOnly, SmearedKeys):
        return source if source.W_E.device.type == "cpu" else deepcopy(source).cpu()
    if type(source).__name__ == "TransformerBridge":
        return from_transformer_lens(source)
    raise ValueError(
        f"Got an object of type {type(source).__name__}, but the explorer runs only attention-only "
        "models. Pass a name from the zoo such as 'toy-2l', an AttentionOnly or SmearedKeys "
        "module, or the result of load_model for one of them."
    )


def _as_modules(model: AttentionOnly, snapshots: Snapshots) -> dict[int, AttentionOnly]:
    """The snapshots as modules. Raises ValueError if the last one differs from the model."""
    modules = {
        step: one if isinstance(one, AttentionOnly) else _with_weights(model, one)
        for step, one in snapshots.items()
    }
    last = max(modules, default=None)
    if last is None or not _equal(modules[last], model):
        raise ValueError(
            f"The last snapshot (step {last}) differs from the model. Pass the trained model, and "
            "snapshots that include its last step."
        )
    return modules


def _with_weights(like: AttentionOnly, weights: Mapping[str, Tensor]) -> AttentionOnly:
    model = type(like)(like.config)
    model.load_state_dict({name: weight.float() for name, weight in weights.items()})
    return model.requires_grad_(False).eval()


def _equal(one: AttentionOnly, other: AttentionOnly) -> bool:
    same_kind = type(one) is type(other) and one.config == other.config
    weights = zip(one.parameters(), other.parameters(), strict=False)
    return same_kind and all(torch.equal(a, b) for a, b in weights)


@cache
def _named(name: str) -> AttentionOnly:
    """The model with this name. Raises UnknownModel if there is none."""
    return _smeared()[0] if name == SMEARED else load_attention_only(name)


@cache
def _smeared() -> tuple[SmearedKeys, dict[int, AttentionOnly]]:
    run = train_smeared_toy()
    model = run.model.requires_grad_(False).eval()
    return model, _as_modules(model, run.snapshots)


@cache
def _site_data(name: str) -> dict[tuple[str, str], str]:
    snapshots = _smeared()[1] if name == SMEARED else load_snapshots(name)
    return {
        ("model", name): exported_model(_named(name), name),
        ("snapshots", name): exported_snapshots(snapshots, name),
    }


def _site_name(model: AttentionOnly) -> str | None:
    """The name of the site's model with exactly these weights, or None."""
    # Compare only models of the same kind, so that the smeared toy is not trained needlessly.
    names = [name for name in SITE_MODELS if (name == SMEARED) == (type(model) is SmearedKeys)]
    return next((name for name in names if _equal(_named(name), model)), None)
