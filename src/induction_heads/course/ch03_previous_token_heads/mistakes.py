"""Known mistakes of chapter 3, each with its hint."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from induction_heads.course.ch03_previous_token_heads.inputs import (
    find_by,
    head_on_rows,
    head_weights,
)
from induction_heads.course.exercise import Mistake
from induction_heads.models.interface import HookedModel

# score_gap_needed


GAP_MISTAKES = (
    Mistake(
        "two keys, whatever n_keys is",
        lambda w, n: math.log(w / (1 - w)),
        "Does it become harder to stand out when there are more keys? Does your answer "
        "change with n_keys?",
    ),
    Mistake(
        "the key competes with itself",
        lambda w, n: math.log(w * n / (1 - w)),
        "How many of the n_keys keys are the others? Try 2 keys and half the weight.",
    ),
    Mistake(
        "the other keys' weight is left out",
        lambda w, n: math.log(w * (n - 1)),
        "In e^g / (e^g + n − 1) the unknown occurs twice. Did you collect both?",
    ),
    Mistake(
        "the sign is reversed",
        lambda w, n: -math.log(w * (n - 1) / (1 - w)),
        "Must the score of a key that gets most of the weight be above or below the others?",
    ),
    Mistake(
        "the logarithm has another base",
        lambda w, n: math.log2(w * (n - 1) / (1 - w)),
        "Which number does a softmax raise to the power of each score?",
    ),
    Mistake(
        "the gap is not a logarithm",
        lambda w, n: w * (n - 1) / (1 - w),
        "You have e^g. What is the gap itself?",
    ),
)


# positional_pattern


def _pattern_with(
    scale: str | None = "d_head",
    future: Callable[[Tensor], Tensor] | None = lambda ones: ones.triu(1),
    hidden: float = -1e9,
    swapped: bool = False,
    over: int = -1,
    token: bool = False,
    first_head: bool = False,
) -> Callable[..., Tensor]:
    """A positional pattern with one thing wrong."""

    def answer(model: HookedModel, layer: int, head: int) -> Tensor:
        W_Q, W_K, _, _ = head_weights(model, layer, 0 if first_head else head)
        x = model.W_pos + model.W_E.mean(dim=0) if token else model.W_pos
        scores = (x @ W_Q) @ (x @ W_K).T
        scores = scores if scale is None else scores / getattr(model.cfg, scale) ** 0.5
        scores = scores.T if swapped else scores
        if future is not None:
            scores = scores.masked_fill(future(torch.ones_like(scores)).bool(), hidden)
        return scores.softmax(dim=over)

    return answer


PATTERN_MISTAKES = (
    Mistake(
        "the future is not masked",
        _pattern_with(future=None),
        "How much weight may query 0 give key 5? Look at the first row of your answer.",
    ),
    Mistake(
        "the mask comes after the softmax",
        lambda *given: _pattern_with(future=None)(*given).tril(),
        "Add up a row of your answer. Where did the rest of its weight go?",
    ),
    Mistake(
        "the scores are not scaled",
        _pattern_with(scale=None),
        "Your pattern is too sharp. What are scores divided by before the softmax?",
    ),
    Mistake(
        "the scale is that of the residual stream",
        _pattern_with(scale="d_model"),
        "How many numbers are multiplied and summed in one dot product of a query and a "
        "key? The scale depends on that width.",
    ),
    Mistake(
        "queries and keys are swapped",
        _pattern_with(swapped=True),
        "Is the position doing the looking multiplied by W_Q or by W_K, and is it a row or a "
        "column of the pattern?",
    ),
    Mistake(
        "the softmax runs over the queries",
        _pattern_with(over=0),
        "Which should sum to 1: the weights one query gives, or the weights one key receives?",
    ),
    Mistake(
        "a token is still in the input",
        _pattern_with(token=True),
        "Your residual stream also contains an average token. What is left of a position when all "
        "tokens are removed?",
    ),
    Mistake(
        "the head is always head 0",
        _pattern_with(first_head=True),
        "Two heads of one layer gave you the same pattern. Which index picks the head?",
    ),
    Mistake(
        "the mask is inverted: the keys that may be seen are hidden",
        _pattern_with(future=torch.tril, hidden=-math.inf),
        "The last query has no key left. Does True in your mask mean hide or keep?",
    ),
    Mistake(
        "the mask is inverted, with a large negative number for −∞",
        _pattern_with(future=torch.tril),
        "Only the last query looks at the past here. Does True in your mask mean hide or keep?",
    ),
    Mistake(
        "the mask is transposed",
        _pattern_with(future=lambda ones: ones.tril(-1)),
        "Position 0 may look at all others in your version. Is the query the row or the column?",
    ),
    Mistake(
        "a query may not look at itself",
        _pattern_with(future=torch.triu, hidden=-math.inf),
        "The first row is NaN. Which key may the first query see?",
    ),
)


# find_previous_token_heads


def _one_back(pattern: Tensor, offset: int = -1) -> Tensor:
    return pattern.diagonal(offset, dim1=-2, dim2=-1)


_right_heads = find_by(lambda pattern: _one_back(pattern).mean())


def _largest_weight_is_one_back(pattern: Tensor) -> Tensor:
    largest = pattern[:, 1:].argmax(dim=-1)
    return (largest == torch.arange(largest.shape[-1])).float().mean()


FIND_MISTAKES = (
    Mistake(
        "the main diagonal is scored",
        find_by(lambda p: _one_back(p, 0)[:, 1:].mean()),
        "A head that looks one back scores 0 in your version. On which diagonal is the key one "
        "less than the query?",
    ),
    Mistake(
        "two back is scored",
        find_by(lambda pattern: _one_back(pattern, -2).mean()),
        "Which key does query 5 have in the entries you average?",
    ),
    Mistake(
        "only layer 0 is searched",
        lambda *given, **named: [h for h in _right_heads(*given, **named) if h[0] == 0],
        "That these heads come early is a finding. What would you never see if the "
        "search assumed it?",
    ),
    Mistake(
        "head and layer are swapped",
        lambda *given, **named: [(h, l, s) for l, h, s in _right_heads(*given, **named)],  # noqa: E741
        "In L1H0, which number comes first? The tuple follows the same order.",
    ),
    Mistake(
        "the lowest score comes first",
        lambda *given, **named: _right_heads(*given, **named)[::-1],
        "Which head should a reader of the list meet first?",
    ),
    Mistake(
        "the threshold is always 0.4",
        lambda model, threshold=0.4: _right_heads(model),
        "What does your function return for threshold=0? How many heads are there?",
    ),
    Mistake(
        "one query decides",
        find_by(lambda pattern: _one_back(pattern).amax()),
        "Does one query that looks one back make a previous-token head? Does the definition use "
        "the mean or the largest?",
    ),
    Mistake(
        "the share of queries that look there most",
        find_by(_largest_weight_is_one_back),
        "In your score a query with 0.3 on its largest key counts as a full hit. How much would a "
        "mean of weights count it?",
    ),
    Mistake(
        "query 0 is counted",
        find_by(lambda p: _one_back(p).sum() / (p.shape[0] * p.shape[1])),
        "Your score of a perfect head is below 1. How many queries have a previous token?",
    ),
    Mistake(
        "the best row decides",
        find_by(lambda pattern: _one_back(pattern).mean(dim=-1).amax()),
        "Your scores are a little higher than the average over rows. What did you do with the axis "
        "of the batch?",
    ),
    Mistake(
        "the first row alone",
        find_by(lambda pattern: _one_back(pattern)[0].mean()),
        "You drew several rows. How many of them does your score use?",
    ),
    Mistake(
        "the rows are short",
        find_by(lambda pattern: _one_back(pattern).mean(), length=8),
        "Your score covers only the first positions. How long may a row be in this "
        "model, and does the head do the same everywhere?",
    ),
)


# previous_token_readout


def _read_as(
    candidates: Callable[[Any, Tensor, int], Tensor], back: int = 1, start: int = 1
) -> Callable[..., float]:
    """A readout with other candidates, another token to name, or another first position."""

    def answer(model: HookedModel, layer: int, head: int) -> float:
        tokens, _, written = head_on_rows(model, layer, head)
        _, _, W_V, W_O = head_weights(model, layer, head)
        right = []
        for i in range(start, tokens.shape[1]):
            distances = torch.cdist(written[:, i], candidates(model, W_V @ W_O, i))
            right.append(distances.argmin(dim=-1) == tokens[:, i - back])
        return torch.stack(right).float().mean().item()

    return answer


def _what_it_would_write(model: HookedModel, W_OV: Tensor, i: Any) -> Tensor:
    return (model.W_E + model.W_pos[i - 1]) @ W_OV


def _largest_product(model: HookedModel, layer: int, head: int, power: float = 0.0) -> float:
    """The candidate with the largest dot product over its norm to the `power`.

    It need not be the nearest.
    """
    tokens, _, written = head_on_rows(model, layer, head)
    _, _, W_V, W_O = head_weights(model, layer, head)
    candidates = _what_it_would_write(model, W_V @ W_O, torch.arange(1, tokens.shape[1])[:, None])
    chosen = torch.einsum("bpm,pvm->bpv", written[:, 1:], candidates)
    chosen = (chosen / candidates.norm(dim=-1) ** power).argmax(dim=-1)
    return (chosen == tokens[:, :-1]).float().mean().item()


def _from_largest_weight(model: HookedModel, layer: int, head: int) -> float:
    """What the head would write if it gave its largest weight all of its attention."""
    tokens, pattern, _ = head_on_rows(model, layer, head)
    _, _, W_V, W_O = head_weights(model, layer, head)
    x = model.W_E[tokens] + model.W_pos[: tokens.shape[1]]
    hard = torch.nn.functional.one_hot(pattern.argmax(dim=-1), tokens.shape[1]).to(x.dtype)
    written = (hard @ x @ W_V @ W_O)[:, 1:]
    candidates = _what_it_would_write(model, W_V @ W_O, torch.arange(1, tokens.shape[1])[:, None])
    distances = (written[:, :, None] - candidates).norm(dim=-1)
    return (distances.argmin(dim=-1) == tokens[:, :-1]).float().mean().item()


def _weights_one_back(*given: Any) -> Tensor:
    return _one_back(head_on_rows(*given)[1])


def _values_of_tokens(model: HookedModel, layer: int, head: int) -> float:
    """Positions decide where the head looks, and nothing else."""
    tokens, pattern, _ = head_on_rows(model, layer, head)
    _, _, W_V, W_O = head_weights(model, layer, head)
    written = pattern @ model.W_E[tokens] @ W_V @ W_O
    distances = torch.cdist(written[:, 1:], model.W_E @ W_V @ W_O)
    return (distances.argmin(dim=-1) == tokens[:, :-1]).float().mean().item()


READOUT_MISTAKES = (
    Mistake(
        "the current token is read",
        _read_as(lambda model, W_OV, i: (model.W_E + model.W_pos[i]) @ W_OV, back=0),
        "Your readout of a perfect previous-token head is almost 0. Which position's token should "
        "be readable from what is written at position i?",
    ),
    Mistake(
        "almost no reading is right, whatever the head does",
        _read_as(lambda model, W_OV, i: model.W_E + model.W_pos[i - 1]),
        "Are your candidates vectors that this head can write, or embeddings? What does it do to "
        "a residual stream before it writes?",
    ),
    Mistake(
        "the attention is averaged and the output is not used",
        lambda *given: _weights_one_back(*given).mean().item(),
        "You returned the previous-token score. Which matrices say what a head writes, and do you "
        "use them?",
    ),
    Mistake(
        "where the head looks is counted",
        lambda *given: (_weights_one_back(*given) > 0.5).float().mean().item(),
        "A weight below one half can still leave a readable trace. Compare outputs, not weights: "
        "which candidate is nearest to what was written?",
    ),
    Mistake(
        "the head is assumed to look one back",
        lambda model, layer, head: 1.0,
        "Your score of a head that attends evenly is 1. Which pattern did you use: the one the "
        "head has, or the one it should have?",
    ),
    Mistake(
        "position 0 is counted",
        _read_as(_what_it_would_write, start=0),
        "Your score of a perfect head is below 1. Which token comes before position 0, "
        "and what does Python return for index −1?",
    ),
    Mistake(
        "the candidates are not at position i − 1",
        _read_as(lambda model, W_OV, i: model.W_E @ W_OV),
        "The token that was moved was at i − 1. Which row of W_pos was added to it there, and "
        "is it in your candidates?",
    ),
    Mistake(
        "the largest dot product instead of the nearest",
        _largest_product,
        "A long candidate has a large product with everything. Which distance does the task name?",
    ),
    Mistake(
        "the most similar direction instead of the nearest",
        lambda *given: _largest_product(*given, power=1.0),
        "A candidate may point the same way and be far away. What does a cosine leave out that a "
        "distance counts?",
    ),
    Mistake(
        "the head writes from its largest weight alone",
        _from_largest_weight,
        "Does this head give all of its attention to one key? Then what do the other keys add to "
        "what it writes?",
    ),
    Mistake(
        "a percentage",
        lambda *given: 100 * _read_as(_what_it_would_write)(*given),
        "Can a share of all readings be larger than 1?",
    ),
    Mistake(
        "the positions are left out of what is written and of the candidates",
        _values_of_tokens,
        "Your candidates match what you wrote, but the head writes something else. What does it "
        "read at a position besides the token?",
    ),
)
