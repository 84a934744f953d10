"""The stored runs with clamped parts: the three parts of the circuit, and the controls.

Each run trains `toy-2l` (or the same toy with other heads) from the weights and the data of its
seed. Runs of one seed differ only in what is clamped. `induction-heads experiment clamps` trains
them again.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from induction_heads.models.attention_only import AttentionOnly
from induction_heads.training.clamps import (
    PARTS,
    clamped_copying,
    clamped_patterns,
    given_parts,
    uniform_pattern,
)
from induction_heads.training.initial_weights import initialized
from induction_heads.training.recipes import RECIPES
from induction_heads.training.run import train

SEEDS = (0, 1, 2)

RECALL_EVERY = 10
"""Steps between two measurements of `recalls`."""


@dataclass(frozen=True)
class ClampedRun:
    """What is clamped during a training run, and its length.

    `given` are parts that the model gets (`given_parts`), `even` heads that attend evenly to
    everything and can learn no pattern, and still learn what to write, while `silent` heads write
    nothing at all. `wrong` clamps a head that copies wrong tokens.
    """

    words: str
    given: tuple[str, ...] = ()
    even: tuple[tuple[int, int], ...] = ()
    silent: tuple[tuple[int, int], ...] = ()
    strength: float = 5.0
    wrong: bool = False
    n_heads: int = 2
    d_head: int = 32
    steps: int = 400

    def new_model(self, seed: int) -> AttentionOnly:
        """The untrained model: with two heads of 32 dimensions, that of `toy-2l`."""
        config = replace(RECIPES["toy-2l"].config, n_heads=self.n_heads, d_head=self.d_head)
        return initialized(AttentionOnly(config), seed)

    def clamps(self, model: AttentionOnly, seed: int) -> AbstractContextManager[Any]:
        """The context in which `model` is trained."""
        if self.given:
            return given_parts(model, self.given, strength=self.strength)
        if self.wrong:
            generator = torch.Generator().manual_seed(seed)
            copies = torch.randperm(model.config.d_vocab, generator=generator)
            return clamped_copying(model, 0, strength=self.strength, copies=copies)
        if self.even or self.silent:
            pattern = uniform_pattern(model.config.n_ctx)
            even = dict.fromkeys(self.even, pattern)
            # Without attention to any key, a head writes nothing.
            silent = dict.fromkeys(self.silent, torch.zeros_like(pattern))
            return clamped_patterns(model, even | silent)
        return nullcontext()


def cell_name(parts: tuple[str, ...]) -> str:
    """The name of a cell of the 2 × 2 × 2 table.

    >>> cell_name(("mark", "copying")), cell_name(())
    ('mark+copying', 'free')
    """
    return "+".join(parts) or "free"


CELLS = {
    cell_name(parts): ClampedRun(
        f"given: {', '.join(parts) or 'nothing'}",
        parts,
        steps=100 if {"match", "copying"} <= set(parts) else 400,
    )
    for count in (0, 1, 2, 3)
    for parts in combinations(PARTS, count)
}
"""Name → run, for every combination of the three parts.

If match and copying are given, nothing of the circuit is left to learn, so these runs are short.
"""

CONTROLS = {
    "no-marks": ClampedRun("both heads of layer 0 attend evenly", even=((0, 0), (0, 1))),
    "without-L0H0": ClampedRun("L0H0 attends evenly", even=((0, 0),), steps=250),
    "without-L0H1": ClampedRun("L0H1 attends evenly", even=((0, 1),), steps=250),
    "without-L1H0": ClampedRun("L1H0 attends evenly", even=((1, 0),), steps=250),
    "silent-L0H1": ClampedRun("L0H1 writes nothing", silent=((0, 1),), steps=250),
    "silent-L1H0": ClampedRun("L1H0 writes nothing", silent=((1, 0),), steps=250),
    "silent-one-each": ClampedRun(
        "L0H1 and L1H0 write nothing", silent=((0, 1), (1, 0)), steps=250
    ),
    "one-head": ClampedRun("one head of 32 dimensions a layer", n_heads=1, steps=250),
    "one-wide-head": ClampedRun(
        "one head of 64 dimensions a layer", n_heads=1, d_head=64, steps=250
    ),
    "copying-wrong": ClampedRun("L1H0 copies wrong tokens", wrong=True, steps=250),
    "copying-2": ClampedRun("given: copying, of strength 2", ("copying",), strength=2, steps=150),
    "copying-10": ClampedRun(
        "given: copying, of strength 10", ("copying",), strength=10, steps=150
    ),
}
"""Name → run, for the controls."""

RUNS = {
    f"{name}-s{seed}": (run, seed) for name, run in (CELLS | CONTROLS).items() for seed in SEEDS
}
"""Name → run and seed."""


def clamped_result(name: str) -> dict[str, Any]:
    """Train one of `RUNS`: its loss at each step and, for a free run, its `recalls`."""
    run, seed = RUNS[name]
    recipe = RECIPES["toy-2l"]
    settings = replace(recipe.settings, steps=run.steps, decay=0.0)
    measured = range(0, run.steps + 1, RECALL_EVERY) if run is CELLS["free"] else ()
    model = run.new_model(seed)
    with run.clamps(model, seed):
        trained = train(
            model, recipe.sample, settings, seed=seed, snapshots_at=measured, progress=False
        )
    result: dict[str, Any] = {"losses": [round(loss, 3) for loss in trained.losses]}
    if measured:
        result["recalls"] = []
        for step, weights in trained.snapshots.items():
            model.load_state_dict(weights)
            shares = {part: round(share, 3) for part, share in recalls(model).items()}
            result["recalls"].append({"step": step} | shares)
    return result


def recalls(model: AttentionOnly) -> dict[str, float]:
    """How much of each part of the circuit is in the weights: a share from 0 to 1.

    These are recall probes in the manner of Bietti et al. 2023, of the best heads of layers 0 and 1
    (a, b) of a two-layer model without layer norm:

    - `mark`: of all positions from 1 on, those whose query in a, from the position embedding alone,
      prefers the key one back to all visible others;
    - `match`: of all tokens, those whose query in b prefers the key that a marked with this token
      to one that it marked with any other, if a attends to the token to be marked;
    - `copying`: of all tokens, those that b raises more than any other when it attends to them.

    Chance is about 1 / d_vocab for the last two.
    """
    with torch.inference_mode():
        first, second = model.layers
        heads = range(model.config.n_heads)
        mark = [_positions_recalled(model.W_pos, _qk(first, head)) for head in heads]
        match = [
            _diagonal_recalled(
                model.W_E @ _qk(second, b) @ (model.W_E @ first.W_V[a] @ first.W_O[a]).T  # pyright: ignore[reportIndexIssue]
            )
            for a in heads
            for b in heads
        ]
        copying = [
            _diagonal_recalled(model.W_E @ second.W_V[b] @ second.W_O[b] @ model.W_U)  # pyright: ignore[reportIndexIssue]
            for b in heads
        ]
    return {"mark": max(mark), "match": max(match), "copying": max(copying)}


def _qk(layer: Any, head: int) -> Float[Tensor, "d_model d_model"]:
    return layer.W_Q[head] @ layer.W_K[head].T


def _positions_recalled(W_pos: Float[Tensor, "pos d_model"], W_QK: Tensor) -> float:
    visible = torch.ones(len(W_pos), len(W_pos)).tril().bool()
    scores = (W_pos @ W_QK @ W_pos.T).masked_fill(~visible, -torch.inf)[1:]
    return (scores.argmax(dim=-1) == torch.arange(len(W_pos) - 1)).float().mean().item()


def _diagonal_recalled(table: Float[Tensor, "id id2"]) -> float:
    return (table.argmax(dim=-1) == torch.arange(len(table))).float().mean().item()


def passes(losses: list[float], level: float = 3.5) -> int | None:
    """The step by which the mean of five losses in a row is below the level, or None.

    >>> passes([4.0, 4.0, 3.0, 3.0, 3.0, 3.0], level=3.5)
    4
    """
    means = torch.tensor(losses).unfold(0, 5, 1).mean(dim=1)
    below = (means < level).nonzero()
    return int(below[0]) + 4 if len(below) else None
