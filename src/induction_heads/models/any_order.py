"""An n-gram induction head of any order in two layers of one head each, written by hand.

Ekbote et al. 2025 prove that two layers of one head each can represent the n-gram rule for any n;
the idea of a code by falling attention is from the three-layer construction of Rajaraman et al.
2024. The head of layer 0 looks at the tokens before, each with a share `RATIO` of the attention to
the one after it, and writes their sum: the code of what came before a position. Layer 1 compares.
Its key is that code. Its query is the same code one position later, which is the own token plus a
share of the code that is already there. So the query has one token more than the key, the oldest.
With shares that fall, it may stay; with the rising ones of Ekbote et al. an MLP takes it out. The
layer norm before layer 1 brings all keys to one length, without which the product would not be
largest for equal codes.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from induction_heads.models.attention_only import AttentionLayer, AttentionOnly, AttentionOnlyConfig

ANY_ORDER = "any_order"
"""The kind of this model: `load_model("hand-built:any_order")`."""

DESCRIPTION = "induction after a match of three tokens, in two layers of one head each"

RATIO = 1 / 3
"""The attention to each token before, as a share of that to the token after it.

Below 1/2, the sums of different sets of weights differ, so different n-grams have different codes.
"""

SHARPNESS = 150.0
"""The attention score of an equal code for n = 1. Each further token divides it by `RATIO` ** 2."""

LOUDNESS = 1e5
"""The size of a code in the residual stream, where tokens and positions have size 1.

So the layer norm measures the code, and the rest of the residual stream hardly counts.
"""


def hand_built_any_order(
    n: int = 3,
    *,
    d_vocab: int = 32,
    n_ctx: int = 64,
    sharpness: float = SHARPNESS,
    normalization: str | None = "LN",
) -> AttentionOnly:
    """A model whose last head looks, evenly, at what followed earlier copies of `n` tokens.

    These are the last `n` tokens. Where they have not occurred together before, the head looks at
    what followed a shorter match, nearly always the longest. Rows start with a BOS token, id 0.

    In single precision, at most 1 % of the attention is beside the rule up to n = 4, and the key
    with the most attention is right up to n = 6. In double precision (`model.double()`) both hold
    up to n = 8. Without `normalization` the codes are compared as they are, which is wrong from
    n = 2 on. Raises ValueError for n below 1.

    >>> model = hand_built_any_order(2, d_vocab=8, n_ctx=16)
    >>> tokens = torch.tensor([[0, 5, 2, 7, 3, 2, 4, 5, 2]])
    >>> model(tokens)[0, -1].argmax().item()  # 5 2 was followed by 7; 2 alone also by 4.
    7
    """
    if n < 1:
        raise ValueError(f"n={n}: ask for at least one token to match.")
    sizes = [d_vocab, n_ctx, d_vocab, d_vocab]
    d_model, d_head = 2 * sum(sizes), max(d_vocab, n_ctx)
    model = AttentionOnly(
        AttentionOnlyConfig(2, 1, d_model, d_head, d_vocab, n_ctx, normalization, bos_token=0)
    )
    # Every coordinate is a pair of opposite numbers, so that a layer norm finds the mean 0.
    pairs = torch.kron(torch.eye(sum(sizes)), torch.tensor([[1.0], [-1.0]]) / math.sqrt(2))
    token, position, code, prediction = pairs.split(sizes, dim=1)
    # What a layer norm multiplies: a token and a position by `scale`, a code of length 1 by `unit`.
    scale = (2 / d_model + 1e-5) ** -0.5 if normalization else 1.0
    unit = math.sqrt(d_model) / LOUDNESS if normalization else 1 / LOUDNESS
    shares = _shares(n, n_ctx)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.fill_(1.0 if name.endswith("norm.weight") else 0.0)
        model.W_E.copy_(token.T)
        model.W_pos.copy_(position.T)
        back = shares.clamp_min(math.exp(-200)).log() / scale**2
        _set(model, 0, position @ back.float(), position, token / scale, LOUDNESS * code)
        # The code one position later: the own token first, and the code behind it. The softmax has
        # divided both by the same sum, so the own token gets the share of the first one back.
        here = LOUDNESS * shares[-1, -2].item() * token + RATIO * code
        sharp = sharpness * RATIO ** (-2 * (n - 1)) / (unit * LOUDNESS) ** 2
        _set(model, 1, sharp * here, code, token / unit, 10 * LOUDNESS**2 * prediction)
        model.W_U.copy_(10 / math.sqrt(d_model) * prediction)
    return model.requires_grad_(False)


def _shares(n: int, n_ctx: int) -> Float[Tensor, "query key"]:
    """How much of its attention the head of layer 0 gives to each of the n tokens before.

    BOS stands for all tokens before the row, so it gets what they would have got.
    """
    back = torch.arange(n_ctx)[:, None] - torch.arange(n_ctx)
    seen = (back >= 1) & (back <= n)
    weights = torch.where(seen, RATIO ** (back - 1).double(), 0.0)
    total = sum(RATIO**step for step in range(n))
    weights[:, 0] += total - weights.sum(dim=1)
    return weights / total


def _set(
    model: AttentionOnly, layer: int, query: Tensor, key: Tensor, taken: Tensor, put: Tensor
) -> None:
    """Set the weights of the head of a layer: what it compares, takes and puts."""
    weights = model.layers[layer]
    assert isinstance(weights, AttentionLayer)
    weights.W_Q[0, :, : query.shape[1]] = math.sqrt(model.config.d_head) * query
    weights.W_K[0, :, : key.shape[1]] = key
    weights.W_V[0, :, : taken.shape[1]] = taken
    weights.W_O[0, : put.shape[1]] = put.T
