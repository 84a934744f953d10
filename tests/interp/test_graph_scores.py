"""Scores of a graph: the chances of a walk back from the logit, step by step."""

import math

import pytest
import torch

from induction_heads.interp.graph_scores import (
    completeness_score,
    node_influence,
    replacement_score,
)


def walks(edges, node):
    """Every walk back from a node to one that reads nothing: its chance and the nodes it visits."""
    sizes = [abs(value) for value in edges[node].tolist()]
    if not any(sizes):
        yield 1.0, [node]
        return
    for sender, size in enumerate(sizes):
        if size:
            for chance, visited in walks(edges, sender):
                yield chance * size / sum(sizes), [node, *visited]


def random_graph(seed, n=9, n_ends=4):
    """Nodes of which the first few read nothing; an input, an error, and ends that are neither."""
    generator = torch.Generator().manual_seed(seed)
    edges = torch.randn(n, n, generator=generator).tril(-1)
    edges = edges * (torch.rand(n, n, generator=generator) < 0.7)
    edges[:n_ends] = 0
    is_input, is_error = torch.zeros(2, n, dtype=torch.bool)
    is_input[[0, 2]] = True
    is_error[1] = True
    return edges, is_input, is_error


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_the_chances_of_walks(seed):
    edges, is_input, is_error = random_graph(seed)
    found = list(walks(edges, len(edges) - 1))
    assert sum(chance for chance, _ in found) == pytest.approx(1.0)
    passes = [sum(c for c, visited in found if node in visited) for node in range(len(edges))]
    assert node_influence(edges).tolist() == pytest.approx(passes, abs=1e-5)

    at_inputs = sum(c for c, visited in found if is_input[visited[-1]])
    at_errors = sum(c for c, visited in found if is_error[visited[-1]])
    assert 0 < at_inputs + at_errors < 1  # Node 3 reads nothing and is neither.
    expected = at_inputs / (at_inputs + at_errors)
    assert replacement_score(edges, is_input, is_error) == pytest.approx(expected, abs=1e-5)

    steps = [(c, sender) for c, visited in found for sender in visited[1:]]
    good = sum(c for c, sender in steps if not is_error[sender]) / sum(c for c, _ in steps)
    assert completeness_score(edges, is_error) == pytest.approx(good, abs=1e-5)
    flipped = edges * torch.tensor([1.0, -1.0]).repeat(9)[:9]
    assert replacement_score(flipped, is_input, is_error) == pytest.approx(expected, abs=1e-5)


def test_graph_without_errors_scores_one_and_one_of_errors_alone_zero():
    edges, is_input, is_error = random_graph(0)
    none = torch.zeros_like(is_error)
    assert replacement_score(edges, is_input, none) == completeness_score(edges, none) == 1
    assert replacement_score(edges, none, is_error) == 0
    assert math.isnan(replacement_score(edges, none, none))
    assert math.isnan(completeness_score(torch.zeros(3, 3), none[:3]))


def test_completeness_gives_credit_for_a_feature_whose_own_sources_are_errors():
    """The logit reads a feature alone, and that reads an error node alone."""
    edges = torch.zeros(4, 4)
    edges[2, 1] = edges[3, 2] = 1.0
    is_input, is_error = torch.eye(4, dtype=torch.bool)[:2]
    assert replacement_score(edges, is_input, is_error) == 0.0
    assert completeness_score(edges, is_error) == 0.5


@pytest.mark.usefixtures("as_for_a_reader")
def test_an_edge_backwards_is_explained():
    for i, j in ((0, 2), (1, 1)):
        edges = torch.zeros(3, 3)
        edges[i, j] = 1.0
        with pytest.raises(ValueError, match="Order the nodes so that"):
            node_influence(edges)
