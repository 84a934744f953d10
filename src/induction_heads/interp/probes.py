"""Probes: repeated random tokens with their control, and the scores of every head on one of them.

`probe_scores` is the plain definition of what `probe_rows` measures for all probes in fewer passes.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.data.tokens import (
    bos_token,
    distinct_tokens,
    follows_earlier_copy,
    not_drawn,
    repeated_tokens,
    repeats_earlier_token,
    visible_positions,
    with_bos,
)
from induction_heads.interp.activations import head_scores
from induction_heads.interp.scores import (
    attention_on,
    current_token_score,
    duplicate_matching_score,
    first_token_score,
    prefix_matching_score,
    previous_token_score,
    uniform_first_token_score,
)
from induction_heads.models.interface import Model, model_config

LONGEST_PROBE = 129
"""Probes stay this short on models with a long context: the scores do not need more."""

PATTERN_KINDS = ("previous_token", "first_token", "current_token", "duplicate_token", "induction")
"""The scores of a report, one per kind of head."""

POSITION_KINDS = PATTERN_KINDS[:3]
"""Kinds scored on tokens that never repeat; their control is a head that attends evenly."""

REPEAT_KINDS = PATTERN_KINDS[3:]
"""Kinds scored on repeated tokens; their control is the same places without the repeat."""


@dataclass(frozen=True)
class Probe:
    """Repeated tokens and, for the control, tokens of the same length that never repeat."""

    period: int
    gap: int
    seed: int
    repeated: Int[Tensor, "batch pos"]
    control: Int[Tensor, "batch pos"]


def make_probes(model: Model, *, seeds: int = 3, batch: int = 16) -> list[Probe]:
    """Repeated random tokens at several periods and gaps, each with several seeds.

    Every period but the longest is tried with two distances between the copies, so that a head with
    a fixed offset can match at most one of them. Probes are no longer than what a query sees, and
    hold no id that `not_drawn` leaves out: the tokenizer has all of them, and none is among the
    most or least common where it is known which these are. Raises ValueError if the context, the
    attention window or the vocabulary is too small for two copies of four tokens.
    """
    config = model_config(model)
    bos, excluded = bos_token(model), not_drawn(model)
    usable = min(visible_positions(config), LONGEST_PROBE) - (bos is not None)
    usable = min(usable, config.d_vocab - len(excluded))
    if usable < 8:
        raise ValueError(
            f"Only {usable} positions can be used; two copies need at least 8. The context has "
            f"{config.n_ctx}, a query sees {visible_positions(config)}, and "
            f"{config.d_vocab - len(excluded)} ids can be drawn."
        )
    shapes = [
        (usable // 4, 0),
        (usable // 4, usable // 8),
        (3 * usable // 8, 0),
        (3 * usable // 8, usable // 8),
        (usable // 2, 0),
    ]
    probes = []
    for seed in range(seeds):
        for number, (period, gap) in enumerate(shapes):
            generator = torch.Generator().manual_seed(1000 * seed + number)
            repeated = repeated_tokens(
                config.d_vocab,
                period,
                batch=batch,
                gap=gap,
                bos_token=bos,
                exclude=excluded,
                seed=generator,
            )
            fresh = distinct_tokens(config.d_vocab, 2 * period + gap, batch, generator, excluded)
            probes.append(Probe(period, gap, seed, repeated, with_bos(fresh, bos)))
    return probes


def probe_scores(model: Model, probe: Probe) -> dict[str, Float[Tensor, "layer head"]]:
    """All scores of all heads on one probe; `control_…` are the control's."""
    follows, copies = follows_earlier_copy(probe.repeated), repeats_earlier_token(probe.repeated)
    on_repeats = head_scores(
        model,
        probe.repeated,
        {
            "induction": lambda pattern: prefix_matching_score(pattern, probe.repeated),
            "duplicate_token": lambda pattern: duplicate_matching_score(pattern, probe.repeated),
        },
    )
    on_control = head_scores(
        model,
        probe.control,
        {
            "previous_token": previous_token_score,
            "first_token": first_token_score,
            "current_token": current_token_score,
            "control_induction": lambda pattern: attention_on(pattern, follows),
            "control_duplicate_token": lambda pattern: attention_on(pattern, copies),
        },
    )
    evenly = uniform_first_token_score(probe.control.shape[1])
    even = {f"control_{kind}": torch.full_like(on_control[kind], evenly) for kind in POSITION_KINDS}
    return on_repeats | on_control | even
