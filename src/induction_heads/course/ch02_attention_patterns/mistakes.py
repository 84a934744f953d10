"""Known mistakes of chapter 2, each with its hint."""

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import product
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from induction_heads.course.ch02_attention_patterns.inputs import HeadScores, Patterns, Scores
from induction_heads.course.exercise import Mistake
from induction_heads.models.interface import HookedModel


def _diagonal(pattern: Patterns, offset: int = 0) -> Float[Tensor, "*batch diagonal"]:
    return pattern.diagonal(offset=offset, dim1=-2, dim2=-1)


def _one_number(score: Callable[[Patterns], Scores]) -> Mistake:
    return Mistake(
        "one number for all heads together",
        lambda pattern: score(pattern).mean(),
        "Each head needs its own score. Over which axes do you average, and which must stay?",
    )


def _wrong_axes(offset: int, skip: int = 0) -> Mistake:
    return Mistake(
        "the diagonal runs over the first two axes",
        lambda pattern: pattern.diagonal(offset=offset)[..., skip:].mean(dim=-1),
        "It works for a single head. What are the first two axes of a pattern with batch axes, "
        "and how do you tell `diagonal` which two to use?",
    )


def _previous_by_gather(pattern: Patterns) -> Scores:
    queries = torch.arange(1, pattern.shape[-1])
    return pattern[..., queries, queries - 1].mean(dim=-1)


PREVIOUS_MISTAKES = (
    Mistake(
        "the key is the next token",
        lambda pattern: _diagonal(pattern, 1).mean(dim=-1),
        "May query i see key i + 1? Which of your two indices is the query?",
    ),
    Mistake(
        "the key is the query itself",
        lambda pattern: _diagonal(pattern).mean(dim=-1),
        "There the query and the key are the same position. Which diagonal has key = query − 1?",
    ),
    Mistake(
        "query 0 counts in the mean",
        lambda pattern: _diagonal(pattern, -1).sum(dim=-1) / pattern.shape[-1],
        "n positions have n queries. How many of them have a previous token?",
    ),
    _one_number(_previous_by_gather),
    _wrong_axes(-1),
    Mistake(
        "query 1 is left out too",
        lambda pattern: _diagonal(pattern, -1)[..., 1:].mean(dim=-1),
        "The diagonal you took has no entry for query 0. Which entry did you drop from it?",
    ),
    Mistake(
        "the sum, not the mean",
        lambda pattern: _diagonal(pattern, -1).sum(dim=-1),
        "What does a head that always looks one back score in your version?",
    ),
)


def _first_by_subtraction(pattern: Patterns) -> Scores:
    # Query 0 gives position 0 exactly 1.
    return (pattern.select(-1, 0).sum(dim=-1) - 1) / (pattern.shape[-1] - 1)


FIRST_MISTAKES = (
    Mistake(
        "query 0 is part of the mean",
        lambda pattern: pattern[..., :, 0].mean(dim=-1),
        "One weight in your mean is 1 in every head. Which one, and what does it tell you?",
    ),
    Mistake(
        "row 0 in place of column 0",
        lambda pattern: pattern[..., 0, :].mean(dim=-1),
        "Row 0 says where the first token looks. Where do you see who looks at it?",
    ),
    Mistake(
        "the key is position 1",
        lambda pattern: pattern[..., 1:, 1].mean(dim=-1),
        "Positions count from 0. Which column belongs to the first token?",
    ),
    Mistake(
        "only the last query is used",
        lambda pattern: pattern[..., -1, 0],
        "That is one query's weight. Over which queries is the mean?",
    ),
    Mistake(
        "the sum, not the mean",
        lambda pattern: pattern[..., 1:, 0].sum(dim=-1),
        "What is the largest value your score can have? It should be 1.",
    ),
    Mistake(
        "query 0 counts in the number of queries",
        lambda pattern: pattern[..., 1:, 0].sum(dim=-1) / pattern.shape[-1],
        "You left query 0 out of the sum. How many weights did you add, and what do you divide by?",
    ),
    _one_number(_first_by_subtraction),
    Mistake(
        "row 0 in place of column 0, without its first entry",
        lambda pattern: pattern[..., 0, 1:].mean(dim=-1),
        "Your score is 0 for every head. Which axis of the pattern did you fix at 0?",
    ),
)


def _current_by_trace(pattern: Patterns) -> Scores:
    trace = (pattern * torch.eye(pattern.shape[-1])).sum(dim=(-2, -1))
    return (trace - 1) / (pattern.shape[-1] - 1)


CURRENT_MISTAKES = (
    Mistake(
        "query 0 is part of the mean",
        lambda pattern: _diagonal(pattern).mean(dim=-1),
        "A head that never looks at its own position should score 0. Which query has no other "
        "choice?",
    ),
    Mistake(
        "query 0 counts in the number of queries",
        lambda pattern: _diagonal(pattern)[..., 1:].sum(dim=-1) / pattern.shape[-1],
        "You left query 0 out of the sum. How many weights did you add, and what do you divide by?",
    ),
    Mistake(
        "the last query is left out in place of the first",
        lambda pattern: _diagonal(pattern)[..., :-1].mean(dim=-1),
        "Which query has no choice of where to look: the first or the last?",
    ),
    _wrong_axes(0, skip=1),
    _one_number(_current_by_trace),
)


def _cached(model: HookedModel, tokens: Tensor, name: str = "attn.hook_pattern") -> list[Tensor]:
    _, cache = model.run_with_cache(tokens)
    return [cache[f"blocks.{layer}.{name}"] for layer in range(model.cfg.n_layers)]


def _joined(join: Callable[[list[Tensor]], Tensor]) -> Callable[[Any, Tensor], Tensor]:
    """The patterns of the layers, [batch head query key] each, put together by `join`."""
    return lambda model, tokens: join(_cached(model, tokens))


PATTERNS_MISTAKES = (
    Mistake(
        "the axes start with batch, layer",
        _joined(lambda p: torch.stack(p, dim=1)),
        "The numbers are right. Which axis comes first, and where did your new axis go?",
    ),
    Mistake(
        "the layers are joined along the batch axis",
        _joined(torch.cat),
        "Count the axes of one layer's pattern and of what you return. Do you join along an "
        "existing axis, or make a new one?",
    ),
    Mistake(
        "only the first row of the batch",
        _joined(lambda p: torch.stack(p)[:, 0]),
        "Give your function three rows of tokens. How many patterns should each head have?",
    ),
    Mistake(
        "averaged over the batch",
        _joined(lambda p: torch.stack(p).mean(dim=1)),
        "A mean over rows is a later step. Which axis of the answer has disappeared?",
    ),
    Mistake(
        "only the last layer",
        _joined(lambda p: p[-1]),
        "Which layers does your list of hook names visit?",
    ),
    Mistake(
        "layer 0 again for every layer",
        _joined(lambda p: torch.stack([p[0]] * len(p))),
        "Two layers of your answer are the same. Which part of the hook's name has to change?",
    ),
    Mistake(
        "query and key are swapped",
        _joined(lambda p: torch.stack(p).mT),
        "Sum along the last axis, then along the one before it. Which of the two sums is "
        "1 everywhere, and which axis is the key?",
    ),
)


def _detector(choose: Callable[[dict[str, float], float], Any]) -> Callable[..., Any]:
    """Each head gets what `choose(its scores by name, threshold)` returns, unless that is None."""

    def detect(scores: HeadScores, threshold: float = 0.4) -> dict[tuple[int, int], Any]:
        n_layers, n_heads = next(iter(scores.values())).shape
        types = {}
        for layer, head in product(range(n_layers), range(n_heads)):
            values = {name: score[layer, head].item() for name, score in scores.items()}
            if (chosen := choose(values, threshold)) is not None:
                types[layer, head] = chosen
        return types

    return detect


def _best(values: dict[str, float]) -> str:
    # sorted keeps the order of equals, so the first name of a tie stays in front.
    return sorted(values, key=lambda name: -values[name])[0]


def _reaching(values: dict[str, float], threshold: float) -> list[str]:
    return [name for name, value in values.items() if value >= threshold]


def _best_reaching(values: dict[str, float], threshold: float) -> str | None:
    return _best(values) if _reaching(values, threshold) else None


def _types_by_overwriting(scores: HeadScores, threshold: float = 0.4) -> dict[tuple[int, int], str]:
    # From the last name to the first: a score at least as high replaces the one before it.
    types, best = {}, {}
    for name in list(scores)[::-1]:
        for layer, head in (scores[name] >= threshold).nonzero().tolist():
            value = float(scores[name][layer, head])
            if value >= best.get((layer, head), threshold):
                types[layer, head], best[layer, head] = name, value
    return types


TYPES_MISTAKES = (
    Mistake(
        "a score on the threshold does not count",
        _detector(lambda v, limit: _best(v) if max(v.values()) > limit else None),
        'What does "at least" say about a score of exactly the threshold?',
    ),
    Mistake(
        "the last name wins a tie",
        _detector(lambda v, limit: _best_reaching(dict(reversed(v.items())), limit)),
        "When two scores are equal, when does your code replace the name it already has?",
    ),
    Mistake(
        "the threshold is not used",
        _detector(lambda v, limit: _best(v)),
        "Every head has a highest score. What if it is low?",
    ),
    Mistake(
        "the first name that reaches the threshold",
        _detector(lambda v, limit: next(iter(_reaching(v, limit)), None)),
        "A head can reach it on two scores. Which of them names the head? Do you look at both?",
    ),
    Mistake(
        "the last name that reaches the threshold",
        _detector(lambda v, limit: next(reversed(_reaching(v, limit)), None)),
        "A later score replaces an earlier one here. Is it always the higher one?",
    ),
    Mistake(
        "the keys are (head, layer)",
        lambda *given: {pair[::-1]: name for pair, name in _types_by_overwriting(*given).items()},
        "What is the first axis of a score, and which number comes first in L1H0?",
    ),
    Mistake(
        "every name that reaches the threshold",
        _detector(lambda v, limit: _reaching(v, limit) or None),
        "That keeps more than the exercise asks for. Which single name should remain?",
    ),
)


def _harmonic(n: int) -> float:
    return float(sum(Fraction(1, k) for k in range(1, n + 1)))


EVEN_MISTAKES = (
    Mistake(
        "every query sees all positions",
        lambda n_pos: 1 / n_pos,
        "1/n is right only for the last query. How many keys does query 1 see?",
    ),
    Mistake(
        "query 0 is part of the mean",
        lambda n_pos: _harmonic(n_pos) / n_pos,
        "Your sum starts with a weight of 1. Which query gives it? Is it in the mean?",
    ),
    Mistake(
        "query 0 is in the sum but not in the count",
        lambda n_pos: _harmonic(n_pos) / (n_pos - 1),
        "For two positions this is 1.5. Which term of the sum belongs to a query outside the mean?",
    ),
    Mistake(
        "query 0 is in the count but not in the sum",
        lambda n_pos: (_harmonic(n_pos) - 1) / n_pos,
        "The sum is right. How many terms does it have, and what do you divide by?",
    ),
    Mistake(
        "query i sees i keys",
        lambda n_pos: _harmonic(n_pos - 1) / (n_pos - 1),
        "Does a query see its own position? Count the keys of query 1.",
    ),
    Mistake(
        "a logarithm in place of the harmonic number",
        lambda n_pos: math.log(n_pos) / (n_pos - 1),
        "ln n is what H_n − 1 looks like from far away. Is it exact for n = 2?",
    ),
    Mistake(
        "not divided by the number of queries",
        lambda n_pos: _harmonic(n_pos) - 1,
        "You have the sum of the weights. What is the score, by definition?",
    ),
)
