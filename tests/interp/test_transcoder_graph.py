"""Graphs through a transcoder: exact sums, plain loops, and features silenced in the model."""

import math
from itertools import product

import pytest
import torch
from torch.testing import assert_close

from induction_heads import load_model
from induction_heads.data.mapping_rows import few_shot_prompts, training_rows
from induction_heads.interp.attribution_graph import logit_direction
from induction_heads.interp.feature_silencing import (
    attention_of_last,
    predicted_changes,
    pruned_logit,
    read_logit,
    silence_features,
    without_source,
    without_vector,
)
from induction_heads.interp.score_margins import (
    largest_reasons,
    margin_by_sources,
    score_attributions,
    score_by_sources,
)
from induction_heads.interp.stream_sources import (
    feature_contributions,
    stream_sources,
    summed_pairs,
)
from induction_heads.interp.transcoder import mlp_vectors, train_transcoder
from induction_heads.interp.transcoder_graph import transcoder_graph


@pytest.fixture(scope="module")
def tasks():
    return load_model("tasks-2l")


@pytest.fixture(scope="module")
def transcoders(tasks):
    """Both MLPs, trained so briefly that their errors are large."""
    rows = training_rows(torch.Generator().manual_seed(0))
    found = {}
    for layer in (0, 1):
        x, y = (vectors.flatten(0, 1) for vectors in mlp_vectors(tasks, rows, layer))
        found[layer] = train_transcoder(x, y, k=5, n_features=40, steps=30)
    return found


@pytest.fixture(scope="module")
def row():
    return few_shot_prompts(2, 1, 5, seed=3)[0][0]


@pytest.mark.parametrize("name", ["tasks-2l", "gpt2-2l", "tasks-4l"])
def test_sources_sum_to_the_stream_of_every_layer(name):
    model = load_model(name)
    tokens = torch.arange(1, 12)
    _, cache = model.run_with_cache(tokens[None])
    for layer in range(model.cfg.n_layers):
        sources = stream_sources(model, tokens, layer)
        stream = cache[f"blocks.{layer}.hook_resid_pre"][0]
        assert_close(sources.parts.sum(dim=0), stream, atol=1e-3, rtol=1e-3)
        assert len(set(sources.names)) == len(sources.names)


def test_features_and_error_node_take_the_place_of_the_mlp(tasks, transcoders, row):
    whole, split = stream_sources(tasks, row, 1), stream_sources(tasks, row, 1, transcoders)
    assert_close(split.parts.sum(dim=0), whole.parts.sum(dim=0), atol=1e-4, rtol=1e-4)
    mlp = whole.parts[whole.index("MLP 0")]
    transcoder = transcoders[0]
    inputs, _ = mlp_vectors(tasks, row[None], 0)
    written = torch.zeros_like(mlp)
    for name, part in zip(split.names, split.parts, strict=True):
        if name.startswith("F0:"):
            assert set(torch.nonzero(part.norm(dim=-1)).flatten().tolist())  # On somewhere.
            written += part
    assert_close(mlp - written - transcoder.decoder_bias, split.parts[split.index("error 0")])
    assert_close(written + transcoder.decoder_bias, transcoder(inputs[0]), atol=1e-4, rtol=1e-4)
    assert {"F0", "error 0"} < set(split.groups)


def test_contributions_are_those_of_loops():
    generator = torch.Generator().manual_seed(0)
    sources = torch.randn(3, 4, 5, generator=generator)
    pattern = torch.rand(2, 4, generator=generator)
    writes = torch.randn(2, 5, 5, generator=generator)
    scales = torch.rand(4, generator=generator) + 0.5
    reads = torch.randn(5, generator=generator)
    found = feature_contributions(sources, pattern, writes, scales, 1.7, reads)

    def centered(vector: list[float]) -> list[float]:
        return [value - sum(vector) / 5 for value in vector]

    for source, p in product(range(3), range(4)):
        vector = sources[source, p].tolist()
        for head in range(2):
            x = [value / scales[p].item() for value in centered(vector)]
            y = [sum(x[i] * writes[head, i, o].item() for i in range(5)) for o in range(5)]
            y = [value * pattern[head, p].item() for value in y]
            seen = sum(a * b for a, b in zip(centered(y), reads.tolist(), strict=True)) / 1.7
            assert found[head, source, p].item() == pytest.approx(seen, abs=1e-4)
        stays = sum(a * b for a, b in zip(centered(vector), reads.tolist(), strict=True)) / 1.7
        expected = stays if p == 3 else 0.0
        assert found[2, source, p].item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("opened", [(0, 1), (1,)])
def test_graph_sums_to_the_logit_and_to_every_activation(tasks, transcoders, row, opened):
    for answer in (17, 25):
        direction = logit_direction(tasks, answer)
        graph = transcoder_graph(tasks, row, direction, {k: transcoders[k] for k in opened})
        logits = tasks(row[None])[0, -1]
        logit = (logits[answer] - logits.mean()).item()
        assert graph.total() == pytest.approx(logit, abs=1e-3)
        assert abs(graph.error) > 0.01  # The error node has something to hold.
        into = graph.into_features.sum(dim=(1, 2, 3)) + graph.feature_biases
        assert_close(into, graph.activations, atol=1e-3, rtol=1e-3)
        biases = (graph.feature_biases * graph.per_activation).sum().item()
        total = sum(graph.paths().values()) + biases + graph.error + graph.bias
        assert total == pytest.approx(logit, abs=1e-3)


def test_moved_is_the_sum_of_the_paths_from_a_position_through_a_head(tasks, transcoders, row):
    graph = transcoder_graph(tasks, row, logit_direction(tasks, 20), transcoders)
    sums = torch.zeros(len(graph.vias), len(row))
    for (_, position, via, _), flow in graph.paths().items():
        sums[graph.vias.index(via), position] += flow
    assert_close(graph.moved(), sums, atol=1e-4, rtol=1e-4)


def test_frozen_model_loses_what_the_graph_says(tasks, transcoders, row):
    """With the final norm's scale held, silencing a feature of the last MLP is exact."""
    direction = logit_direction(tasks, 22)
    graph = transcoder_graph(tasks, row, direction, transcoders)
    _, cache = tasks.run_with_cache(row[None])
    scale = cache["ln_final.hook_scale"]
    clean = read_logit(tasks, row, direction)
    changes = predicted_changes(graph, 1)
    inputs, _ = mlp_vectors(tasks, row[None], 1)
    f = transcoders[1].activations(inputs[0, -1])
    assert len(changes) == int((f > 0).sum())
    for (feature, position), change in changes.items():
        assert position == len(row) - 1
        vector = f[feature] * transcoders[1].decoder[feature]
        after = read_logit(tasks, row, direction, [*without_vector(1, position, vector)])
        stream = cache["blocks.1.hook_resid_post"][0, -1] - vector
        assert after == pytest.approx((tasks.ln_final(stream) @ direction).item(), abs=1e-3)
        centered = (stream - stream.mean()) / scale[0, -1]
        by_hand = (centered * tasks.ln_final.weight + tasks.ln_final.bias) @ direction
        assert by_hand.item() - clean == pytest.approx(change, abs=2e-3)


def test_silenced_features_are_the_largest_and_the_control_is_another(tasks, transcoders, row):
    direction = logit_direction(tasks, 22)
    graph = transcoder_graph(tasks, row, direction, transcoders)
    silenced = silence_features(tasks, row, direction, graph, transcoders, 0, largest=4)
    changes = predicted_changes(graph, 0)
    sizes = sorted(map(abs, changes.values()), reverse=True)
    assert silenced.predicted.abs().tolist() == pytest.approx(sizes[:4])
    sums = {}
    for (source, position, _, _), flow in graph.paths().items():
        sums[source, position] = sums.get((source, position), 0) - flow
    for (feature, position), change in zip(
        silenced.features, silenced.predicted.tolist(), strict=True
    ):
        assert sums[f"F0:{feature}", position] == pytest.approx(change, abs=1e-4)
    assert (silenced.measured - silenced.control).abs().min() > 0


def test_pruned_model_keeps_its_logit_with_all_features_and_writes_the_rest_without(
    tasks, transcoders, row
):
    direction = logit_direction(tasks, 22)
    inputs, outputs = mlp_vectors(tasks, row[None], 0)
    f = transcoders[0].activations(inputs[0])
    places = [(j, p) for p, j in f.nonzero().tolist()]
    clean = read_logit(tasks, row, direction)
    found = pruned_logit(tasks, row, direction, transcoders[0], 0, places)
    assert found == pytest.approx(clean, abs=1e-4)
    j, p = places[7]
    others = [place for place in places if place != (j, p)]
    single = read_logit(
        tasks, row, direction, without_vector(0, p, f[p, j] * transcoders[0].decoder[j])
    )
    assert single != pytest.approx(clean, abs=1e-4)
    found = pruned_logit(tasks, row, direction, transcoders[0], 0, others)
    assert found == pytest.approx(single, abs=1e-4)
    rest = outputs - f @ transcoders[0].decoder
    hook = ("blocks.0.mlp.hook_out", lambda written, hook: rest)
    bare = pruned_logit(tasks, row, direction, transcoders[0], 0, [])
    assert bare == pytest.approx(read_logit(tasks, row, direction, [hook]), abs=1e-4)


def test_source_is_taken_from_one_side_at_one_position(tasks, row):
    """The scores are computed by hand from the streams with and without the source."""
    sources = stream_sources(tasks, row, 1)
    _, cache = tasks.run_with_cache(row[None])
    clean = cache["blocks.1.attn.hook_pattern"][0, :, -1]
    assert_close(attention_of_last(tasks, row, 1), clean)
    attention, norm = tasks.blocks[1].attn, tasks.blocks[1].ln1
    stream = cache["blocks.1.hook_resid_pre"][0]
    for side in ("q", "k"):
        at = 3 if side == "k" else len(row) - 1
        found = attention_of_last(
            tasks, row, 1, without_source(tasks, sources, 1, side, at, "L0H1")
        )
        changed = stream.clone()
        changed[at] -= sources.parts[sources.index("L0H1"), at]
        asking, asked = (changed, stream) if side == "q" else (stream, changed)
        for head in range(4):
            q = norm(asking)[-1] @ attention.W_Q[head] + attention.b_Q[head]
            k = norm(asked) @ attention.W_K[head] + attention.b_K[head]
            scores = (k @ q) / math.sqrt(q.shape[0])
            assert_close(found[head], scores.softmax(dim=0), atol=1e-4, rtol=1e-3)


def test_pairs_sum_to_the_score_that_the_model_has(tasks, transcoders):
    row = torch.tensor([0, 5, 9, 30, 12, 5, 9, 30, 12])
    _, cache = tasks.run_with_cache(row[None])
    scores = cache["blocks.1.attn.hook_attn_scores"][0]
    sources = stream_sources(tasks, row, 1, transcoders)
    for head, query, key in product(range(4), (5, 8), (0, 2, 5)):
        table = score_by_sources(tasks, sources.parts, 1, head, query, key)
        assert table.sum().item() == pytest.approx(scores[head, query, key].item(), abs=1e-3)
        summed = summed_pairs(table, sources.groups)
        assert sum(summed.values()) == pytest.approx(table.sum().item(), abs=1e-3)
        margin = margin_by_sources(tasks, sources.parts, 1, head, query, key).sum().item()
        others = [scores[head, query, other].item() for other in range(query + 1) if other != key]
        expected = scores[head, query, key].item() - sum(others) / len(others)
        assert margin == pytest.approx(expected, abs=1e-3)


def test_largest_reasons_are_sums_over_the_other_side(tasks, transcoders):
    row = torch.tensor([0, 5, 9, 30, 12, 5, 9, 30, 12])
    sources = stream_sources(tasks, row, 1, transcoders)
    table = margin_by_sources(tasks, sources.parts, 1, 2, 8, 5).tolist()
    sums = {}
    for a, name in enumerate(sources.names):
        sums[name, 8] = sum(table[a])
        sums[name, 5] = sum(line[a] for line in table)
    found = largest_reasons(tasks, sources, 1, 2, 8, 5, n=3)
    for place in (8, 5):
        values = {name: value for (name, at), value in sums.items() if at == place}
        expected = sorted(values, key=lambda name: -abs(values[name]))[:3]
        assert [name for name, at in found if at == place] == expected
        for name in expected:
            assert found[name, place] == pytest.approx(values[name], abs=1e-4)


def test_score_of_a_pair_is_that_of_loops():
    generator = torch.Generator().manual_seed(1)
    q, k = torch.randn(2, 3, generator=generator), torch.randn(4, 3, generator=generator)
    W_Q, W_K = torch.randn(2, 3, 2, generator=generator)
    b_Q, b_K = torch.randn(2, 2, generator=generator)
    found = score_attributions(q, k, W_Q, W_K, b_Q, b_K)
    assert found.shape == (3, 5)

    def sides(sources, W, b):
        rows = [[sum(x * w for x, w in zip(s, col, strict=True)) for col in W.T.tolist()]
                for s in sources.tolist()]  # fmt: skip
        return [*rows, b.tolist()]

    for (a, one), (c, other) in product(
        enumerate(sides(q, W_Q, b_Q)), enumerate(sides(k, W_K, b_K))
    ):
        expected = sum(x * y for x, y in zip(one, other, strict=True)) / math.sqrt(2)
        assert found[a, c].item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.usefixtures("as_for_a_reader")
def test_unusable_input_is_explained(tasks, transcoders, row):
    direction = logit_direction(tasks, 20)
    with pytest.raises(ValueError, match="no transcoder for layer 1, the last one"):
        transcoder_graph(tasks, row, direction, {0: transcoders[0]})
    with pytest.raises(ValueError, match="There is no layer 7"):
        stream_sources(tasks, row, 7)
    with pytest.raises(ValueError, match="rotary positions and the norm RMS"):
        stream_sources(load_model("llama-4l"), row, 1)
    sources = stream_sources(tasks, row, 1)
    with pytest.raises(ValueError, match="no source 'L9H9'"):
        sources.index("L9H9")
    with pytest.raises(ValueError, match="the key not after the query"):
        score_by_sources(tasks, sources.parts, 1, 0, 2, 5)
    with pytest.raises(ValueError, match="Query 0 sees a single key"):
        margin_by_sources(tasks, sources.parts, 1, 0, 0, 0)
