"""From a model to a report: which heads do what, how sure that is, and what the controls say."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm.auto import tqdm

from induction_heads.activations import head_scores
from induction_heads.circuits import copying_scores
from induction_heads.copying import RepeatCopying, olsson_copying_scores, repeat_copying
from induction_heads.scores import (
    attention_on,
    current_token_score,
    duplicate_matching_score,
    first_token_score,
    prefix_matching_score,
    previous_token_score,
    uniform_first_token_score,
)
from induction_heads.tokens import (
    bos_token,
    distinct_tokens,
    follows_earlier_copy,
    repeated_tokens,
    repeats_earlier_token,
    with_bos,
)

THRESHOLD = 0.4
"""A head is called by a name when its lowest score over all probes reaches this."""

COPYING = 0.3
"""A head copies when it raises the token to come this much more often than chance on repeats.

Heads with an induction pattern and random W_O lie between -0.21 and 0.14 on the models of the zoo
(84 draws); their own W_O gives 0.54 to 1.
"""

OLSSON_TOKENS = 25
"""The number of random tokens for Olsson's copying score."""

LONGEST_PROBE = 129
"""Probes stay this short on models with a long context: the scores do not need more."""

PATTERN_KINDS = ("previous_token", "first_token", "current_token", "duplicate_token", "induction")
"""The scores of a report, one per kind of head."""

Heads = list[tuple[int, int, float]]


@dataclass(frozen=True)
class Probe:
    """Repeated tokens and, for the control, tokens of the same length that never repeat."""

    period: int
    gap: int
    seed: int
    repeated: Int[Tensor, "batch pos"]
    control: Int[Tensor, "batch pos"]


@dataclass(frozen=True)
class HeadReport:
    """What was measured for one head. Every dictionary is keyed by kind.

    `score` is the mean over probes, `lowest` the lowest probe, `spread` the standard deviation over
    probes, `control` the mean attention to the same places on tokens that never repeat (for
    induction and duplicate-token heads) or that of a head that attends evenly (for the others).
    `kinds` are the names the head earned.

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

    @property
    def name(self) -> str:
        """The head as figures and text write it."""
        return f"L{self.layer}H{self.head}"


@dataclass(frozen=True)
class Report:
    """Every head of a model, scored, and the probes that the scores come from.

    `bos_token` is the id in front of every probe, or None.
    """

    model: str
    threshold: float
    probes: tuple[dict[str, int], ...]
    heads: tuple[HeadReport, ...]
    bos_token: int | None = None

    def found(self, kind: str) -> Heads:
        """The heads of that kind as (layer, head, score), highest score first."""
        heads = [(h.layer, h.head, h.score.get(kind, h.score["induction"]))
                 for h in self.heads if kind in h.kinds]  # fmt: skip
        return sorted(heads, key=lambda head: -head[2])

    def scores(self, kind: str) -> Float[Tensor, "layer head"]:
        """The mean score of every head for one kind."""
        n_layers = 1 + max(head.layer for head in self.heads)
        values = torch.tensor([head.score[kind] for head in self.heads])
        return values.reshape(n_layers, -1)

    def as_dict(self) -> dict[str, Any]:
        """The report as plain data, ready for JSON."""
        return asdict(self)


def make_probes(model: Any, *, seeds: int = 3, batch: int = 16) -> list[Probe]:
    """Repeated random tokens at several periods and gaps, each with several seeds.

    Every period but the longest is tried with two distances between the copies, so that a head with
    a fixed offset can match at most one of them. Raises ValueError if the context or the vocabulary
    is too small for two copies of four tokens.
    """
    config = model.cfg if hasattr(model, "cfg") else model.config
    bos = bos_token(model)
    usable = min(config.n_ctx, config.d_vocab, LONGEST_PROBE) - (bos is not None)
    if usable < 8:
        raise ValueError(f"Only {usable} positions can be used; two copies need at least 8.")
    shapes = [(usable // 4, 0), (usable // 4, usable // 8), (3 * usable // 8, 0),
              (3 * usable // 8, usable // 8), (usable // 2, 0)]  # fmt: skip
    probes = []
    for seed in range(seeds):
        for number, (period, gap) in enumerate(shapes):
            generator = torch.Generator().manual_seed(1000 * seed + number)
            repeated = repeated_tokens(
                config.d_vocab, period, batch=batch, gap=gap, bos_token=bos, seed=generator
            )
            exclude = () if bos is None else (bos,)
            fresh = distinct_tokens(config.d_vocab, 2 * period + gap, batch, generator, exclude)
            probes.append(Probe(period, gap, seed, repeated, with_bos(fresh, bos)))
    return probes


def probe_scores(model: Any, probe: Probe) -> dict[str, Float[Tensor, "layer head"]]:
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
    n_pos = probe.control.shape[1]
    evenly = uniform_first_token_score(n_pos)
    even = {f"control_{kind}": torch.full_like(on_control[kind], evenly)
            for kind in PATTERN_KINDS[:3]}  # fmt: skip
    return on_repeats | on_control | even


def detect_head_types(
    scores: Mapping[str, Float[Tensor, "layer head"]], threshold: float = THRESHOLD
) -> dict[tuple[int, int], str]:
    """The type of each head that has one: the name of its highest score, if it reaches `threshold`.

    `scores` maps the name of a type to a score per head, all of one shape. Heads below the
    threshold on every score are left out. Ties go to the name that comes first. Raises ValueError
    if the shapes differ or nothing was given.
    """
    shapes = {tuple(score.shape) for score in scores.values()}
    if len(shapes) != 1:
        raise ValueError(f"Scores of one shape [layer, head] were expected; got {sorted(shapes)}.")
    names = list(scores)
    best, which = torch.stack([scores[name] for name in names]).max(dim=0)
    return {
        (layer, head): names[int(which[layer, head])]
        for layer, head in (best >= threshold).nonzero().tolist()
    }


def find_previous_token_heads(model: Any, threshold: float = THRESHOLD) -> Heads:
    """Heads whose previous-token score reaches `threshold` on tokens that never repeat.

    Returns (layer, head, score), highest first. The score is the lowest over the probes.
    """
    return _find(model, "previous_token", threshold)


def find_induction_heads(model: Any, threshold: float = THRESHOLD) -> Heads:
    """Heads whose prefix-matching score reaches `threshold` at every period and gap.

    Returns (layer, head, score), highest first. The score is the lowest over the probes, so a head
    that always looks the same distance back is not found. This reads patterns only: whether the
    head also copies is another question, which `analyze` answers.
    """
    return _find(model, "induction", threshold)


def _find(model: Any, kind: str, threshold: float) -> Heads:
    probes = make_probes(model)
    lowest = torch.stack([probe_scores(model, probe)[kind] for probe in probes]).amin(dim=0)
    found = [(layer, head, lowest[layer, head].item())
             for layer, head in (lowest >= threshold).nonzero().tolist()]  # fmt: skip
    return sorted(found, key=lambda head: -head[2])


def earned_kinds(
    lowest: Mapping[str, float], control: Mapping[str, float], copying: float, threshold: float
) -> tuple[str, ...]:
    """The names a head earns.

    A kind is earned when the lowest score reaches the threshold and the control stays below half of
    it. An induction head must also copy: raise, where it attends, the token that came next. With
    the pattern alone, and `copying` (the `rank` of `RepeatCopying`) not above `COPYING`, it is
    called `induction_pattern_only`, or `anti_induction` with a score below `-COPYING`.
    """
    kinds = []
    for kind in PATTERN_KINDS:
        if lowest[kind] < threshold or control[kind] >= threshold / 2:
            continue
        if kind == "induction" and copying < -COPYING:
            kinds.append("anti_induction")
        elif kind == "induction" and copying <= COPYING:
            kinds.append("induction_pattern_only")
        else:
            kinds.append(kind)
    return tuple(kinds)


def measured_copying(model: Any, probes: list[Probe]) -> tuple[RepeatCopying, Tensor]:
    """Copying of all heads: on repeats, as the mean over the seeds of the probes, and Olsson's."""
    first_of_seed = {probe.seed: probe for probe in reversed(probes)}.values()
    found = [repeat_copying(model, p.repeated, p.period, p.gap) for p in first_of_seed]
    on_repeats = RepeatCopying(
        torch.stack([one.rank for one in found]).mean(dim=0),
        torch.stack([one.logits for one in found]).mean(dim=0),
    )
    config = model.cfg if hasattr(model, "cfg") else model.config
    bos = bos_token(model)
    exclude = () if bos is None else (bos,)
    length = min(OLSSON_TOKENS, config.d_vocab - len(exclude), config.n_ctx - len(exclude))
    tokens = distinct_tokens(config.d_vocab, length, len(probes[0].repeated), 0, exclude)
    return on_repeats, olsson_copying_scores(model, with_bos(tokens, bos), skip=len(exclude))


def analyze(
    model: Any, *, name: str = "model", threshold: float = THRESHOLD, seeds: int = 3,
    batch: int = 16, progress: bool = False,
) -> Report:  # fmt: skip
    """Score every head on every probe and say what each head is.

    `model` is a `TransformerBridge` of any architecture or an `AttentionOnly`. Takes seconds on the
    models of this course. See `HeadReport` for what is measured and `earned_kinds` for what the
    names require. `batch` is the number of rows in every probe.
    """
    probes = make_probes(model, seeds=seeds, batch=batch)
    bar = tqdm(probes, desc=f"probes of {name}", disable=not progress)
    per_probe = [probe_scores(model, probe) for probe in bar]
    stacked = {key: torch.stack([scores[key] for scores in per_probe]) for key in per_probe[0]}
    on_repeats, olsson = measured_copying(model, probes)
    copying = copying_scores(model)
    heads = []
    for layer, head in torch.cartesian_prod(*map(torch.arange, copying.shape)).tolist():
        values = {kind: stacked[kind][:, layer, head] for kind in PATTERN_KINDS}
        lowest = {kind: value.min().item() for kind, value in values.items()}
        control = {
            kind: stacked[f"control_{kind}"][:, layer, head].mean().item() for kind in PATTERN_KINDS
        }
        copies = on_repeats.rank[layer, head].item()
        heads.append(
            HeadReport(
                layer=layer,
                head=head,
                score={kind: value.mean().item() for kind, value in values.items()},
                lowest=lowest,
                spread={kind: value.std().item() for kind, value in values.items()},
                control=control,
                copying=copying[layer, head].item(),
                repeat_copying=copies,
                repeat_logits=on_repeats.logits[layer, head].item(),
                olsson_copying=olsson[layer, head].item(),
                kinds=earned_kinds(lowest, control, copies, threshold),
            )
        )
    shapes = ({"period": p.period, "gap": p.gap, "seed": p.seed} for p in probes)
    return Report(
        model=name, threshold=threshold, probes=tuple(shapes), heads=tuple(heads),
        bos_token=bos_token(model),
    )  # fmt: skip
