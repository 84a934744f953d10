"""What a logit loses without one feature: as the graph says, and in the model itself.

What the feature writes is taken from the output of the real MLP at one position, and everything
behind it runs as usual. The control takes away as much, in the direction of a feature that is off.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.interp.norms import layer_norm_of
from induction_heads.interp.replay import Hooks
from induction_heads.interp.stream_sources import Sources
from induction_heads.interp.transcoder import Transcoder, mlp_vectors
from induction_heads.interp.transcoder_graph import TranscoderGraph
from induction_heads.models.interface import HookedModel

NO_HOOKS: Hooks = []


@dataclass(frozen=True)
class Silenced:
    """The changes of the logit without each feature: predicted, measured, and the control's."""

    features: tuple[tuple[int, int], ...]
    predicted: Float[Tensor, " feature"]
    measured: Float[Tensor, " feature"]
    control: Float[Tensor, " feature"]


def read_logits(
    model: HookedModel,
    tokens: Int[Tensor, "batch pos"],
    direction: Float[Tensor, " d_model"],
    hooks: Hooks = NO_HOOKS,
) -> Float[Tensor, " batch"]:
    """What the model has along `direction` behind its final norm at the last position of rows."""
    seen: list[Tensor] = []

    def collect(value: Tensor, hook: object) -> None:
        seen.append(value[:, -1].float())

    with torch.no_grad():
        model.run_with_hooks(
            tokens, return_type=None, fwd_hooks=[*hooks, ("unembed.hook_in", collect)]
        )
    return seen[0] @ direction


def read_logit(
    model: HookedModel,
    tokens: Int[Tensor, " pos"],
    direction: Float[Tensor, " d_model"],
    hooks: Hooks = NO_HOOKS,
) -> float:
    """`read_logits` of a single row."""
    return read_logits(model, tokens[None], direction, hooks)[0].item()


def without_vector(layer: int, position: int, vector: Float[Tensor, " d_model"]) -> Hooks:
    """The hook that takes a vector from what an MLP writes at one position."""

    def subtract(written: Tensor, hook: object) -> Tensor:
        changed = written.clone()
        changed[:, position] -= vector
        return changed

    return [(f"blocks.{layer}.mlp.hook_out", subtract)]


def without_source(
    model: HookedModel,
    sources: Sources,
    layer: int,
    side: Literal["q", "k"],
    position: int,
    name: str,
) -> Hooks:
    """The hook that takes a source from the queries or the keys of a layer, at one position.

    What the layer's values read stays, and so does the stream. The norm is applied anew, with the
    scale of what is left. Raises ValueError for a source that there is not.
    """
    stream = sources.parts.sum(dim=0)[position] - sources.parts[sources.index(name), position]
    read = layer_norm_of(model, layer)(stream)

    def replace(value: Tensor, hook: object) -> Tensor:
        changed = value.clone()
        changed[:, position] = read
        return changed

    return [(f"blocks.{layer}.attn.{side}.hook_in", replace)]


def attention_of_last(
    model: HookedModel, tokens: Int[Tensor, " pos"], layer: int, hooks: Hooks = NO_HOOKS
) -> Float[Tensor, "head key"]:
    """Where the heads of a layer look from the last position of a row."""
    seen: list[Tensor] = []

    def collect(pattern: Tensor, hook: object) -> None:
        seen.append(pattern[0, :, -1].float())

    with torch.no_grad():
        model.run_with_hooks(
            tokens[None],
            return_type=None,
            fwd_hooks=[*hooks, (f"blocks.{layer}.attn.hook_pattern", collect)],
        )
    return seen[0]


def pruned_logit(
    model: HookedModel,
    tokens: Int[Tensor, " pos"],
    direction: Float[Tensor, " d_model"],
    transcoder: Transcoder,
    layer: int,
    kept: Collection[tuple[int, int]],
) -> float:
    """The logit of the model when its MLP writes these features alone: (feature, position) pairs.

    All others that are on are taken from what the MLP writes, at every position; the error node
    and the bias stay.
    """
    read, _ = mlp_vectors(model, tokens[None], layer)
    activations = transcoder.activations(read[0])
    for feature, position in kept:
        activations[position, feature] = 0
    removed = activations @ transcoder.decoder
    hook = (f"blocks.{layer}.mlp.hook_out", lambda written, hook: written - removed)
    return read_logit(model, tokens, direction, [hook])


def predicted_changes(graph: TranscoderGraph, layer: int) -> dict[tuple[int, int], float]:
    """What the graph says that the logit loses without a feature: (feature, position) → change.

    Minus the sum over all paths that use it.
    """
    if layer == graph.layer:
        last = graph.into_logit.shape[-1] - 1
        return {
            (j, last): -flow
            for j, flow in zip(graph.features, graph.from_features.tolist(), strict=True)
        }
    through = graph.into_features * graph.per_activation[:, None, None, None]
    flows = through.sum(dim=(0, 1)) + graph.into_logit.sum(dim=0)  # [source pos]
    return {
        (int(name.split(":")[1]), position): -flow
        for name, line in zip(graph.sources, flows.tolist(), strict=True)
        if name.startswith(f"F{layer}:")
        for position, flow in enumerate(line)
        if flow != 0
    }


def silence_features(
    model: HookedModel,
    tokens: Int[Tensor, " pos"],
    direction: Float[Tensor, " d_model"],
    graph: TranscoderGraph,
    transcoders: Mapping[int, Transcoder],
    layer: int,
    *,
    largest: int = 12,
    hooks: Hooks = NO_HOOKS,
    seed: int = 0,
) -> Silenced:
    """The features of an MLP with the largest predicted changes, each silenced in the model.

    `hooks` are set in every run, such as one that holds the attention patterns.
    """
    generator = torch.Generator().manual_seed(seed)
    transcoder = transcoders[layer]
    read, _ = mlp_vectors(model, tokens[None], layer)
    activations = transcoder.activations(read[0])
    changes = predicted_changes(graph, layer)
    places = sorted(changes, key=lambda place: -abs(changes[place]))[:largest]
    vectors = torch.zeros(1 + 2 * len(places), *read.shape[1:])  # Nothing is taken from the first.
    for number, (feature, position) in enumerate(places):
        off = (activations[position] == 0).nonzero().flatten()
        other = off[torch.randint(len(off), (1,), generator=generator)].item()
        for row, which in ((1 + number, feature), (1 + number + len(places), int(other))):
            vectors[row, position] = activations[position, feature] * transcoder.decoder[which]
    hook = (f"blocks.{layer}.mlp.hook_out", lambda written, hook: written - vectors)
    logits = read_logits(model, tokens.repeat(len(vectors), 1), direction, [*hooks, hook])
    measured, control = (logits[1:] - logits[0]).split(len(places))
    predicted = torch.tensor([changes[place] for place in places])
    return Silenced(tuple(places), predicted, measured, control)
