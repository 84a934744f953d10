"""Several look-ups, one after the other: what the k-hop induction task asks for.

The task is that of Sanford, Hsu & Telgarsky 2024 (definition 4.1).
"""

import torch
from jaxtyping import Int
from torch import Tensor

Rows = Int[Tensor, "batch pos"]


def one_hop(tokens: Rows) -> Rows:
    """The position after the latest earlier copy of each token, and −1 where it is new.

    >>> one_hop(torch.tensor([[0, 1, 0, 2, 0]]))
    tensor([[-1, -1,  1, -1,  3]])
    """
    positions = torch.arange(tokens.shape[1])
    copies = (tokens[:, :, None] == tokens[:, None, :]).tril(-1)
    return torch.where(copies, positions + 1, -1).amax(dim=-1)


def k_hop_target(tokens: Rows, k: int) -> Rows:
    """The token that is reached from each position by `k` look-ups, and −1 if one of them fails.

    One look-up goes from a position to the one after the latest earlier copy of its token. The
    next look-up begins there, and sees only what lies before. Raises ValueError for a negative k.

    >>> tokens = torch.tensor([["abcde".index(letter) for letter in "baebcabebdea"]])
    >>> "abcde"[k_hop_target(tokens, 1)[0, -1]], "abcde"[k_hop_target(tokens, 2)[0, -1]]
    ('b', 'c')
    """
    if k < 0:
        raise ValueError(f"k={k}: the number of look-ups is a whole number from 0.")
    hop, places = one_hop(tokens), torch.arange(tokens.shape[1]).expand_as(tokens)
    for _ in range(k):
        places = torch.where(places >= 0, hop.gather(1, places.clamp_min(0)), -1)
    return torch.where(places >= 0, tokens.gather(1, places.clamp_min(0)), -1)
