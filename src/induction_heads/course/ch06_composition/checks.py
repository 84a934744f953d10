"""Checks of chapter 6: composition scores, circuits of two heads, and a circuit built by hand."""

import math
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from induction_heads.course.ch06_composition import build_mistakes, mistakes
from induction_heads.course.ch06_composition.circuit_facts import (
    build_cases,
    described_models,
    same_behavior,
)
from induction_heads.course.ch06_composition.inputs import written_by_loops
from induction_heads.course.compare import close_product, closeness
from induction_heads.course.exercise import Case, Exercise, ModelInput
from induction_heads.course.random_inputs import decimals, whole_numbers
from induction_heads.data.tokens import repeated_tokens
from induction_heads.models.hand_built import hand_built_heads
from induction_heads.models.interface import HookedModel

_TOY = ModelInput(name="toy-2l")


def _hand_built(kind: str, seed: int) -> tuple[ModelInput, dict[str, tuple[int, int]]]:
    """A soft model of three heads a layer, and where its heads are."""
    (d_vocab,), (n_ctx,) = whole_numbers(seed, 1, 14, 19), whole_numbers(seed + 1, 1, 18, 28)
    (sharpness,) = decimals(seed, 1, 4.5, 5.5)
    options = {
        "seed": seed,
        "n_heads": 3,
        "d_vocab": d_vocab,
        "n_ctx": n_ctx,
        "sharpness": sharpness,
    }
    return ModelInput(kind=kind, options=options), hand_built_heads(kind, n_heads=3, seed=seed)


def _random(seed: int) -> ModelInput:
    """Three layers of two heads that write everything, some of them loud."""
    return ModelInput(kind="random", options={"seed": seed, "n_ctx": 10})


# composition_score


def _pair_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)
    cases = [Case("two identities", (torch.eye(4), torch.eye(4)))]
    # As many columns as rows, so that the other order of the factors is also a product.
    for rows, middle, columns in ((5, 5, 5), (4, 6, 4), (7, 2, 7)):
        W_A = torch.randn(rows, middle, generator=generator)
        W_B = torch.randn(middle, columns, generator=generator) * 3
        cases.append(Case(f"{rows} × {middle} and {middle} × {columns}", (W_A, W_B)))
    first, second = torch.eye(2)
    return [*cases, Case("B reads what A does not write", (first.diag(), second.diag()))]


def _root_of_squares(rows: list[list[float]]) -> float:
    total = 0.0
    for row in rows:
        for entry in row:
            total += entry * entry
    return math.sqrt(total)


def _score_by_loops(W_A: Tensor, W_B: Tensor) -> float:
    a, b = W_A.tolist(), W_B.tolist()
    product = [
        [sum((row[m] * b[m][column] for m in range(len(b))), 0.0) for column in range(len(b[0]))]
        for row in a
    ]
    return _root_of_squares(product) / (_root_of_squares(a) * _root_of_squares(b))


COMPOSITION_SCORE = Exercise(
    name="composition_score",
    difficulty=1,
    minutes=5,
    why="It is one number for an arrow between two heads.",
    cases=_pair_cases,
    oracle=_score_by_loops,
    mistakes=mistakes.SCORE_MISTAKES,
)


# random_composition_baseline

_SEEDS = 40
_GROUPS = ((12, 3, 1), (12, 3, 25), (2, 32, 1))
"""d_model, d_head and samples of calls with many seeds. In the last, both factors of a head decide
how much its score varies."""


def _baseline_cases(seed: int) -> list[Case]:
    draws = torch.randint(10**6, (6,), generator=torch.Generator().manual_seed(seed)).tolist()
    sizes = ((16, 1), (24, 2), (64, 32))
    cases = [
        Case(
            f"d_model {d_model}, d_head {d_head}",
            (d_model, d_head),
            {"samples": 1500 // d_head, "seed": draws[number]},
        )
        for number, (d_model, d_head) in enumerate(sizes)
    ]
    cases.append(Case("the same call again", (16, 1), {"samples": 1500, "seed": draws[0]}))
    cases.append(Case("another seed", (16, 1), {"samples": 1500, "seed": draws[0] + 1}))
    for d_model, d_head, samples in _GROUPS:
        cases += [
            Case(
                f"d_model {d_model}, d_head {d_head}, {samples} samples, {_SEEDS} seeds",
                (d_model, d_head),
                {"samples": samples, "seed": draws[3] + number},
            )
            for number in range(_SEEDS)
        ]
    defaults = Case("the defaults", (16, 2))
    return [*cases, defaults, Case("the same, written out", (16, 2), {"samples": 100, "seed": 0})]


@cache
def _mean_and_spread(d_model: int, d_head: int) -> tuple[float, float]:
    """Of one score, over 6,000 pairs drawn by another generator than PyTorch's.

    With d_head = 1 the score is |cos| of the angle between two random directions, whose mean is
    Γ(d/2) / (√π Γ((d+1)/2)).
    """
    rng = np.random.default_rng(0)
    total, squares = 0.0, 0.0
    for _ in range(12):
        a = rng.normal(size=(500, d_model, d_head)) @ rng.normal(size=(500, d_head, d_model))
        b = rng.normal(size=(500, d_model, d_head)) @ rng.normal(size=(500, d_head, d_model))
        top, left, right = ((m**2).sum(axis=(1, 2)) for m in (a @ b, a, b))
        total += np.sqrt(top / (left * right)).sum()
        squares += (top / (left * right)).sum()
    mean, square = total / 6000, squares / 6000
    if d_head == 1:
        logs = math.lgamma(d_model / 2) - math.lgamma((d_model + 1) / 2)
        mean = math.exp(logs) / math.sqrt(math.pi)
    return float(mean), float(math.sqrt(square - mean**2))


def _expected_of_random_heads(
    d_model: int, d_head: int, *, samples: int = 100, seed: int = 0
) -> dict[str, Any]:
    mean, spread = _mean_and_spread(d_model, d_head)
    return {
        "the mean": mean,
        "the spread over seeds": spread / math.sqrt(samples),
        "the same seed gives the same number": True,
        "another seed gives another number": True,
        "the defaults are 100 samples and seed 0": True,
    }


def _described_numbers(cases: list[Case], answers: list[Any]) -> list[dict[str, Any]]:
    """The mean where it is sharp, the spread at the end of each group, and what the seed does."""
    numbers = [_number(answer) for answer in answers]
    facts: list[dict[str, Any]] = [{"the mean": number} for number in numbers[:5]]
    facts += [{} for _ in numbers[5:]]
    if len(numbers) > 3:
        facts[3]["the same seed gives the same number"] = numbers[3] == numbers[0]
    if len(numbers) > 4:
        facts[4]["another seed gives another number"] = numbers[4] != numbers[0]
    end = 5 + _SEEDS * len(_GROUPS)
    for start in range(5, end, _SEEDS):
        group = numbers[start : start + _SEEDS]
        if len(group) == _SEEDS:
            facts[start + _SEEDS - 1]["the spread over seeds"] = float(np.std(group))
    if len(numbers) > end + 1:
        facts[end + 1]["the defaults are 100 samples and seed 0"] = numbers[end] == numbers[end + 1]
    return facts


def _number(answer: Any) -> float:
    if isinstance(answer, Tensor) and answer.dim() == 0:
        answer = answer.item()
    if not isinstance(answer, float) or not math.isfinite(answer):
        raise ValueError("expected a finite float")
    return answer


def _same_numbers(answer: dict[str, Any], expected: dict[str, Any]) -> str | None:
    """Facts that both name. The means are known to a fortieth, the spreads to a ninth or so."""
    rough = {"the mean": 0.12, "the spread over seeds": 0.6}
    for name in answer.keys() & expected.keys():
        mine, right = answer[name], expected[name]
        if said := closeness(1e-6, rough.get(name, 0.0))(mine, right):
            return f"at {name!r}: {said}"
    return None


RANDOM_COMPOSITION_BASELINE = Exercise(
    name="random_composition_baseline",
    difficulty=2,
    minutes=12,
    why="A score means nothing without the score of heads that never met.",
    cases=_baseline_cases,
    oracle=_expected_of_random_heads,
    compare=_same_numbers,
    describe=_described_numbers,
    mistakes=mistakes.BASELINE_MISTAKES,
)


# k_composed_qk_circuit


def _two_head_cases(seed: int) -> list[Case]:
    model, at = _hand_built("induction", seed)
    pairs = (((0, 0), (1, 0)), ((0, 1), (1, 0)))
    cases = [Case(f"toy-2l, L0H{a[1]} and L1H{b[1]}", (_TOY, a, b)) for a, b in pairs]
    label = "a hand-built model of three heads a layer"
    return [
        *cases,
        Case("three random layers, L0H1 and L2H0", (_random(seed), (0, 1), (2, 0))),
        Case("three random layers, L1H0 and L2H1", (_random(seed), (1, 0), (2, 1))),
        Case(label, (model, at["previous_token"], at["induction"])),
    ]


def _matches_by_token_pair(model: HookedModel, previous_head: Any, induction_head: Any) -> Tensor:
    (a, b), (c, d) = previous_head, induction_head
    rows = model.W_E.detach().double()
    W_V, W_O = model.W_V[a, b].detach().double(), model.W_O[a, b].detach().double()
    W_Q, W_K = model.W_Q[c, d].detach().double(), model.W_K[c, d].detach().double()
    keys = [((row @ W_V) @ W_O) @ W_K for row in rows]
    queries = [row @ W_Q for row in rows]
    return torch.tensor([[float(query @ key) for key in keys] for query in queries])


K_COMPOSED_QK_CIRCUIT = Exercise(
    name="k_composed_qk_circuit",
    difficulty=2,
    minutes=12,
    why="In this table, an induction head does look for its own token.",
    cases=_two_head_cases,
    oracle=_matches_by_token_pair,
    compare=close_product(1e-3, 1e-4),
    mistakes=mistakes.CIRCUIT_MISTAKES,
)


# virtual_head


def _one_coordinate_at_a_time(model: HookedModel, first: Any, second: Any) -> Tensor:
    rows = []
    for x in torch.eye(model.cfg.d_model).double():
        for layer, head in (first, second):
            x = x @ model.W_V[layer, head].detach().double()
            x = x @ model.W_O[layer, head].detach().double()
        rows.append(x.float())
    return torch.stack(rows)


VIRTUAL_HEAD = Exercise(
    name="virtual_head",
    difficulty=1,
    minutes=6,
    why="Two heads in a row move information as a third one would.",
    cases=_two_head_cases,
    oracle=_one_coordinate_at_a_time,
    compare=close_product(1e-3, 1e-4),
    mistakes=mistakes.VIRTUAL_MISTAKES,
)


# decompose_attention_scores


def _score_cases(seed: int) -> list[Case]:
    model, at = _hand_built("induction", seed)
    rows = {(64, 6): seed, (64, 5): seed + 1, (14, 4): seed + 2, (17, 4): seed + 3}
    tokens = [
        repeated_tokens(d_vocab, period, batch=2, seed=number)
        for (d_vocab, period), number in rows.items()
    ]
    return [
        Case("toy-2l, L1H0", (_TOY, tokens[0], 1, 0)),
        Case("three random layers, L2H1", (_random(seed), tokens[3], 2, 1)),
        Case("toy-2l, L0H1", (_TOY, tokens[1], 0, 1)),
        Case("a model of three heads a layer", (model, tokens[2], *at["induction"])),
    ]


def _scores_by_loops(model: HookedModel, tokens: Tensor, layer: int, head: int) -> Tensor:
    n_batch, n_pos = tokens.shape
    parts = written_by_loops(model, tokens, layer)
    W_Q, W_K = (w[layer, head].detach().double() for w in (model.W_Q, model.W_K))
    scores = torch.zeros(n_batch, len(parts), len(parts), n_pos, n_pos)
    for row in range(n_batch):
        for c, asking in enumerate(parts):
            for e, asked in enumerate(parts):
                for query in range(n_pos):
                    q = asking[row, query] @ W_Q
                    keys = asked[row] @ W_K
                    scores[row, c, e, query] = (keys @ q) / math.sqrt(model.cfg.d_head)
    return scores


DECOMPOSE_ATTENTION_SCORES = Exercise(
    name="decompose_attention_scores",
    difficulty=3,
    minutes=25,
    why="It shows which arrow makes a score, on real input.",
    cases=_score_cases,
    oracle=_scores_by_loops,
    compare=closeness(1e-3, 1e-4),
    mistakes=mistakes.PARTS_MISTAKES,
)


# build_induction_circuit


def _a_working_circuit(d_vocab: int, n_ctx: int) -> dict[str, Any]:
    return {
        "d_vocab": d_vocab,
        "n_ctx": n_ctx,
        "share continued, where it is lowest": 1.0,
        "share continued where nothing repeats": 0.0,
        "one layer alone does it": False,
    }


BUILD_INDUCTION_CIRCUIT = Exercise(
    name="build_induction_circuit",
    difficulty=3,
    minutes=60,
    why="What you can build, you understand.",
    cases=build_cases,
    oracle=_a_working_circuit,
    compare=same_behavior,
    describe=described_models,
    mistakes=build_mistakes.BUILD_MISTAKES,
)


EXERCISES = (
    COMPOSITION_SCORE,
    RANDOM_COMPOSITION_BASELINE,
    K_COMPOSED_QK_CIRCUIT,
    DECOMPOSE_ATTENTION_SCORES,
    VIRTUAL_HEAD,
    BUILD_INDUCTION_CIRCUIT,
)
