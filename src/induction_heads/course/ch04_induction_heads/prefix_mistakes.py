"""Known mistakes of `prefix_length_curve`, each with its hint."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from induction_heads.course.ch04_induction_heads.inputs import (
    FILLERS,
    PREFIX,
)
from induction_heads.course.exercise import Mistake
from induction_heads.interp.activations import attention_patterns
from induction_heads.models.interface import HookedModel

LENGTHS = range(PREFIX + 1)


def _fresh_rows(model: HookedModel, batch: int = 64) -> Tensor:
    """Rows without BOS in which nothing repeats."""
    weights = torch.ones(batch, model.cfg.d_vocab)
    if model.cfg.bos_token is not None:
        weights[:, model.cfg.bos_token] = 0
    size = 2 * PREFIX + 1 + FILLERS
    return torch.multinomial(weights, size, generator=torch.Generator().manual_seed(0))


def _after_bos(model: HookedModel, rows: Tensor) -> Tensor:
    bos = model.cfg.bos_token
    return rows if bos is None else torch.cat([torch.full_like(rows[:, :1], bos), rows], dim=1)


def _matched(rows: Tensor, length: int) -> Tensor:
    """The rows with their last `length` tokens those up to A."""
    rows = rows.clone()
    if length:
        rows[:, -length:] = rows[:, PREFIX - length : PREFIX]
    return rows


def _reversed(rows: Tensor, length: int) -> Tensor:
    rows = rows.clone()
    if length:
        rows[:, -length:] = rows[:, PREFIX - length : PREFIX].flip(1)
    return rows


def _first_match(rows: Tensor, length: int) -> Tensor:
    rows = rows.clone()
    rows[:, -PREFIX : rows.shape[1] - PREFIX + length] = rows[:, :length]
    return rows


def _b_at_the_end(rows: Tensor, length: int) -> Tensor:
    rows = rows.clone()
    rows[:, -1 - length :] = rows[:, PREFIX - length : PREFIX + 1]
    return rows


def curve(
    model: HookedModel,
    layer: int,
    head: int,
    *,
    match: Callable[[Tensor, int], Tensor] = _matched,
    shift: int = 0,
    lengths: Any = LENGTHS,
    counts_bos: bool = True,
) -> Tensor:
    """`prefix_length_curve`, with other rows or read at another place of the pattern."""
    fresh, points = _fresh_rows(model), []
    place = PREFIX + shift + (counts_bos and model.cfg.bos_token is not None)
    for length in lengths:
        patterns = attention_patterns(model, _after_bos(model, match(fresh, length)))
        points.append(patterns[layer, :, head, -1, place].mean())
    return torch.stack(points)


def _above_the_control(model, layer, head):
    points = curve(model, layer, head)
    return points - points[0]


PREFIX_MISTAKES = (
    Mistake(
        "the key is A, not B",
        partial(curve, shift=-1),
        "You read the attention to the earlier copy of the token itself. Which key does an "
        "induction head look at?",
    ),
    Mistake(
        "the key is the token after B",
        partial(curve, shift=1),
        "The prefix takes the positions 0 to 3, A among them. At which position is B then? And is "
        "the last token of the row A, and the query?",
    ),
    Mistake(
        "the position of B does not count the BOS token",
        partial(curve, counts_bos=False),
        "With a BOS token in front everything moves by one. Which token do you look at then?",
    ),
    Mistake(
        "the control is missing",
        partial(curve, lengths=range(1, PREFIX + 1)),
        "What would a head score that looks at B whatever the tokens are? Which entry shows it?",
    ),
    Mistake(
        "the longest match is missing",
        partial(curve, lengths=range(PREFIX)),
        "Does your last entry have rows in which all four tokens match?",
    ),
    Mistake(
        "all four tokens match in every entry",
        partial(curve, match=lambda rows, length: _matched(rows, PREFIX)),
        "Your curve is flat, also at 0. How many tokens repeat in the rows of entry 0?",
    ),
    Mistake(
        "nothing matches in any entry",
        partial(curve, match=lambda rows, length: rows),
        "Your curve is flat, also for an induction head. What makes the last k tokens repeat, A "
        "first of all? And is A the query?",
    ),
    Mistake(
        "only A matches in every entry but the first",
        partial(curve, match=lambda rows, length: _matched(rows, min(length, 1))),
        "A head that needs two tokens finds none in your rows. What has to match besides A?",
    ),
    Mistake(
        "one token too many matches",
        partial(curve, match=lambda rows, length: _matched(rows, min(length + 1, PREFIX))),
        "In entry 0 not even A should repeat. How many tokens match in your rows of entry 0?",
    ),
    Mistake(
        "the match begins at p4, not at A",
        partial(curve, match=_first_match),
        "In your entry 1 only the token farthest from the end repeats. Which k tokens are last?",
    ),
    Mistake(
        "the matching tokens are in reversed order",
        partial(curve, match=_reversed),
        "Write out entry 2: which token comes right before the second A, and which before the "
        "first?",
    ),
    Mistake(
        "the row ends with B",
        partial(curve, match=_b_at_the_end),
        "After `A B` the head looks for what followed B. Which token should be the query?",
    ),
    Mistake(
        "the control is taken off",
        _above_the_control,
        "You return how much a match adds. The curve should hold the attention itself, with the "
        "control as its first entry.",
    ),
)
