"""The HTML page of an analysis: a table of all heads, figures, and what they do not show."""

from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from induction_heads.figures.markup import rendered
from induction_heads.figures.pictures import Picture, png
from induction_heads.figures.plots import (
    head_type_distribution,
    layer_maximum,
    score_heatmap,
    stripe_heatmap,
)
from induction_heads.interp.analysis import (
    COPYING,
    OLSSON_TOKENS,
    PATTERN_KINDS,
    HeadReport,
    Report,
    in_words,
    strongest_stripe,
)
from induction_heads.models.interface import Model

COLUMNS = (
    "head",
    "kinds",
    "previous token",
    "first token",
    "current token",
    "duplicate token",
    "induction",
    "induction, lowest",
    "induction, control",
    "match of 1",
    "match length",
    "copies repeats",
    "logits",
    "Olsson copying",
    "weights copying",
)


def table_rows(report: Report) -> list[tuple[str, ...]]:
    """One row of strings per head, in the order of `COLUMNS`: scores as mean ± deviation."""
    return [
        (
            head.name,
            in_words(head.kinds),
            *(f"{head.score[kind]:.2f} ± {head.spread[kind]:.2f}" for kind in PATTERN_KINDS),
            f"{head.lowest['induction']:.2f}",
            f"{head.control['induction']:.2f}",
            *_prefix_cells(head),
            f"{head.repeat_copying:+.2f}",
            f"{head.repeat_logits:+.2f}",
            f"{head.olsson_copying:+.2f}",
            f"{head.copying:+.2f}",
        )
        for head in report.heads
    ]


def _prefix_cells(head: HeadReport) -> tuple[str, str]:
    """Attention to B after a match of one token, and the match length; "–" for other heads."""
    if head.match_length is None:
        return "–", "–"
    return f"{head.prefix_curve[1]:.2f}", str(head.match_length)


def summary_sentences(report: Report) -> list[str]:
    """One sentence for each kind of head in the report: which heads are of that kind.

    If there are induction heads, the last sentence says how many tokens must match for each.
    """
    kinds = sorted({kind for head in report.heads for kind in head.kinds})
    if not kinds:
        return [f"No head has a kind at threshold {report.threshold}. {why_no_kind(report)}"]
    return [
        f"{kind.replace('_', '-')}: "
        + ", ".join(f"L{layer}H{head} ({score:.2f})" for layer, head, score in report.found(kind))
        for kind in kinds
    ] + _prefix_sentences(report)


def _prefix_sentences(report: Report) -> list[str]:
    words = [
        f"{head.name} {head.match_length} ({in_words((kind,))})"
        for head in report.heads
        if (kind := head.prefix_kind)
    ]
    return [f"tokens that must match: {', '.join(words)}"] if words else []


def why_no_kind(report: Report) -> str:
    """Which condition the head with the highest score of any kind does not meet."""
    head, kind = max(
        ((head, kind) for head in report.heads for kind in PATTERN_KINDS),
        key=lambda pair: pair[0].score[pair[1]],
    )
    words = kind.replace("_", "-")
    start = f"The highest score is {head.score[kind]:.2f} ({words}, {head.name})"
    if head.lowest[kind] < report.threshold:
        return f"{start}, but its lowest probe is {head.lowest[kind]:.2f}."
    return (
        f"{start}, but its control is {head.control[kind]:.2f}, and the limit is half of its "
        f"lowest probe, {head.lowest[kind] / 2:.2f}."
    )


def legend(report: Report) -> list[str]:
    """What the columns of the table mean, one line each."""
    n_seeds = len({probe["seed"] for probe in report.probes})
    return [
        f"Scores: mean ± standard deviation over {len(report.probes)} probes ({n_seeds} seeds), "
        "each the mean attention to that place, from 0 to 1.",
        f"kinds: the lowest probe reaches {report.threshold:g} and is more than twice the control. "
        f"Induction also needs copies repeats above {COPYING:g}.",
        "induction, lowest: the lowest probe. induction, control: the same attention on tokens "
        "that never repeat.",
        f"Probe tokens: {report.tokens}.",
        "match of 1: attention to B in … A B … A, where only A repeats. match length: how many "
        "tokens must match for half of the effect of the longest match.",
        "copies repeats, -1 to 1: how often the head raises the correct next token above another "
        "of the block. 0 is chance.",
        "logits: the mean size of that difference.",
        f"Olsson copying, -1 to 1: on {OLSSON_TOKENS} random tokens. -0.85 is chance.",
        "weights copying, -1 to 1: from the eigenvalues of W_E W_V W_O W_U. W_E is the embedding "
        "alone: in a model with MLPs a head reads more than that.",
    ]


def _score_figure(report: Report) -> Figure:
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots(2, 3).flat
    for ax, kind in zip(axes, PATTERN_KINDS, strict=False):
        score_heatmap(ax, report.scores(kind), kind.replace("_", "-"))
    layer_maximum(axes[5], report.scores("induction"), "induction")
    return figure


def _type_figure(report: Report) -> Figure:
    figure = Figure(figsize=(6, 3), layout="constrained")
    types = {(head.layer, head.head): head.kinds[-1] for head in report.heads if head.kinds}
    n_layers, n_heads = report.scores("induction").shape
    head_type_distribution(figure.subplots(), types, n_layers, n_heads)
    return figure


def _stripe_figure(
    report: Report, pattern: Float[Tensor, "query key"], period: int, place: tuple[int, int]
) -> Figure:
    figure = Figure(figsize=(5, 4.2), layout="constrained")
    stripe_heatmap(
        figure.subplots(), pattern, period, title=f"{report.model} L{place[0]}H{place[1]}"
    )
    return figure


def pictures(model: Model, report: Report) -> list[Picture]:
    """The figures of a report: all scores, the types of heads, and the strongest stripe."""
    (layer, head), pattern, period = strongest_stripe(model, report)
    best = report.scores("induction")[layer, head].item()
    n_typed = sum(bool(head.kinds) for head in report.heads)
    return [
        Picture(
            "scores.png",
            png(_score_figure(report)),
            "Five score maps of all heads, and the highest induction score of each layer.",
            "Each score is the mean over the probes. "
            + "; ".join(summary_sentences(report)).rstrip(".")
            + ".",
        ),
        Picture(
            "types.png",
            png(_type_figure(report)),
            "Bar chart of the number of heads of each type in each layer.",
            f"{n_typed} of {len(report.heads)} heads have a type at threshold {report.threshold}.",
        ),
        Picture(
            "stripe.png",
            png(_stripe_figure(report, pattern, period, (layer, head))),
            f"Attention pattern of L{layer}H{head} with the induction stripe outlined.",
            f"L{layer}H{head} has the highest induction score, {best:.2f}. The input is two copies "
            f"of {period} random tokens. The outline marks where an induction head attends.",
        ),
    ]


def report_html(report: Report, figures: list[Picture]) -> str:
    """The whole page as one HTML text. It needs no other file and no network."""
    return rendered(
        "figures/templates/report.html.j2",
        report=report,
        sentences=summary_sentences(report),
        columns=COLUMNS,
        rows=table_rows(report),
        n_seeds=len({probe["seed"] for probe in report.probes}),
        pairs=sorted({(probe["period"], probe["gap"]) for probe in report.probes}),
        copying=COPYING,
        olsson_tokens=OLSSON_TOKENS,
        pictures=figures,
    )
