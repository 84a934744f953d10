"""What was written into the stream before a layer, source by source, and where it goes from there.

The sources of `score_margins` are tokens, positions and heads of models without MLPs. Here an MLP
is one source, or, with a transcoder, one for each of its features and an error node for the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.interp.circuits import head_weights
from induction_heads.interp.norms import Norm
from induction_heads.interp.transcoder import Transcoder, require_mlp
from induction_heads.models.interface import HookedModel, embedding, require_tokens

ERROR = "error"


@dataclass(frozen=True)
class Sources:
    """Parts of a stream that sum to it, with a name each.

    Names are `token`, `position`, `L0H2` for a head, `bias 0` for what a layer always writes, and
    `MLP 0` for an MLP. With a transcoder an MLP becomes `F0:17` for each feature that is on
    somewhere in the row, and `error 0`; the bias of its decoder joins `bias 0`.
    """

    names: tuple[str, ...]
    parts: Float[Tensor, "source pos d_model"]

    def index(self, name: str) -> int:
        """The number of a source. Raises ValueError if there is none of this name."""
        if name not in self.names:
            raise ValueError(f"There is no source {name!r}. Sources: {', '.join(self.names)}.")
        return self.names.index(name)

    @property
    def groups(self) -> tuple[str, ...]:
        """The name of each source, with those of features shortened to `F0`."""
        return tuple(name.split(":")[0] for name in self.names)


def stream_sources(
    model: HookedModel,
    tokens: Int[Tensor, " pos"],
    layer: int,
    transcoders: Mapping[int, Transcoder] | None = None,
) -> Sources:
    """The sources of the stream that enters a layer, on one row of tokens.

    `transcoders` are by layer; an MLP without one is a single source. Raises ValueError for a layer
    that the model does not have, or a model that adds no positions to the stream.
    """
    transcoders = transcoders or {}
    require_tokens(model, tokens[None])
    require_standard(model)
    for each in (layer, *transcoders):
        require_mlp(model, each)
    hooks = [
        f"blocks.{earlier}.{hook}"
        for earlier in range(layer)
        for hook in ("attn.hook_z", "mlp.hook_in", "mlp.hook_out")
    ]
    with torch.no_grad():
        _, cache = model.run_with_cache(tokens[None], names_filter=lambda name: name in hooks)
    token = embedding(model)[tokens]
    parts = {"token": token, "position": model.W_pos.detach().float()[: len(tokens)]}
    W_O = head_weights(model)[3]
    for earlier in range(layer):
        z, read, wrote = (
            cache[f"blocks.{earlier}.{hook}"][0].float()
            for hook in ("attn.hook_z", "mlp.hook_in", "mlp.hook_out")
        )
        for head in range(W_O.shape[1]):
            parts[f"L{earlier}H{head}"] = z[:, head] @ W_O[earlier, head]
        bias = model.blocks[earlier].attn.b_O.detach().float().expand_as(token)
        transcoder = transcoders.get(earlier)
        if transcoder is None:
            parts[f"MLP {earlier}"] = wrote
        else:
            f = transcoder.activations(read)
            for j in f.sum(dim=0).nonzero().flatten().tolist():
                parts[f"F{earlier}:{j}"] = f[:, j, None] * transcoder.decoder[j]
            parts[f"{ERROR} {earlier}"] = wrote - transcoder(read)
            bias = bias + transcoder.decoder_bias
        parts[f"bias {earlier}"] = bias
    return Sources(tuple(parts), torch.stack(list(parts.values())))


def summed_pairs(
    table: Float[Tensor, "row column"], groups: tuple[str, ...]
) -> dict[tuple[str, str], float]:
    """The entries of a table of pairs of sources, summed over the sources of a group.

    `groups` names each row and each column but the last, which are named `head bias`.

    >>> summed_pairs(torch.ones(3, 3), ("F0", "F0"))["F0", "head bias"]
    2.0
    """
    names = [*groups, "head bias"]
    sums: dict[tuple[str, str], float] = {}
    for one, line in zip(names, table.tolist(), strict=True):
        for other, value in zip(names, line, strict=True):
            sums[one, other] = sums.get((one, other), 0.0) + value
    return sums


def read_by(
    norm: Norm, sources: Float[Tensor, "source pos d_model"]
) -> tuple[Float[Tensor, "source pos d_model"], Float[Tensor, " pos"]]:
    """What a norm makes of each source, its scale fixed at that of their sum; and that scale.

    With the norm's bias the first sums to what the norm returns.
    """
    scale = norm.scale(sources.sum(dim=0))
    return norm.without_scale(sources) / scale[:, None], scale


def feature_contributions(
    sources: Float[Tensor, "source pos d_model"],
    pattern: Float[Tensor, "head pos"],
    writes: Float[Tensor, "head d_model d_model"],
    scale_before: Float[Tensor, " pos"],
    scale_after: float,
    reads: Float[Tensor, " d_model"],
) -> Float[Tensor, "via source pos"]:
    """What each source adds to one number at the last position, through each head or none.

    The number is what `reads` sees of the stream behind the heads of a layer, once that stream is
    centered and divided by `scale_after`. Head h moves a source from position p with the weight
    pattern[h, p]: it reads it centered and divided by scale_before[p], and writes with `writes`
    (W_V W_O, gains included). The last entry of `via` is for no head: the source stays in the
    stream, so only the last position can have a value. Patterns and scales are held fixed
    (Ameisen et al. 2025), so the entries sum to the number, but for biases.

    >>> parts = torch.randn(6, 4, 8)  # Six sources, four positions.
    >>> maps, scale = torch.randn(2, 8, 8), torch.ones(4)
    >>> feature_contributions(parts, torch.rand(2, 4), maps, scale, 1.0, torch.randn(8)).shape
    torch.Size([3, 6, 4])
    """
    # Centering is symmetric: what the reader sees of a centered vector, its centered self sees.
    seen = (reads - reads.mean()) / scale_after
    centered = (sources - sources.mean(dim=-1, keepdim=True)) / scale_before[:, None]
    through = torch.einsum("hp,spx,hx->hsp", pattern, centered, writes @ seen)
    stays = torch.zeros_like(through[:1])
    stays[0, :, -1] = sources[:, -1] @ seen
    return torch.cat([through, stays])


def require_standard(model: HookedModel) -> None:
    """Raise ValueError unless the model adds learned positions and has layer norm."""
    kind = getattr(model.cfg, "positional_embedding_type", "standard")
    if kind != "standard" or model.cfg.normalization_type not in ("LN", "LNPre"):
        raise ValueError(
            f"This model has {kind} positions and the norm {model.cfg.normalization_type}. Sources "
            "are known for added positions and layer norm, as in tasks-2l or gpt2-2l."
        )
