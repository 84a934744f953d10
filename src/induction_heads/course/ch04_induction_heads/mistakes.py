"""Known mistakes of chapter 4, each with its hint."""

import math
from typing import Any

import torch
from torch import Tensor

from induction_heads.course.ch04_induction_heads.inputs import PERIODS, ranked
from induction_heads.course.ch04_induction_heads.token_mistakes import tokens_by_multinomial
from induction_heads.course.exercise import Mistake
from induction_heads.interp.activations import attention_patterns
from induction_heads.models.interface import HookedModel

# induction_score


def _stripe_by_mask(pattern, period):
    position = torch.arange(pattern.shape[-1])
    stripe = position[:, None] - position == period - 1
    stripe[:-period] = False
    return (pattern * stripe).sum(dim=(-2, -1)) / period


def _stripe_by_index(pattern, period):
    query = torch.arange(pattern.shape[-1])[-period:]
    return pattern[..., query, query - period + 1].mean(dim=-1)


def _mean_on(shift: int):
    """The mean over the second copy of another diagonal: key = query − period + shift."""

    def answer(pattern, period):
        return pattern.diagonal(shift - period, -2, -1)[..., -period:].mean(dim=-1)

    return answer


def _on_previous(pattern, period):
    return pattern.diagonal(-1, -2, -1)[..., -period:].mean(dim=-1)


def _diagonal(pattern, period):
    """All of the stripe's diagonal, from query `period − 1` on."""
    return pattern.diagonal(1 - period, -2, -1)


def _all_of_the_diagonal(pattern, period):
    return _diagonal(pattern, period).mean(dim=-1)


def _from_query_period(pattern, period):
    return _diagonal(pattern, period)[..., 1:].mean(dim=-1)


def _without_the_first(pattern, period):
    return _diagonal(pattern, period)[..., 1 - period :].mean(dim=-1)


SCORE_MISTAKES = (
    Mistake(
        "the key is the token itself, one period back",
        _mean_on(0),
        "Offset −period leads to the earlier copy of the same token, where a duplicate-token head "
        "looks. Which token comes next?",
    ),
    Mistake(
        "the key is the position right before",
        _on_previous,
        "That is the previous-token score. Where does the second B of A B C A B look?",
    ),
    Mistake(
        "the key is the token before the earlier copy",
        _mean_on(-1),
        "The head looks at what FOLLOWED the earlier copy. Is that key one to the left or to the "
        "right?",
    ),
    Mistake(
        "one query too many",
        lambda pattern, period: (
            _diagonal(pattern, period)[..., -(period + 1) :].sum(dim=-1) / period
        ),
        "What does a head that always looks `period − 1` back score? At which query does your "
        "stripe begin, and had its token occurred before?",
    ),
    Mistake(
        "the loop begins at query `period`, also behind a BOS token",
        _from_query_period,
        "Behind a BOS token, is query `period` in the last copy? Try to count from the end.",
    ),
    Mistake(
        "the first query of the last copy is left out",
        _without_the_first,
        "The first token of the last copy occurred before as well. How many queries are in the "
        "mean?",
    ),
    Mistake(
        "the stripe begins in the first copy",
        lambda pattern, period: _diagonal(pattern, period).sum(dim=-1) / period,
        "This is the version found in much published code. How many entries does it have, and "
        "what do you divide by?",
    ),
    Mistake(
        "the mean runs over the whole diagonal",
        _all_of_the_diagonal,
        "The diagonal starts in the first copy. Which of its queries have an earlier copy?",
    ),
    Mistake(
        "divided by all positions",
        lambda pattern, period: _stripe_by_mask(pattern, period) * period / pattern.shape[-1],
        "A perfect head should score 1. How many queries does the stripe have?",
    ),
    Mistake(
        "the sum, not the mean",
        lambda pattern, period: _stripe_by_mask(pattern, period) * period,
        "What is the largest value your score can have? It should be 1.",
    ),
    Mistake(
        "queries and keys are swapped",
        lambda pattern, period: _stripe_by_mask(pattern.mT, period),
        "Your entries lie above the diagonal, in the future. Which axis comes first?",
    ),
    Mistake(
        "the last query is left out",
        lambda pattern, period: _diagonal(pattern, period)[..., -period:-1].mean(dim=-1),
        "The last token occurred before as well. Which token came after it then?",
    ),
    Mistake(
        "`period` is taken to be half the sequence",
        lambda pattern, period: _stripe_by_index(pattern, pattern.shape[-1] // 2),
        "Your function never uses `period`. Try it on a block that occurs three times.",
    ),
    Mistake(
        "averaged over batch and heads too",
        lambda pattern, period: _stripe_by_index(pattern, period).mean(),
        "How many heads are in the input, and how many scores in the output? Keep the batch axes.",
    ),
    Mistake(
        "the loop begins at query `period`, and the sum is divided by `period`",
        lambda pattern, period: _diagonal(pattern, period)[..., 1:].sum(dim=-1) / period,
        "Behind a BOS token your loop has one query more than a copy has tokens. Which one?",
    ),
    Mistake(
        "the loop runs over queries `period` to 2 · `period` − 1, also behind a BOS token",
        lambda pattern, period: _diagonal(pattern, period)[..., 1 : period + 1].mean(dim=-1),
        "Behind a BOS token, where does the last copy begin, and does your loop reach its end?",
    ),
)


# stray_stripe_entries and uniform_induction_score


def _stray_by_count(period, has_bos):
    return [(period - 1 + key, key) for key in range(1 + int(has_bos))]


STRAY_MISTAKES = (
    Mistake(
        "always one entry",
        lambda period, has_bos: [(period - 1, 0)],
        "With BOS every token of the block moves by one. How many positions are before the second "
        "copy?",
    ),
    Mistake(
        "always two entries",
        lambda period, has_bos: [(period - 1, 0), (period, 1)],
        "Without BOS, is query `period` still in the first copy?",
    ),
    Mistake(
        "(key, query)",
        lambda period, has_bos: [(k, q) for q, k in _stray_by_count(period, has_bos)],
        "Which of the two numbers is the later position? The query comes first in each pair.",
    ),
    Mistake(
        "the first query of the second copy is left out too",
        lambda period, has_bos: [(period - 1 + k, k) for k in range(2 + has_bos)],
        "The first token of the second copy occurred before. What came after it then?",
    ),
    Mistake(
        "the keys are those of the earlier copy",
        lambda period, has_bos: [(period + k, k) for k in range(1 + has_bos)],
        "These are on key = query − period. Which diagonal does the published code sum?",
    ),
    Mistake(
        "the true stripe instead of the stray entries",
        lambda period, has_bos: [
            (q, q - period + 1) for q in range(period + has_bos, 2 * period + has_bos)
        ],
        "These entries belong to induction. Which others does the code count?",
    ),
)


def _harmonic(n: int) -> float:
    return sum(1 / k for k in range(1, n + 1))


UNIFORM_MISTAKES = (
    Mistake(
        "ln 2 / period",
        lambda period: math.log(2) / period,
        "This is a good approximation for long blocks. What is the exact sum for period 1?",
    ),
    Mistake(
        "1 / (2 · period)",
        lambda period: 1 / (2 * period),
        "That is the weight in the last row only. How many keys does each earlier query see?",
    ),
    Mistake(
        "query q sees q keys",
        lambda period: (_harmonic(2 * period - 1) - _harmonic(period - 1)) / period,
        "Positions count from 0. How many keys does query 0 see?",
    ),
    Mistake(
        "not divided by the number of queries",
        lambda period: _harmonic(2 * period) - _harmonic(period),
        "You have the sum over the stripe. What is the score, by definition?",
    ),
    Mistake(
        "the mean runs over all queries",
        lambda period: _harmonic(2 * period) / (2 * period),
        "Which queries does the score average over? Not those of the first copy.",
    ),
    Mistake(
        "every query counts with the mean number of keys",
        lambda period: 1 / (1.5 * period + 0.5),
        "The mean of 1/n is not 1 over the mean of n. Add the weights themselves.",
    ),
    Mistake(
        "the first query of the second copy is left out of the sum",
        lambda period: (_harmonic(2 * period) - _harmonic(period + 1)) / period,
        "The first token of the second copy has an earlier copy as well. How many queries are in "
        "your sum for period 1?",
    ),
    Mistake(
        "the queries are those behind a BOS token",
        lambda period: (_harmonic(2 * period + 1) - _harmonic(period + 1)) / period,
        "There is no BOS token here. At which position does the second copy begin?",
    ),
)


# find_induction_heads


def _scores(model: HookedModel, periods=PERIODS, batch: int = 8, stripe=_stripe_by_index) -> Tensor:
    """[period layer batch head]: one stripe of every head on every row."""
    rows = []
    for period in periods:
        patterns = attention_patterns(model, tokens_by_multinomial(model, period, batch))
        rows.append(stripe(patterns, period))
    return torch.stack(rows)


def _listed(scores: Tensor, threshold: float) -> list[tuple[int, int, float]]:
    """The entries of [layer head] that reach the threshold, in order of layer and head."""
    return [
        (layer, head, scores[layer, head].item())
        for layer, head in (scores >= threshold).nonzero().tolist()
    ]


def _finder(
    order=ranked,
    lowest=lambda scores: scores.amin(dim=0),
    mean_over: int | None = 2,
    **options: Any,
):
    """A detector: what is scored, how the periods are joined, and in which order heads come.

    With `mean_over=None` a head has the score of its best row.
    """

    def answer(model, threshold=0.4):
        scores = _scores(model, **options)
        rows = scores.amax(dim=2) if mean_over is None else scores.mean(dim=mean_over)
        return order(_listed(lowest(rows), threshold))

    return answer


def _of_keys(pattern, period):
    return _stripe_by_index(pattern.mT, period)


FIND_MISTAKES = (
    Mistake(
        "no head, whatever the model",
        lambda model, threshold=0.4: [],
        "Your list is empty even for threshold=0. How many heads are there, and what is the score "
        "of each?",
    ),
    Mistake(
        "only period 16 is tried",
        _finder(periods=(16,)),
        "A head that always looks 15 back is on your list. What would it score at another period?",
    ),
    Mistake(
        "only period 8 is tried",
        _finder(periods=(8,)),
        "A head that always looks 7 back is on your list. Which second test would reject it?",
    ),
    Mistake(
        "only period 12 is tried",
        _finder(periods=(12,)),
        "A head that always looks 11 back is on your list. What would it score at another period?",
    ),
    Mistake(
        "the mean over the periods",
        _finder(lowest=lambda scores: scores.mean(dim=0)),
        "One good period can make up for the others. Which number says that a head passes all of "
        "them?",
    ),
    Mistake(
        "the highest over the periods",
        _finder(lowest=lambda scores: scores.amax(dim=0)),
        "One lucky period is enough to pass here. Should the best or the worst period count?",
    ),
    Mistake(
        "the stripe of a duplicate-token head",
        _finder(stripe=_mean_on(0)),
        "You found heads that look at the same token. Which token should they look at?",
    ),
    Mistake(
        "the previous-token stripe",
        _finder(stripe=_on_previous),
        "These heads look one position back, and would do so on any text. Check the offset.",
    ),
    Mistake(
        "lowest score first",
        _finder(order=lambda found: ranked(found, 1)),
        "A reader wants the clearest head first. Which way does `sorted` sort?",
    ),
    Mistake(
        "in order of layer and head",
        _finder(order=list),
        "Your list is in the order of the loop. What should decide the order?",
    ),
    Mistake(
        "(head, layer, score)",
        _finder(order=lambda found: ranked([(head, layer, s) for layer, head, s in found])),
        "L1H0 is (1, 0). Which axis comes first in your scores?",
    ),
    Mistake(
        "`threshold` is ignored",
        lambda model, threshold=0.4: _finder()(model, 0.4),
        "Try threshold=0. Which heads should be returned, and which are?",
    ),
    Mistake(
        "the best row decides",
        _finder(mean_over=None),
        "Your scores are a little higher than the average over rows. What did you do with the axis "
        "of the batch?",
    ),
    Mistake(
        "averaged over the heads instead of the batch",
        _finder(mean_over=3),
        "Could your batch have as many rows as a layer has heads? Which axis did the mean remove?",
    ),
    Mistake(
        "period 12 is not tried",
        _finder(periods=(8, 16)),
        "A head that misses matches 11 back is on your list. Which periods should you try?",
    ),
    Mistake(
        "period 16 is not tried",
        _finder(periods=(8, 12)),
        "A head that misses matches 15 back is on your list. Which periods should you try?",
    ),
    Mistake(
        "the first query of the last copy is left out",
        _finder(stripe=_without_the_first),
        "A head that looks away at the start of the second copy scores too high. How many queries "
        "does a copy have?",
    ),
    Mistake(
        "the loop begins at query `period`, also behind a BOS token",
        _finder(stripe=_from_query_period),
        "A model with BOS has one token in front of the first copy. Is query `period` in the "
        "last copy then?",
    ),
    Mistake(
        "the mean runs over the whole diagonal",
        _finder(stripe=_all_of_the_diagonal),
        "The diagonal begins in the first copy, where nothing repeats yet. Which of its queries "
        "count?",
    ),
    Mistake(
        "queries and keys are swapped",
        _finder(stripe=_of_keys),
        "Every head scores 0. Is the stripe below the diagonal or above it?",
    ),
)
