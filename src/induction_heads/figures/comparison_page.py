"""The HTML page of a comparison: the heads of two models in one table and on one color scale."""

from matplotlib.figure import Figure

from induction_heads.figures.markup import rendered
from induction_heads.figures.pictures import Picture, png
from induction_heads.figures.plots import score_heatmap
from induction_heads.interp.analysis import COPYING, Report, in_words
from induction_heads.interp.comparison import (
    COLUMNS,
    difference_sentences,
    probe_tokens,
    table_rows,
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
    """The figures of a comparison: the head maps of both models."""
    return [
        Picture(
            "head_maps.png",
            png(head_maps(first, second)),
            f"Maps of the heads of {first.model} and {second.model}: previous-token, "
            "duplicate-token and induction scores, all on one color scale from 0 to 1.",
            " ".join(difference_sentences(first, second)),
        )
    ]


def comparison_html(first: Report, second: Report, figures: list[Picture]) -> str:
    """The whole page as one HTML text. It needs no other file and no network."""
    return rendered(
        "figures/templates/comparison.html.j2",
        first=first,
        second=second,
        sentences=difference_sentences(first, second),
        columns=COLUMNS,
        rows=table_rows(first, second),
        copying=COPYING,
        tokens=probe_tokens(first, second),
        pictures=figures,
    )
