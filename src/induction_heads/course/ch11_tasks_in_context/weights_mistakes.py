"""Known mistakes of chapter 11 on learning in context and in weights, each with its hint."""

from collections.abc import Callable

import torch
from torch import Tensor

from induction_heads.course.exercise import Mistake

# context_votes


def votes(
    *,
    match: Callable[[Tensor, Tensor], Tensor] = lambda exemplars, query: exemplars == query,
    shift: int = 0,
    divide: bool = True,
    without_pairs: Callable[[int], float] = lambda n_labels: 1 / n_labels,
    finish: Callable[[Tensor], Tensor] = lambda shares: shares,
) -> Callable[..., Tensor]:
    """The votes; each option changes one step. With `shift` 1 a pair votes for the next label."""

    def answer(pairs: Tensor, n_labels: int) -> Tensor:
        exemplars, labels = pairs[:, 0:-1:2], pairs[:, 1::2]
        labels = labels.roll(-shift, dims=1)
        same = match(exemplars, pairs[:, -1:]).float()
        one_hot = torch.nn.functional.one_hot(labels, n_labels)
        counts = (same[..., None] * one_hot).sum(dim=1)
        total = counts.sum(dim=1, keepdim=True)
        shares = counts / total.clamp_min(1) if divide else counts
        return finish(torch.where(total > 0, shares, without_pairs(n_labels)))

    return answer


def _latest(exemplars: Tensor, query: Tensor) -> Tensor:
    same = exemplars == query
    later = same.flip(1).cumsum(dim=1).flip(1) - same.long()
    return same & (later == 0)


def _earliest(exemplars: Tensor, query: Tensor) -> Tensor:
    same = exemplars == query
    return same & (same.cumsum(dim=1) == 1)


def _winner(shares: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(shares.argmax(dim=1), shares.shape[1]).float()


VOTE_MISTAKES = (
    Mistake(
        "all pairs vote",
        votes(match=lambda exemplars, query: torch.ones_like(exemplars, dtype=torch.bool)),
        "Your shares do not depend on the last exemplar. Which pairs may vote?",
    ),
    Mistake(
        "only the latest pair votes",
        votes(match=_latest),
        "The last exemplar may be in several pairs. Do the earlier ones count as well?",
    ),
    Mistake(
        "only the earliest pair votes",
        votes(match=_earliest),
        "The last exemplar may be in several pairs. Do the later ones count as well?",
    ),
    Mistake(
        "numbers of votes, not shares",
        votes(divide=False),
        "What should the entries of a row add up to?",
    ),
    Mistake(
        "zeros where no pair votes",
        votes(without_pairs=lambda n_labels: 0.0),
        "If the exemplar is in no pair, what is the best that can be said about its label?",
    ),
    Mistake(
        "only the label with the most votes",
        votes(finish=_winner),
        "Two labels may share the votes. What becomes of the second one?",
    ),
    Mistake(
        "the label of the pair after",
        votes(shift=1),
        "Which label belongs to an exemplar: the one right after it, or one pair later?",
    ),
)


# context_learner_formula

LEARNER_MISTAKES = (
    Mistake(
        "other rows are always guessed",
        lambda: "p + (1 - p) / L",
        "In a row that is not bursty, can the class of the query be among the pairs by chance?",
    ),
    Mistake(
        "other rows are always wrong where the class is absent",
        lambda: "p + (1 - p) * (1 - (1 - 1/K)**N)",
        "What does the learner do if the class is not in the row, and how often is that right?",
    ),
    Mistake(
        "N / K as the chance that the class is among the pairs",
        lambda: "p + (1 - p) * (N/K + (1 - N/K) / L)",
        "Try N = K: must every class be in the row? Several pairs may have the same class.",
    ),
    Mistake(
        "the shares of the rows are swapped",
        lambda: "(1 - p) + p * (1 - (1 - 1/K)**N * (1 - 1/L))",
        "Try p = 1: every row is bursty. How often is the learner right then?",
    ),
    Mistake(
        "the query counts as one of the pairs",
        lambda: "p + (1 - p) * (1 - (1 - 1/K)**(N + 1) * (1 - 1/L))",
        "Of how many places with a label may one have the class of the query?",
    ),
    Mistake(
        "bursty rows only",
        lambda: "p",
        "Try p = 0: does the learner never give a right answer?",
    ),
)


# answer_shares


def shares(
    *,
    keep: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda context, weights, a: (
        context != weights
    ),
    answers: Callable[[Tensor], Tensor] = lambda logits: logits.argmax(dim=-1),
    total: Callable[[Tensor], Tensor] = lambda kept: kept.sum(),
    order: tuple[int, int, int] = (0, 1, 2),
) -> Callable[..., Tensor]:
    """The three shares; each option changes one step."""

    def answer(logits: Tensor, from_context: Tensor, from_weights: Tensor) -> Tensor:
        given = answers(logits)
        kept = keep(from_context, from_weights, given)
        context = (kept & (given == from_context)).sum()
        weights = (kept & (given == from_weights)).sum()
        neither = (kept & (given != from_context) & (given != from_weights)).sum()
        return torch.stack([context, weights, neither])[list(order)] / total(kept)

    return answer


SHARE_MISTAKES = (
    Mistake(
        "all rows count",
        shares(keep=lambda context, weights, a: torch.ones_like(context, dtype=torch.bool)),
        "Where both sources say the same label, what does the answer tell you about the model?",
    ),
    Mistake(
        "divided by all rows",
        shares(total=lambda kept: torch.tensor(len(kept))),
        "What should the three shares add up to?",
    ),
    Mistake(
        "numbers of rows, not shares",
        shares(total=lambda kept: torch.tensor(1.0)),
        "Is a share larger than 1 possible?",
    ),
    Mistake(
        "context and weights are swapped",
        shares(order=(1, 0, 2)),
        "Which of the two comes first?",
    ),
    Mistake(
        "the label with the lowest logit",
        shares(answers=lambda logits: logits.argmin(dim=-1)),
        "Does a model answer with its highest or its lowest logit?",
    ),
    Mistake(
        "answers that follow neither are left out",
        shares(
            keep=lambda context, weights, a: (
                (context != weights) & ((a == context) | (a == weights))
            )
        ),
        "Your third share is always 0. Which rows does the exercise leave out, and which do you?",
    ),
    Mistake(
        "the rows in which the sources agree",
        shares(keep=lambda context, weights, a: context == weights),
        "Your first two shares are equal. Which rows tell the two sources apart?",
    ),
)


# largest_fall

FALL_MISTAKES = (
    Mistake(
        "highest minus lowest, in any order",
        lambda values: values.max(dim=1).values - values.min(dim=1).values,
        "A curve that only rises should get 0. Does your lowest value come after the highest?",
    ),
    Mistake(
        "from the highest value to the end",
        lambda values: values.max(dim=1).values - values[:, -1],
        "A curve may fall and rise again before the end. At which snapshot is the fall complete?",
    ),
    Mistake(
        "between neighboring snapshots",
        lambda values: (values[:, :-1] - values[:, 1:]).max(dim=1).values.clamp_min(0),
        "A slow fall takes several snapshots. Between which two do you take the difference?",
    ),
    Mistake(
        "only after the highest value of all",
        lambda values: torch.stack(
            [curve.max() - curve[curve.argmax() :].min() for curve in values]
        ),
        "The highest value may come after the largest fall. Highest up to when?",
    ),
    Mistake(
        "the largest rise",
        lambda values: (values - values.cummin(dim=1).values).max(dim=1).values,
        "Which of the two values comes first in a fall?",
    ),
    Mistake(
        "over the runs, not over the snapshots",
        lambda values: (values.cummax(dim=0).values - values).max(dim=0).values,
        "Along which axis does time run?",
    ),
    Mistake(
        "the value minus the highest so far",
        lambda values: (values - values.cummax(dim=1).values).max(dim=1).values,
        "Your largest fall is 0 in every run. Which of the two values is larger?",
    ),
    Mistake(
        "the highest of the other runs counts as well",
        lambda values: (values.cummax(dim=0).values - values).max(dim=1).values,
        "The first run has no fall in your version. Along which axis does time run?",
    ),
)
