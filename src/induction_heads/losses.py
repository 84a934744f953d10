"""How surprised a model is, token by token."""

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
