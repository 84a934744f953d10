"""Known mistakes of chapter 14, each with its hint.

Those of paths, pruning and the logit lens are in `graph_mistakes`.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from induction_heads.course.exercise import Mistake

# sae_loss


def loss_by(
    error: Callable[[Tensor], Tensor],
    paid: Callable[[Tensor], Tensor],
    finish: Callable[[Tensor], Tensor] = torch.mean,
) -> Callable[..., Tensor]:
    """A loss from the difference [example d_model] and the activations [example feature]."""
    return lambda x, y, f, penalty: finish(error(x - y) + penalty * paid(f))


def _squares(difference: Tensor) -> Tensor:
    return difference.square().sum(-1)


def _total(activations: Tensor) -> Tensor:
    return activations.sum(-1)


LOSS_MISTAKES = (
    Mistake(
        "the error is a mean over dimensions",
        loss_by(lambda d: d.square().mean(-1), _total),
        "Make the stream twice as wide, with the same error in each dimension. Does your error "
        "term grow?",
    ),
    Mistake(
        "the penalty is a mean over features",
        loss_by(_squares, lambda f: f.mean(-1)),
        "Add a hundred dead features to the dictionary. Should the penalty change?",
    ),
    Mistake(
        "the length of the error, not its square",
        loss_by(lambda d: d.norm(dim=-1), _total),
        "Double an error. By which factor should this part of the loss grow?",
    ),
    Mistake(
        "the number of active features is penalized",
        loss_by(_squares, lambda f: (f > 0).float().sum(-1)),
        "That count has no gradient. Does the definition ask how many are on, or how strongly?",
    ),
    Mistake(
        "the squares of the activations are penalized",
        loss_by(_squares, lambda f: f.square().sum(-1)),
        "Compare one activation of 2 with two of 1. Which of the two should cost more?",
    ),
    Mistake(
        "the examples are summed",
        loss_by(_squares, _total, torch.sum),
        "Give every example twice. Should the loss be twice as large?",
    ),
    Mistake(
        "there is no penalty",
        loss_by(_squares, lambda f: 0 * f.sum(-1)),
        "For a perfect reconstruction your loss is zero. What do the activations cost?",
    ),
    Mistake(
        "the penalty is subtracted",
        lambda x, y, f, penalty: loss_by(_squares, _total)(x, y, f, -penalty),
        "Activations that grow without end lower your loss. What should they cost?",
    ),
)


# shrunk_activation_formula

SHRUNK_MISTAKES = (
    Mistake(
        "no shrinkage",
        lambda: "a",
        "At f = a the first term is at its minimum. Is the slope of the whole loss zero there?",
    ),
    Mistake(
        "the whole penalty is subtracted",
        lambda: "max(a - c, 0)",
        "What is the slope of a square? Set it equal to the slope of the penalty.",
    ),
    Mistake(
        "the whole penalty is subtracted, below zero too",
        lambda: "a - c",
        "What is the slope of a square, and what does a ReLU do with a negative f?",
    ),
    Mistake(
        "negative activations are allowed",
        lambda: "a - c/2",
        "For a large penalty your f is below zero. What does the ReLU allow?",
    ),
    Mistake(
        "the penalty adds to the activation",
        lambda: "max(a + c/2, 0)",
        "The penalty makes strength expensive. Which way does it push f?",
    ),
    Mistake(
        "a quadratic penalty",
        lambda: "a / (1 + c)",
        "That is the minimum for a penalty of c·f². What is the penalty here?",
    ),
    Mistake(
        "a threshold without shrinkage",
        lambda: "a * max(0, (a - c/2)) / max(a - c/2, 1e-9)",
        "Your f is either 0 or a. Try a = 2 and c = 1, with f a little below 2: is the loss lower "
        "there?",
    ),
)


# dead_features


def numbers(dead: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The numbers of the columns for which `dead` says so."""
    return lambda f: torch.nonzero(dead(f)).flatten()


DEAD_MISTAKES = (
    Mistake(
        "features that are 0 on some example",
        numbers(lambda f: (f == 0).any(0)),
        "Most features are off on most examples. Is that dead?",
    ),
    Mistake(
        "the features that are alive",
        numbers(lambda f: (f > 0).any(0)),
        "Try activations without a dead feature. How many should you return?",
    ),
    Mistake(
        "features that are weak on average",
        numbers(lambda f: f.mean(0) < 0.05),
        "A feature may be on once in a million examples. Does your code call it dead?",
    ),
    Mistake(
        "features that are never strong",
        numbers(lambda f: f.amax(0) < 0.01),
        "A feature may be on once, and hardly. Above which activation is it alive?",
    ),
    Mistake(
        "features that are on in few examples",
        numbers(lambda f: (f == 0).float().mean(0) > 0.9),
        "A feature may be on once in a million examples. In how many must it be off to be dead?",
    ),
    Mistake(
        "the last example is not looked at",
        numbers(lambda f: (f[:-1] == 0).all(0)),
        "How many examples did you look at? A feature may be on in the last one alone.",
    ),
    Mistake(
        "only the first example is looked at",
        numbers(lambda f: f[0] == 0),
        "Which examples did you look at?",
    ),
    Mistake(
        "a mask, not numbers",
        lambda f: (f == 0).all(0),
        "You have the right features as True and False. What should the answer contain?",
    ),
    Mistake(
        "the examples without any feature",
        numbers(lambda f: (f == 0).all(1)),
        "Rows are examples. Which axis is the features?",
    ),
)


# feature_detection_scores


def scores_by(
    on: Callable[[Tensor, float], Tensor],
    *,
    swapped: bool = False,
    empty: float = 1.0,
    all_examples: bool = False,
    counts: bool = False,
) -> Callable[..., tuple[Tensor, Tensor]]:
    """Precision and recall with another rule for what is on, or another thing to divide by."""

    def answer(activations, labels, n_labels, threshold=0.5):
        active = on(activations, threshold).float()
        has = F.one_hot(labels, n_labels).float()
        both = torch.einsum("nj,nx->jx", active, has)
        n_on, n_has = active.sum(0)[:, None], has.sum(0)
        if all_examples:
            n_has = torch.full_like(n_has, len(labels))
        if counts:
            return both, both.clone()
        precision, recall = both / n_on.clamp_min(empty), both / n_has.clamp_min(empty)
        return (recall, precision) if swapped else (precision, recall)

    return answer


def _own(activations: Tensor, threshold: float) -> Tensor:
    return activations > threshold * activations.amax(0)


DETECTION_MISTAKES = (
    Mistake(
        "precision and recall are swapped",
        scores_by(_own, swapped=True),
        "A feature that is always on finds every example of a label. Which of the two is 1?",
    ),
    Mistake(
        "the threshold is the same for all features",
        scores_by(lambda f, t: f > t),
        "Features have different scales. What is the threshold multiplied by?",
    ),
    Mistake(
        "the largest activation of all features is used",
        scores_by(lambda f, t: f > t * f.max()),
        "In your version a feature with small activations is never on. Whose largest activation "
        "is meant?",
    ),
    Mistake(
        "a feature is on wherever it is above zero",
        scores_by(lambda f, t: f > 0),
        "What did you do with `threshold`?",
    ),
    Mistake(
        "dividing by zero gives NaN",
        scores_by(_own, empty=0.0),
        "A dead feature is never on. What should its precision be?",
    ),
    Mistake(
        "recall is a share of all examples",
        scores_by(_own, all_examples=True),
        "Recall asks about the examples with the label. How many are those?",
    ),
    Mistake(
        "a feature is on at its threshold too",
        scores_by(lambda f, t: f >= t * f.amax(0)),
        "With a threshold of 0, is a feature on where its activation is 0?",
    ),
    Mistake(
        "numbers of examples, not shares",
        scores_by(_own, counts=True),
        "Can a precision be above 1? What should each of them be divided by?",
    ),
    Mistake(
        "the tables are [label feature]",
        lambda *given, **options: tuple(table.T for table in scores_by(_own)(*given, **options)),
        "The shape is turned around. Which axis comes first in the signature?",
    ),
)
