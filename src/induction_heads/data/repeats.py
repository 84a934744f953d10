"""What repeats in rows of tokens, and whether an induction head would be worth learning."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def repeat_statistics(tokens: Int[Tensor, "batch pos"]) -> dict[str, float]:
    """Four shares, each from 0 to 1, of rows of at least two tokens.

    - "repeated": of all tokens, those that appeared earlier in their row.
    - "usable": of all next tokens (positions 1, 2, …), those that the rule of an induction head
      predicts: the token that followed the latest earlier copy of the token before.
    - "one_distance": of the usable ones, those at the most common distance between the two copies;
      0 if none is usable. At 1 a head with a fixed offset does as well.
    - "by_heart": of all next tokens, those that are the most common successor of the token before,
      over all rows. At 1 a bigram table does as well.

    Raises ValueError if there are no rows, or rows of one token.

    >>> repeat_statistics(torch.tensor([[5, 7, 5, 7]]))["usable"]  # The last 7.
    0.3333333432674408
    """
    if not len(tokens) or tokens.shape[1] < 2:
        raise ValueError(
            f"Got tokens of shape {list(tokens.shape)}: pass rows of at least two tokens."
        )
    latest = _latest_copy(tokens)
    query, key = latest[:, :-1], latest[:, :-1] + 1
    usable = (query >= 0) & (tokens.gather(1, key) == tokens[:, 1:])
    distance = (torch.arange(tokens.shape[1] - 1) - query)[usable]
    pairs = torch.stack([tokens[:, :-1].flatten(), tokens[:, 1:].flatten()])
    (first, _), counts = pairs.unique(dim=1, return_counts=True)
    commonest = torch.zeros(int(first.max()) + 1, dtype=counts.dtype)
    commonest.scatter_reduce_(0, first, counts, "amax")
    return {
        "repeated": _share(latest >= 0),
        "usable": _share(usable),
        "one_distance": distance.bincount().max().item() / len(distance) if len(distance) else 0.0,
        "by_heart": commonest.sum().item() / pairs.shape[1],
    }


def will_form(tokens: Int[Tensor, "batch pos"]) -> bool:
    """A rule of thumb: would a two-layer toy trained on such rows form an induction head?

    The rule of an induction head must often be right, and nothing simpler may do as well: neither
    one fixed distance nor a bigram table. The thresholds (0.32 and one half) fit the stored sweep
    `data`: 400 steps, one learning rate, 32 tokens of context. They may not hold elsewhere.
    """
    share = repeat_statistics(tokens)
    varied = share["one_distance"] <= 0.5
    return share["usable"] >= 0.32 and varied and share["by_heart"] < share["usable"]


def _latest_copy(tokens: Int[Tensor, "batch pos"]) -> Int[Tensor, "batch pos"]:
    """The position of the latest earlier copy of each token, or −1."""
    same = (tokens[:, :, None] == tokens[:, None, :]).tril(diagonal=-1)
    position = torch.arange(tokens.shape[1])
    return torch.where(same, position, -1).amax(dim=-1)


def _share(mask: Bool[Tensor, "..."]) -> float:
    return mask.float().mean().item()
