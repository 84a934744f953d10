"""Other correct implementations of the exercises of chapter 9."""

import math
from collections.abc import Callable

import torch

from induction_heads.course.ch09_what_must_go_right.mistakes import (
    _right,
    clamped,
    counted,
    gap_by,
    put_in,
)
from induction_heads.course.plain_forward import hook_name, losses


def _by_tensors(tokens):
    """The latest copy as the largest position among equal tokens before."""
    batch, n_pos = tokens.shape
    equal = (tokens.unsqueeze(2) == tokens.unsqueeze(1)) & torch.ones(n_pos, n_pos).tril(-1).bool()
    ranks = torch.arange(1, n_pos + 1)
    latest = (equal * ranks).max(dim=2).values[:, :-1]  # 0: there is none.
    guess = torch.cat([tokens, torch.full((batch, 1), -1)], dim=1).gather(1, latest)
    right = (guess == tokens[:, 1:]) & (latest > 0)
    distances = (ranks[:-1] - latest)[right]
    size = int(tokens.max()) + 1
    table = torch.zeros(size, size)
    for a, b in zip(tokens[:, :-1].flatten(), tokens[:, 1:].flatten(), strict=True):
        table[a, b] += 1
    total = len(distances)
    return {
        "repeated": equal.any(dim=2).double().mean().item(),
        "usable": right.double().mean().item(),
        "one_distance": (distances.mode().values == distances).sum().item() / total if total else 0,
        "by_heart": (table.max(dim=1).values.sum() / table.sum()).item(),
    }


def _floats(answer: Callable[..., dict]) -> Callable[..., dict]:
    return lambda tokens: {name: float(value) for name, value in answer(tokens).items()}


STATISTICS_ALSO_RIGHT = (_floats(_by_tensors), counted)


CHANCE_ALSO_RIGHT = (
    lambda: "(n - V + V * (1 - 1/V)**n) / n",
    lambda: "1 - V/n + V/n * exp(n * log((V - 1) / V))",
)


INTACT_ALSO_RIGHT = (lambda: "((1 - q)**2)**2", lambda: "1 - 4*q + 6*q**2 - 4*q**3 + q**4")


def _by_mask(free, held, layer, step):
    """A sum of what is free and what is held, each times a mask of heads."""
    mask, wanted = torch.zeros(free.shape[1], 1, 1), torch.zeros(free.shape[1:])
    for (at, head), pattern in held.items():
        if at == layer:
            mask[head], wanted[head] = 1, pattern
    return free * (1 - mask) + wanted * mask


CLAMP_ALSO_RIGHT = (
    clamped(lambda f, h, layer, s: put_in(f, h, layer, _right)),
    clamped(_by_mask),
)


def _by_masks(model, tokens, heads):
    """Masks on the patterns, which silence a head too."""

    def loss(silent):
        hooks = []
        for layer in {layer for layer, _ in silent}:
            mask = torch.tensor([(layer, h) not in silent for h in range(model.cfg.n_heads)])
            hook = lambda value, hook, mask=mask: value * mask[:, None, None]  # noqa: E731
            hooks.append((hook_name(layer, "pattern"), hook))
        return losses(model.run_with_hooks(tokens, fwd_hooks=hooks), tokens).mean().item()

    clean = loss([])
    rises = [loss([tuple(head)]) - clean for head in heads]
    return loss([tuple(head) for head in heads]) - clean - math.fsum(rises)


GAP_ALSO_RIGHT = (
    gap_by(lambda clean, joint, alone: joint - sum(alone) + (len(alone) - 1) * clean),
    _by_masks,
)


def _beats_what_is_simpler(tokens):
    """Without the four shares: is the rule right more often than each simpler guess?"""
    n_pos = tokens.shape[1]
    equal = (tokens[:, :, None] == tokens[:, None, :]).float().tril(-1)[:, :-1]
    latest = equal * torch.arange(1, n_pos + 1)
    place = latest.amax(dim=-1).long()
    right = (place > 0) & (tokens.gather(1, place.clamp(max=n_pos - 1)) == tokens[:, 1:])
    lags = [(tokens[:, lag:] == tokens[:, :-lag]).sum().item() for lag in range(1, n_pos)]
    table = torch.zeros(64, 64)
    first, second = tokens[:, :-1].flatten(), tokens[:, 1:].flatten()
    table.index_put_((first, second), torch.ones(len(first)), accumulate=True)
    simpler = max(*lags, table.amax(dim=1).sum().item()) / len(first)
    return right.float().mean().item() > max(0.3, 1.1 * simpler)


def _by_halves(tokens):
    """The table is made of one half of the rows and tried on the other."""
    half = len(tokens) // 2
    table = torch.zeros(64, 64)
    known, asked = tokens[:half], tokens[half:]
    pairs = (known[:, :-1].flatten(), known[:, 1:].flatten())
    table.index_put_(pairs, torch.ones(len(pairs[0])), accumulate=True)
    by_heart = (table.argmax(dim=1)[asked[:, :-1]] == asked[:, 1:]).float().mean().item()
    found = counted(tokens)
    return found["usable"] > 0.26 and found["one_distance"] < 0.8 and by_heart < 0.3


FORM_ALSO_RIGHT = (_beats_what_is_simpler, _by_halves)


TIME_ALSO_RIGHT = (
    lambda: "N**2 * 2**0.5 / c / g",
    lambda: "sqrt(2 * (N**2 / (c*g))**2)",
)


ALSO_RIGHT = {
    "repeat_statistics": STATISTICS_ALSO_RIGHT,
    "chance_repeats_formula": CHANCE_ALSO_RIGHT,
    "intact_repeats_formula": INTACT_ALSO_RIGHT,
    "emergence_time_formula": TIME_ALSO_RIGHT,
    "clamp_patterns_during_training": CLAMP_ALSO_RIGHT,
    "joint_ablation_gap": GAP_ALSO_RIGHT,
    "will_form": FORM_ALSO_RIGHT,
}
"""Exercise → other answers that its check must accept."""
