"""What a logit loses without one feature: as the graph says, and in the model itself.

What the feature writes is taken from the output of the real MLP at one position, and everything
behind it runs as usual. The control takes away as much, in the direction of a feature that is off.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.interp.replay import Hooks
from induction_heads.interp.transcoder import Transcoder, mlp_vectors
from induction_heads.interp.transcoder_graph import TranscoderGraph
from induction_heads.models.interface import HookedModel


@dataclass(frozen=True)
class Silenced:
    """The changes of the logit without each feature: predicted, measured, and the control's."""

    features: tuple[tuple[int, int], ...]
    predicted: Float[Tensor, " feature"]
    measured: Float[Tensor, " feature"]
    control: Float[Tensor, " feature"]


def read_logit(
    model: HookedModel,
    tokens: Int[Tensor, " pos"],
    direction: Float[Tensor, " d_model"],
    hooks: Hooks = (),  # pyright: ignore[reportArgumentType]
) -> float:
    """What the model has along `direction` behind its final norm at the last position."""
    seen: list[Tensor] = []

    def collect(value: Tensor, hook: object) -> None:
        seen.append(value[0, -1].float())

    with torch.no_grad():
        model.run_with_hooks(
            tokens[None], return_type=None, fwd_hooks=[*hooks, ("unembed.hook_in", collect)]
        )
    return (seen[0] @ direction).item()


def without_vector(layer: int, position: int, vector: Float[Tensor, " d_model"]) -> Hooks:
    """The hook that takes a vector from what an MLP writes at one position."""

    def subtract(written: Tensor, hook: object) -> Tensor:
        changed = written.clone()
        changed[:, position] -= vector
        return changed

    return [(f"blocks.{layer}.mlp.hook_out", subtract)]


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
    changes: dict[tuple[int, int], float] = {}
    for (source, position, _, _), flow in graph.paths().items():
        if source.startswith(f"F{layer}:"):
            place = (int(source.split(":")[1]), position)
            changes[place] = changes.get(place, 0.0) - flow
    return changes


def silence_features(
    model: HookedModel,
    tokens: Int[Tensor, " pos"],
    direction: Float[Tensor, " d_model"],
    graph: TranscoderGraph,
    transcoders: Mapping[int, Transcoder],
    layer: int,
    *,
    largest: int = 12,
    hooks: Sequence = (),
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
    clean = read_logit(model, tokens, direction, list(hooks))
    measured, control = [], []
    for feature, position in places:
        off = (activations[position] == 0).nonzero().flatten()
        other = off[torch.randint(len(off), (1,), generator=generator)].item()
        for found, which in ((measured, feature), (control, int(other))):
            vector = activations[position, feature] * transcoder.decoder[which]
            edit = [*hooks, *without_vector(layer, position, vector)]
            found.append(read_logit(model, tokens, direction, edit) - clean)
    predicted = [changes[place] for place in places]
    return Silenced(tuple(places), *map(torch.tensor, (predicted, measured, control)))
