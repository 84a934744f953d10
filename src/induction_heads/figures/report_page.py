"""The HTML page of an analysis: the table, the figures, and what they do and do not show."""

import base64
import io
from dataclasses import dataclass
from html import escape
from typing import Any

from jaxtyping import Float, Int
from matplotlib.figure import Figure
from torch import Tensor

from induction_heads.activations import attention_patterns
from induction_heads.analysis import COPYING, OLSSON_TOKENS, PATTERN_KINDS, Report, make_probes
from induction_heads.figures import (
    head_type_distribution,
    layer_maximum,
    score_heatmap,
    stripe_heatmap,
)

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 80rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; background: #fff }
p, figure, ul { max-width: 60rem }
table { border-collapse: collapse; display: block; overflow-x: auto; font-size: 14px }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid #ddd; white-space:
nowrap } th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left }
figure { margin: 2rem 0 } img { max-width: 100% } figcaption { color: #444 }
"""

COLUMNS = ("head", "kinds", "previous token", "first token", "current token", "duplicate token",
           "induction", "induction, lowest", "induction, control", "copies repeats", "logits",
           "Olsson copying", "weights copying")  # fmt: skip


def in_words(kinds: tuple[str, ...], none: str = "–") -> str:
    """Kinds as figures and text write them."""
    return ", ".join(kind.replace("_", "-") for kind in kinds) or none


def table_rows(report: Report) -> list[tuple[str, ...]]:
    """One row of strings per head, in the order of `COLUMNS`: scores as mean ± deviation."""
    return [
        (
            head.name,
            in_words(head.kinds),
            *(f"{head.score[kind]:.2f} ± {head.spread[kind]:.2f}" for kind in PATTERN_KINDS),
            f"{head.lowest['induction']:.2f}",
            f"{head.control['induction']:.2f}",
            f"{head.repeat_copying:+.2f}",
            f"{head.repeat_logits:+.2f}",
            f"{head.olsson_copying:+.2f}",
            f"{head.copying:+.2f}",
        )
        for head in report.heads
    ]


def summary_sentences(report: Report) -> list[str]:
    """What was found, kind by kind."""
    kinds = sorted({kind for head in report.heads for kind in head.kinds})
    if not kinds:
        return [f"No head reaches {report.threshold} on any score."]
    return [
        f"{kind.replace('_', '-')}: "
        + ", ".join(f"L{layer}H{head} ({score:.2f})" for layer, head, score in report.found(kind))
        for kind in kinds
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


def strongest_stripe(model: Any, report: Report) -> tuple[tuple[int, int], Tensor, int]:
    """(layer, head) with the highest induction score, its pattern on one probe, and the period."""
    scores = report.scores("induction")
    layer, head = divmod(int(scores.argmax()), scores.shape[1])
    probe = make_probes(model, seeds=1)[0]
    tokens: Int[Tensor, "batch pos"] = probe.repeated[:1]
    return (layer, head), attention_patterns(model, tokens)[layer, 0, head], probe.period


@dataclass(frozen=True)
class Picture:
    """One figure of a report: its file name, PNG bytes, alternative text and caption."""

    name: str
    png: bytes
    alt: str
    caption: str


def png(figure: Figure) -> bytes:
    """The figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()


def pictures(model: Any, report: Report) -> list[Picture]:
    """The figures of a report: all scores, the types of heads, and the strongest stripe."""
    (layer, head), pattern, period = strongest_stripe(model, report)
    best = report.scores("induction")[layer, head].item()
    named = sum(bool(head.kinds) for head in report.heads)
    return [
        Picture(
            "scores.png",
            png(_score_figure(report)),
            "Scores of all heads, five kinds, and the highest induction score of each layer.",
            "Each score is the mean over the probes. " + " ".join(summary_sentences(report)),
        ),
        Picture(
            "types.png",
            png(_type_figure(report)),
            "Bars: number of heads of each type in every layer.",
            f"{named} of {len(report.heads)} heads earn a name at threshold {report.threshold}.",
        ),
        Picture(
            "stripe.png",
            png(_stripe_figure(report, pattern, period, (layer, head))),
            f"Attention pattern of L{layer}H{head} with the induction stripe outlined.",
            f"L{layer}H{head} has the highest induction score, {best:.2f}. Here it reads two "
            f"copies of {period} random tokens. The outline is where an induction head attends.",
        ),
    ]


def figures_html(figures: list[Picture]) -> str:
    """The figures for a page that needs no other file: images within the text, with captions."""
    return "".join(
        f"<figure><img src='data:image/png;base64,{base64.b64encode(figure.png).decode()}' "
        f"alt='{escape(figure.alt)}'><figcaption>{escape(figure.caption)}</figcaption></figure>"
        for figure in figures
    )


LIMITS = """<h2>What this does not show</h2>
<p>These scores read attention patterns, weights and what heads add to the logits on random tokens.
They do not show that a head is needed for the model's behavior, nor what it does on running
text.</p>"""


def table_html(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Rows of strings as an HTML table."""
    style = [" style='text-align: left'" if name == "kinds" else "" for name in columns]
    head_cells = "".join(
        f"<th scope='col'{look}>{escape(name)}</th>"
        for name, look in zip(columns, style, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(f"<td{look}>{escape(cell)}</td>" for cell, look in zip(row, style, strict=True))
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head_cells}</tr></thead><tbody>{body}</tbody></table>"


def document(title: str, body: str) -> str:
    """A whole HTML page around its body."""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{escape(title)}</title><style>{STYLE}</style></head><body>
<h1>{escape(title)}</h1>
{body}
</body></html>
"""


def page(report: Report, figures: list[Picture]) -> str:
    """The whole page as one HTML text. It needs no other file and no network."""
    probes = sorted({(p["period"], p["gap"]) for p in report.probes})
    seeds = len({p["seed"] for p in report.probes})
    found = "".join(f"<li>{escape(sentence)}</li>" for sentence in summary_sentences(report))
    bos = report.bos_token
    front = "without a BOS token" if bos is None else f"each after the BOS token {bos}"
    body = f"""<ul>{found}</ul>
{table_html(COLUMNS, table_rows(report))}
<p>Scores are mean ± standard deviation over {len(report.probes)} probes: {seeds} seeds at each of
the (period, gap) pairs {escape(", ".join(map(str, probes)))}, {front}.
A head earns a kind when its lowest probe reaches {report.threshold} and its control stays below
half of that. The control is the same attention on tokens that never repeat. An induction head must
also copy: “copies repeats” above {COPYING}.</p>
<p>Copying is measured three ways. “Copies repeats”, from −1 to 1: where tokens repeat, how much
more often a head raises the logit of the token to come above that of another token of the block
than below it; 0 is chance. “Logits” is by how much, with the final norm as it was. “Olsson
copying”, from −1 to 1 (Olsson et al. 2022): how much of what a head raises is the token it attends
to, on {OLSSON_TOKENS} random tokens; −0.85 is chance. “Weights copying”, from −1 to 1 (Elhage et
al. 2021): from the eigenvalues of W<sub>E</sub>W<sub>V</sub>W<sub>O</sub>W<sub>U</sub>; with MLPs
or tied embeddings it can miss heads that copy.</p>
{figures_html(figures)}
{LIMITS}"""
    return document(f"Heads of {report.model}", body)
