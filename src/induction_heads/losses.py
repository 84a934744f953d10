"""How surprised a model is: token by token, and what the context is worth to it."""

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def per_token_loss(
    logits: Float[Tensor, "batch pos d_vocab"], tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "batch pos-1"]:
    """Nats of surprise at each token after the first: entry i is the loss on token i + 1.

    Raises ValueError if logits and tokens do not describe the same positions.
    """
    if logits.shape[:2] != tokens.shape:
        raise ValueError(
            f"logits for {list(logits.shape[:2])} and tokens of {list(tokens.shape)} came in; "
            "they must agree on [batch, pos]."
        )
    return F.cross_entropy(logits[:, :-1].mT, tokens[:, 1:], reduction="none")


def in_context_learning_score(losses: Float[Tensor, "batch pos"]) -> float:
    """Mean loss of the last quarter of the tokens minus that of the first quarter, in nats.

    `losses` are per-token losses in order. Below 0 where the context helps: more negative is
    better. Olsson et al. 2022 take the loss at token 500 minus the loss at token 50; the rows of
    this course are shorter. A quarter is `pos // 4` tokens. Raises ValueError for fewer than four.
    """
    quarter = losses.shape[1] // 4
    if quarter < 1:
        raise ValueError(
            f"Losses of {losses.shape[1]} tokens came in; a first and a last quarter need four."
        )
    return (losses[:, -quarter:].mean() - losses[:, :quarter].mean()).item()


def uniform_copying_loss_formula() -> str:
    """The loss of a model that knows which tokens are in the context, and not their order.

    A share `r` of the next tokens are in the context, as any one of `P` tokens; the others are any
    one of the `V - P` tokens that are not. Nothing says which of the two comes next.
    """
    return "r * log(P / r) + (1 - r) * log((V - P) / (1 - r))"
