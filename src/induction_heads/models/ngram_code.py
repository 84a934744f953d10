"""The code of the last n tokens that one head can write: attention that falls with the distance.

The code of `hand_built_any_order`, where a head of layer 1 compares such codes.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.models.any_order import RATIO

Tokens = Int[Tensor, "batch pos"]


def ngram_code(
    tokens: Tokens, d_vocab: int, n: int, ratio: float = RATIO
) -> Float[Tensor, "batch pos id"]:
    """What a head of layer 0 writes: the last n tokens, each at a share `ratio` of the next one.

    The weights are those of a softmax, so each code sums to 1. The row is preceded by BOS tokens,
    with the id `d_vocab`, as many as needed. Raises ValueError for n below 1 or a ratio that is not
    between 0 and 1/2.

    >>> ngram_code(torch.tensor([[0, 1, 0]]), d_vocab=2, n=2)[0, -1]  # 0 at 3/4, 1 at 1/4, no BOS.
    tensor([0.7500, 0.2500, 0.0000])
    """
    if n < 1 or not 0 < ratio < 0.5:
        raise ValueError(
            f"Got {n=} and {ratio=}. Use n of at least 1 and a ratio between 0 and 0.5."
        )
    padded = F.pad(tokens, (n - 1, 0), value=d_vocab)
    weights = ratio ** torch.arange(n - 1, -1, -1).double()
    one_hot = F.one_hot(padded.unfold(1, n, 1), d_vocab + 1).double()  # [batch, pos, n, id]
    return torch.einsum("bpni,n->bpi", one_hot, weights / weights.sum()).float()
