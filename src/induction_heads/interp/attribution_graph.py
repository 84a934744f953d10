"""A logit of a two-layer attention-only model as an exact sum over paths, and the graph they form.

With its patterns held fixed such a model is linear (Elhage et al. 2021), so every path from an
input to the logit adds a number. Graphs of this kind are drawn for language models with features
as nodes (Ameisen et al. 2025); there they need a replacement model, here they do not.
"""

from collections.abc import Collection

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from induction_heads.interp.circuits import head_weights
from induction_heads.models.attention import attention_pattern
from induction_heads.models.attention_only import AttentionOnly
from induction_heads.models.interface import Model, embedding, require_tokens, unembedding

Node = tuple[str, int]
"""A component and its position: ("in", 3), ("L0H1", 3), ("L1H0", 11), ("logit", 11)."""
Edge = tuple[Node, Node]


def logit_direction(model: Model, token: int) -> Float[Tensor, " d_model"]:
    """The direction of the stream that is read as the logit of `token` minus the mean logit."""
    W_U = unembedding(model)
    return W_U[:, token] - W_U.mean(dim=1)


def path_contributions(
    model: Model, tokens: Int[Tensor, " pos"], query: int, direction: Float[Tensor, " d_model"]
) -> Float[Tensor, "first second source middle"]:
    """The contribution of every path to the stream at `query`, with patterns held fixed.

    A path starts at the input (token plus position) at `source`, goes to `middle` through a head of
    layer 0, and to the query through a head of layer 1. The last entry of the axes `first` and
    `second` is for no head: the path stays in the stream, at the same position. So entry
    [a, b, s, m] is x_s M_a M_b · direction times P_a[m, s] P_b[query, m], where M is W_V W_O of the
    head or the identity, and P its pattern or the identity. The sum over all entries is exactly
    what the model has along `direction`. Raises ValueError for a model with layer norm, with MLPs
    or other keys than plain ones, or with another number of layers than two, and IndexError for a
    query outside the row.
    """
    stream, patterns, writes = _parts(model, tokens, query)
    there = torch.eye(len(tokens))[None]
    first = torch.cat([patterns[0], there])
    second = torch.cat([patterns[1], there])[:, query]
    # Read backwards from the logit: [second d_model], then [first second d_model].
    reads = torch.cat([writes[1] @ direction, direction[None]])
    reads = torch.cat([torch.einsum("axy,by->abx", writes[0], reads), reads[None]])
    values = torch.einsum("sd,abd->abs", stream, reads)
    return torch.einsum("abs,ams,bm->absm", values, first, second)


def edge_flows(paths: Float[Tensor, "first second source middle"], query: int) -> dict[Edge, float]:
    """The share of the logit that passes each edge: the sum over the paths that use it.

    As much flows into a head at a position as flows out of it, and what flows into the logit is the
    whole sum. Edges that no path can use are left out.
    """
    n_heads, n_pos = paths.shape[0] - 1, query + 1
    flows: dict[Edge, float] = {}
    into = paths[:n_heads].sum(dim=1)  # [head source middle]
    between = paths.sum(dim=2)  # [first second middle]
    for head in range(n_heads):
        for middle in range(n_pos):
            for source in range(middle + 1):
                edge = (("in", source), (f"L0H{head}", middle))
                flows[edge] = into[head, source, middle].item()
    for middle in range(n_pos):
        for first, sender in enumerate(_senders(n_heads, middle)):
            for head in range(n_heads):
                edge = (sender, (f"L1H{head}", query))
                flows[edge] = between[first, head, middle].item()
    for first, sender in enumerate(_senders(n_heads, query)):
        flows[sender, ("logit", query)] = between[first, n_heads, query].item()
    for head in range(n_heads):
        flows[(f"L1H{head}", query), ("logit", query)] = between[:, head].sum().item()
    return flows


def _senders(n_heads: int, position: int) -> list[Node]:
    """What layer 1 and the logit can read at a position: the heads of layer 0, then the input."""
    return [*((f"L0H{head}", position) for head in range(n_heads)), ("in", position)]


def pruned_edges(flows: Float[Tensor, " edge"], share: float) -> Bool[Tensor, " edge"]:
    """True for the edges to keep: the fewest whose |flow| is at least `share` of all |flow|.

    Signs do not count: two large flows that cancel are both kept. A share of 0 needs no edge.
    Raises ValueError unless `share` is between 0 and 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share={share}: use a share between 0 and 1.")
    sizes, order = flows.double().abs().sort(descending=True)
    # An edge is needed if those before it do not suffice. Rounding must not ask for one more.
    before = sizes.cumsum(dim=0) - sizes
    keep = torch.zeros(len(flows), dtype=torch.bool)
    keep[order] = before < share * sizes.sum() * (1 - 1e-9)
    return keep


def kept_logit(
    paths: Float[Tensor, "first second source middle"], query: int, cut: Collection[Edge]
) -> float:
    """What the graph predicts without the edges in `cut`: the sum over the paths that use none."""
    into, between, out = _masks(paths.shape[0] - 1, paths.shape[2], query, cut)
    # A straight first step uses no edge into layer 0, a straight second one none out of layer 1.
    through = between[:, :, None] * into.mT[:, None] * out[:, None, None]
    return (paths * through).sum().item()


def logit_without_edges(
    model: Model,
    tokens: Int[Tensor, " pos"],
    query: int,
    direction: Float[Tensor, " d_model"],
    cut: Collection[Edge],
    *,
    frozen: bool = True,
) -> float:
    """What the model itself has along `direction` at `query` when these edges are cut.

    A cut edge from an input into layer 0 takes the input from the value. A cut edge into layer 1
    takes the sender from the value and, unless `frozen`, also from the query and the key, so that
    the pattern changes. Patterns of layer 0 stay as they are. Raises as `path_contributions`.
    """
    stream, patterns, writes = _parts(model, tokens, query)
    n_heads = len(writes[0])
    into, between, out = _masks(n_heads, len(tokens), query, cut)
    written = (patterns[0] * into[:n_heads]) @ stream @ writes[0]
    parts = torch.cat([written, stream[None]])  # [sender pos d_model]
    total = (between[:, n_heads, query] @ parts[:, query]) @ direction
    W_Q, W_K, _, _ = head_weights(model)
    for head in range(n_heads):
        x = (between[:, head, :, None] * parts).sum(dim=0)
        pattern = patterns[1][head]
        if not frozen:
            pattern = attention_pattern(x @ W_Q[1, head], x @ W_K[1, head])
        total = total + out[head] * (pattern[query] @ x @ writes[1][head]) @ direction
    return total.item()


def _masks(
    n_heads: int, n_pos: int, query: int, cut: Collection[Edge]
) -> tuple[Tensor, Tensor, Tensor]:
    """Ones for whole edges, zeros for cut ones.

    Into layer 0 [first middle source], from there or from the input to layer 1 or to the logit
    [first second middle], and from layer 1 to the logit [second].
    """
    into = torch.ones(n_heads + 1, n_pos, n_pos)
    between = torch.ones(n_heads + 1, n_heads + 1, n_pos)
    out = torch.ones(n_heads + 1)
    for (sender, at), (receiver, to) in cut:
        if receiver.startswith("L0"):
            into[int(receiver[3:]), to, at] = 0
        elif sender.startswith("L1"):
            out[int(sender[3:])] = 0
        else:
            first = n_heads if sender == "in" else int(sender[3:])
            second = n_heads if receiver == "logit" else int(receiver[3:])
            between[first, second, at] = 0
    return into, between, out


def _parts(model: Model, tokens: Tensor, query: int) -> tuple[Tensor, list[Tensor], Tensor]:
    """The stream before layer 0, the patterns of both layers, and W_V W_O of every head."""
    _must_be_linear(model)
    require_tokens(model, tokens[None])
    if not 0 <= query < len(tokens):
        raise IndexError(f"There is no position {query} in a row of {len(tokens)} tokens.")
    W_Q, W_K, W_V, W_O = head_weights(model)
    stream = embedding(model)[tokens] + model.W_pos.detach().float()[: len(tokens)]
    writes = W_V @ W_O
    patterns, x = [], stream
    for layer in range(2):
        patterns.append(attention_pattern(x @ W_Q[layer], x @ W_K[layer]))
        x = x + (patterns[layer] @ x @ writes[layer]).sum(dim=0)
    return stream, patterns, writes


def _must_be_linear(model: Model) -> None:
    if isinstance(model, AttentionOnly):
        norm, n_layers = model.config.normalization, model.config.n_layers
        plain = type(model) is AttentionOnly
    else:
        norm, n_layers = model.cfg.normalization_type, model.cfg.n_layers
        plain = bool(getattr(model.cfg, "attn_only", False))
    if not plain:
        raise ValueError(
            f"This {type(model).__name__} has more than plain heads (MLPs, rotary positions or "
            "smeared keys), which no path goes through. Use an attention-only model such as toy-2l."
        )
    if norm is not None:
        raise ValueError(
            f"The model has layer norm ({norm}), so its logits are not a sum over paths. Use a "
            "model without it, such as toy-2l."
        )
    if n_layers != 2:
        raise ValueError(f"The model has {n_layers} layers; these paths are through two.")
