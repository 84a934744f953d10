"""Why a head attends to one key and not to another: the margin of its score by writers."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.interp.circuits import head_weights
from induction_heads.interp.norms import layer_norm_of
from induction_heads.interp.stream_sources import Sources, read_by
from induction_heads.interp.sufficiency import require_plain_heads
from induction_heads.models.interface import (
    HookedModel,
    Model,
    embedding,
    model_config,
    require_head,
    require_tokens,
)
from induction_heads.models.loading import as_hooked


def writers_before(model: Model, layer: int) -> list[str]:
    """The names of all that a head of this layer reads, in the order of the axes of a margin.

    >>> from induction_heads.models.hand_built import hand_built
    >>> writers_before(hand_built("induction"), 1)
    ['token', 'position', 'L0H0', 'L0H1', 'norm bias']
    """
    heads = range(model_config(model).n_heads)
    names = [f"L{earlier}H{head}" for earlier in range(layer) for head in heads]
    return ["token", "position", *names, "norm bias"]


def score_margin_by_writers(
    model: Model, tokens: Int[Tensor, "batch pos"], layer: int, head: int, query: int, key: int
) -> Float[Tensor, "query_writer key_writer"]:
    """How far each pair of writers lifts the score of one key above the others, at one query.

    Entry [a, b]: q_a · k_b / √d_head at `key`, minus its mean over the other keys that the query
    sees, as a mean over the rows; q_a is what writer a contributes to the query, k_b what writer b
    contributes to the key. The writers are those of `writers_before`. The sum over all pairs is the
    margin of the scores that the model has before the softmax. Layer norm is linear once its scale
    is fixed, here at that of the forward pass; its learned bias is the last writer.

    Raises ValueError for a head that the model does not have, positions that the rows do not have
    or a key that is not before the query, and a model whose layers are not plain attention heads.
    """
    require_tokens(model, tokens)
    require_plain_heads(model)
    require_head(model, layer, head)
    if not 0 <= key < query < tokens.shape[1]:
        raise ValueError(
            f"Got {query=} and {key=} for rows of {tokens.shape[1]} tokens. Pass positions counted "
            "from 0, with the key before the query."
        )
    parts = _read_parts(model, tokens, layer)  # [writer batch pos d_model]
    W_Q, W_K, _, _ = head_weights(model)
    queries = parts[:, :, query] @ W_Q[layer, head]
    keys = parts[:, :, : query + 1] @ W_K[layer, head]
    others = torch.full((query + 1,), -1 / query)
    others[key] = 1.0
    margins = torch.einsum("abd,cbkd,k->bac", queries, keys, others) / math.sqrt(W_Q.shape[-1])
    return margins.mean(dim=0)


def score_attributions(
    query_sources: Float[Tensor, "source d_model"],
    key_sources: Float[Tensor, "other d_model"],
    W_Q: Float[Tensor, "d_model d_head"],
    W_K: Float[Tensor, "d_model d_head"],
    b_Q: Float[Tensor, " d_head"],
    b_K: Float[Tensor, " d_head"],
) -> Float[Tensor, "query_source key_source"]:
    """One attention score as a sum over pairs: a source of the query and a source of the key.

    The sources are what the head reads at the query and at the key, part by part: behind the norm,
    its scale held fixed. Entry [a, b] is q_a · k_b / √d_head. Both axes have one more entry than
    there are sources, the last, for the bias. The sum is the score before mask and softmax (Kamath
    et al. 2025, for features).

    >>> q, k, W, b = torch.randn(3, 8), torch.randn(3, 8), torch.randn(8, 4), torch.randn(4)
    >>> score_attributions(q, k, W, W, b, b).shape
    torch.Size([4, 4])
    """
    queries = torch.cat([query_sources @ W_Q, b_Q[None]])
    keys = torch.cat([key_sources @ W_K, b_K[None]])
    return queries @ keys.T / math.sqrt(W_Q.shape[1])


def score_by_sources(
    model: HookedModel,
    sources: Float[Tensor, "source pos d_model"],
    layer: int,
    head: int,
    query: int,
    key: int,
) -> Float[Tensor, "query_source key_source"]:
    """`score_attributions` of a head on one row, for the sources of the stream before its layer.

    The bias of the norm in front of the heads joins the biases of query and key. Raises ValueError
    for a head that the model does not have, or positions outside the row.
    """
    read, W_Q, W_K, b_Q, b_K = _read_sources(model, sources, layer, head, query, key)
    return score_attributions(read[:, query], read[:, key], W_Q, W_K, b_Q, b_K)


def margin_by_sources(
    model: HookedModel,
    sources: Float[Tensor, "source pos d_model"],
    layer: int,
    head: int,
    query: int,
    key: int,
) -> Float[Tensor, "query_source key_source"]:
    """`score_by_sources` at one key minus its mean over the other keys that the query sees.

    A softmax ignores what all keys share, so only this difference moves attention. Raises as
    `score_by_sources`, and for query 0, which sees one key only.
    """
    if query == 0:
        raise ValueError("Query 0 sees a single key, so there is no margin. Pass a later query.")
    read, W_Q, W_K, b_Q, b_K = _read_sources(model, sources, layer, head, query, key)
    others = (read[:, : query + 1].sum(dim=1) - read[:, key]) / query
    # All keys have the same bias, so it cancels.
    no_bias = torch.zeros_like(b_K)
    return score_attributions(read[:, query], read[:, key] - others, W_Q, W_K, b_Q, no_bias)


def largest_reasons(
    model: HookedModel,
    sources: Sources,
    layer: int,
    head: int,
    query: int,
    key: int,
    n: int = 2,
) -> dict[tuple[str, int], float]:
    """The n sources on each side that lift a key most: (name, position) → share in the margin.

    `margin_by_sources`, summed over all sources and the bias of the other side. The bias of the
    head itself is left out, since it has no position. Raises as `margin_by_sources`.
    """
    table = margin_by_sources(model, sources.parts, layer, head, query, key)
    sides = {query: table.sum(dim=1)[:-1], key: table.sum(dim=0)[:-1]}
    return {
        (sources.names[s], position): values[s].item()
        for position, values in sides.items()
        for s in values.abs().topk(n).indices.tolist()
    }


def _read_sources(
    model: HookedModel, sources: Tensor, layer: int, head: int, query: int, key: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """What the head reads of each source, and its weights, with the norm's bias in the biases."""
    require_head(model, layer, head)
    if not 0 <= key <= query < sources.shape[1]:
        raise ValueError(
            f"Got {query=} and {key=} for a row of {sources.shape[1]} tokens. Pass positions "
            "counted from 0, with the key not after the query."
        )
    norm = layer_norm_of(model, layer)
    read, _ = read_by(norm, sources)
    attention = model.blocks[layer].attn
    W_Q, W_K, b_Q, b_K = (
        getattr(attention, name)[head].detach().float() for name in ("W_Q", "W_K", "b_Q", "b_K")
    )
    if norm.bias is not None:
        b_Q, b_K = b_Q + norm.bias @ W_Q, b_K + norm.bias @ W_K
    return read, W_Q, W_K, b_Q, b_K


def _read_parts(model: Model, tokens: Tensor, layer: int) -> Tensor:
    """What the norm of a layer makes of each writer's contribution; they sum to what it returns."""
    names = [f"blocks.{earlier}.attn.hook_z" for earlier in range(layer)]
    with torch.no_grad():
        _, cache = as_hooked(model).run_with_cache(tokens, names_filter=lambda name: name in names)
    token = embedding(model)[tokens]
    parts = [token, model.W_pos.detach().float()[: tokens.shape[1]].expand_as(token)]
    W_O = head_weights(model)[3]
    for earlier, name in enumerate(names):
        parts += torch.einsum("bphd,hdm->hbpm", cache[name].float(), W_O[earlier]).unbind()
    norm = layer_norm_of(model, layer)
    scale = norm.scale(torch.stack(parts).sum(dim=0))[..., None]
    bias = torch.zeros_like(token) if norm.bias is None else norm.bias.expand_as(token)
    return torch.stack([*(norm.without_scale(part) / scale for part in parts), bias])
