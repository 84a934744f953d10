"""Known mistakes of `stripe_knockout` and of its formula, each with its hint."""

from collections.abc import Callable

import torch

from induction_heads.course.exercise import Mistake

# stripe_knockout


def knockout_by(
    shift: int = 1,
    *,
    first: Callable[[int, int], int] = lambda n_pos, period: n_pos - period,
    fill: str = "even",
    scale: bool = True,
):
    """`stripe_knockout` on key = query − period + shift, and with other ways to fill the rows.

    `first(n_pos, period)` is the first query that loses its stripe.
    """

    def answer(pattern, period):
        n_pos = pattern.shape[-1]
        query, key = torch.arange(n_pos)[:, None], torch.arange(n_pos)
        gone = (query - key == period - shift) & (query >= first(n_pos, period))
        kept = pattern * ~gone
        left = kept.sum(dim=-1, keepdim=True)
        if not scale:
            return kept
        if fill in ("even", "everywhere", "stripe too"):
            others = ((key <= query) | (fill == "everywhere")) & (~gone | (fill == "stripe too"))
            return torch.where(left > 1e-6, kept / left, others / others.sum(-1, keepdim=True))
        if fill == "self":
            return kept + torch.eye(n_pos) * (1 - left)
        return torch.where(left > 1e-6, kept / left, kept)

    return answer


def _stripe_alone(everywhere: bool):
    """The stripe is what stays: in the last copy, or in every row of the pattern."""

    def answer(pattern, period):
        n_pos = pattern.shape[-1]
        query, key = torch.arange(n_pos)[:, None], torch.arange(n_pos)
        last = query >= n_pos - period
        stripe = (query - key == period - 1) & last
        kept = pattern * (stripe if everywhere else stripe | ~last)
        return kept / kept.sum(dim=-1, keepdim=True).clamp_min(1e-9)

    return answer


KNOCKOUT_MISTAKES = (
    Mistake(
        "the rows no longer sum to 1",
        knockout_by(scale=False),
        "Sum each row. Does the head only look elsewhere, or does it also write less?",
    ),
    Mistake(
        "the earlier copy loses its diagonal too",
        knockout_by(first=lambda n_pos, period: 0),
        "Which queries have an earlier copy at all? Count them from the end.",
    ),
    Mistake(
        "the first query of the last copy keeps its stripe",
        knockout_by(first=lambda n_pos, period: n_pos - period + 1),
        "How many rows have you changed, and how many queries does the last copy have?",
    ),
    Mistake(
        "the queries are counted from the front",
        knockout_by(first=lambda n_pos, period: period),
        "There may be tokens in front of the first copy, such as BOS. From which end is the last "
        "copy counted?",
    ),
    Mistake(
        "a row entirely on the stripe is spread over the stripe as well",
        knockout_by(fill="stripe too"),
        "Where nothing was left, does your answer put weight back on the stripe?",
    ),
    Mistake(
        "a row entirely on the stripe is spread over later keys too",
        knockout_by(fill="everywhere"),
        "Which keys can a query see? Look above the diagonal of your answer.",
    ),
    Mistake(
        "the key is the token itself, one period back",
        knockout_by(0),
        "Does an induction head look at the earlier copy, or at what came after it?",
    ),
    Mistake(
        "the freed weight goes to the query's own position",
        knockout_by(fill="self"),
        "The rest of a row should keep its proportions. What do you divide by?",
    ),
    Mistake(
        "a row entirely on the stripe stays empty",
        knockout_by(fill="empty"),
        "What does your code return for a perfect induction head? Sum its rows.",
    ),
    Mistake(
        "the stripe is what stays, in the last copy",
        _stripe_alone(everywhere=False),
        "A perfect induction head is unchanged in your version. Does your mask mark what goes or "
        "what stays?",
    ),
    Mistake(
        "only the stripe stays, and the first rows are empty",
        _stripe_alone(everywhere=True),
        "The queries of the first copy look nowhere. Does your mask mark what goes or what stays?",
    ),
    Mistake(
        "queries and keys are swapped",
        lambda pattern, period: knockout_by()(pattern.mT, period),
        "Your rows are the columns of the pattern. Which axis is the query?",
    ),
)


# knockout_gain_formula

GAIN_MISTAKES = (
    Mistake(
        "the weight that is left, not the factor",
        lambda: "1 - s",
        "That is the sum of the other weights. What must they sum to afterwards?",
    ),
    Mistake(
        "the freed weight is added",
        lambda: "1 + s",
        "Try s = 0.9: the others sum to 0.1. Which factor takes 0.1 to 1?",
    ),
    Mistake(
        "divided by the stripe's weight",
        lambda: "1 / s",
        "If the stripe has almost no weight, by how much should the others grow?",
    ),
    Mistake(
        "the odds",
        lambda: "s / (1 - s)",
        "With s = 0.5 your factor is 1: the row would not change. Does it sum to 1?",
    ),
)
