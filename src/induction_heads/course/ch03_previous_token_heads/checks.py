"""The checks of chapter 3: score gaps, positional patterns, previous-token heads, readouts."""

import math
from typing import Any

import torch
from torch import Tensor

from induction_heads.course.ch03_previous_token_heads import mistakes
from induction_heads.course.ch03_previous_token_heads.inputs import (
    Heads,
    find_by,
    head_on_rows,
    head_weights,
)
from induction_heads.course.compare import close_heads, closeness
from induction_heads.course.exercise import Case, Exercise, ModelInput
from induction_heads.course.random_inputs import decimals, whole_numbers
from induction_heads.models.hand_built import hand_built_heads
from induction_heads.models.interface import HookedModel


def _hand_built(kind: str, **options: Any) -> ModelInput:
    return ModelInput(kind=kind, options=options)


def _random(seed: int, **options: Any) -> ModelInput:
    """Three layers of random heads."""
    return _hand_built("random", **({"seed": seed} | options))


# score_gap_needed


def _gap_cases(seed: int) -> list[Case]:
    (low,), (middle,), (high,) = (
        decimals(seed + number, 1, *ends)
        for number, ends in enumerate([(0.02, 0.1), (0.6, 0.9), (0.95, 0.999)])
    )
    few, some, many = whole_numbers(seed, 3, 3, 12)
    sizes = ((middle, 20 * some), (high, 100 * many), (low, few), (middle, 2), (low, 20 * few))
    given = [(0.5, 2), (0.25, 4), *sizes]
    return [Case(f"weight {w} among {n} keys", (w, n)) for w, n in given]


def _gap_by_bisection(weight: float, n_keys: int) -> float:
    """Raise or lower the first score until a softmax gives it that weight. No formula is used."""
    low, high = -60.0, 60.0
    for _ in range(80):
        scores = torch.zeros(n_keys, dtype=torch.float64)
        scores[0] = middle = (low + high) / 2
        low, high = (middle, high) if scores.softmax(dim=0)[0] < weight else (low, middle)
    return round(low, 9) + 0.0  # not minus zero


SCORE_GAP_NEEDED = Exercise(
    name="score_gap_needed",
    difficulty=2,
    minutes=10,
    why="It says how large a head's scores must be before the head counts as sharp.",
    cases=_gap_cases,
    oracle=_gap_by_bisection,
    mistakes=mistakes.GAP_MISTAKES,
)


# positional_pattern


def _pattern_cases(seed: int) -> list[Case]:
    low, high = decimals(seed, 1, 1.5, 2.5) + decimals(seed + 1, 1, 3.5, 4.5)
    weak = {"d_vocab": 6, "n_ctx": 9, "n_heads": 3, "sharpness": low, "offset": 1, "seed": seed}
    _, found = hand_built_heads("previous_token", n_heads=3, seed=seed)["previous_token"]
    far = {"d_vocab": 5, "n_ctx": 8, "offset": 3, "sharpness": high, "seed": seed + 1}
    _, offset = hand_built_heads("fixed_offset", seed=seed + 1)["fixed_offset"]
    sharp = weak | {"sharpness": 120.0}
    return [
        Case("a weak previous-token head", (_hand_built("previous_token", **weak), 0, found)),
        Case("a head with scores of 120", (_hand_built("previous_token", **sharp), 0, found)),
        Case("a head of layer 1", (_hand_built("fixed_offset", **far), 1, offset)),
        Case("L0H0 of toy-2l", (ModelInput("toy-2l"), 0, 0)),
        Case("L2H1 of a random model", (_random(seed), 2, 1)),
    ]


def _pattern_loop(model: HookedModel, layer: int, head: int) -> Tensor:
    """Query by query and key by key, in double precision."""
    W_Q, W_K, _, _ = head_weights(model, layer, head)
    queries, keys = (model.W_pos.double() @ W.double() for W in (W_Q, W_K))
    pattern = torch.zeros(len(queries), len(keys))
    for i, query in enumerate(queries):
        shares = [math.exp(float(query @ key) / math.sqrt(len(query))) for key in keys[: i + 1]]
        for j, share in enumerate(shares):
            pattern[i, j] = share / sum(shares)
    return pattern


POSITIONAL_PATTERN = Exercise(
    name="positional_pattern",
    difficulty=2,
    minutes=10,
    why="It separates what positions ask for from what tokens ask for.",
    cases=_pattern_cases,
    oracle=_pattern_loop,
    compare=closeness(atol=1e-4),
    mistakes=mistakes.PATTERN_MISTAKES,
)


# find_previous_token_heads


def _find_cases(seed: int) -> list[Case]:
    sizes = {"d_vocab": 16, "n_ctx": 24, "n_heads": 3, "seed": seed}
    weak = _hand_built("previous_token", **(sizes | {"sharpness": 3.0}))
    one_back = _hand_built("fixed_offset", **(sizes | {"offset": 1, "seed": seed + 1}))
    two_back = _hand_built("fixed_offset", **(sizes | {"offset": 2}))
    deeper = _hand_built("deeper_previous_token", **(sizes | {"bos_token": 0}))
    ranked = _hand_built("ranked_previous_tokens", seed=seed)
    perfect = _hand_built("previous_token", **(sizes | {"sharpness": 300.0}))
    # Rows differ from each other, in every head by about 0.01.
    alike = {"sharpness": 1.2, "loudness": 0.1, "d_model": 24}
    many = _random(seed, d_vocab=48, n_ctx=50, n_heads=8, **alike)
    return [
        Case("one previous-token head", (_hand_built("previous_token", **sizes),)),
        Case("a head of layer 1 that looks one back", (one_back,)),
        Case("a decoy that looks two back", (two_back,)),
        Case("a decoy, a duplicate-token head", (_hand_built("duplicate_token", **sizes),)),
        Case("a duplicate-token head, threshold=0", (_hand_built("duplicate_token", **sizes), 0.0)),
        Case("a decoy that looks at position 0", (_hand_built("bos_sink", **sizes),)),
        Case("an induction circuit", (_hand_built("induction", **(sizes | {"d_vocab": 12})),)),
        Case("three layers, the head in layer 1", (deeper,)),
        Case("three layers of random heads, threshold=0", (many, 0.0)),
        Case("six heads of three layers, threshold=0.2", (ranked, 0.2)),
        Case("a head that always looks one back, threshold=1", (perfect, 1.0)),
        Case("a weak head, threshold=0.8", (weak, 0.8)),
        Case("a weak head, threshold=0, every head", (weak,), {"threshold": 0.0}),
        Case("toy-2l", (ModelInput("toy-2l"),)),
        Case("toy-1l, which has none", (ModelInput("toy-1l"),)),
    ]


def _find_loop(model: HookedModel, threshold: float = 0.4) -> Heads:
    """Every row, every query, one weight at a time."""

    def score(pattern: Tensor) -> float:
        rows = pattern.tolist()
        weights = [row[query][query - 1] for row in rows for query in range(1, len(row))]
        return sum(weights) / len(weights)

    # Many rows, so that only those of the answer are a source of chance.
    return find_by(score, batch=64, seed=11)(model, threshold)


def _compare_heads(answer: Any, expected: Any) -> str | None:
    """Scores within 0.02: other random rows change them by less than 0.01."""
    scores = [score for *_, score in expected]
    if isinstance(answer, list) and scores == sorted(scores):  # True of a mistake's order too.
        answer, expected = answer[::-1], expected[::-1]
    return close_heads(atol=0.02)(answer, expected)


FIND_PREVIOUS_TOKEN_HEADS = Exercise(
    name="find_previous_token_heads",
    difficulty=3,
    minutes=20,
    why="A claim about a head starts with a list that other people can reproduce.",
    cases=_find_cases,
    oracle=_find_loop,
    compare=_compare_heads,
    mistakes=mistakes.FIND_MISTAKES,
)


# previous_token_readout


def _readout_cases(seed: int) -> list[Case]:
    small, large = whole_numbers(seed, 1, 20, 28) + whole_numbers(seed + 1, 1, 29, 37)
    strong = _hand_built("previous_token", d_vocab=large, n_ctx=24, n_heads=3, seed=seed)
    weak = _hand_built("previous_token", d_vocab=small, n_ctx=30, sharpness=0.5, seed=seed + 1)
    sizes = {"d_vocab": 24, "n_ctx": 12, "n_heads": 3, "seed": seed}
    loud = _hand_built("loud_positions", **sizes)
    quiet = _hand_built("loud_positions", **sizes, loudness=0.2)
    # What reaches a position from all others depends on where they are, sixty times as much as on
    # their tokens.
    spread = {"d_vocab": 40, "n_ctx": 40, "sharpness": 2.0, "loudness": 60.0}
    spread = _hand_built("loud_positions", **spread, seed=seed + 1)
    # Rows contain every token, so that chance does not decide how many loud ones are in them.
    unequal = _hand_built("loud_and_quiet_tokens", d_vocab=48, n_ctx=48, seed=seed + 1)
    by_head = {"d_vocab": 48, "n_ctx": 48, "sharpness": 3.0, "loud_by_head": True}
    by_head = _hand_built("loud_and_quiet_tokens", **by_head, seed=seed + 1)
    short = _hand_built("one_back_at_first", d_vocab=9, n_ctx=5, seed=seed + 1)
    _, head = hand_built_heads("previous_token", n_heads=3, seed=seed)["previous_token"]
    _, weak_head = hand_built_heads("previous_token", seed=seed + 1)["previous_token"]
    return [
        Case("a previous-token head", (strong, 0, head)),
        Case("a head that attends evenly and writes nothing", (strong, 0, (head + 1) % 3)),
        Case("a head that moves positions more than tokens", (loud, 0, head)),
        Case("a head that moves tokens more than positions", (quiet, 0, head)),
        Case("a head with little more weight one back than elsewhere", (weak, 0, weak_head)),
        Case("a weak head that moves positions more than tokens", (spread, 0, weak_head)),
        Case("a weak head, and tokens of two norms", (unequal, 0, weak_head)),
        Case("a head that writes some tokens three times as loud", (by_head, 0, weak_head)),
        Case("a head that looks one back at position 1 alone", (short, 0, weak_head)),
        Case("L0H0 of toy-2l", (ModelInput("toy-2l"), 0, 0)),
        Case("L0H1 of toy-2l", (ModelInput("toy-2l"), 0, 1)),
        Case("L0H0 of toy-1l", (ModelInput("toy-1l"), 0, 0)),
    ]


def _readout_loop(model: HookedModel, layer: int, head: int) -> float:
    """One row and one position at a time."""
    tokens, pattern, _ = head_on_rows(model, layer, head)
    _, _, W_V, W_O = head_weights(model, layer, head)
    right = 0
    for row, weights in zip(tokens.tolist(), pattern, strict=True):
        writes = [(model.W_E[t] + model.W_pos[j]) @ W_V @ W_O for j, t in enumerate(row)]
        for i in range(1, len(row)):
            written = sum(weights[i, j] * writes[j] for j in range(i + 1))
            candidates = (model.W_E + model.W_pos[i - 1]) @ W_V @ W_O
            distances = (candidates - written).norm(dim=1).tolist()
            right += distances.index(min(distances)) == row[i - 1]
    return right / (tokens.shape[0] * (tokens.shape[1] - 1))


def _compare_readouts(answer: Any, expected: Any) -> str | None:
    """Within 0.05, which covers other random rows; a readout without errors has no spread."""
    return closeness(atol=1e-6 if expected == 1.0 else 0.05, rtol=0.0)(answer, expected)


PREVIOUS_TOKEN_READOUT = Exercise(
    name="previous_token_readout",
    difficulty=4,
    minutes=30,
    why="A pattern says where a head looks. This says what later layers can learn from it.",
    cases=_readout_cases,
    oracle=_readout_loop,
    compare=_compare_readouts,
    mistakes=mistakes.READOUT_MISTAKES,
)

EXERCISES = (
    SCORE_GAP_NEEDED,
    POSITIONAL_PATTERN,
    FIND_PREVIOUS_TOKEN_HEADS,
    PREVIOUS_TOKEN_READOUT,
)
