"""Known mistakes of `short_convolution`, each with its hint."""

from collections.abc import Callable

import torch
from torch import Tensor

from induction_heads.course.exercise import Mistake


def convolution(
    order: Callable[[Tensor], Tensor] = lambda kernel: kernel,
    around: bool = False,
    sign: int = 1,
    first: int = 0,
):
    """`short_convolution` with another kernel, wrapped around, to the future, or from `first`."""

    def answer(x: Tensor, kernel: Tensor) -> Tensor:
        total, n_pos = torch.zeros_like(x), x.shape[1]
        for back, weights in enumerate(order(kernel)):
            shift = sign * (back + first)
            moved = x.roll(shift, dims=1)
            if not around:
                source = torch.arange(n_pos) - shift
                moved = moved * ((source >= 0) & (source < n_pos))[:, None]
            total = total + weights * moved
        return total

    return answer


CONVOLUTION_MISTAKES = (
    Mistake(
        "the kernel is reversed",
        convolution(order=lambda kernel: kernel.flip(0)),
        "Which entry of the kernel belongs to the position itself? `conv1d` slides a kernel from "
        "left to right and does not reverse it.",
    ),
    Mistake(
        "a position sees those after it",
        convolution(sign=-1),
        "May a token know the next one? At which position is what kernel[1] multiplies?",
    ),
    Mistake(
        "the first positions see the last ones",
        convolution(around=True),
        "What does `roll` put at the first positions? Nothing lies before them.",
    ),
    Mistake(
        "the position itself is left out",
        convolution(first=1),
        "How far back does kernel[0] look?",
    ),
    Mistake(
        "all dimensions share one kernel",
        convolution(order=lambda kernel: kernel.mean(dim=1, keepdim=True)),
        "kernel is [back d_model]. How many kernels are there?",
    ),
    Mistake(
        "only the position itself and the one before it",
        convolution(order=lambda kernel: kernel[:2]),
        "How many entries may a kernel have? Try one of length 3.",
    ),
)
