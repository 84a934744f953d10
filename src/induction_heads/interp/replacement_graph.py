"""The whole graph behind a logit: embeddings, the features of every MLP, error nodes, the logit.

The local replacement model of Ameisen et al. 2025: attention patterns and the scales of norms are
held at what they are on one row, and the features that are on stay on, so every step between two
MLPs is linear. A head is not a node here: what it moves is inside the edges.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from induction_heads.interp.attribution_graph import Edge, Node, pruned_edges
from induction_heads.interp.circuits import head_weights
from induction_heads.interp.graph_scores import (
    completeness_score,
    node_influence,
    replacement_score,
)
from induction_heads.interp.norms import Norm, final_norm, layer_norm_of, mlp_norm_of
from induction_heads.interp.stream_sources import ERROR, require_standard
from induction_heads.interp.transcoder import Transcoder
from induction_heads.models.interface import HookedModel, embedding, require_tokens

INPUTS = ("token", "position")


@dataclass(frozen=True)
class ReplacementGraph:
    """Nodes in order, so that edges lead to later ones; the last is the logit.

    A node is a name and a position: `token`, `position`, `F0:17` for feature 17 of MLP 0,
    `error 0`, `logit`. Entry [v, i, j] of `by_via` is what node j adds to node i (to the activation
    of a feature before its ReLU, or to the logit) through a head of the last layer, or, the last
    `via`, without one. Inputs and error nodes receive nothing. `biases` are what a node gets in any
    case.
    """

    nodes: tuple[Node, ...]
    vias: tuple[str, ...]
    by_via: Float[Tensor, "via node node"]
    biases: Float[Tensor, " node"]

    @property
    def edges(self) -> Float[Tensor, "node node"]:
        """Entry [i, j] is what node j adds to node i."""
        return self.by_via.sum(dim=0)

    @property
    def is_input(self) -> Bool[Tensor, " node"]:
        """True for tokens and positions."""
        return torch.tensor([name in INPUTS for name, _ in self.nodes])

    @property
    def is_error(self) -> Bool[Tensor, " node"]:
        """True for error nodes."""
        return torch.tensor([name.startswith(ERROR) for name, _ in self.nodes])

    def scores(self) -> tuple[float, float]:
        """The replacement score and the completeness score of Ameisen et al. 2025."""
        edges, is_error = self.edges, self.is_error
        replaced = replacement_score(edges, self.is_input, is_error)
        return replaced, completeness_score(edges, is_error)

    def totals(self) -> Float[Tensor, " node"]:
        """All that a node receives: the activation of a feature, and the model's own logit."""
        return self.edges.sum(dim=1) + self.biases


def replacement_graph(
    model: HookedModel,
    tokens: Int[Tensor, " pos"],
    direction: Float[Tensor, " d_model"],
    transcoders: Mapping[int, Transcoder],
) -> ReplacementGraph:
    """The graph behind `direction`, read behind the final norm at the last position of the row.

    `transcoders` are by layer, one for each. In the last layer only the last position has nodes,
    since nothing reads the others. Raises ValueError if a transcoder is missing, or for a model
    with other positions or norms than tasks-2l has, or without MLPs.
    """
    require_tokens(model, tokens[None])
    require_standard(model)
    n_layers, n_pos = model.cfg.n_layers, len(tokens)
    if missing := [layer for layer in range(n_layers) if layer not in transcoders]:
        raise ValueError(
            f"There is no transcoder for layer {missing[0]}. Train one for each of the {n_layers} "
            "layers with train_transcoder, and pass it under the number of its layer."
        )
    with torch.no_grad():
        _, cache = model.run_with_cache(tokens[None])
    token, position = embedding(model)[tokens], model.W_pos.detach().float()[:n_pos]
    nodes: list[Node] = [(name, p) for name in INPUTS for p in range(n_pos)]
    nothing = torch.zeros(0, 0), torch.zeros(())
    received: list[tuple[Tensor, Tensor]] = [nothing] * len(nodes)
    # What each node wrote, carried along as [via node pos d_model], and what is always written.
    parts = torch.cat([_alone(token), _alone(position)])[None]
    bias = torch.zeros_like(token)
    for layer in range(n_layers):
        is_last = layer == n_layers - 1
        hooks = ("attn.hook_pattern", "hook_resid_pre", "hook_resid_mid")
        hooks += ("mlp.hook_in", "mlp.hook_out")
        pattern, stream, mid, read, wrote = (
            cache[f"blocks.{layer}.{hook}"][0].float() for hook in hooks
        )
        moved, always = _moved(model, layer, pattern, stream, parts[0], bias)
        # Only the heads of the last layer are told apart.
        parts = torch.cat([moved, parts])
        parts = parts if is_last else parts.sum(dim=0)[None]
        bias = bias + always
        transcoder, at = transcoders[layer], [n_pos - 1] if is_last else range(n_pos)
        f, error = transcoder.activations(read), wrote - transcoder(read)
        on = [(p, j) for p in at for j in f[p].nonzero().flatten().tolist()]
        found, always = _reads(mlp_norm_of(model, layer), mid, parts, bias, transcoder.encoder)
        always = always + transcoder.encoder_bias
        received += [(found[:, :, p, j], always[p, j]) for p, j in on] + [nothing] * len(at)
        nodes += [(f"F{layer}:{j}", p) for p, j in on] + [(f"{ERROR} {layer}", p) for p in at]
        new = torch.zeros(len(parts), len(on) + len(at), *token.shape)  # They stay in the stream.
        for number, (p, j) in enumerate(on):
            new[-1, number, p] = f[p, j] * transcoder.decoder[j]
        for number, p in enumerate(at, start=len(on)):
            new[-1, number, p] = error[p]
        parts, bias = torch.cat([parts, new], dim=1), bias + transcoder.decoder_bias
    end = cache[f"blocks.{n_layers - 1}.hook_resid_post"][0].float()
    found, always = _reads(final_norm(model), end, parts, bias, direction[:, None])
    received.append((found[:, :, -1, 0], always[-1, 0]))
    nodes.append(("logit", n_pos - 1))
    by_via = torch.zeros(len(parts), len(nodes), len(nodes))
    for receiver, (found, _) in enumerate(received):
        # What an earlier layer reads went through no head of the last one.
        by_via[len(parts) - len(found) :, receiver, : found.shape[-1]] = found
    heads = (f"L{n_layers - 1}H{head}" for head in range(model.cfg.n_heads))
    biases = torch.stack([always for _, always in received])
    return ReplacementGraph(tuple(nodes), (*heads, "stream"), by_via, biases)


def influence_flows(graph: ReplacementGraph) -> dict[Edge, float]:
    """What every edge carries of the influence on the logit, with the sign of the edge.

    The influence of the receiver times the edge's share of what the receiver reads (Ameisen et al.
    2025 prune edges by it). What a head of the last layer moved goes through a node of its name at
    the last position, and token and position are one node, `in`.
    """
    sizes = graph.edges.abs().sum(dim=1).clamp_min(torch.finfo(torch.float32).tiny)
    scaled = graph.by_via * (node_influence(graph.edges) / sizes)[:, None]
    flows: dict[Edge, float] = {}
    last = graph.nodes[-1][1]
    for via, receiver, sender in scaled.nonzero().tolist():
        (name, at), to = graph.nodes[sender], graph.nodes[receiver]
        start, head = ("in" if name in INPUTS else name, at), (graph.vias[via], last)
        edges = [(start, to)] if graph.vias[via] == "stream" else [(start, head), (head, to)]
        for edge in edges:
            flows[edge] = flows.get(edge, 0.0) + scaled[via, receiver, sender].item()
    return flows


def pruned_flows(
    graph: ReplacementGraph, nodes: float = 0.7, edges: float = 0.9
) -> dict[Edge, float]:
    """The `influence_flows` to draw: among the fewest nodes with this share of all influence.

    Of the flows between these nodes and the heads, the fewest are kept that hold a share `edges`.
    Then edges go that lead into nothing, and heads that nothing reaches.
    """
    influence: dict[Node, float] = {}
    for (name, at), value in zip(graph.nodes, node_influence(graph.edges).tolist(), strict=True):
        node = ("in" if name in INPUTS else name, at)
        influence[node] = influence.get(node, 0.0) + value
    logit = graph.nodes[-1]
    del influence[logit]
    strong = pruned_edges(torch.tensor(list(influence.values())), nodes).tolist()
    heads = {(via, logit[1]) for via in graph.vias}
    kept = {node for node, keep in zip(influence, strong, strict=True) if keep} | heads | {logit}
    flows = {edge: flow for edge, flow in influence_flows(graph).items() if kept.issuperset(edge)}
    large = pruned_edges(torch.tensor(list(flows.values())), edges).tolist()
    flows = {edge: flow for (edge, flow), keep in zip(flows.items(), large, strict=True) if keep}
    while True:
        starts, ends = ({edge[side] for edge in flows} for side in (0, 1))
        useful = {
            (a, b): flow
            for (a, b), flow in flows.items()
            if (b == logit or b in starts) and (a not in heads or a in ends)
        }
        if len(useful) == len(flows):
            return flows
        flows = useful


def _alone(vectors: Tensor) -> Tensor:
    """Each vector of a row by itself at its position: [pos pos d_model]."""
    return torch.diag_embed(vectors.T).permute(1, 2, 0)


def _seen(norm: Norm, stream: Tensor, parts: Tensor) -> Tensor:
    """What a norm makes of parts of a stream, its scale held at that of the stream."""
    return norm.without_scale(parts) / norm.scale(stream)[:, None]


def _reads(
    norm: Norm, stream: Tensor, parts: Tensor, bias: Tensor, readers: Tensor
) -> tuple[Tensor, Tensor]:
    """What readers see of each part behind a norm, and what they see in any case."""
    always = _seen(norm, stream, bias)
    if norm.bias is not None:
        always = always + norm.bias
    return _seen(norm, stream, parts) @ readers, always @ readers


def _moved(
    model: HookedModel, layer: int, pattern: Tensor, stream: Tensor, parts: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor]:
    """What each head writes of each part, its pattern held, and what all of them always write."""
    norm, attention = layer_norm_of(model, layer), model.blocks[layer].attn
    W_V, W_O = (weights[layer] for weights in head_weights(model)[2:])

    def moved(x: Tensor) -> Tensor:
        read = _seen(norm, stream, x)
        return torch.einsum("hqk,...kx,hxd,hdy->h...qy", pattern, read, W_V, W_O)

    b_V = attention.b_V.detach().float()
    if norm.bias is not None:
        b_V = b_V + torch.einsum("x,hxd->hd", norm.bias, W_V)
    always = torch.einsum("hd,hdy->y", b_V, W_O) + attention.b_O.detach().float()
    return moved(parts), moved(bias).sum(dim=0) + always
