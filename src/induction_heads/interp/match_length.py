"""How many tokens must match before a head attends to what followed them.

Repeated blocks do not tell: from the second token of a copy on, two or more tokens match. Here only
the last tokens of a row do (`prefix_match_rows`), so a head that needs one token and a head that
needs two differ. Olsson et al. 2022 foresee such heads ("[A][B][C]…[A][B] → [C]", argument 5);
Kissane et al. 2024 name them short-prefix and long-prefix induction heads.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.data.tokens import (
    bos_token,
    not_drawn,
    prefix_match_rows,
    visible_positions,
)
from induction_heads.interp.activations import head_scores, visit_patterns
from induction_heads.models.interface import Model, model_config, require_head

LONGEST = 4
"""The longest match that is tried."""

GAP = 20
"""Tokens between B and the second prefix, fewer where the context or the vocabulary is small."""

LEAST = 0.2
"""A head has a match length if some match raises its attention to B by at least this."""


def prefix_length_curves(
    model: Model,
    *,
    longest: int = LONGEST,
    last_differs: bool = False,
    batch: int = 64,
    seed: int = 0,
) -> Float[Tensor, "length layer head"]:
    """Attention from the last token to B when the last 0, 1, … `longest` tokens match, by head.

    The row is `… p3 p2 A B [gap] … q3 q2 A`; entry 0 is the control, in which not even A occurs
    before. All rows have the same length, so B is equally far away at every entry. With
    `last_differs` the last token is never A, only those before it match. Raises ValueError if such
    rows do not fit in the context or the vocabulary.
    """
    place = longest + (bos_token(model) is not None)
    on_b = {"on_b": lambda pattern: pattern[..., -1, place]}
    rows = _rows(model, longest, last_differs=last_differs, batch=batch, seed=seed)
    return torch.stack([head_scores(model, tokens, on_b)["on_b"] for tokens in rows])


def _rows(
    model: Model, longest: int, *, last_differs: bool = False, batch: int, seed: int
) -> list[Int[Tensor, "batch pos"]]:
    """The rows in which the last 0, 1, … `longest` tokens match."""
    bos, room = bos_token(model), _room(model)
    gap = min(GAP, room - 2 * longest - 1)
    if longest < 1 or gap < 1:
        raise ValueError(
            f"Rows with matches of 1 to longest={longest} tokens need {2 * longest + 2} positions "
            f"and ids; this model has {room}. Use a longest between 1 and {(room - 2) // 2}."
        )
    return [
        prefix_match_rows(
            model_config(model).d_vocab,
            length,
            longest=longest,
            last_differs=last_differs,
            gap=gap,
            batch=batch,
            bos_token=bos,
            exclude=not_drawn(model),
            seed=seed,
        )
        for length in range(longest + 1)
    ]


def _room(model: Model) -> int:
    """The most distinct tokens that a row without BOS can hold."""
    config, has_bos = model_config(model), bos_token(model) is not None
    return min(visible_positions(config) - has_bos, config.d_vocab - len(not_drawn(model)))


def prefix_values(
    model: Model, *, seeds: int, batch: int, rows: slice, through: int
) -> Float[Tensor, "seed length row layer head"]:
    """`prefix_length_curves` before the mean over rows, for some rows of a batch, by seed.

    Shorter matches are tried in a short context. NaN for the layers after `through`.
    """
    longest = min(LONGEST, (_room(model) - 2) // 2)
    place, config = longest + (bos_token(model) is not None), model_config(model)
    n_rows = len(range(batch)[rows])
    values = torch.full((seeds, longest + 1, n_rows, config.n_layers, config.n_heads), torch.nan)
    for seed in range(seeds):
        for length, tokens in enumerate(_rows(model, longest, batch=batch, seed=seed)):

            def visit(layer: int, pattern: Tensor, to: Tensor = values[seed, length]) -> None:
                to[:, layer] = pattern[..., -1, place]

            visit_patterns(model, tokens[rows], visit, through)
    return values


def prefix_length_curve(
    model: Model,
    layer: int,
    head: int,
    *,
    longest: int = LONGEST,
    batch: int = 64,
    seed: int = 0,
) -> Float[Tensor, " length"]:
    """`prefix_length_curves` of one head. Raises ValueError if the model does not have it.

    >>> from induction_heads.models.hand_built import hand_built, hand_built_heads
    >>> for kind in ("induction", "long_prefix"):
    ...     curve = prefix_length_curve(hand_built(kind), *hand_built_heads(kind)[kind])
    ...     print([round(value, 2) for value in curve.tolist()])
    [0.04, 1.0, 1.0, 1.0, 1.0]
    [0.0, 0.0, 1.0, 1.0, 1.0]
    """
    require_head(model, layer, head)
    return prefix_length_curves(model, longest=longest, batch=batch, seed=seed)[:, layer, head]


def match_length(curve: Sequence[float] | Float[Tensor, " length"]) -> int | None:
    """The shortest match at which a head does half of what it does at its best.

    `curve` is that of `prefix_length_curve`. Counted is the rise over its first entry, the control,
    so a head that attends to B whatever matches has no match length: None, as with every head whose
    largest rise is below `LEAST`. 1 is a short-prefix head, 2 or more a long-prefix head.

    >>> match_length([0.0, 0.1, 0.8, 0.9])
    2
    >>> print(match_length([0.9, 0.9, 0.9, 0.9]))
    None
    """
    rises = [float(value) - float(curve[0]) for value in curve]
    highest = max(rises)
    if highest < LEAST:
        return None
    return next(length for length, rise in enumerate(rises) if length and rise >= highest / 2)
