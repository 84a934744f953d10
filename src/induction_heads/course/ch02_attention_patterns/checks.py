"""The checks of chapter 2: patterns of a whole model, three scores, head types, the even head."""

import math
from collections.abc import Callable
from itertools import product

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.course.ch02_attention_patterns import mistakes
from induction_heads.course.ch02_attention_patterns.inputs import (
    HeadScores,
    Patterns,
    Scores,
)
from induction_heads.course.compare import closeness
from induction_heads.course.exercise import Case, Exercise, ModelInput
from induction_heads.course.random_inputs import random_patterns, whole_numbers
from induction_heads.models.interface import HookedModel

# previous_token_score


def _score_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)
    shapes = {"one head": (5,), "2 rows of 3 heads": (2, 3, 4), "4 heads": (4, 7)}
    return [
        Case(f"{label}, {shape[-1]} positions", (random_patterns(generator, *shape),))
        for label, shape in shapes.items()
    ]


def _mean_over_queries(key_of: Callable[[int], int]) -> Callable[[Patterns], Scores]:
    """The definition of a score as a loop: one head after another, queries 1, 2, … of each."""

    def score(pattern: Patterns) -> Scores:
        n_pos = pattern.shape[-1]
        means = []
        for head in pattern.reshape(-1, n_pos, n_pos).tolist():
            weights = [head[query][key_of(query)] for query in range(1, n_pos)]
            means.append(sum(weights) / len(weights))
        return torch.tensor(means).reshape(pattern.shape[:-2])

    return score


PREVIOUS_TOKEN_SCORE = Exercise(
    name="previous_token_score",
    difficulty=1,
    minutes=5,
    why="It is the score of the heads in chapter 3.",
    cases=_score_cases,
    oracle=_mean_over_queries(lambda query: query - 1),
    mistakes=mistakes.PREVIOUS_MISTAKES,
)


# first_token_score


FIRST_TOKEN_SCORE = Exercise(
    name="first_token_score",
    difficulty=1,
    minutes=5,
    why="Half of the chapter asks what a high value of it means.",
    cases=_score_cases,
    oracle=_mean_over_queries(lambda query: 0),
    mistakes=mistakes.FIRST_MISTAKES,
)


# current_token_score


CURRENT_TOKEN_SCORE = Exercise(
    name="current_token_score",
    difficulty=1,
    minutes=5,
    why="With it you can tell a head that looks back from one that stays put.",
    cases=_score_cases,
    oracle=_mean_over_queries(lambda query: query),
    mistakes=mistakes.CURRENT_MISTAKES,
)


# attention_patterns


def _model_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)
    # d_vocab + n_ctx + 1 is the width of a hand-built head: keep both small.
    small = {"d_vocab": 9, "n_ctx": 8, "offset": 3, "n_heads": 3, "sharpness": 3.0, "seed": seed}
    deep = {"seed": seed, "bos_token": 0}
    inputs = {
        "2 layers, 3 heads, 4 rows of 6": (ModelInput(kind="induction", options=small), 9, (4, 6)),
        "3 layers, 2 heads, 2 rows of 5": (ModelInput(kind="random", options=deep), 17, (2, 5)),
        "1 layer, 2 heads, 3 rows of 5": (ModelInput(name="toy-1l"), 64, (3, 5)),
    }
    return [
        Case(f"{label} tokens", (model, torch.randint(d_vocab, shape, generator=generator)))
        for label, (model, d_vocab, shape) in inputs.items()
    ]


def _patterns_by_loop(
    model: HookedModel, tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "layer batch head query key"]:
    """From the weights, by the definition: no hook and no cache. Models without layer norm only."""
    batch, n_pos = tokens.shape
    n_layers, n_heads = model.cfg.n_layers, model.cfg.n_heads
    patterns = torch.zeros(n_layers, batch, n_heads, n_pos, n_pos)
    for row in range(batch):
        residual = model.W_E[tokens[row]] + model.W_pos[:n_pos]
        for layer in range(n_layers):
            written = torch.zeros_like(residual)
            for head in range(n_heads):
                q, k, v = (residual @ W[layer, head] for W in (model.W_Q, model.W_K, model.W_V))
                pattern = patterns[layer, row, head]
                for query in range(n_pos):
                    scores = [q[query] @ k[key] for key in range(query + 1)]
                    weights = torch.stack(scores) / math.sqrt(model.cfg.d_head)
                    pattern[query, : query + 1] = weights.softmax(dim=0)
                written += pattern @ v @ model.W_O[layer, head]
            residual = residual + written
    return patterns


ATTENTION_PATTERNS = Exercise(
    name="attention_patterns",
    difficulty=2,
    minutes=10,
    why="Every other measurement of the course starts from this tensor.",
    cases=_model_cases,
    oracle=_patterns_by_loop,
    mistakes=mistakes.PATTERNS_MISTAKES,
    compare=closeness(rtol=1e-4),
)


# detect_head_types


def _type_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)

    def eighths(*shape: int) -> Tensor:
        # Eighths are exact in floating point, so "at least" and "more than" differ for certain.
        return torch.randint(7, shape, generator=generator) / 8

    ties = {
        "previous_token": torch.tensor([[0.5, 0.875, 0.25], [0.625, 0.125, 0.5]]),
        "first_token": torch.tensor([[0.75, 0.875, 0.25], [0.5, 0.25, 0.375]]),
        "current_token": torch.tensor([[0.75, 0.0, 0.375], [0.75, 0.0, 0.5]]),
    }
    near = {  # On both sides of 0.4, and close to it.
        "first_token": torch.tensor([[0.4375, 0.375, 0.25]]),
        "current_token": torch.tensor([[0.25, 0.125, 0.40625]]),
    }
    drawn = {name: eighths(3, 4) for name in ("current_token", "previous_token", "first_token")}
    return [
        Case("2 layers of 3 heads, with ties and a score on the threshold", (ties, 0.5)),
        Case("3 layers of 4 heads", (drawn, 0.375)),
        Case("a threshold that no head reaches", ({"first_token": eighths(2, 2)}, 0.875)),
        Case("no threshold given", (near,)),
        Case("threshold 0, scores of 0", ({name: torch.zeros(1, 2) for name in ties}, 0.0)),
    ]


def _types_by_loop(scores: HeadScores, threshold: float = 0.4) -> dict[tuple[int, int], str]:
    types = {}
    n_layers, n_heads = next(iter(scores.values())).shape
    for layer, head in product(range(n_layers), range(n_heads)):
        best_name, best_score = None, -math.inf
        for name, score in scores.items():
            if score[layer, head].item() > best_score:
                best_name, best_score = name, score[layer, head].item()
        if best_score >= threshold:
            types[layer, head] = best_name
    return types


DETECT_HEAD_TYPES = Exercise(
    name="detect_head_types",
    difficulty=2,
    minutes=15,
    why="A list of named heads is what a detector gives its user.",
    cases=_type_cases,
    oracle=_types_by_loop,
    mistakes=mistakes.TYPES_MISTAKES,
)


# uniform_first_token_score


def _even_by_loop(n_pos: int) -> float:
    """Build the even head's pattern row by row and average its first column."""
    pattern = [[1 / (query + 1)] * (query + 1) for query in range(n_pos)]
    column = [row[0] for row in pattern[1:]]
    return sum(column) / len(column)


UNIFORM_FIRST_TOKEN_SCORE = Exercise(
    name="uniform_first_token_score",
    difficulty=2,
    minutes=15,
    why="It is the control of first_token_score.",
    cases=lambda seed: [
        Case(f"n_pos = {n}", (n,)) for n in (3, 2, *whole_numbers(seed, 2, 10, 99), 512)
    ],
    oracle=_even_by_loop,
    mistakes=mistakes.EVEN_MISTAKES,
)

EXERCISES = (
    PREVIOUS_TOKEN_SCORE,
    FIRST_TOKEN_SCORE,
    CURRENT_TOKEN_SCORE,
    ATTENTION_PATTERNS,
    DETECT_HEAD_TYPES,
    UNIFORM_FIRST_TOKEN_SCORE,
)
