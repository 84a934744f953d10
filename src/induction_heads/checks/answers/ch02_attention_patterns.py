"""Known mistakes of chapter 2 with their hints, and other correct implementations."""

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from itertools import product
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from induction_heads.checks.exercise import Mistake

Patterns = Float[Tensor, "*batch query key"]
Scores = Float[Tensor, "*batch"]


def hidden_keys(n_pos: int) -> Bool[Tensor, "query key"]:
    """True where the key comes after the query."""
    return torch.ones(n_pos, n_pos, dtype=torch.bool).triu(diagonal=1)


def _diagonal(pattern: Patterns, offset: int = 0) -> Float[Tensor, "*batch diagonal"]:
    return pattern.diagonal(offset=offset, dim1=-2, dim2=-1)


def _one_number(score: Callable[[Patterns], Scores]) -> Mistake:
    return Mistake("one number for all heads together", lambda pattern: score(pattern).mean(),
                   "Each head needs a score of its own. Over which axes do you average, and which "
                   "must stay?")  # fmt: skip


def _wrong_axes(offset: int, skip: int = 0) -> Mistake:
    return Mistake("the diagonal runs over the first two axes",
                   lambda pattern: pattern.diagonal(offset=offset)[..., skip:].mean(dim=-1),
                   "It works for a single head. What are the first two axes of a pattern with more "
                   "axes in front, and how do you tell `diagonal` which two to take?")  # fmt: skip


def _previous_by_masking(pattern: Patterns) -> Scores:
    below = torch.ones(pattern.shape[-1] - 1)
    return (pattern * torch.diag(below, diagonal=-1)).sum(dim=(-2, -1)) / len(below)


def _previous_by_gather(pattern: Patterns) -> Scores:
    queries = torch.arange(1, pattern.shape[-1])
    return pattern[..., queries, queries - 1].mean(dim=-1)


PREVIOUS_MISTAKES = (
    Mistake("the key is the next token", lambda pattern: _diagonal(pattern, 1).mean(dim=-1),
            "May query i see key i + 1? Which of your two indices is the query?"),
    Mistake("the key is the query itself", lambda pattern: _diagonal(pattern).mean(dim=-1),
            "There query and key are the same position. Which diagonal has key = query − 1?"),
    Mistake("query 0 counts in the mean",
            lambda pattern: _diagonal(pattern, -1).sum(dim=-1) / pattern.shape[-1],
            "n positions have n queries. How many of them have a previous token?"),
    _one_number(_previous_by_gather),
    _wrong_axes(-1),
)  # fmt: skip

PREVIOUS_ALSO_RIGHT = (_previous_by_masking, _previous_by_gather)


def _first_by_matrix_product(pattern: Patterns) -> Scores:
    over_queries = torch.ones(pattern.shape[-1]).index_fill(0, torch.tensor(0), 0)
    return (over_queries @ pattern)[..., 0] / over_queries.sum()


def _first_by_subtraction(pattern: Patterns) -> Scores:
    # Query 0 gives position 0 exactly 1.
    return (pattern.select(-1, 0).sum(dim=-1) - 1) / (pattern.shape[-1] - 1)


FIRST_MISTAKES = (
    Mistake("query 0 is part of the mean", lambda pattern: pattern[..., :, 0].mean(dim=-1),
            "One weight of your mean is 1 in every head. Whose, and what does it tell you?"),
    Mistake("row 0 in place of column 0", lambda pattern: pattern[..., 0, :].mean(dim=-1),
            "Row 0 says where the first token looks. Where do you find who looks at it?"),
    Mistake("the key is position 1", lambda pattern: pattern[..., 1:, 1].mean(dim=-1),
            "Positions count from 0. Which column belongs to the first token?"),
    Mistake("only the last query is asked", lambda pattern: pattern[..., -1, 0],
            "That is one query's answer. Over which queries is the mean taken?"),
    _one_number(_first_by_subtraction),
)  # fmt: skip

FIRST_ALSO_RIGHT = (_first_by_matrix_product, _first_by_subtraction)


def _current_by_einsum(pattern: Patterns) -> Scores:
    return torch.einsum("...ii->...i", pattern)[..., 1:].mean(dim=-1)


def _current_by_trace(pattern: Patterns) -> Scores:
    trace = (pattern * torch.eye(pattern.shape[-1])).sum(dim=(-2, -1))
    return (trace - 1) / (pattern.shape[-1] - 1)


CURRENT_MISTAKES = (
    Mistake("query 0 is part of the mean", lambda pattern: _diagonal(pattern).mean(dim=-1),
            "A head that never chooses itself should score 0. Which query keeps it above?"),
    Mistake("query 0 counts in the number of queries",
            lambda pattern: _diagonal(pattern)[..., 1:].sum(dim=-1) / pattern.shape[-1],
            "You left out query 0 of the sum. By how many weights do you divide?"),
    Mistake("the last query is left out in place of the first",
            lambda pattern: _diagonal(pattern)[..., :-1].mean(dim=-1),
            "Which query has no choice where to look: the first or the last?"),
    _wrong_axes(0, skip=1),
    _one_number(_current_by_trace),
)  # fmt: skip

CURRENT_ALSO_RIGHT = (_current_by_einsum, _current_by_trace)


def _cached(model: Any, tokens: Tensor, name: str = "attn.hook_pattern") -> list[Tensor]:
    _, cache = model.run_with_cache(tokens)
    return [cache[f"blocks.{layer}.{name}"] for layer in range(model.cfg.n_layers)]


def _patterns_by_hooks(model: Any, tokens: Tensor) -> Tensor:
    found = {}

    def keep(activation: Tensor, hook: Any) -> None:
        found[hook.name] = activation.clone()

    model.run_with_hooks(tokens, fwd_hooks=[(lambda name: name.endswith("hook_pattern"), keep)])
    return torch.stack(list(found.values()))  # The layers fire in order.


def _patterns_from_queries_and_keys(model: Any, tokens: Tensor) -> Tensor:
    q = torch.stack(_cached(model, tokens, "attn.hook_q"))
    k = torch.stack(_cached(model, tokens, "attn.hook_k"))
    scores = torch.einsum("lbqhd,lbkhd->lbhqk", q, k) / math.sqrt(model.cfg.d_head)
    return scores.masked_fill(hidden_keys(tokens.shape[1]), -math.inf).softmax(dim=-1)


def _joined(join: Callable[[list[Tensor]], Tensor]) -> Callable[[Any, Tensor], Tensor]:
    """The patterns of the layers, [batch head query key] each, put together by `join`."""
    return lambda model, tokens: join(_cached(model, tokens))


PATTERNS_MISTAKES = (
    Mistake("the axes start with batch, layer", _joined(lambda p: torch.stack(p, dim=1)),
            "The numbers are right. Which axis comes first, and where did your new axis go?"),
    Mistake("the layers are joined along the batch axis", _joined(torch.cat),
            "Count the axes of one layer's pattern and of what you return. Do you join along "
            "an old axis, or make a new one?"),
    Mistake("only the first row of the batch", _joined(lambda p: torch.stack(p)[:, 0]),
            "Give your function three rows of tokens. How many patterns has each head then?"),
    Mistake("averaged over the batch", _joined(lambda p: torch.stack(p).mean(dim=1)),
            "A mean over rows is a later step. Which axis of the answer has disappeared?"),
    Mistake("only the last layer", _joined(lambda p: p[-1]),
            "Which layers does your list of hook names visit?"),
    Mistake("query and key are swapped", _joined(lambda p: torch.stack(p).mT),
            "Sum along the last axis, then along the one before it. Which of the two sums is "
            "1 everywhere, and which axis is the key?"),
)  # fmt: skip

PATTERNS_ALSO_RIGHT = (_patterns_by_hooks, _patterns_from_queries_and_keys)
HeadScores = Mapping[str, Float[Tensor, "layer head"]]


def _detector(choose: Callable[[dict[str, float], float], Any]) -> Callable[..., Any]:
    """Gives each head what `choose(its scores by name, threshold)` returns, unless that is None."""

    def detect(scores: HeadScores, threshold: float) -> dict[tuple[int, int], Any]:
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


def _types_by_overwriting(scores: HeadScores, threshold: float) -> dict[tuple[int, int], str]:
    # From the last name to the first: whoever is at least as good as what stands there replaces it.
    types, best = {}, {}
    for name in list(scores)[::-1]:
        for layer, head in (scores[name] >= threshold).nonzero().tolist():
            value = float(scores[name][layer, head])
            if value >= best.get((layer, head), threshold):
                types[layer, head], best[layer, head] = name, value
    return types


TYPES_MISTAKES = (
    Mistake("a score on the threshold does not count",
            _detector(lambda v, limit: _best(v) if max(v.values()) > limit else None),
            "What does \"at least\" say about a score of exactly the threshold?"),
    Mistake("the last name wins a tie",
            _detector(lambda v, limit: _best_reaching(dict(reversed(v.items())), limit)),
            "When two scores are equal, when does your code replace the name it already has?"),
    Mistake("the threshold is not used", _detector(lambda v, limit: _best(v)),
            "Every head has a highest score. What if it is low?"),
    Mistake("the first name that reaches the threshold",
            _detector(lambda v, limit: next(iter(_reaching(v, limit)), None)),
            "A head can reach it on two scores. Which of them names it? Do you see both?"),
    Mistake("the last name that reaches the threshold",
            _detector(lambda v, limit: next(reversed(_reaching(v, limit)), None)),
            "Here a later score replaces an earlier one. Is it always the higher one?"),
    Mistake("the keys are (head, layer)",
            lambda *given: {
                pair[::-1]: name for pair, name in _types_by_overwriting(*given).items()},
            "What is the first axis of a score, and which number comes first in L1H0?"),
    Mistake("every name that reaches the threshold",
            _detector(lambda v, limit: _reaching(v, limit) or None),
            "That keeps more than was asked for. Which single name does the exercise want?"),
)  # fmt: skip

TYPES_ALSO_RIGHT = (_detector(_best_reaching), _types_by_overwriting)


def _harmonic(n: int) -> float:
    return float(sum(Fraction(1, k) for k in range(1, n + 1)))


def _even_by_softmax(n_pos: int) -> float:
    scores = torch.zeros(n_pos, n_pos, dtype=torch.float64)
    return scores.masked_fill(hidden_keys(n_pos), -math.inf).softmax(dim=-1)[1:, 0].mean().item()


def _even_by_digamma(n_pos: int) -> float:
    # The digamma function at n + 1 is H_n − γ, and at 2 it is 1 − γ.
    ends = torch.tensor([n_pos + 1, 2], dtype=torch.float64).digamma()
    return ((ends[0] - ends[1]) / (n_pos - 1)).item()


EVEN_MISTAKES = (
    Mistake("every query sees all positions", lambda n_pos: 1 / n_pos,
            "1/n is right for the last query only. How many keys does query 1 see?"),
    Mistake("query 0 is part of the mean", lambda n_pos: _harmonic(n_pos) / n_pos,
            "Your sum starts with a weight of 1. Which query gives it? Is it in the mean?"),
    Mistake("query 0 is in the sum but not in the count",
            lambda n_pos: _harmonic(n_pos) / (n_pos - 1),
            "For two positions this is 1.5. Which term of the sum is no query's of the mean?"),
    Mistake("query 0 is in the count but not in the sum",
            lambda n_pos: (_harmonic(n_pos) - 1) / n_pos,
            "The sum is right. How many terms has it, and by how many do you divide?"),
    Mistake("query i sees i keys", lambda n_pos: _harmonic(n_pos - 1) / (n_pos - 1),
            "Does a query see its own position? Count the keys of query 1."),
    Mistake("a logarithm in place of the harmonic number",
            lambda n_pos: math.log(n_pos) / (n_pos - 1),
            "ln n is what H_n − 1 looks like from far away. Is it exact for n = 2?"),
)  # fmt: skip

EVEN_ALSO_RIGHT = (_even_by_softmax, _even_by_digamma)
