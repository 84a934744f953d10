"""Known mistakes of `share_equal_so_far`, each with its hint."""

import torch
from torch import Tensor

from induction_heads.course.exercise import Mistake


def _each_by_itself(ours: Tensor, theirs: Tensor) -> Tensor:
    return (ours == theirs).float().mean(dim=0)


def _product_of_means(ours: Tensor, theirs: Tensor) -> Tensor:
    return (ours == theirs).float().mean(dim=0).cumprod(dim=0)


def _one_is_enough(ours: Tensor, theirs: Tensor) -> Tensor:
    return (ours == theirs).long().cummax(dim=1).values.float().mean(dim=0)


def _from_the_end(ours: Tensor, theirs: Tensor) -> Tensor:
    return (ours == theirs).long().flip(1).cumprod(dim=1).float().mean(dim=0).flip(0)


def _of_those_left(ours: Tensor, theirs: Tensor) -> Tensor:
    """Each share is among the places that were equal up to the token before."""
    counts = (ours == theirs).long().cumprod(dim=1).sum(dim=0)
    before = torch.cat([torch.tensor([len(ours)]), counts[:-1]])
    return counts / before.clamp_min(1)


def _one_number(ours: Tensor, theirs: Tensor) -> Tensor:
    return (ours == theirs).all(dim=1).float().mean().expand(ours.shape[1])


STRETCH_MISTAKES = (
    Mistake(
        "each token is compared by itself",
        _each_by_itself,
        "A place whose first token differs and whose third agrees: does it count at the third?",
    ),
    Mistake(
        "the shares of single tokens are multiplied",
        _product_of_means,
        "Are agreements at successive tokens independent of each other? Follow one place to its "
        "end before you average over places.",
    ),
    Mistake(
        "one equal token so far is enough",
        _one_is_enough,
        "The first 3 tokens are all equal, or one of them is: which do you count?",
    ),
    Mistake(
        "counted from the last token",
        _from_the_end,
        "At which end does a continuation begin?",
    ),
    Mistake(
        "a share of the places that were left",
        _of_those_left,
        "Of how many places is it a share: of all, or of those that agreed so far?",
    ),
    Mistake(
        "the same number for every length",
        _one_number,
        "The first token alone agrees at more places than all of them do. Where is that in your "
        "answer?",
    ),
)
