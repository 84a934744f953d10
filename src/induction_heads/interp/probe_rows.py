"""The scores of every head on every row of the probes, measured in as few passes as possible.

The numbers are those of `probe_scores`, `repeat_copying` and `prefix_length_curves`, which are the
plain definitions, on all rows or, on a large model, on a few rows first. The copying score reads
the same pass as the patterns, and one pass over few rows that never repeat is the control of all
probes of a seed. The rest is run where it is still open what a head is, up to the deepest such
layer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from induction_heads.interp.activations import visit_patterns
from induction_heads.interp.copying import RowCopying, repeat_copying_by_row
from induction_heads.interp.match_length import LEAST, prefix_values
from induction_heads.interp.probes import PATTERN_KINDS, POSITION_KINDS, REPEAT_KINDS, Probe
from induction_heads.interp.scores import require_pattern, uniform_first_token_score
from induction_heads.models.interface import Model, model_config

FIRST_ROWS = 4
"""Rows of each probe that are run first on a large model."""

FIRST_PREFIX_ROWS = 8
"""Rows of each match length and seed that are run first on a large model."""

MARGIN = 0.02
"""What is open: scores nearer to a bound than this plus `ERRORS` standard errors."""

ERRORS = 4.0
"""The lowest of fifteen means of few rows lies below that of more rows, hence this many."""

RANK_MARGIN = 0.15
"""A copying score that is nearer to its bound than this is open."""

Rows = Float[Tensor, "probe row layer head"]


@dataclass(frozen=True)
class ProbeRows:
    """What was measured on each row. NaN where a row was not run as far as that layer.

    `values` has the kinds of `PATTERN_KINDS`, and `control_…` of each. `rank` and `logits` are
    those of `RepeatCopying` on the first probe of each seed.
    """

    values: dict[str, Rows]
    rank: Float[Tensor, "seed row layer head"]
    logits: Float[Tensor, "seed row layer head"]

    def means(self, kind: str) -> Float[Tensor, "probe layer head"]:
        """The score of each head on each probe."""
        return self.values[kind].nanmean(dim=1)


def no_rows(model: Model, probes: list[Probe]) -> ProbeRows:
    """The table for these probes before any row is run: all NaN but for the even head."""
    config, n_rows = model_config(model), len(probes[0].repeated)
    n_seeds = len({probe.seed for probe in probes})

    def empty(n: int) -> Tensor:
        return torch.full((n, n_rows, config.n_layers, config.n_heads), torch.nan)

    names = [*PATTERN_KINDS, *(f"control_{kind}" for kind in REPEAT_KINDS)]
    values = {name: empty(len(probes)) for name in names}
    evenly = torch.tensor([uniform_first_token_score(p.control.shape[1]) for p in probes])
    for kind in POSITION_KINDS:
        values[f"control_{kind}"] = evenly.view(-1, 1, 1, 1).expand_as(values[kind])
    return ProbeRows(values, empty(n_seeds), empty(n_seeds))


def run_repeats(
    model: Model,
    probes: list[Probe],
    table: ProbeRows,
    rows: slice,
    through: int,
    advance: Callable[[], None] = lambda: None,
) -> None:
    """Fill in what repeated tokens say, for these rows and the layers up to `through`."""
    seeds: list[int] = []
    for number, probe in enumerate(probes):
        visit, tokens = _repeat_visitor(table, number, probe, rows), probe.repeated[rows]
        if probe.seed in seeds:
            visit_patterns(model, tokens, visit, through)
        else:
            found = repeat_copying_by_row(
                model, tokens, probe.period, probe.gap, visit_pattern=visit
            )
            _keep_copying(table, len(seeds), rows, found)
            seeds.append(probe.seed)
        advance()


def run_controls(
    model: Model, probes: list[Probe], table: ProbeRows, rows: slice, through: int
) -> None:
    """Fill in what tokens that never repeat say, for these rows, up to the layer `through`."""
    for number, probe in enumerate(probes):
        visit = _control_visitor(table, [(number, probe)], rows)
        visit_patterns(model, probe.control[rows], visit, through)


def run_shared_controls(
    model: Model, probes: list[Probe], table: ProbeRows, rows: slice, through: int
) -> None:
    """`run_controls` with one pass for each seed: over the control of its longest probe.

    What a query sees does not depend on what comes after it, so the beginning of a row serves the
    shorter probes.
    """
    for _, group in groupby(enumerate(probes), key=lambda item: item[1].seed):
        of_seed = list(group)
        longest = max((probe.control for _, probe in of_seed), key=lambda tokens: tokens.shape[1])
        visit_patterns(model, longest[rows], _control_visitor(table, of_seed, rows), through)


def _keep_copying(table: ProbeRows, place: int, rows: slice, found: RowCopying) -> None:
    table.rank[place, rows] = found.rank
    table.logits[place, rows] = found.logits


def _repeat_visitor(
    table: ProbeRows, number: int, probe: Probe, rows: slice
) -> Callable[[int, Tensor], None]:
    def visit(layer: int, pattern: Tensor) -> None:
        require_pattern(pattern)
        for kind, score in _at_repeats(pattern, probe).items():
            table.values[kind][number, rows, layer] = score

    return visit


def _control_visitor(
    table: ProbeRows, served: list[tuple[int, Probe]], rows: slice
) -> Callable[[int, Tensor], None]:
    """Fills in the controls of these probes, each from the beginning of the pattern."""

    def visit(layer: int, pattern: Tensor) -> None:
        require_pattern(pattern)
        previous = pattern.diagonal(offset=-1, dim1=-2, dim2=-1)
        current = pattern.diagonal(dim1=-2, dim2=-1)
        for number, probe in served:
            n_pos = probe.control.shape[1]
            scores = {
                "previous_token": previous[..., : n_pos - 1].mean(dim=-1),
                "first_token": pattern[..., 1:n_pos, 0].mean(dim=-1),
                "current_token": current[..., 1:n_pos].mean(dim=-1),
            }
            same_places = _at_repeats(pattern[..., :n_pos, :n_pos], probe)
            scores |= {f"control_{kind}": score for kind, score in same_places.items()}
            for name, score in scores.items():
                table.values[name][number, rows, layer] = score

    return visit


def _at_repeats(
    pattern: Float[Tensor, "batch head query key"], probe: Probe
) -> dict[str, Float[Tensor, "batch head"]]:
    """Attention from the second copy to the first: to the token itself, and to the one after it."""
    distance = probe.period + probe.gap
    offsets = {"duplicate_token": -distance, "induction": 1 - distance}
    return {
        kind: pattern.diagonal(offset=offset, dim1=-2, dim2=-1)[..., -probe.period :].mean(dim=-1)
        for kind, offset in offsets.items()
    }


def open_layers(
    table: ProbeRows, threshold: float, copying: float
) -> tuple[int | None, int | None]:
    """The deepest layers in which more repeats, and more controls, could change what a head is.

    None where there is no such layer. `threshold` and `copying` are the bounds of `earned_kinds`.
    """
    rank = table.rank.nanmean(dim=(0, 1))
    repeats, controls = torch.zeros_like(rank).bool(), torch.zeros_like(rank).bool()
    for kind in PATTERN_KINDS:
        values, control = table.values[kind], table.values[f"control_{kind}"]
        lowest = table.means(kind).amin(dim=0)
        margin = MARGIN + ERRORS * _standard_error(values)
        candidate = lowest > threshold - margin
        is_near = candidate & (lowest < threshold + margin)
        near_control = candidate & ((control.nanmean(dim=(0, 1)) - lowest / 2).abs() < margin)
        if kind in POSITION_KINDS:
            controls |= is_near | near_control
        else:
            repeats |= is_near | near_control
            controls |= near_control
        if kind == "induction":
            repeats |= candidate & ((rank.abs() - copying).abs() < RANK_MARGIN)
    return _deepest(repeats), _deepest(controls)


def _deepest(is_open: Bool[Tensor, "layer head"]) -> int | None:
    layers = is_open.any(dim=1).nonzero()
    return int(layers.max()) if len(layers) else None


def _standard_error(values: Rows) -> Float[Tensor, "layer head"]:
    """That of the mean over the rows of one probe, with the variance pooled over the probes."""
    run = values[:, ~values.isnan().flatten(2).any(dim=(0, 2))]
    return (run.var(dim=1).mean(dim=0) / run.shape[1]).sqrt()


def measured_rows(
    model: Model,
    probes: list[Probe],
    bounds: tuple[float, float],
    *,
    every_row: bool,
    advance: Callable[[], None] = lambda: None,
) -> ProbeRows:
    """The table of the probes: with all rows, or with more than the first only where it matters.

    `bounds` are the threshold and the bound of the copying score, as in `open_layers`.
    """
    table, n_rows = no_rows(model, probes), len(probes[0].repeated)
    last, every = model_config(model).n_layers - 1, slice(0, n_rows)
    if every_row or n_rows <= FIRST_ROWS:
        run_controls(model, probes, table, every, last)
        run_repeats(model, probes, table, every, last, advance)
        return table
    first, rest = slice(0, FIRST_ROWS), slice(FIRST_ROWS, n_rows)
    run_shared_controls(model, probes, table, first, last)
    run_repeats(model, probes, table, first, last, advance)
    repeats, controls = open_layers(table, *bounds)
    if controls is not None:
        run_controls(model, probes, table, every, controls)
    if repeats is not None:
        run_repeats(model, probes, table, rest, repeats)
    return table


def measured_prefix_curves(
    model: Model,
    is_induction: Bool[Tensor, "layer head"],
    *,
    seeds: int,
    batch: int,
    every_row: bool,
) -> Float[Tensor, "length layer head"]:
    """`prefix_length_curves` as the mean over seeds, with shorter matches in a short context.

    Unless `every_row`, more than the first rows are run only if the match length of an induction
    head is open. `is_induction` is True for these heads.
    """
    last = model_config(model).n_layers - 1
    first = batch if every_row else min(FIRST_PREFIX_ROWS, batch)
    values = prefix_values(model, seeds=seeds, batch=batch, rows=slice(0, first), through=last)
    if first < batch:
        deepest = _deepest(_open_matches(values) & is_induction)
        if deepest is not None:
            rest = slice(first, batch)
            more = prefix_values(model, seeds=seeds, batch=batch, rows=rest, through=deepest)
            values = torch.cat([values, more], dim=2)
    return values.nanmean(dim=(0, 2))


def _open_matches(
    values: Float[Tensor, "seed length row layer head"],
) -> Bool[Tensor, "layer head"]:
    """Where more rows could change the match length."""
    pooled = values.transpose(0, 1).flatten(1, 2)  # [length rows layer head]
    curve = pooled.mean(dim=1)
    error = (pooled.var(dim=1) / pooled.shape[1]).sqrt().amax(dim=0)
    margin = MARGIN + 3 * error
    rises = curve - curve[0]
    highest = rises.amax(dim=0)
    near_half = ((rises[1:] - highest / 2).abs() < margin).any(dim=0)
    return (near_half & (highest > LEAST - margin)) | ((highest - LEAST).abs() < margin)
