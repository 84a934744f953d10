"""What repeats in rows of tokens, and whether an induction head would be worth learning."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def repeat_statistics(tokens: Int[Tensor, "batch pos"]) -> dict[str, float]:
    """Four shares, each from 0 to 1, of rows of at least two tokens.

    - "repeated": of all tokens, those that stood earlier in their row.
    - "usable": of all next tokens (positions 1, 2, …), those that the rule of an induction head
      gets right: the token that followed the latest earlier copy of the token before.
    - "one_distance": of the usable ones, those at the commonest distance between the two copies;
      0 if none is usable. At 1 a head that counts positions does as well.
    - "by_heart": of all next tokens, those that are the commonest successor of the token before,
      over all rows. At 1 a table of bigrams does as well.

    >>> repeat_statistics(torch.tensor([[5, 7, 5, 7]]))["usable"]  # The last 7.
    0.3333333432674408
    """
    latest = _latest_copy(tokens)
    query, key = latest[:, :-1], latest[:, :-1] + 1
    hit = (query >= 0) & (tokens.gather(1, key) == tokens[:, 1:])
    distance = (torch.arange(tokens.shape[1] - 1) - query)[hit]
    pairs = torch.stack([tokens[:, :-1].flatten(), tokens[:, 1:].flatten()])
    (first, _), counts = pairs.unique(dim=1, return_counts=True)
    commonest = torch.zeros(int(first.max()) + 1, dtype=counts.dtype)
    commonest.scatter_reduce_(0, first, counts, "amax")
    return {
        "repeated": _share(latest >= 0),
        "usable": _share(hit),
        "one_distance": distance.bincount().max().item() / len(distance) if len(distance) else 0.0,
        "by_heart": commonest.sum().item() / pairs.shape[1],
    }


def will_form(tokens: Int[Tensor, "batch pos"]) -> bool:
    """Whether a two-layer toy trained on rows like these would form an induction head: a guess.

    The rule of an induction head must be right often, and nothing simpler may do as well: neither
    one fixed distance nor a table of bigrams. The limits (0.32 and one half) fit the runs of
    chapter 9, of 400 steps at one learning rate and 32 tokens of context. They are no law.
    """
    found = repeat_statistics(tokens)
    varied = found["one_distance"] <= 0.5
    return found["usable"] >= 0.32 and varied and found["by_heart"] < found["usable"]


def chance_repeats_formula() -> str:
    """The expected share of `n` random tokens over `V` ids that stood earlier in their row."""
    return "1 - V / n * (1 - (1 - 1/V)**n)"


def intact_repeats_formula() -> str:
    """The chance that a pair and its copy both stay whole if each token is lost with chance `q`."""
    return "(1 - q)**4"


def _latest_copy(tokens: Int[Tensor, "batch pos"]) -> Int[Tensor, "batch pos"]:
    """The position of the latest earlier copy of each token, or −1."""
    same = (tokens[:, :, None] == tokens[:, None, :]).tril(diagonal=-1)
    position = torch.arange(tokens.shape[1])
    return torch.where(same, position, -1).amax(dim=-1)


def _share(mask: Bool[Tensor, "..."]) -> float:
    return mask.float().mean().item()
