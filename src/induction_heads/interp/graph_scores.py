"""Two scores of an attribution graph: how much of it begins at an error node.

Ameisen et al. 2025 grade their graphs by them. Both follow influence back from the logit: a node
passes its influence on to the nodes that it reads from, in proportion to the sizes of the edges.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def node_influence(edges: Float[Tensor, "node node"]) -> Float[Tensor, " node"]:
    """How much of the influence on the last node passes each node, or begins there.

    Edge [i, j] is what node j adds to node i, and j < i. The last node, the logit, has an influence
    of 1. A node shares its own among the nodes it reads from, in proportion to |edge|. So it is the
    chance that a walk from the logit, back along edges drawn with these weights, comes by.
    Raises ValueError if an edge leads to an earlier node, or to itself.

    >>> edges = torch.zeros(3, 3)
    >>> edges[2, 0], edges[2, 1], edges[1, 0] = 3.0, -1.0, 0.5
    >>> node_influence(edges).tolist()
    [1.0, 0.25, 1.0]
    """
    if edges.triu().any():
        raise ValueError(
            "An edge leads to the same or to an earlier node. Order the nodes so that edges[i, j] "
            "is 0 unless j comes before i."
        )
    shares = _shares(edges)
    influence = torch.zeros(len(edges))
    influence[-1] = 1.0
    for node in range(len(edges) - 1, -1, -1):
        influence += influence[node] * shares[node]
    return influence


def replacement_score(
    edges: Float[Tensor, "node node"],
    is_input: Bool[Tensor, " node"],
    is_error: Bool[Tensor, " node"],
) -> float:
    """The share of the influence that begins at inputs, and not at error nodes: from 0 to 1.

    `node_influence` of inputs over that of inputs and error nodes. 1 if there are no errors. What a
    feature gets from its bias begins nowhere and does not count. NaN if nothing reaches the logit.
    Raises as `node_influence`.

    >>> edges = torch.zeros(4, 4)  # An input, an error node, a feature, the logit.
    >>> edges[2, 0], edges[2, 1], edges[3, 2], edges[3, 1] = 3.0, -1.0, 2.0, 2.0
    >>> kinds = torch.tensor([[True, False, False, False], [False, True, False, False]])
    >>> replacement_score(edges, *kinds)
    0.375
    """
    influence = node_influence(edges)
    inputs, errors = influence[is_input].sum(), influence[is_error].sum()
    return (inputs / (inputs + errors)).item()


def completeness_score(edges: Float[Tensor, "node node"], is_error: Bool[Tensor, " node"]) -> float:
    """The share of what nodes read that does not come from error nodes: from 0 to 1.

    By |edge| for each node, then the mean over all nodes that read something, weighted by their
    influence. So a feature counts that is mostly explained, even if an error is behind what
    explains it. NaN if the logit reads nothing. Raises as `node_influence`.
    """
    influence, shares = node_influence(edges), _shares(edges)
    weight = influence * (shares.sum(dim=1) > 0)
    explained = 1 - shares[:, is_error].sum(dim=1)
    return ((weight * explained).sum() / weight.sum()).item()


def _shares(edges: Tensor) -> Tensor:
    """|edge| over the sum of all edges into the same node; 0 where a node reads nothing."""
    sizes = edges.abs()
    return sizes / sizes.sum(dim=1, keepdim=True).clamp_min(torch.finfo(sizes.dtype).tiny)
