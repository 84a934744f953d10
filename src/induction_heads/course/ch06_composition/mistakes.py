"""Known mistakes of chapter 6, each with its hint.

Those of `build_induction_circuit` are in `build_mistakes`.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from induction_heads.course.ch06_composition.inputs import written_by_loops
from induction_heads.course.exercise import Mistake
from induction_heads.models.interface import HookedModel

# composition_score


def _ratio(top: Callable[[Tensor, Tensor], Tensor], norm: Callable[[Tensor], Tensor]):
    return lambda W_A, W_B: (top(W_A, W_B) / (norm(W_A) * norm(W_B))).item()


def _product(W_A: Tensor, W_B: Tensor) -> Tensor:
    return W_A @ W_B


def _frobenius(W: Tensor) -> Tensor:
    return W.square().sum().sqrt()


def _product_norm(W_A: Tensor, W_B: Tensor) -> Tensor:
    return _frobenius(_product(W_A, W_B))


def _from_gram_matrices(W_A: Tensor, W_B: Tensor) -> float:
    """‖A B‖² = tr(AᵀA BBᵀ), a sum over products of entries."""
    top = ((W_A.T @ W_A) * (W_B @ W_B.T)).sum().clamp_min(0)
    return math.sqrt(top / (W_A.square().sum() * W_B.square().sum()))


SCORE_MISTAKES = (
    Mistake(
        "the norm of the product alone",
        lambda W_A, W_B: _product_norm(W_A, W_B).item(),
        "Double W_A. Does B now read a larger share of what A writes, or does A just write more "
        "of everything?",
    ),
    Mistake(
        "squared",
        lambda W_A, W_B: _ratio(_product_norm, _frobenius)(W_A, W_B) ** 2,
        "Two identities of size 4 should score 1/2. Which square root is missing?",
    ),
    Mistake(
        "divided by the norm of W_A only",
        lambda W_A, W_B: (_product_norm(W_A, W_B) / _frobenius(W_A)).item(),
        "Does a reader with doubled weights score twice as much in your version?",
    ),
    Mistake(
        "spectral norms",
        lambda W_A, W_B: _ratio(
            lambda a, b: torch.linalg.matrix_norm(a @ b, 2),
            lambda W: torch.linalg.matrix_norm(W, 2),
        )(W_A, W_B),
        "Yours is the largest stretch of one direction. Which norm counts all entries?",
    ),
    Mistake(
        "sums of absolute entries",
        lambda W_A, W_B: _ratio(lambda a, b: (a @ b).abs().sum(), lambda W: W.abs().sum())(
            W_A, W_B
        ),
        "What happens to the entries in a Frobenius norm before they are added?",
    ),
    Mistake(
        "the sum of the norms in the denominator",
        lambda W_A, W_B: (_product_norm(W_A, W_B) / (_frobenius(W_A) + _frobenius(W_B))).item(),
        "If both matrices double, the product grows by four. By how much does your denominator "
        "grow?",
    ),
    Mistake(
        "the product is W_B W_A",
        _ratio(lambda W_A, W_B: _product_norm(W_B, W_A), _frobenius),
        "Rows are multiplied from the right. Which matrix acts first, and on which side of the "
        "product is it then?",
    ),
    Mistake(
        "divided by the norm of W_B only",
        lambda W_A, W_B: (_product_norm(W_A, W_B) / _frobenius(W_B)).item(),
        "Does a writer with doubled weights score twice as much in your version?",
    ),
    Mistake(
        "divided by the norm of W_A and multiplied by that of W_B",
        lambda W_A, W_B: (_product_norm(W_A, W_B) / _frobenius(W_A) * _frobenius(W_B)).item(),
        "In which order does Python work through a / b * c? What do parentheses change?",
    ),
)


# random_composition_baseline


def _sampled(
    draw: Callable[[int, int, torch.Generator], tuple[Tensor, Tensor]],
    start: Callable[[int], torch.Generator] = lambda seed: torch.Generator().manual_seed(seed),
    score: Callable[[Tensor, Tensor], float] = _from_gram_matrices,
    mean: Callable[[list[float]], float] = lambda scores: sum(scores) / len(scores),
    again: bool = False,
):
    """`random_composition_baseline` with other matrices, generators, scores or means."""

    def answer(d_model: int, d_head: int, *, samples: int = 100, seed: int = 0) -> float:
        generator, scores = start(seed), []
        for _ in range(samples):
            generator = start(seed) if again else generator
            scores.append(score(*draw(d_model, d_head, generator)))
        return mean(scores)

    return answer


def _thin_pair(d_model: int, d_head: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    a, b = torch.randn(2, d_model, d_head, generator=generator)
    c, d = torch.randn(2, d_head, d_model, generator=generator)
    return a @ c, b @ d


def _full_pair(d_model: int, d_head: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    first, second = torch.randn(2, d_model, d_model, generator=generator)
    return first, second


def _root_of_the_mean_square(scores: list[float]) -> float:
    return math.sqrt(sum(score**2 for score in scores) / len(scores))


def _whatever(seed: int) -> torch.Generator:
    return torch.default_generator


BASELINE_MISTAKES = (
    Mistake(
        "1/√d_model, and nothing is drawn",
        lambda d_model, d_head, *, samples=100, seed=0: d_model**-0.5,
        "That is the root of the mean square. Is the mean of a varying number as large?",
    ),
    Mistake(
        "full Gaussian matrices",
        _sampled(_full_pair),
        "Your matrices have rank d_model. What is the rank of W_V W_O?",
    ),
    Mistake(
        "the root of the mean square",
        _sampled(_thin_pair, mean=_root_of_the_mean_square),
        "You average squares and take the square root at the end. What does the exercise average?",
    ),
    Mistake(
        "the global random state is used",
        _sampled(_thin_pair, start=_whatever),
        "Call it twice with the same seed. Which generator do your draws use?",
    ),
    Mistake(
        "the seed is always the same",
        _sampled(_thin_pair, start=lambda seed: torch.Generator().manual_seed(0)),
        "Call it with seed=1 and with seed=2. Which line uses `seed`?",
    ),
    Mistake(
        "every sample draws the same pair",
        _sampled(_thin_pair, again=True),
        "With more samples the mean should settle. When do you create your generator?",
    ),
    Mistake(
        "not divided by the norms",
        _sampled(_thin_pair, score=lambda W_A, W_B: _product_norm(W_A, W_B).item()),
        "A composition score lies between 0 and 1. What is yours divided by?",
    ),
    Mistake(
        "the sum, not the mean",
        _sampled(_thin_pair, mean=sum),
        "Your number grows with `samples`. Can a composition score be above 1?",
    ),
)


# k_composed_qk_circuit


def _matches(model: HookedModel, asking: Tensor, asked: Tensor, head: tuple[int, int]) -> Tensor:
    """Scores of rows of the residual stream as queries with others as keys."""
    return (asking @ model.W_Q[head]) @ (asked @ model.W_K[head]).T


def _moved(model: HookedModel, head: tuple[int, int], rows: Tensor | None = None) -> Tensor:
    rows = model.W_E if rows is None else rows
    return torch.einsum("tm,md,dn->tn", rows, model.W_V[head], model.W_O[head])


def _composed(model: HookedModel, previous_head: Any, induction_head: Any) -> Tensor:
    return _matches(model, model.W_E, _moved(model, previous_head), induction_head)


CIRCUIT_MISTAKES = (
    Mistake(
        "moved token × query token",
        lambda model, a, b: _composed(model, a, b).T,
        "In your table the rows are moved tokens. Which axis comes first in a pattern?",
    ),
    Mistake(
        "the earlier head is missing",
        lambda model, a, b: _matches(model, model.W_E, model.W_E, b),
        "This is the QK circuit of chapter 5. What is at the key once the earlier head has "
        "written?",
    ),
    Mistake(
        "the earlier head on the query side",
        lambda model, a, b: _matches(model, _moved(model, a), model.W_E, b),
        "That is Q-composition. Which of the two positions carries the mark?",
    ),
    Mistake(
        "the earlier head on both sides",
        lambda model, a, b: _matches(model, _moved(model, a), _moved(model, a), b),
        "The query is the token itself. Where did the earlier head write?",
    ),
    Mistake(
        "the two heads are swapped",
        lambda model, a, b: _composed(model, b, a),
        "Which head moves the token, and which one compares?",
    ),
    Mistake(
        "W_Uᵀ instead of W_E on the key side",
        lambda model, a, b: _matches(model, model.W_E, _moved(model, a, model.W_U.T), b),
        "Does the moved token enter through the embedding or leave through the unembedding?",
    ),
    Mistake(
        "the OV matrix of the earlier head is transposed",
        lambda model, a, b: _matches(
            model, model.W_E, model.W_E @ (model.W_V[a] @ model.W_O[a]).T, b
        ),
        "Vectors are rows here. On which side of W_V W_O is the embedding of a token?",
    ),
    Mistake(
        "divided by √d_head",
        lambda model, a, b: _composed(model, a, b) / model.cfg.d_head**0.5,
        "The scale belongs to the attention score. Is it part of the circuit?",
    ),
)


# decompose_attention_scores


def parts_by(
    change: Callable[[Tensor, Any], Tensor] = lambda parts, model: parts,
    then: Callable[[Tensor, Any], Tensor] = lambda scores, model: scores,
    until: int = 0,
):
    """`decompose_attention_scores` with other parts, or with something done to the scores."""

    def answer(model: HookedModel, tokens: Tensor, layer: int, head: int) -> Tensor:
        parts = torch.stack(written_by_loops(model, tokens, layer + until)).float()
        parts = change(parts, model)
        q, k = parts @ model.W_Q[layer, head], parts @ model.W_K[layer, head]
        scores = torch.einsum("cbqd,ebkd->bceqk", q, k) / math.sqrt(model.cfg.d_head)
        return then(scores, model).detach()

    return answer


def _one_part_a_layer(parts: Tensor, model: HookedModel) -> Tensor:
    heads = parts[2:].unflatten(0, (-1, model.cfg.n_heads)) if len(parts) > 2 else parts[:0]
    return torch.cat([parts[:2], heads.sum(dim=1)]) if len(heads) else parts


def _masked(scores: Tensor, model: HookedModel) -> Tensor:
    keep = torch.ones(scores.shape[-2:]).tril().bool()
    return scores.masked_fill(~keep, -math.inf)


PARTS_MISTAKES = (
    Mistake(
        "not scaled",
        parts_by(then=lambda scores, model: scores * math.sqrt(model.cfg.d_head)),
        "Compare the sum with the scores behind the pattern. By what factor do they differ?",
    ),
    Mistake(
        "query and key components are swapped",
        parts_by(then=lambda scores, model: scores.transpose(1, 2)),
        "At [b, c, e, q, k], did component c write the query or the key?",
    ),
    Mistake(
        "rows are keys, columns are queries",
        parts_by(then=lambda scores, model: scores.mT),
        "Which of the last two axes is the query in a pattern?",
    ),
    Mistake(
        "the position embedding is left out",
        parts_by(lambda parts, model: parts[[0, *range(2, len(parts))]]),
        "What is added to the token embedding before layer 0?",
    ),
    Mistake(
        "the position comes first",
        parts_by(lambda parts, model: parts[[1, 0, *range(2, len(parts))]]),
        "Your first two components are swapped. What is the order in the docstring?",
    ),
    Mistake(
        "one component for each layer",
        parts_by(_one_part_a_layer),
        "The sum is right. Can it show which head of the earlier layer is read?",
    ),
    Mistake(
        "only the heads of layer 0 are listed",
        parts_by(lambda parts, model: parts[: 2 + model.cfg.n_heads]),
        "A head of layer 2 reads two layers of heads. Which of them does your loop visit?",
    ),
    Mistake(
        "the scale is sqrt(d_model)",
        parts_by(
            then=lambda scores, model: scores * math.sqrt(model.cfg.d_head / model.cfg.d_model)
        ),
        "How many numbers are multiplied and summed in the product of one query and one key?",
    ),
    Mistake(
        "heads of the same layer are counted too",
        parts_by(until=1),
        "Can a head read what its own layer writes?",
    ),
    Mistake(
        "masked",
        parts_by(then=_masked),
        "The future is −∞ in each of your components. Is the mask added once, or for each pair?",
    ),
)


# virtual_head


def _in_a_row(model: HookedModel, *heads: tuple[int, int]) -> Tensor:
    rows = torch.eye(model.cfg.d_model)
    for head in heads:
        rows = _moved(model, head, rows)
    return rows


VIRTUAL_MISTAKES = (
    Mistake(
        "the heads act in the wrong order",
        lambda model, first, second: _in_a_row(model, second, first),
        "A row x is multiplied from the right. Which matrix comes first?",
    ),
    Mistake(
        "transposed",
        lambda model, first, second: _in_a_row(model, first, second).T,
        "This is right for columns, multiplied from the left. Is x a row or a column here?",
    ),
    Mistake(
        "the sum of both heads",
        lambda model, first, second: _in_a_row(model, first) + _in_a_row(model, second),
        "Two heads side by side add up. What do two heads in a row do?",
    ),
    Mistake(
        "the first head alone",
        lambda model, first, second: _in_a_row(model, first),
        "Where does your code use `second`?",
    ),
    Mistake(
        "the second head alone",
        lambda model, first, second: _in_a_row(model, second),
        "Where does your code use `first`?",
    ),
    Mistake(
        "the QK matrix of the second head",
        lambda model, first, second: (
            _moved(model, first, torch.eye(model.cfg.d_model))
            @ model.W_Q[second]
            @ model.W_K[second].T
        ),
        "That matrix says where the second head looks. Which one says what it passes on?",
    ),
    Mistake(
        "from token to logit",
        lambda model, first, second: model.W_E @ _in_a_row(model, first, second) @ model.W_U,
        "The docstring asks for [d_model, d_model]. What did you multiply at the two ends?",
    ),
)
