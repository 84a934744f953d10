"""Inputs and plain definitions that the checks and the mistakes of chapter 7 share."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from induction_heads.course.model_inputs import built_model
from induction_heads.course.plain_forward import Place, digest, forward, losses, total
from induction_heads.data.tokens import make_repeated_tokens
from induction_heads.models.interface import HookedModel

PERIODS = (8, 12, 16)


def later(found: dict[Place, Tensor], layer: int) -> dict[Place, Tensor]:
    """What belongs to layers after this one."""
    return {place: value for place, value in found.items() if place[0] > layer}


Rows = tuple[float, float, float]

_known: dict[tuple, Rows] = {}
"""What was measured, by the weights: the oracle and all known mistakes need the same numbers."""


def measured(
    model: HookedModel,
    layer: int,
    head: int,
    periods: tuple[int, ...] = PERIODS,
    repeats: bool = False,
    start: Callable[[int], int] = lambda period: -period,
    more: int = 0,
) -> list[Rows]:
    """(induction score, rise, control's rise) at each period.

    `start(period)` is the first entry of the stripe's diagonal that counts, and `more` the number
    of tokens that count in the losses beside the last period − 1.
    """
    weights, found = digest(model), []
    for period in periods:
        counted = start(period), more
        key = weights, layer, head, period, repeats, counted
        if key not in _known:
            if len(_known) > 4096:
                _known.clear()
            _known[key] = _at_period(model, layer, head, period, repeats, *counted)
        found.append(_known[key])
    return found


def _at_period(
    model: HookedModel, layer: int, head: int, period: int, repeats: bool, start: int, more: int
) -> Rows:
    tokens = make_repeated_tokens(model, period, batch=32, seed=period)
    other = make_repeated_tokens(model, period, batch=32, seed=period + 1)
    control = other if repeats else torch.cat([tokens[:, :-period], other[:, -period:]], dim=1)
    looks, rises = 0.0, []
    for rows in (tokens, control):
        clean, seen, _ = forward(model, rows)
        rise = losses(total(model, rows, layer, head), rows) - losses(clean, rows)
        rises.append(rise[:, 1 - period - more :].mean().item())
        if rows is tokens:
            stripe = seen[layer, head].diagonal(1 - period, dim1=-2, dim2=-1)
            looks = stripe[:, start:].mean().item()
    return looks, rises[0], rises[1]


# Rows for patching, and a model in float64


def differing_rows(
    kind: str, options: dict[str, Any], seed: int, n_pos: int, places: tuple[int, ...], batch: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Clean and corrupted random rows, and the ids whose logits the change lowers and raises most.

    The two rows of a pair differ at `places`. The id whose last logit falls most is the right one,
    that whose logit rises most the wrong one, so the two runs differ whatever the seed is.
    """
    model = built_model(kind, options)
    generator = torch.Generator().manual_seed(seed)
    d_vocab = model.config.d_vocab
    clean = torch.randint(1, d_vocab, (batch, n_pos), generator=generator)
    if model.config.bos_token is not None:
        clean[:, 0] = model.config.bos_token
    corrupted = clean.clone()
    for place in places:
        step = torch.randint(1, d_vocab - 1, (batch,), generator=generator)
        corrupted[:, place] = (clean[:, place] - 1 + step) % (d_vocab - 1) + 1
    with torch.no_grad():
        fall = (model(clean) - model(corrupted))[:, -1]
    return clean, corrupted, fall.argmax(dim=-1), fall.argmin(dim=-1)


def in_float64(model: HookedModel) -> Any:
    """What `forward` needs of a model without layer norm, with its weights in float64."""
    names = ("W_E", "W_pos", "W_Q", "W_K", "W_V", "W_O", "W_U")
    weights = {name: getattr(model, name).detach().double() for name in names}
    same = torch.nn.Identity()
    blocks = [SimpleNamespace(ln1=same)] * model.cfg.n_layers
    return SimpleNamespace(cfg=model.cfg, blocks=blocks, ln_final=same, **weights)


def logit_gap(logits: Tensor, right: Tensor, wrong: Tensor) -> Tensor:
    """The right logit minus the wrong one at the last position of each row."""
    rows = range(len(logits))
    return torch.stack([logits[row, -1, right[row]] - logits[row, -1, wrong[row]] for row in rows])
