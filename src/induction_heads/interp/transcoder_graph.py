"""A logit as an exact sum over sources, features of the last MLP, and its error node.

The graph of Ameisen et al. 2025 for one prompt and one query: attention patterns and the scales of
norms are held at what they are, the features that are on stay on, and what the transcoder leaves
out is an error node, so that nothing is left over.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.interp.circuits import head_weights
from induction_heads.interp.norms import Norm, final_norm, layer_norm_of, mlp_norm_of
from induction_heads.interp.stream_sources import (
    feature_contributions,
    stream_sources,
)
from induction_heads.interp.transcoder import Transcoder, require_mlp
from induction_heads.models.interface import HookedModel

Path = tuple[str, int, str, str]
"""A source, its position, the head of the last layer or `stream`, and the feature or `logit`."""


@dataclass(frozen=True)
class TranscoderGraph:
    """One logit in parts. All contributions are in units of that logit.

    `into_logit` is what sources add without the MLP, `into_features` what they add to the
    activations of the features that are on, `feature_biases` what those get in any case, and
    `per_activation` what a feature adds to the logit per unit of activation. `error` is the
    transcoder's, `bias` what is always added.
    """

    sources: tuple[str, ...]
    vias: tuple[str, ...]
    features: tuple[int, ...]
    activations: Float[Tensor, " feature"]
    into_features: Float[Tensor, "feature via source pos"]
    feature_biases: Float[Tensor, " feature"]
    per_activation: Float[Tensor, " feature"]
    into_logit: Float[Tensor, "via source pos"]
    error: float
    bias: float
    layer: int

    @property
    def from_features(self) -> Float[Tensor, " feature"]:
        """What each feature adds to the logit."""
        return self.activations * self.per_activation

    def total(self) -> float:
        """The sum of all that ends at the logit: the model's own logit."""
        parts = self.into_logit.sum() + self.from_features.sum()
        return parts.item() + self.error + self.bias

    def paths(self) -> dict[Path, float]:
        """What every path adds: from a source, through a head or none, and a feature or none.

        With the biases of the features, the error and the bias of the logit they sum to it.
        """
        flows = self._flows()
        ends = [*(f"F{self.layer}:{j}" for j in self.features), "logit"]
        return {
            (self.sources[s], p, self.vias[v], ends[e]): flows[e, v, s, p].item()
            for e, v, s, p in flows.nonzero().tolist()
        }

    def moved(self) -> Float[Tensor, "via pos"]:
        """What comes to the logit from each position through each head or none, features or not."""
        return self._flows().sum(dim=(0, 2))

    def _flows(self) -> Float[Tensor, "end via source pos"]:
        """What every path adds to the logit; the last end is the logit itself."""
        through = self.into_features * self.per_activation[:, None, None, None]
        return torch.cat([through, self.into_logit[None]])


def transcoder_graph(
    model: HookedModel,
    tokens: Int[Tensor, " pos"],
    direction: Float[Tensor, " d_model"],
    transcoders: Mapping[int, Transcoder],
) -> TranscoderGraph:
    """The graph behind `direction`, read behind the final norm at the last position of the row.

    `transcoders` are by layer. The last layer must have one; an earlier MLP without one is a single
    source. Raises ValueError as `stream_sources`, or without a transcoder of the last layer.
    """
    layer = model.cfg.n_layers - 1
    require_mlp(model, layer)
    if layer not in transcoders:
        raise ValueError(
            f"There is no transcoder for layer {layer}, the last one. Train one with "
            "train_transcoder and pass it under that number."
        )
    transcoder = transcoders[layer]
    sources = stream_sources(model, tokens, layer, transcoders)
    names = [
        f"blocks.{layer}.{hook}"
        for hook in ("attn.hook_pattern", "hook_resid_mid", "mlp.hook_in", "mlp.hook_out")
    ]
    names.append(f"blocks.{layer}.hook_resid_post")
    with torch.no_grad():
        _, cache = model.run_with_cache(tokens[None], names_filter=lambda name: name in names)
    pattern, mid, read, wrote, last = (cache[name][0].float() for name in names)
    before, between, after = (
        layer_norm_of(model, layer),
        mlp_norm_of(model, layer),
        final_norm(model),
    )

    W_V, W_O = (weights[layer] for weights in head_weights(model)[2:])
    attention = model.blocks[layer].attn
    always = attention.b_O.float() + torch.einsum("hd,hdm->m", attention.b_V.float(), W_O)
    gain, bias_before = _gain_and_bias(before)
    always = (always + torch.einsum("x,hxd,hdm->m", bias_before, W_V, W_O)).detach()
    frozen = (
        sources.parts,
        pattern[:, -1],
        gain[:, None] * (W_V @ W_O),
        before.scale(sources.parts.sum(dim=0)),
    )

    def into(norm: Norm, stream: Tensor, reads: Tensor) -> tuple[Tensor, float]:
        """What the sources add to what `reads` sees behind a norm, and what it sees always."""
        scale, (gain, bias) = norm.scale(stream).item(), _gain_and_bias(norm)
        found = feature_contributions(*frozen, scale, gain * reads)
        return found, (norm.without_scale(always) @ reads / scale + bias @ reads).item()

    f = transcoder.activations(read[-1])
    on = f.nonzero().flatten()
    found = [into(between, mid[-1], transcoder.encoder[:, j]) for j in on]
    into_logit, bias = into(after, last[-1], direction)
    scale = after.scale(last[-1])
    seen = [after.without_scale(v) @ direction / scale for v in (
        transcoder.decoder[on], wrote[-1] - transcoder(read[-1]), transcoder.decoder_bias
    )]  # fmt: skip
    return TranscoderGraph(
        sources=sources.names,
        vias=(*(f"L{layer}H{head}" for head in range(len(W_V))), "stream"),
        features=tuple(on.tolist()),
        activations=f[on],
        into_features=torch.stack([each for each, _ in found]),
        feature_biases=torch.tensor([b for _, b in found]) + transcoder.encoder_bias[on],
        per_activation=seen[0],
        into_logit=into_logit,
        error=seen[1].item(),
        bias=bias + seen[2].item(),
        layer=layer,
    )


def _gain_and_bias(norm: Norm) -> tuple[Tensor, Tensor]:
    assert norm.gain is not None
    return norm.gain, torch.zeros_like(norm.gain) if norm.bias is None else norm.bias
