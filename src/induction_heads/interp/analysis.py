"""A report on a model: the kind of every head, its scores, their spread and their controls."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.data.token_ranks import drawn_in_words
from induction_heads.data.tokens import (
    bos_token,
    distinct_tokens,
    not_drawn,
    visible_positions,
    with_bos,
)
from induction_heads.interp.activations import attention_patterns
from induction_heads.interp.circuits import copying_scores
from induction_heads.interp.copying import olsson_copying_scores
from induction_heads.interp.match_length import match_length
from induction_heads.interp.parts import Once, computed
from induction_heads.interp.probe_rows import ProbeRows, measured_prefix_curves, measured_rows
from induction_heads.interp.probes import PATTERN_KINDS, make_probes, probe_scores
from induction_heads.models.interface import Model, model_config, parameter_count
from induction_heads.progress_bar import progress_bar

THRESHOLD = 0.4
"""A head is of a kind when its lowest score over all probes reaches this."""

COPYING = 0.3
"""A head copies when its `RepeatCopying.rank` is above this.

Heads with an induction pattern and random W_O lie between -0.21 and 0.14 on the models of the zoo
(84 draws); their own W_O gives 0.54 to 1.
"""

OLSSON_TOKENS = 25
"""The number of random tokens for Olsson's copying score."""

LARGE = 10_000_000
"""From this many weights on, more than a few rows are run only where they matter."""

Heads = list[tuple[int, int, float]]


@dataclass(frozen=True)
class HeadReport:
    """The measurements of one head. Every dictionary is keyed by kind.

    `score` is the mean over probes, `lowest` the lowest probe, `spread` the standard deviation over
    probes, `control` the mean attention to the same places on tokens that never repeat (for
    induction and duplicate-token heads) or that of a head that attends evenly (for the others).
    `kinds` are the kinds of head that it is.

    `prefix_curve` is the attention to B after `… p3 p2 A B … p3 p2 A` when the last 0, 1, 2, …
    tokens match (see `prefix_length_curves`), as the mean over the seeds, and `match_length` the
    number of tokens that must match. An induction head with a match length of 1 is a short-prefix
    head, one with 2 or more a long-prefix head: see `prefix_kind`.

    Copying is measured three ways, each from −1 to 1: `repeat_copying` on repeated tokens, which
    decides between induction and its decoys, with its size in `repeat_logits` (see
    `RepeatCopying`); `olsson_copying` on tokens that do not repeat (see `olsson_copying_scores`);
    and `copying`, the eigenvalue score of the weights alone (see `copying_scores`).
    """

    layer: int
    head: int
    score: dict[str, float]
    lowest: dict[str, float]
    spread: dict[str, float]
    control: dict[str, float]
    copying: float
    repeat_copying: float
    repeat_logits: float
    olsson_copying: float
    kinds: tuple[str, ...]
    prefix_curve: tuple[float, ...] = ()
    match_length: int | None = None

    @property
    def name(self) -> str:
        """The head as figures and text write it."""
        return f"L{self.layer}H{self.head}"

    @property
    def prefix_kind(self) -> str | None:
        """`short_prefix` or `long_prefix` for an induction head, None for any other head."""
        if "induction" not in self.kinds or self.match_length is None:
            return None
        return "short_prefix" if self.match_length == 1 else "long_prefix"


@dataclass(frozen=True)
class Report:
    """Every head of a model, scored, and the probes that the scores come from.

    `bos_token` is the id in front of every probe, or None. `tokens` says which ids the probes are
    drawn from: all, or those that are neither among the most nor among the least common. `n_layers`
    is the number of layers of the model, of which `heads` may hold only some.
    """

    model: str
    threshold: float
    probes: tuple[dict[str, int], ...]
    heads: tuple[HeadReport, ...]
    bos_token: int | None = None
    tokens: str = ""
    n_layers: int = 0

    def found(self, kind: str) -> Heads:
        """The heads of that kind as (layer, head, score), highest score first."""
        heads = [
            (h.layer, h.head, h.score.get(kind, h.score["induction"]))
            for h in self.heads
            if kind in h.kinds
        ]
        return sorted(heads, key=lambda head: -head[2])

    def scores(self, kind: str) -> Float[Tensor, "layer head"]:
        """The mean score of every head for one kind; NaN in layers that were left out."""
        n_layers = max(self.n_layers, 1 + max(head.layer for head in self.heads))
        values = torch.full((n_layers, 1 + max(h.head for h in self.heads)), torch.nan)
        for head in self.heads:
            values[head.layer, head.head] = head.score[kind]
        return values

    def as_dict(self) -> dict[str, Any]:
        """The report as plain data, ready for JSON."""
        return asdict(self)


def detect_head_types(
    scores: Mapping[str, Float[Tensor, "layer head"]], threshold: float = THRESHOLD
) -> dict[tuple[int, int], str]:
    """The type of each head that has one: the name of its highest score, if it reaches `threshold`.

    `scores` maps the name of a type to a score per head, all of one shape. Heads below the
    threshold on every score are left out. Ties go to the name that comes first. Raises ValueError
    if the shapes differ or there are no scores.
    """
    shapes = {tuple(score.shape) for score in scores.values()}
    if len(shapes) != 1:
        raise ValueError(
            f"Got scores of the shapes {sorted(shapes)}, but expected one [layer, head]."
        )
    names = list(scores)
    best, which = torch.stack([scores[name] for name in names]).max(dim=0)
    return {
        (layer, head): names[int(which[layer, head])]
        for layer, head in (best >= threshold).nonzero().tolist()
    }


def find_previous_token_heads(model: Model, threshold: float = THRESHOLD) -> Heads:
    """Heads whose previous-token score reaches `threshold` on tokens that never repeat.

    Returns (layer, head, score), highest first. The score is the lowest over the probes.

    >>> from induction_heads.models.hand_built import hand_built
    >>> len(find_previous_token_heads(hand_built("induction")))
    1
    >>> find_previous_token_heads(hand_built("bos_sink"))
    []
    """
    return _find(model, "previous_token", threshold)


def find_induction_heads(model: Model, threshold: float = THRESHOLD) -> Heads:
    """Heads whose prefix-matching score reaches `threshold` at every period and gap.

    Returns (layer, head, score), highest first. The score is the lowest over the probes, so a head
    that always looks the same distance back is not found. This reads patterns only: whether the
    head also copies is another question, which `analyze` answers.

    >>> from induction_heads.models.hand_built import hand_built, hand_built_heads
    >>> [(layer, head, score)] = find_induction_heads(hand_built("induction"))
    >>> (layer, head) == hand_built_heads("induction")["induction"]
    True
    >>> round(score, 3)
    1.0
    >>> find_induction_heads(hand_built("fixed_offset"))  # One period only: not induction.
    []
    """
    return _find(model, "induction", threshold)


def _find(model: Model, kind: str, threshold: float) -> Heads:
    probes = make_probes(model)
    lowest = torch.stack([probe_scores(model, probe)[kind] for probe in probes]).amin(dim=0)
    heads = [
        (layer, head, lowest[layer, head].item())
        for layer, head in (lowest >= threshold).nonzero().tolist()
    ]
    return sorted(heads, key=lambda head: -head[2])


def earned_kinds(
    lowest: Mapping[str, float], control: Mapping[str, float], copying: float, threshold: float
) -> tuple[str, ...]:
    """The kinds of a head.

    A head is of a kind when its lowest score reaches the threshold and its control stays below half
    of that score: it attends there more than twice as much as without the repeat, or as an even
    head. So a lower threshold never takes a kind away. An induction head must also copy: raise,
    where it attends, the token that came next. With the pattern alone, and `copying` (the `rank` of
    `RepeatCopying`) not above `COPYING`, it is called `induction_pattern_only`, or `anti_induction`
    with a score below `-COPYING`.
    """
    kinds = []
    for kind in PATTERN_KINDS:
        if lowest[kind] < threshold or control[kind] >= lowest[kind] / 2:
            continue
        if kind == "induction" and copying < -COPYING:
            kinds.append("anti_induction")
        elif kind == "induction" and copying <= COPYING:
            kinds.append("induction_pattern_only")
        else:
            kinds.append(kind)
    return tuple(kinds)


def _olsson_copying(model: Model, batch: int) -> Float[Tensor, "layer head"]:
    """Olsson's copying score of all heads, on a few random tokens."""
    config = model_config(model)
    bos, excluded = bos_token(model), not_drawn(model)
    skip = int(bos is not None)
    length = min(OLSSON_TOKENS, config.d_vocab - len(excluded), visible_positions(config) - skip)
    tokens = distinct_tokens(config.d_vocab, length, batch, 0, excluded)
    return olsson_copying_scores(model, with_bos(tokens, bos), skip=skip)


def analyze(
    model: Model,
    *,
    name: str = "model",
    threshold: float = THRESHOLD,
    seeds: int = 3,
    batch: int = 16,
    every_row: bool | None = None,
    layers: Collection[int] | None = None,
    progress: bool = False,
    once: Once = computed,
) -> Report:
    """Score every head on every probe and name the kinds of each head.

    `model` is a `TransformerBridge` of any architecture or an `AttentionOnly`. Takes seconds on the
    models of this course. See `HeadReport` for the measurements and `earned_kinds` for the
    requirements of each kind. `batch` is the number of rows in every probe.

    With `every_row`, all of them are run. Otherwise a few are run first, and the rest only up to
    the deepest layer with a head for which they could change a kind or the match length; the means
    of a report are over the rows that were run. None is the latter from `LARGE` weights on.

    With `layers`, counted from 0, only the heads of these are reported, and later layers are left
    out where that changes nothing. `progress` shows a bar on a terminal and lines in a log. `once`
    may keep the parts of the analysis (see `parts`). Raises ValueError for a layer that the model
    does not have.
    """
    reported = _require_layers(model, layers)
    last = reported[-1]
    probes = make_probes(model, seeds=seeds, batch=batch)
    all_rows = _is_small(model) if every_row is None else every_row
    n_steps = len(probes) * (1 if all_rows else 2)
    with progress_bar(n_steps, f"probes of {name}", enabled=progress, lines=progress) as advance:
        table = measured_rows(
            model,
            probes,
            (threshold, COPYING),
            every_row=all_rows,
            through=last,
            advance=advance,
            once=once,
        )
    kinds, copies = _kinds(table, threshold), table.rank.nanmean(dim=(0, 1))
    logits = table.logits.nanmean(dim=(0, 1))
    scores = once(
        "copying", lambda: {"o": _olsson_copying(model, batch), "w": copying_scores(model)}
    )
    olsson, copying = scores["o"], scores["w"]
    # These rows are about a quarter as long as a probe, and each holds a single query to read.
    prefixes = measured_prefix_curves(
        model,
        torch.tensor([["induction" in of_head for of_head in layer] for layer in kinds]),
        seeds=seeds,
        batch=4 * batch,
        every_row=all_rows,
        once=once,
    )
    means = {name: table.means(name) for name in table.values}
    heads = []
    for layer, head in product(reported, range(copying.shape[1])):
        values = {kind: means[kind][:, layer, head] for kind in PATTERN_KINDS}
        heads.append(
            HeadReport(
                layer=layer,
                head=head,
                score={kind: value.mean().item() for kind, value in values.items()},
                lowest={kind: value.min().item() for kind, value in values.items()},
                spread={kind: value.std().item() for kind, value in values.items()},
                control=_controls(means, layer, head),
                copying=copying[layer, head].item(),
                repeat_copying=copies[layer, head].item(),
                repeat_logits=logits[layer, head].item(),
                olsson_copying=olsson[layer, head].item(),
                kinds=kinds[layer][head],
                prefix_curve=tuple(prefixes[:, layer, head].tolist()),
                match_length=match_length(prefixes[:, layer, head]),
            )
        )
    shapes = ({"period": p.period, "gap": p.gap, "seed": p.seed} for p in probes)
    return Report(
        model=name,
        threshold=threshold,
        probes=tuple(shapes),
        heads=tuple(heads),
        bos_token=bos_token(model),
        tokens=drawn_in_words(model),
        n_layers=len(copying),
    )


def _is_small(model: Model) -> bool:
    return parameter_count(model) < LARGE


def _require_layers(model: Model, layers: Collection[int] | None) -> list[int]:
    """The layers to report, in order. Raises ValueError for none, or one the model lacks."""
    n_layers = model_config(model).n_layers
    if layers is None:
        return list(range(n_layers))
    absent = sorted(layer for layer in layers if not 0 <= layer < n_layers)
    if absent or not layers:
        raise ValueError(
            f"Got the layers {sorted(layers)}, but this model has those from 0 to {n_layers - 1}."
        )
    return sorted(set(layers))


def _kinds(table: ProbeRows, threshold: float) -> list[list[tuple[str, ...]]]:
    """The kinds of every head, by layer."""
    means = {name: table.means(name) for name in table.values}
    copies = table.rank.nanmean(dim=(0, 1))
    return [
        [
            earned_kinds(
                {kind: means[kind][:, layer, head].min().item() for kind in PATTERN_KINDS},
                _controls(means, layer, head),
                copies[layer, head].item(),
                threshold,
            )
            for head in range(copies.shape[1])
        ]
        for layer in range(copies.shape[0])
    ]


def _controls(means: Mapping[str, Tensor], layer: int, head: int) -> dict[str, float]:
    return {kind: means[f"control_{kind}"][:, layer, head].mean().item() for kind in PATTERN_KINDS}


def in_words(kinds: tuple[str, ...], none: str = "–") -> str:
    """Kinds as figures and text write them."""
    return ", ".join(kind.replace("_", "-") for kind in kinds) or none


def strongest_stripe(model: Model, report: Report) -> tuple[tuple[int, int], Tensor, int]:
    """(layer, head) with the highest induction score, its pattern on one probe, and the period."""
    scores = report.scores("induction")
    layer, head = divmod(int(scores.nan_to_num(-1.0).argmax()), scores.shape[1])
    probe = make_probes(model, seeds=1)[0]
    tokens: Int[Tensor, "batch pos"] = probe.repeated[:1]
    return (layer, head), attention_patterns(model, tokens)[layer, 0, head], probe.period
