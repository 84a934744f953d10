"""Known mistakes of `per_token_loss`, each with its hint."""

import math

from torch import Tensor

from induction_heads.course.exercise import Mistake

# per_token_loss


def _loss_by_gather(logits, tokens):
    log_probabilities = logits[:, :-1].log_softmax(dim=-1)
    return -log_probabilities.gather(-1, tokens[:, 1:, None]).squeeze(-1)


def _chosen(values: Tensor, tokens: Tensor) -> Tensor:
    return values.gather(-1, tokens[..., None]).squeeze(-1)


LOSS_MISTAKES = (
    Mistake(
        "each token is predicted at its own position",
        lambda logits, tokens: -_chosen(logits.log_softmax(-1), tokens)[:, 1:],
        "The logits at position i come after the model has read token i. Which position predicts "
        "it?",
    ),
    Mistake(
        "no shift: one loss for every position",
        lambda logits, tokens: -_chosen(logits.log_softmax(-1), tokens),
        "Is there a prediction for the first token? And a truth for the last prediction?",
    ),
    Mistake(
        "shifted the wrong way",
        lambda logits, tokens: -_chosen(logits[:, 1:].log_softmax(-1), tokens[:, :-1]),
        "You compare each position with the token before it. In which direction does it predict?",
    ),
    Mistake(
        "averaged over the batch",
        lambda logits, tokens: _loss_by_gather(logits, tokens).mean(dim=0),
        "The spread over rows is gone. Which axes should the answer have?",
    ),
    Mistake(
        "one number for all tokens",
        lambda logits, tokens: _loss_by_gather(logits, tokens).mean(),
        "`cross_entropy` averages by default. How would you see the loss of the second copy alone?",
    ),
    Mistake(
        "in bits",
        lambda logits, tokens: _loss_by_gather(logits, tokens) / math.log(2),
        "Nats use the natural logarithm. Which one did you use?",
    ),
    Mistake(
        "the sign is reversed",
        lambda logits, tokens: -_loss_by_gather(logits, tokens),
        "Can a logarithm of a probability be positive? A surprise should never be negative.",
    ),
    Mistake(
        "the probability, not its logarithm",
        lambda logits, tokens: _loss_by_gather(logits, tokens).neg().exp(),
        "A perfect prediction gives 1 here. What should its loss be?",
    ),
    Mistake(
        "the raw logit",
        lambda logits, tokens: -_chosen(logits[:, :-1], tokens[:, 1:]),
        "Add 5 to every logit of a position. Should the loss change?",
    ),
    Mistake(
        "the softmax runs over the positions",
        lambda logits, tokens: -_chosen(logits[:, :-1].log_softmax(1), tokens[:, 1:]),
        "Over which axis should the probabilities sum to 1?",
    ),
    Mistake(
        "the softmax underflows",
        lambda logits, tokens: -_chosen(logits[:, :-1].softmax(-1), tokens[:, 1:]).log(),
        "The probability of an unlikely token was rounded to 0, so its logarithm is −inf. Which "
        "function does both steps at once?",
    ),
)
