"""Training an induction circuit whose weights are three numbers: how long it takes, by context.

Musat et al. 2025 prove, for a minimal task and gradient flow from zero weights, that the time until
an induction head emerges is quadratic in the context. We know their paper from its abstract and
from summaries, so the task here follows theirs but may differ in details.

A row holds N pairs of an item and a label, then one of the items again: the query, whose label is
to be predicted. Labels are +1 or −1, at random. Three numbers are learned:

- α, `mark`: how much the head of layer 0 prefers the key one back to all other visible keys;
- β, `match`: how much the head of layer 1 prefers keys in which layer 0 put the item of the query;
- γ, `copy`: the scale of the label that layer 1 finds.

Both heads are a softmax over the visible keys, so each spreads its attention evenly at first.
`induction-heads experiment minimal-task` makes the stored results again.
"""

import math
from collections.abc import Sequence
from statistics import linear_regression
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.interp.formation import FORMED

SIZES = (8, 16, 32, 64)
"""The numbers of pairs."""

LARGER = {"flow": (128, 256), "flow-filler": (128,)}
"""Way → more numbers of pairs, for gradient flow only, to see how its slope changes."""

SEEDS = (0, 1, 2)

BATCHES = (4, 256)
"""Rows per step of the runs with AdamW."""

WAYS = {
    "flow": "gradient flow, the pairs fill the context",
    "flow-filler": "gradient flow, as many tokens of filler before the pairs",
    **{f"adamw-{batch}": f"AdamW, {batch} rows a step, no filler" for batch in BATCHES},
}
"""Name → how the three numbers are trained."""

RUNS = {
    f"{way}-{size}-s{seed}": (way, size, seed)
    for way in WAYS
    for size in (*SIZES, *LARGER.get(way, ()))
    for seed in SEEDS
}
"""Name → way, number of pairs, seed."""

Numbers = Float[Tensor, " number"]
"""α, β and γ."""


def attention_to_labels(
    numbers: Numbers, asked: Int[Tensor, " row"], n_pairs: int, filler: int = 0
) -> Float[Tensor, "row label"]:
    """How much the query of layer 1 attends to each label, in rows that ask for these pairs.

    `asked` counts pairs from 0. `filler` tokens come before the first pair; they are neither items
    nor labels. Raises ValueError for a pair that is not in the row.

    >>> numbers = torch.tensor([0.0, 0.0, 0.0])
    >>> attention_to_labels(numbers, torch.tensor([1]), n_pairs=2).tolist()  # Even over 5 keys.
    [[0.20000000298023224, 0.20000000298023224]]
    """
    if len(asked) and not 0 <= int(asked.min()) <= int(asked.max()) < n_pairs:
        raise ValueError(f"Got pairs from {int(asked.min())} to {int(asked.max())} of {n_pairs}.")
    alpha, beta, _ = numbers
    n_pos = filler + 2 * n_pairs + 1
    key = torch.arange(n_pos)
    item = (filler + 2 * asked)[:, None]  # [row 1]: where the item of the query is.
    # Layer 0: the attention of each position to the one before it, and to any other visible key.
    other = 1 / (alpha.exp() + key)
    before = alpha.exp() * other
    other = torch.where(key == 0, 1.0, other)  # The first position sees itself alone.
    # How much of the item is in what layer 0 wrote at each key. The query holds it as well.
    marked = torch.where(key >= item, other, 0.0)
    marked = torch.where(key == item + 1, before, marked)
    marked = torch.where(key == n_pos - 1, 2 * other, marked)
    pattern = (beta * marked).softmax(dim=-1)
    return pattern[:, filler + 1 : n_pos - 1 : 2]


def expected_loss(numbers: Numbers, n_pairs: int, filler: int = 0) -> Float[Tensor, ""]:
    """Half the mean squared error of the predicted label, over all possible rows.

    The prediction is γ times the sum of the labels, weighted by the attention. The labels of the
    other pairs are independent of the right one, so only the squares of their weights are left.
    """
    attention = attention_to_labels(numbers, torch.arange(n_pairs), n_pairs, filler)
    right, gamma = attention.diagonal(), numbers[2]
    others = (attention**2).sum(dim=-1) - right**2
    return ((1 - gamma * right) ** 2 + gamma**2 * others).mean() / 2


def right_attention(numbers: Numbers, n_pairs: int, filler: int = 0) -> float:
    """The attention to the right label, as a mean over all pairs that can be asked for."""
    asked = torch.arange(n_pairs)
    return attention_to_labels(numbers, asked, n_pairs, filler).diagonal().mean().item()


def start(seed: int) -> Numbers:
    """The three numbers at the start, drawn from N(0, 0.01)."""
    return 0.1 * torch.randn(3, generator=torch.Generator().manual_seed(seed)).double()


def gradient_flow(n_pairs: int, seed: int, *, filler: int = 0, share: float = 0.02) -> dict:
    """Follow the gradient of `expected_loss` until the circuit has formed, and return the times.

    Time is the learning rate times the number of steps, in the limit of small steps. A step changes
    none of the numbers by more than `share` of its size plus 0.3. The result has, for each number,
    the time at which it reaches 1, and as `formed` the time at which `right_attention` reaches 0.4.
    """
    numbers, time, times = start(seed).requires_grad_(), 0.0, {}
    while "formed" not in times:
        loss = expected_loss(numbers, n_pairs, filler)
        (gradient,) = torch.autograd.grad(loss, numbers)
        largest = share * (numbers.detach().abs() + 0.3) / gradient.abs().clamp_min(1e-30)
        step = largest.min().item()
        with torch.no_grad():
            numbers -= step * gradient
        time += step
        for name, value in zip(("mark", "match", "copy"), numbers.tolist(), strict=True):
            if value >= 1:
                times.setdefault(name, round(time, 2))
        if right_attention(numbers.detach(), n_pairs, filler) >= FORMED:
            times["formed"] = round(time, 2)
    return times


def adamw_steps(
    n_pairs: int, seed: int, *, batch: int, learning_rate: float = 0.02, most: int = 4000
) -> dict:
    """Train the three numbers with AdamW on random rows; `formed` is the step, or None.

    Learning rate, betas and weight decay are those of the toys.
    """
    generator = torch.Generator().manual_seed(seed)
    numbers = start(seed).float().requires_grad_()
    optimizer = torch.optim.AdamW([numbers], lr=learning_rate, betas=(0.9, 0.99), weight_decay=0.01)
    for step in range(1, most + 1):
        asked = torch.randint(n_pairs, (batch,), generator=generator)
        labels = 2.0 * torch.randint(2, (batch, n_pairs), generator=generator) - 1
        attention = attention_to_labels(numbers, asked, n_pairs)
        right = labels[torch.arange(batch), asked]
        error = right - numbers[2] * (attention * labels).sum(dim=-1)
        optimizer.zero_grad()
        (error**2).mean().div(2).backward()
        optimizer.step()
        if right_attention(numbers.detach(), n_pairs) >= FORMED:
            return {"formed": step}
    return {"formed": None}


def minimal_result(name: str) -> dict[str, Any]:
    """One of `RUNS`: when the circuit formed."""
    way, size, seed = RUNS[name]
    if way.startswith("flow"):
        return gradient_flow(size, seed, filler=2 * size if way == "flow-filler" else 0)
    return adamw_steps(size, seed, batch=int(way.removeprefix("adamw-")))


def slope(sizes: Sequence[float], times: Sequence[float]) -> float:
    """The slope of the least-squares line through ln time against ln size: the exponent of a power.

    >>> round(slope((8, 16, 32), (3, 12, 48)), 6)
    2.0
    """
    x, y = ([math.log(value) for value in values] for values in (sizes, times))
    return linear_regression(x, y).slope
