"""Checks of chapter 14 on transcoders, graphs through them, and the pairs behind a score."""

import math
from typing import Any

import torch
from torch import Tensor

from induction_heads.course.ch14_features_and_graphs import transcoder_mistakes
from induction_heads.course.compare import closeness
from induction_heads.course.exercise import Case, Exercise

# transcoder_parts


def _parts_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)

    def case(label: str, n: int, widths: tuple[int, int, int], k: int, shift: float) -> Case:
        d_model, n_features, d_out = widths

        def draw(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator)

        encoder, bias = draw(d_model, n_features), draw(n_features) + shift
        decoder = draw(n_features, d_out) * torch.linspace(0.5, 2.0, n_features)[:, None]
        weights = (encoder, bias, decoder, draw(d_out))
        return Case(label, (draw(n, d_model), draw(n, d_out), *weights, k))

    return [
        case("5 examples, 2 of 7 features", 5, (4, 7, 4), 2, 0.0),
        case("4 examples, 3 of 9 features, more dimensions out than in", 4, (3, 9, 5), 3, 1.0),
        case("6 examples, 4 of 5 features, most of them below zero", 6, (4, 5, 3), 4, -2.0),
        case("3 examples, 1 of 6 features", 3, (5, 6, 4), 1, 0.0),
    ]


def _parts_by_loops(
    inputs: Tensor,
    outputs: Tensor,
    encoder: Tensor,
    encoder_bias: Tensor,
    decoder: Tensor,
    decoder_bias: Tensor,
    k: int,
) -> tuple[Tensor, Tensor]:
    """Feature by feature: one is kept if fewer than k others are stronger."""
    n, n_features = len(inputs), encoder.shape[1]
    written = torch.zeros(n, n_features, decoder.shape[1])
    error = torch.zeros(n, decoder.shape[1])
    for e in range(n):
        strengths = []
        for j in range(n_features):
            total = encoder_bias[j].item()
            for x, weight in zip(inputs[e].tolist(), encoder[:, j].tolist(), strict=True):
                total += x * weight
            strengths.append(max(total, 0.0))
        left = outputs[e] - decoder_bias
        for j, strength in enumerate(strengths):
            stronger = sum(other > strength for other in strengths)
            if stronger < k:
                written[e, j] = strength * decoder[j]
                left = left - written[e, j]
        error[e] = left
    return written, error


TRANSCODER_PARTS = Exercise(
    name="transcoder_parts",
    difficulty=2,
    minutes=12,
    why="A graph through a stand-in is only as honest as its record of what the stand-in misses.",
    cases=_parts_cases,
    oracle=_parts_by_loops,
    mistakes=transcoder_mistakes.PARTS_MISTAKES,
)


# feature_contributions


def _contribution_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)

    def case(label: str, n_sources: int, n_pos: int, n_heads: int, d_model: int) -> Case:
        def draw(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator)

        # Means far from 0, so that centering counts, and scales that differ by position.
        sources = draw(n_sources, n_pos, d_model) + draw(n_sources, n_pos, 1)
        pattern = (2 * draw(n_heads, n_pos)).softmax(dim=-1)
        writes = draw(n_heads, d_model, d_model) + draw(n_heads, 1, 1)
        before = torch.rand(n_pos, generator=generator) * 2 + 0.5
        after = torch.rand((), generator=generator).item() + 1.5
        reads = draw(d_model) + 1
        return Case(label, (sources, pattern, writes, before, after, reads))

    return [
        case("3 sources, 4 positions, 2 heads", 3, 4, 2, 5),
        case("5 sources, 3 positions, 3 heads", 5, 3, 3, 4),
        case("2 sources, 6 positions, 1 head", 2, 6, 1, 7),
        case("4 sources, one position, 2 heads", 4, 1, 2, 6),
    ]


def _contributions_by_loops(
    sources: Tensor,
    pattern: Tensor,
    writes: Tensor,
    scale_before: Tensor,
    scale_after: float,
    reads: Tensor,
) -> Tensor:
    """Each source is followed by itself, number by number."""
    n_sources, n_pos, d_model = sources.shape
    found = torch.zeros(len(pattern) + 1, n_sources, n_pos)

    def centered(vector: list[float]) -> list[float]:
        mean = sum(vector) / d_model
        return [value - mean for value in vector]

    def seen(vector: list[float]) -> float:
        products = zip(centered(vector), reads.tolist(), strict=True)
        return sum(value / scale_after * weight for value, weight in products)

    for s in range(n_sources):
        for p in range(n_pos):
            vector = sources[s, p].tolist()
            read = [value / scale_before[p].item() for value in centered(vector)]
            for h in range(len(pattern)):
                moved = [0.0] * d_model
                for value, line in zip(read, writes[h].tolist(), strict=True):
                    moved = [m + value * weight for m, weight in zip(moved, line, strict=True)]
                found[h, s, p] = pattern[h, p].item() * seen(moved)
        found[-1, s, n_pos - 1] = seen(sources[s, n_pos - 1].tolist())
    return found


FEATURE_CONTRIBUTIONS = Exercise(
    name="feature_contributions",
    difficulty=3,
    minutes=25,
    why="These numbers are the edges of an attribution graph, and they add up.",
    cases=_contribution_cases,
    oracle=_contributions_by_loops,
    compare=closeness(1e-4, 1e-4),
    mistakes=transcoder_mistakes.CONTRIBUTION_MISTAKES,
)


# replacement_score


def _graph_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)

    def case(label: str, kinds: str, density: float = 1.0, size: float = 1.0) -> Case:
        """`kinds` has a letter for each node: input, error, feature, bare feature, logit."""
        n = len(kinds)
        edges = torch.randn(n, n, generator=generator)
        edges *= torch.rand(n, n, generator=generator) < density
        edges = edges.tril(-1)
        # The last feature is always read, and reads the node in front of it.
        last = max(index for index, kind in enumerate(kinds) if kind in "fb")
        edges[-1, last] = 1.5
        edges[last, last - 1] = -1.0
        for index, kind in enumerate(kinds):
            edges[index] *= size * (kind in "fl")
        masks = (torch.tensor([kind == which for kind in kinds]) for which in "ie")
        return Case(label, (edges, *masks))

    return [
        case("an input, two error nodes, three features", "ieefffl"),
        case("inputs and error nodes in turn, four features", "ieiefffffl", 0.7),
        case("two layers, with the error nodes of the second among its features", "iieffeffl"),
        case("a feature that reads nothing", "iebffl"),
        case("small edges", "iefffl", size=0.01),
        case("no error nodes", "iiffl"),
        case("features that read error nodes alone", "efffl"),
    ]


def _by_walks(edges: Tensor, is_input: Tensor, is_error: Tensor) -> float:
    """Every walk back from the logit, with its chance, and where it ends."""
    sizes = edges.abs().tolist()
    ends = {"input": 0.0, "error": 0.0}
    walks = [(len(sizes) - 1, 1.0)]
    while walks:
        node, chance = walks.pop()
        total = sum(sizes[node])
        if is_input[node]:
            ends["input"] += chance
        elif is_error[node]:
            ends["error"] += chance
        for sender, size in enumerate(sizes[node]):
            if size > 0:
                walks.append((sender, chance * size / total))
    return ends["input"] / (ends["input"] + ends["error"])


REPLACEMENT_SCORE = Exercise(
    name="replacement_score",
    difficulty=2,
    minutes=20,
    why="The sum of a graph is exact however bad the stand-in is. This number is not.",
    cases=_graph_cases,
    oracle=_by_walks,
    mistakes=transcoder_mistakes.REPLACEMENT_MISTAKES,
)


# score_attributions


def _score_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)

    def case(label: str, n_query: int, n_key: int, d_model: int, d_head: int) -> Case:
        def draw(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator)

        args: tuple[Any, ...] = (draw(n_query, d_model), draw(n_key, d_model))
        args += (draw(d_model, d_head), draw(d_model, d_head), draw(d_head), draw(d_head))
        return Case(label, args)

    return [
        case("3 sources at the query, 4 at the key", 3, 4, 5, 2),
        case("2 sources at the query, 2 at the key", 2, 2, 6, 3),
        case("5 sources at the query, 1 at the key", 5, 1, 4, 4),
    ]


def _pairs_by_loops(
    query_sources: Tensor,
    key_sources: Tensor,
    W_Q: Tensor,
    W_K: Tensor,
    b_Q: Tensor,
    b_K: Tensor,
) -> Tensor:
    """Every pair by itself, dimension by dimension of the head."""
    d_head = W_Q.shape[1]

    def seen(sources: Tensor, weights: Tensor, bias: Tensor) -> list[list[float]]:
        rows = []
        for source in sources.tolist():
            row = [0.0] * d_head
            for value, line in zip(source, weights.tolist(), strict=True):
                row = [total + value * weight for total, weight in zip(row, line, strict=True)]
            rows.append(row)
        return [*rows, bias.tolist()]

    queries, keys = seen(query_sources, W_Q, b_Q), seen(key_sources, W_K, b_K)
    found = torch.zeros(len(queries), len(keys))
    for a, query in enumerate(queries):
        for b, key in enumerate(keys):
            products = sum(x * y for x, y in zip(query, key, strict=True))
            found[a, b] = products / math.sqrt(d_head)
    return found


SCORE_ATTRIBUTIONS = Exercise(
    name="score_attributions",
    difficulty=2,
    minutes=15,
    why="A graph with frozen patterns cannot say why a head looks where it looks. This can.",
    cases=_score_cases,
    oracle=_pairs_by_loops,
    mistakes=transcoder_mistakes.SCORE_MISTAKES,
)

TRANSCODER_EXERCISES = (
    TRANSCODER_PARTS,
    FEATURE_CONTRIBUTIONS,
    REPLACEMENT_SCORE,
    SCORE_ATTRIBUTIONS,
)
