"""The loss of each token, and how it falls along the context."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def per_token_loss(
    logits: Float[Tensor, "batch pos d_vocab"], tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "batch pos-1"]:
    """The loss in nats at each token after the first: entry i is the loss on token i + 1.

    In float32, whatever the logits are in. Raises ValueError if logits and tokens do not describe
    the same positions, or if there is no token after another.

    >>> import torch
    >>> tokens = torch.tensor([[3, 1, 2]])
    >>> per_token_loss(torch.zeros(1, 3, 4), tokens).shape
    torch.Size([1, 2])
    >>> per_token_loss(torch.zeros(1, 3, 4), tokens)  # Four equally likely tokens: log 4.
    tensor([[1.3863, 1.3863]])
    """
    if logits.shape[:2] != tokens.shape:
        raise ValueError(
            f"Got logits of shape {list(logits.shape)} for tokens of shape {list(tokens.shape)}. "
            "Both must have the same batch and positions."
        )
    if tokens.shape[0] < 1 or tokens.shape[1] < 2:
        raise ValueError(
            f"Got tokens of shape {list(tokens.shape)}: no token comes after another. Pass rows of "
            "at least two tokens."
        )
    return F.cross_entropy(in_float32(logits)[:, :-1].mT, tokens[:, 1:], reduction="none")


def in_float32(values: Tensor) -> Tensor:
    """The values in float32 at least: half precision is widened, float64 stays.

    Half precision has three digits, so a loss of 8 nats would be rounded to steps of 0.06.
    """
    return values.to(torch.promote_types(values.dtype, torch.float32))


def in_context_learning_score(losses: Float[Tensor, "batch pos"]) -> float:
    """Mean loss of the last quarter of the losses minus that of the first quarter, in nats.

    `losses` are per-token losses in order. Below 0 where the context helps: more negative is
    better. Olsson et al. 2022 take the loss at token 500 minus the loss at token 50; the rows of
    this course are shorter. A quarter is `pos // 4` losses. A row of n tokens has n − 1 losses:
    records of text take `n // 4` of them instead (`late_minus_early_loss`), one more on rows of 64
    or 128. Raises ValueError for fewer than four losses.

    >>> import torch
    >>> in_context_learning_score(torch.tensor([[4.0, 3.0, 2.0, 1.0]]))
    -3.0
    """
    quarter = losses.shape[1] // 4
    if quarter < 1:
        raise ValueError(f"Got losses of {losses.shape[1]} tokens. Quarters need at least four.")
    return late_minus_early_loss(losses, quarter)


def late_minus_early_loss(losses: Float[Tensor, "batch pos"], n_losses: int) -> float:
    """Mean of the last `n_losses` losses of the rows minus the mean of the first, in nats.

    `in_context_learning_score` is this for a quarter of the losses. Raises ValueError for losses
    that are not finite, or for an `n_losses` that does not fit.

    >>> import torch
    >>> late_minus_early_loss(torch.tensor([[4.0, 3.0, 2.0, 1.0]]), 2)
    -2.0
    """
    if not 1 <= n_losses <= losses.shape[1] or not len(losses):
        raise ValueError(
            f"n_losses={n_losses} of losses of shape {list(losses.shape)}: choose from 1 to "
            f"{losses.shape[1]}, and pass at least one row."
        )
    if not bool(losses.isfinite().all()):
        raise ValueError("Some losses are NaN or infinite, so their means say nothing.")
    wide = in_float32(losses)
    return (wide[:, -n_losses:].mean() - wide[:, :n_losses].mean()).item()
