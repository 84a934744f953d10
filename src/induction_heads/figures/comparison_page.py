"""The HTML page of a comparison: the heads of two models in one table and on one color scale."""

from html import escape

from matplotlib.figure import Figure

from induction_heads.analysis import COPYING, Report
from induction_heads.comparison import COLUMNS, difference_sentences, table_rows
from induction_heads.figures import score_heatmap
from induction_heads.report_page import (
    LIMITS,
    Picture,
    document,
    figures_html,
    in_words,
    png,
    table_html,
)

SHOWN = ("previous_token", "duplicate_token", "induction")
"""The scores that the head maps show."""


def head_maps(first: Report, second: Report) -> Figure:
    """Maps of all heads: a row for each model, a column for each score, one color scale."""
    figure = Figure(figsize=(10, 6.4), layout="constrained")
    axes = figure.subplots(2, len(SHOWN), squeeze=False)
    for row, report in zip(axes, (first, second), strict=True):
        for ax, kind in zip(row, SHOWN, strict=True):
            title = f"{report.model}: {in_words((kind,))}"
            score_heatmap(ax, report.scores(kind), title)
    return figure


def pictures(first: Report, second: Report) -> list[Picture]:
    """The figures of a comparison: the head maps of both."""
    return [
        Picture(
            "head_maps.png",
            png(head_maps(first, second)),
            f"Maps of the heads of {first.model} and {second.model}: previous-token, "
            "duplicate-token and induction scores, all on one color scale from 0 to 1.",
            " ".join(difference_sentences(first, second)),
        )
    ]


def page(first: Report, second: Report, figures: list[Picture]) -> str:
    """The whole page as one HTML text. It needs no other file and no network."""
    sentences = difference_sentences(first, second)
    found = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    title = f"Heads of {first.model} and {second.model}"
    probes = " and ".join(
        f"{len(report.probes)} probes of {escape(report.model)}" for report in (first, second)
    )
    body = f"""<ul>{found}</ul>
{table_html(COLUMNS, table_rows(first, second))}
<p>Scores are mean ± standard deviation over {probes}. Both models get probes of their own: tokens
from their vocabulary, in lengths that fit in their context. A head earns a kind when its lowest
probe reaches {first.threshold} and its control stays below half of that, and an induction head when
it also copies (“copies repeats” above {COPYING}). The lowest scores and the controls are in
<code>report.json</code>.</p>
{figures_html(figures)}
{LIMITS}"""
    return document(title, body)
