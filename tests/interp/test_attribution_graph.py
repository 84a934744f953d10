"""Paths sum to the logit, flows are conserved, and the graph predicts cuts with frozen patterns."""

import pytest
import torch
from drawn import reference_function

from induction_heads.data.tokens import repeated_tokens
from induction_heads.figures.graph import describe_graph, draw_graph
from induction_heads.interp.attribution_graph import (
    edge_flows,
    kept_logit,
    logit_direction,
    logit_without_edges,
    path_contributions,
    pruned_edges,
)
from induction_heads.models.attention_only import AttentionOnly, AttentionOnlyConfig, initialize
from induction_heads.models.loading import load_attention_only, load_model
from induction_heads.models.rotary_positions import with_rotary_positions

QUERY = 9
TOKENS = repeated_tokens(30, 6, batch=1, seed=3)[0]


@pytest.fixture(scope="module")
def model() -> AttentionOnly:
    config = AttentionOnlyConfig(2, 3, d_model=12, d_head=5, d_vocab=30, n_ctx=12)
    return initialize(AttentionOnly(config), std=0.5, seed=0).requires_grad_(False)


@pytest.fixture(scope="module")
def direction(model) -> torch.Tensor:
    return logit_direction(model, 7)


@pytest.fixture(scope="module")
def paths(model, direction) -> torch.Tensor:
    return path_contributions(model, TOKENS, QUERY, direction)


def above_mean(model, token: int) -> float:
    logits = model(TOKENS[None])[0, QUERY]
    return (logits[token] - logits.mean()).item()


def test_paths_sum_to_the_logit_above_the_mean(model, paths):
    assert paths.sum().item() == pytest.approx(above_mean(model, 7), abs=1e-4)


@pytest.mark.parametrize("name", ["toy-2l", "markov-2l"])
def test_paths_of_trained_models_sum_to_their_logits(name):
    model = load_attention_only(name)
    for token in (3, 40):
        found = path_contributions(model, TOKENS, QUERY, logit_direction(model, token))
        assert found.sum().item() == pytest.approx(above_mean(model, token), abs=1e-4)


def test_a_bridge_has_the_same_paths():
    plain, bridge = load_attention_only("toy-2l"), load_model("toy-2l")
    wanted = path_contributions(plain, TOKENS, QUERY, logit_direction(plain, 3))
    found = path_contributions(bridge, TOKENS, QUERY, logit_direction(bridge, 3))
    assert torch.allclose(found, wanted, atol=1e-5)


def test_there_are_as_many_paths_as_the_formula_says(paths):
    count = eval(reference_function("paths_formula")(), {"n": QUERY + 1, "H": 3})
    assert int((paths != 0).sum()) == count


def test_as_much_flows_into_a_head_as_out_of_it_and_all_flows_into_the_logit(model, paths):
    flows = edge_flows(paths, QUERY)
    into: dict = {}
    out: dict = {}
    for (sender, receiver), flow in flows.items():
        into[receiver] = into.get(receiver, 0) + flow
        out[sender] = out.get(sender, 0) + flow
    assert into["logit", QUERY] == pytest.approx(above_mean(model, 7), abs=1e-4)
    inner = [node for node in into if node[0] != "logit"]
    assert len(inner) == 3 * (QUERY + 1) + 3
    assert all(into[node] == pytest.approx(out[node], abs=1e-4) for node in inner)


def test_no_edge_comes_from_the_future(paths):
    assert all(sender[1] <= receiver[1] for sender, receiver in edge_flows(paths, QUERY))


def test_nothing_cut_is_the_model_itself(model, paths, direction):
    for frozen in (True, False):
        found = logit_without_edges(model, TOKENS, QUERY, direction, [], frozen=frozen)
        assert found == pytest.approx(above_mean(model, 7), abs=1e-4)
    assert kept_logit(paths, QUERY, []) == pytest.approx(paths.sum().item(), abs=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_the_graph_predicts_any_cut_while_patterns_are_frozen(model, paths, direction, seed):
    edges = list(edge_flows(paths, QUERY))
    chosen = torch.rand(len(edges), generator=torch.Generator().manual_seed(seed)) < 0.4
    cut = [edge for edge, away in zip(edges, chosen.tolist(), strict=True) if away]
    predicted = kept_logit(paths, QUERY, cut)
    assert abs(predicted - paths.sum().item()) > 0.01
    found = logit_without_edges(model, TOKENS, QUERY, direction, cut)
    assert found == pytest.approx(predicted, abs=1e-4)
    free = logit_without_edges(model, TOKENS, QUERY, direction, cut, frozen=False)
    assert free != pytest.approx(predicted, abs=1e-3)


def test_one_cut_edge_takes_away_its_flow(paths):
    for edge, flow in list(edge_flows(paths, QUERY).items())[::17]:
        left = kept_logit(paths, QUERY, [edge])
        assert paths.sum().item() - left == pytest.approx(flow, abs=1e-4)


def test_all_edges_cut_leaves_nothing(model, paths, direction):
    cut = list(edge_flows(paths, QUERY))
    assert kept_logit(paths, QUERY, cut) == 0
    assert logit_without_edges(model, TOKENS, QUERY, direction, cut) == 0


def test_the_fewest_edges_are_kept_and_signs_do_not_count():
    flows = torch.tensor([1.0, -5.0, 0.5, 3.0, -0.5])
    assert pruned_edges(flows, 0.8).tolist() == [False, True, False, True, False]
    assert pruned_edges(flows, 0.81).tolist() == [True, True, False, True, False]
    assert pruned_edges(flows, 1.0).all()
    assert not pruned_edges(flows, 0.0).any()


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_outside_0_to_1_is_refused(share):
    with pytest.raises(ValueError, match="between 0 and 1"):
        pruned_edges(torch.ones(3), share)


def test_models_whose_logits_are_no_sum_over_paths_are_refused(direction):
    with pytest.raises(ValueError, match="layer norm"):
        path_contributions(load_attention_only("python-2l"), TOKENS, QUERY, torch.ones(128))
    with pytest.raises(ValueError, match="1 layers"):
        path_contributions(load_attention_only("toy-1l"), TOKENS, QUERY, torch.ones(64))
    rotary = with_rotary_positions(load_attention_only("toy-2l"))
    with pytest.raises(ValueError, match="RotaryPositions has more than plain heads"):
        path_contributions(rotary, TOKENS, QUERY, torch.ones(64))
    with pytest.raises(IndexError, match="no position 12"):
        path_contributions(load_attention_only("toy-2l"), TOKENS, 12, torch.ones(64))


def test_the_drawing_has_every_edge_and_the_words_name_the_largest_first(paths):
    import matplotlib.pyplot as plt

    largest = sorted(edge_flows(paths, QUERY).items(), key=lambda item: -abs(item[1]))[:6]
    labels = [str(token) for token in TOKENS[: QUERY + 1].tolist()]
    fig, ax = plt.subplots()
    draw_graph(ax, dict(largest), labels)
    assert len(ax.lines) == 6
    plt.close(fig)
    words = describe_graph(dict(reversed(largest)), labels)
    assert words.count(" to ") == 6
    assert f"{largest[0][1]:.1f}" in words.split(";")[0]
    assert words.endswith(".")
