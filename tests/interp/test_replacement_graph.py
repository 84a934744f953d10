"""The graph of both MLPs: exact sums, edges by hand, and scores that a bad transcoder fails."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from induction_heads import load_model
from induction_heads.data.mapping_rows import few_shot_prompts, training_rows
from induction_heads.interp.attribution_graph import logit_direction
from induction_heads.interp.graph_scores import node_influence
from induction_heads.interp.replacement_graph import (
    influence_flows,
    pruned_flows,
    replacement_graph,
)
from induction_heads.interp.transcoder import mlp_vectors, top_neurons, train_transcoder
from induction_heads.interp.transcoder_graph import transcoder_graph

ANSWER = 22


@pytest.fixture(scope="module")
def tasks():
    return load_model("tasks-2l")


@pytest.fixture(scope="module")
def transcoders(tasks):
    """Both MLPs, trained so briefly that their errors are large."""
    rows, found = training_rows(torch.Generator().manual_seed(0)), {}
    for layer in (0, 1):
        x, y = (vectors.flatten(0, 1) for vectors in mlp_vectors(tasks, rows, layer))
        found[layer] = train_transcoder(x, y, k=5, n_features=40, steps=60)
    return found


@pytest.fixture(scope="module")
def row():
    return few_shot_prompts(2, 1, 5, seed=3)[0][0]


@pytest.fixture(scope="module")
def graph(tasks, transcoders, row):
    return replacement_graph(tasks, row, logit_direction(tasks, ANSWER), transcoders)


def test_every_node_receives_what_it_has(tasks, transcoders, row, graph):
    activations = [
        transcoders[layer].activations(mlp_vectors(tasks, row[None], layer)[0][0])
        for layer in (0, 1)
    ]
    totals, kinds = graph.totals(), {name.partition(":")[0] for name, _ in graph.nodes}
    assert kinds == {"token", "position", "F0", "error 0", "F1", "error 1", "logit"}
    for (name, position), total in zip(graph.nodes, totals.tolist(), strict=True):
        if name.startswith("F"):
            layer, _, feature = name[1:].partition(":")
            expected = activations[int(layer)][position, int(feature)].item()
            assert total == pytest.approx(expected, abs=1e-3)
        elif name != "logit":
            assert total == 0
    logits = tasks(row[None])[0, -1]
    assert totals[-1].item() == pytest.approx((logits[ANSWER] - logits.mean()).item(), abs=1e-3)
    of_layer = [sum(name.startswith(f"F{layer}") for name, _ in graph.nodes) for layer in (0, 1)]
    assert of_layer == [int((activations[0] > 0).sum()), int((activations[1][-1] > 0).sum())]
    assert not graph.edges.triu().any()


def test_edges_from_features_and_errors_are_those_of_the_graph_of_the_last_layer(
    tasks, transcoders, row, graph
):
    """That graph is tested against loops. What heads of layer 0 wrote is inside the tokens here."""
    one = transcoder_graph(tasks, row, logit_direction(tasks, ANSWER), transcoders)
    number = {node: index for index, node in enumerate(graph.nodes)}
    ends = [*((f"F1:{j}", len(row) - 1) for j in one.features), ("logit", len(row) - 1)]
    assert graph.vias == one.vias
    for end, into in zip(ends, [*one.into_features, one.into_logit], strict=True):
        found = graph.by_via[:, number[end]]
        for s, name in enumerate(one.sources):
            if name.startswith(("F0", "error")):
                for p in range(len(row)):
                    if (name, p) in number:
                        edge = found[:, number[name, p]]
                        assert_close(edge, into[:, s, p], atol=1e-4, rtol=1e-3)
                    else:
                        assert not into[:, s, p].any()


def test_edges_from_tokens_go_through_the_first_heads_and_the_stream(
    tasks, transcoders, row, graph
):
    """Number by number, for three features of MLP 0, from the weights."""
    _, cache = tasks.run_with_cache(row[None])
    attention, number = tasks.blocks[0].attn, {n: i for i, n in enumerate(graph.nodes)}
    before = cache["blocks.0.ln1.hook_scale"][0, :, 0]
    between = cache["blocks.0.ln2.hook_scale"][0, :, 0]
    gains = tasks.blocks[0].ln1.weight, tasks.blocks[0].ln2.weight
    features = [node for node in graph.nodes if node[0].startswith("F0:") and node[1] > 2][::7]
    for name, p in features[:3]:
        reads = transcoders[0].encoder[:, int(name[3:])]
        for q in range(len(row)):
            vector = tasks.W_E[row[q]]
            read = (vector - vector.mean()) / before[q] * gains[0]
            arrived = vector * (p == q)
            for head in range(tasks.cfg.n_heads):
                weight = cache["blocks.0.attn.hook_pattern"][0, head, p, q]
                arrived = arrived + weight * (read @ attention.W_V[head] @ attention.W_O[head])
            seen = (arrived - arrived.mean()) / between[p] * gains[1]
            edge = graph.edges[number[name, p], number["token", q]]
            assert edge.item() == pytest.approx((seen @ reads).item(), abs=1e-4)


def test_flows_leave_a_node_as_they_enter_it_and_all_end_at_inputs_and_errors(graph):
    flows = influence_flows(graph)
    heads = {name for name in graph.vias if name != "stream"}
    for head in heads:
        node = (head, graph.nodes[-1][1])
        into = sum(flow for (_, to), flow in flows.items() if to == node)
        out = sum(flow for (start, _), flow in flows.items() if start == node)
        assert into == pytest.approx(out, abs=1e-5)
    signed = graph.edges / graph.edges.abs().sum(dim=1, keepdim=True).clamp_min(1e-20)
    signed = signed * node_influence(graph.edges)[:, None]
    first = min(i for i, (name, _) in enumerate(graph.nodes) if name.startswith("F0"))
    into = sum(flow for (_, to), flow in flows.items() if to == graph.nodes[first])
    assert into == pytest.approx(signed[first].sum().item(), abs=1e-5)
    ends = sum(
        flow
        for (start, _), flow in flows.items()
        if start[0] == "in" or start[0].startswith("error")
    )
    wanted = signed[:, graph.is_input | graph.is_error].sum().item()
    assert ends == pytest.approx(wanted, abs=1e-4)


def test_pruned_flows_are_the_largest_and_lead_to_the_logit(graph):
    whole, logit = influence_flows(graph), graph.nodes[-1]
    size = sum(map(abs, whole.values()))
    assert sum(map(abs, pruned_flows(graph, 1, 1).values())) == pytest.approx(size)
    few = pruned_flows(graph, 0.5, 0.9)
    assert 0 < len(few) < len(pruned_flows(graph, 0.8, 0.9)) < len(whole) / 4
    assert all(whole[edge] == flow for edge, flow in few.items())
    starts, ends = ({edge[side] for edge in few} for side in (0, 1))
    assert ends - starts == {logit}  # No edge leads into nothing.
    heads = {node for node in starts if node[0] in graph.vias}
    assert heads <= ends
    influence = node_influence(graph.edges).tolist()
    kept = [influence[graph.nodes.index(node)] for node in starts if node[0][0] in "Fe"]
    left = [v for node, v in zip(graph.nodes, influence, strict=True) if node[0][0] in "Fe"]
    assert max(left) == max(kept)


def scores(tasks, row, transcoders):
    graph = replacement_graph(tasks, row, logit_direction(tasks, ANSWER), transcoders)
    return graph.scores()


def test_bad_transcoders_score_less_and_all_neurons_one(tasks, transcoders, row):
    good = scores(tasks, row, transcoders)
    silent = {
        layer: replace(each, encoder_bias=torch.full_like(each.encoder_bias, -1e6))
        for layer, each in transcoders.items()
    }
    mixed = {
        layer: replace(each, decoder=each.decoder.roll(1, dims=0))
        for layer, each in transcoders.items()
    }
    none, wrong = scores(tasks, row, silent), scores(tasks, row, mixed)
    assert none[0] == pytest.approx(none[1])  # Without features the logit alone reads anything.
    assert none[0] < wrong[0] < good[0]
    assert wrong[1] < good[1]
    whole = {layer: top_neurons(tasks, layer, 256) for layer in (0, 1)}
    assert scores(tasks, row[:6], whole) == pytest.approx((1, 1), abs=1e-3)


@pytest.mark.usefixtures("as_for_a_reader")
def test_unusable_input_is_explained(tasks, transcoders, row):
    direction = logit_direction(tasks, ANSWER)
    with pytest.raises(ValueError, match="no transcoder for layer 0"):
        replacement_graph(tasks, row, direction, {1: transcoders[1]})
    with pytest.raises(ValueError, match="rotary positions and the norm RMS"):
        replacement_graph(load_model("llama-4l"), row, direction, transcoders)
