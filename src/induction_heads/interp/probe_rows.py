"""The scores of every head on every row of the probes, measured in as few passes as possible.

The numbers are those of `probe_scores`, `repeat_copying` and `prefix_length_curves`, which are the
plain definitions, on all rows or, on a large model, on a few rows first. The copying score reads
the same pass as the patterns, and one pass over few rows that never repeat is the control of all
probes of a seed. The rest is run where it is still open what a head is, up to the deepest such
layer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from induction_heads.interp.activations import visit_patterns
from induction_heads.interp.copying import RowCopying, repeat_copying_by_row
from induction_heads.interp.match_length import LEAST, prefix_values
from induction_heads.interp.parts import Once, Part, computed
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


def no_rows(model: Model, probes: list[Probe], n_layers: int | None = None) -> ProbeRows:
    """The table for these probes before any row is run: all NaN but for the even head.

    It has the first `n_layers` layers; None is all of them.
    """
    config, n_rows = model_config(model), len(probes[0].repeated)
    depth = int(config.n_layers if n_layers is None else n_layers)
    n_seeds = len({probe.seed for probe in probes})

    def empty(n: int) -> Tensor:
        return torch.full((n, n_rows, depth, config.n_heads), torch.nan)

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
    advance: Callable[..., object] = lambda: None,
    *,
    seed: int | None = None,
) -> None:
    """Fill in what repeated tokens say, for these rows and the layers up to `through`.

    With `seed`, only the probes of that seed are run.
    """
    places = list(dict.fromkeys(probe.seed for probe in probes))
    begun: list[int] = []
    for number, probe in enumerate(probes):
        if seed not in (None, probe.seed):
            continue
        visit, tokens = _repeat_visitor(table, number, probe, rows), probe.repeated[rows]
        if probe.seed in begun:
            visit_patterns(model, tokens, visit, through)
        else:
            found = repeat_copying_by_row(
                model, tokens, probe.period, probe.gap, visit_pattern=visit
            )
            _keep_copying(table, places.index(probe.seed), rows, found)
            begun.append(probe.seed)
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
    n_layers = table.rank.shape[2]
    table.rank[place, rows] = found.rank[:, :n_layers]
    table.logits[place, rows] = found.logits[:, :n_layers]


def _repeat_visitor(
    table: ProbeRows, number: int, probe: Probe, rows: slice
) -> Callable[[int, Tensor], None]:
    def visit(layer: int, pattern: Tensor) -> None:
        require_pattern(pattern)
        if layer >= table.rank.shape[2]:
            return
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


_EVEN = {f"control_{kind}" for kind in POSITION_KINDS}
"""These are those of a head that attends evenly: known without a pass."""


def _as_part(table: ProbeRows) -> Part:
    """The table as it is now, as a part of an analysis."""
    values = {f"values {kind}": table.values[kind] for kind in table.values if kind not in _EVEN}
    return values | {"rank": table.rank, "logits": table.logits}


def _take(table: ProbeRows, part: Part) -> None:
    """Fill the table with a part."""
    for kind, values in table.values.items():
        if kind not in _EVEN:
            values.copy_(part[f"values {kind}"])
    table.rank.copy_(part["rank"])
    table.logits.copy_(part["logits"])


def measured_rows(
    model: Model,
    probes: list[Probe],
    bounds: tuple[float, float],
    *,
    every_row: bool,
    through: int | None = None,
    advance: Callable[..., object] = lambda: None,
    once: Once = computed,
) -> ProbeRows:
    """The table of the probes: with all rows, or with more than the first only where it matters.

    `bounds` are the threshold and the bound of the copying score, as in `open_layers`. `through` is
    the last layer of the table; None is the last of the model. `advance` is called after each of
    the probes on repeats, also on those that were kept, and once more for each if more rows are
    run. `once` may keep what was measured (see `parts`).
    """
    last = model_config(model).n_layers - 1 if through is None else through
    table, n_rows = no_rows(model, probes, last + 1), len(probes[0].repeated)
    every = slice(0, n_rows)

    def fill(name: str, run: Callable[[], None], n_steps: int = 0) -> None:
        ran: list[bool] = []

        def compute() -> Part:
            ran.append(True)
            run()
            return _as_part(table)

        _take(table, once(name, compute))
        for _ in range(0 if ran else n_steps):
            advance()

    def repeats(rows: slice, to: int) -> None:
        for seed in dict.fromkeys(probe.seed for probe in probes):
            name = f"repeats of seed {seed} rows {rows.start} to {rows.stop} layers to {to}"
            run = partial(run_repeats, model, probes, table, rows, to, advance, seed=seed)
            fill(name, run, sum(probe.seed == seed for probe in probes))

    def controls(run: Callable[..., None], rows: slice, to: int) -> None:
        name = f"controls of rows {rows.start} to {rows.stop} layers to {to}"
        fill(name, partial(run, model, probes, table, rows, to))

    if every_row or n_rows <= FIRST_ROWS:
        controls(run_controls, every, last)
        repeats(every, last)
        return table
    first, rest = slice(0, FIRST_ROWS), slice(FIRST_ROWS, n_rows)
    controls(run_shared_controls, first, last)
    repeats(first, last)
    open_repeats, open_controls = open_layers(table, *bounds)
    if open_controls is not None:
        controls(run_controls, every, open_controls)
    if open_repeats is not None:
        repeats(rest, open_repeats)
    return table


def measured_prefix_curves(
    model: Model,
    is_induction: Bool[Tensor, "layer head"],
    *,
    seeds: int,
    batch: int,
    every_row: bool,
    once: Once = computed,
) -> Float[Tensor, "length layer head"]:
    """`prefix_length_curves` as the mean over seeds, with shorter matches in a short context.

    Unless `every_row`, more than the first rows are run only if the match length of an induction
    head is open. `is_induction` is True for these heads; layers that it does not have are not run.
    """

    def run(rows: slice, through: int) -> Tensor:
        name = f"prefixes of rows {rows.start} to {rows.stop} layers to {through}"
        values = once(
            name,
            lambda: {
                "values": prefix_values(model, seeds=seeds, batch=batch, rows=rows, through=through)
            },
        )["values"]
        return values[:, :, :, : len(is_induction)]

    first = batch if every_row else min(FIRST_PREFIX_ROWS, batch)
    values = run(slice(0, first), len(is_induction) - 1)
    if first < batch:
        deepest = _deepest(_open_matches(values) & is_induction)
        if deepest is not None:
            values = torch.cat([values, run(slice(first, batch), deepest)], dim=2)
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
