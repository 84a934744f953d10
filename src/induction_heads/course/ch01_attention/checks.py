"""The checks of chapter 1: mask, pattern, head, QK and OV matrices, and two counts."""

import math

import torch
from jaxtyping import Bool
from torch import Tensor

from induction_heads.course.ch01_attention import count_mistakes, mistakes
from induction_heads.course.exercise import Case, Exercise
from induction_heads.course.formulas import formula
from induction_heads.course.random_inputs import whole_numbers
from induction_heads.models.attention_only import AttentionOnly, AttentionOnlyConfig

# causal_mask


def _mask_by_loop(n_pos: int) -> Bool[Tensor, "query key"]:
    return torch.tensor([[key <= query for key in range(n_pos)] for query in range(n_pos)])


CAUSAL_MASK = Exercise(
    name="causal_mask",
    difficulty=1,
    minutes=3,
    why="Without it, a model learning to predict the next token could simply read it.",
    cases=lambda seed: [Case(f"n_pos = {n}", (n,)) for n in (3, 1, *whole_numbers(seed, 2, 5, 60))],
    oracle=_mask_by_loop,
    mistakes=mistakes.MASK_MISTAKES,
)


# visible_pairs_formula


def _visible_pairs(n_pos: float) -> int:
    return sum(1 for query in range(int(n_pos)) for key in range(int(n_pos)) if key <= query)


VISIBLE_PAIRS_FORMULA = Exercise(
    name="visible_pairs_formula",
    difficulty=1,
    minutes=3,
    why="It is the number of nonzero weights a pattern can have.",
    cases=lambda seed: [Case("your formula")],
    oracle=lambda: _visible_pairs,
    compare=formula(n_pos=(1, 60)),
    mistakes=count_mistakes.PAIRS_MISTAKES,
)


# attention_pattern


def _pattern_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)
    shapes = ((4, 2), (2, 5, 3), (2, 3, 4, 7))
    cases = [
        Case(
            f"queries of shape {list(shape)}",
            tuple(torch.randn(2, *shape, generator=generator).unbind()),
        )
        for shape in shapes
    ]
    return [*cases, Case("scores near 100 and near −100", _large_scores(generator))]


def _large_scores(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Queries and keys of whole numbers: row i of the scores is near 100 or near −100 in turn."""
    steps = torch.randint(-1, 2, (2, 6, 4), generator=generator).float()
    signs = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])[:, None]
    return 5 * signs + steps[0], 10 + steps[1]


def _dot(left: Tensor, right: Tensor) -> float:
    return sum(a * b for a, b in zip(left.tolist(), right.tolist(), strict=True))


def _pattern_by_loop(queries: Tensor, keys: Tensor) -> Tensor:
    *batch, n_pos, d_head = queries.shape
    pattern = torch.zeros(math.prod(batch), n_pos, n_pos)
    pairs = zip(queries.reshape(-1, n_pos, d_head), keys.reshape(-1, n_pos, d_head), strict=True)
    for row, (q, k) in enumerate(pairs):
        for i in range(n_pos):
            # In double precision e^±110 is still an ordinary number.
            exponentials = [math.exp(_dot(q[i], k[j]) / d_head**0.5) for j in range(i + 1)]
            for j in range(i + 1):
                pattern[row, i, j] = exponentials[j] / sum(exponentials)
    return pattern.reshape(*batch, n_pos, n_pos)


ATTENTION_PATTERN = Exercise(
    name="attention_pattern",
    difficulty=2,
    minutes=10,
    why="Everything this course says about where a head looks is read off this matrix.",
    cases=_pattern_cases,
    oracle=_pattern_by_loop,
    mistakes=mistakes.PATTERN_MISTAKES,
)


# attention_head


def _heads(seed: int) -> list[tuple[str, Tensor, list[Tensor]]]:
    """A description, a residual stream, and W_Q, W_K, W_V and W_Oᵀ, for each case."""
    generator = torch.Generator().manual_seed(seed)
    heads = []
    for positions, d_model, d_head in (((4,), 6, 2), ((2, 5), 7, 3), ((2, 3, 4), 9, 5)):
        label = f"residual of shape {[*positions, d_model]}, d_head = {d_head}"
        residual = torch.randn(*positions, d_model, generator=generator)
        weights = torch.randn(4, d_model, d_head, generator=generator) / d_head**0.5
        heads.append((label, residual, list(weights.unbind())))
    return heads


def _head_by_loop(residual: Tensor, W_Q: Tensor, W_K: Tensor, W_V: Tensor, W_O: Tensor) -> Tensor:
    rows = [
        _mixed_value(x[: i + 1], W_Q, W_K, W_V) @ W_O
        for x in residual.reshape(-1, *residual.shape[-2:])
        for i in range(len(x))
    ]
    return torch.stack(rows).reshape(residual.shape)


def _mixed_value(seen: Tensor, W_Q: Tensor, W_K: Tensor, W_V: Tensor) -> Tensor:
    """The values that the last position of `seen` attends to, mixed one key at a time."""
    total, mixed = 0.0, torch.zeros(W_V.shape[1])
    for x in seen:
        exponential = math.exp(_dot(seen[-1] @ W_Q, x @ W_K) / W_K.shape[1] ** 0.5)
        total += exponential
        mixed = mixed + exponential * (x @ W_V)
    return mixed / total


ATTENTION_HEAD = Exercise(
    name="attention_head",
    difficulty=2,
    minutes=8,
    why="This is the whole unit that the course searches for, scores and removes.",
    cases=lambda seed: [
        Case(label, (residual, *weights[:3], weights[3].T.contiguous()))
        for label, residual, weights in _heads(seed)
    ],
    oracle=_head_by_loop,
    mistakes=mistakes.HEAD_MISTAKES,
)


# attention_from_circuits


def _matrices_by_loop(residual: Tensor, W_QK: Tensor, W_OV: Tensor, d_head: int) -> Tensor:
    outputs = torch.zeros(math.prod(residual.shape[:-2]), *residual.shape[-2:])
    for row, x in enumerate(residual.reshape(outputs.shape)):
        for i in range(len(x)):
            weights = [math.exp(_dot(x[i] @ W_QK, x[j]) / d_head**0.5) for j in range(i + 1)]
            for j in range(i + 1):
                outputs[row, i] += weights[j] / sum(weights) * (x[j] @ W_OV)
    return outputs.reshape(residual.shape)


ATTENTION_FROM_MATRICES = Exercise(
    name="attention_from_circuits",
    difficulty=2,
    minutes=10,
    why="It shows that where a head looks and what it moves are set by separate weights.",
    cases=lambda seed: [
        Case(label, (residual, W_Q @ W_K.T, W_V @ W_O.T, W_Q.shape[1]))
        for label, residual, (W_Q, W_K, W_V, W_O) in _heads(seed)
    ],
    oracle=_matrices_by_loop,
    mistakes=mistakes.MATRICES_MISTAKES,
)


# count_attention_parameters


def _count_cases(seed: int) -> list[Case]:
    d_model, d_head = whole_numbers(seed, 2, 9, 99)
    sizes = ((1, 1, 5, 2), (2, 2, 64, 32), (3, 5, d_model, d_head), (12, 12, 768, 64))
    return [
        Case(f"n_layers = {n}, n_heads = {h}, d_model = {m}, d_head = {d}", (n, h, m, d))
        for n, h, m, d in sizes
    ]


def _count_in_a_model(n_layers: int, n_heads: int, d_model: int, d_head: int) -> int:
    config = AttentionOnlyConfig(n_layers, n_heads, d_model, d_head, d_vocab=1, n_ctx=1)
    with torch.device("meta"):  # Shapes without numbers: a large model costs no memory.
        model = AttentionOnly(config)
    return sum(weight.numel() for weight in model.layers.parameters())


COUNT_ATTENTION_PARAMETERS = Exercise(
    name="count_attention_parameters",
    difficulty=1,
    minutes=10,
    why="It says how much of a model its heads are, and how much smaller they are than their "
    "QK and OV matrices.",
    cases=_count_cases,
    oracle=_count_in_a_model,
    mistakes=count_mistakes.COUNT_MISTAKES,
)

EXERCISES = (
    CAUSAL_MASK,
    VISIBLE_PAIRS_FORMULA,
    ATTENTION_PATTERN,
    ATTENTION_HEAD,
    ATTENTION_FROM_MATRICES,
    COUNT_ATTENTION_PARAMETERS,
)
