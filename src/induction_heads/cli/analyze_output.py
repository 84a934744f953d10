"""What `induction-heads analyze` prints and writes: tables, sentences, JSON and the HTML page."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from induction_heads.versions import package_version

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from induction_heads.interp.analysis import Report
    from induction_heads.interp.own_text import TextReport

WIDTH_OF_A_FILE = 190
"""The width of tables in a pipe or a file."""

LEAVE_OUT = (
    "weights copying",
    "Olsson copying",
    "match of 1",
    "logits",
    "current token",
    "first token",
    "induction, control",
    "duplicate token",
    "match length",
    "previous token",
    "induction, lowest",
    "copies repeats",
)
"""The columns that a narrow terminal does not show, in the order in which they are left out."""


def as_data(
    json_format: int, reports: Sequence["Report"], texts: Sequence["TextReport"]
) -> dict[str, Any]:
    """The output of --json: one report or a comparison, and what was measured on a text."""
    from induction_heads.interp.comparison import comparison_data

    data = reports[0].as_dict() if len(reports) == 1 else comparison_data(*reports)
    start = {"format": json_format, "version": package_version()}
    return start | data | ({"texts": [text.as_dict() for text in texts]} if texts else {})


def write(
    folder: Path,
    data: dict[str, Any],
    analyzed: Sequence[tuple[Any, "Report"]],
    texts: Sequence["TextReport"],
) -> None:
    """Write report.html, report.json, the figures, and text.txt for a text to `folder`."""
    from induction_heads.figures import comparison_page, report_page

    reports = [report for _, report in analyzed]
    if len(analyzed) == 1:
        figures = report_page.pictures(*analyzed[0])
        page = report_page.report_html(reports[0], figures)
    else:
        first, second = reports
        figures = comparison_page.pictures(first, second)
        page = comparison_page.comparison_html(first, second, figures)
    folder.mkdir(parents=True, exist_ok=True)
    for figure in figures:
        (folder / figure.name).write_bytes(figure.png)
    (folder / "report.html").write_text(page, encoding="utf-8")
    text = json.dumps(data, indent=2, allow_nan=False)
    (folder / "report.json").write_text(text + "\n", encoding="utf-8")
    if texts:
        with (folder / "text.txt").open("w", encoding="utf-8") as file:
            _show_texts(_console(file), texts, [report.model for report in reports], file)


def show(reports: Sequence["Report"], texts: Sequence["TextReport"]) -> None:
    """Print the table of all heads and a summary, or the differences between two models."""
    from induction_heads.figures import report_page
    from induction_heads.interp import comparison

    if len(reports) == 1:
        (report,) = reports
        title, columns = f"Heads of {report.model}", report_page.COLUMNS
        rows, sentences = report_page.table_rows(report), report_page.summary_sentences(report)
        legend = report_page.legend(report)
    else:
        first, second = reports
        title, columns = f"{first.model} and {second.model}", comparison.COLUMNS
        rows = comparison.table_rows(first, second)
        sentences = comparison.difference_sentences(first, second)
        legend = [
            "Scores: mean ± standard deviation over the probes.",
            comparison.probe_tokens(first, second),
            "copies repeats, -1 to 1: how often the head raises the correct next token above "
            "another of the block; logits: by how much.",
        ]
    console = _console(sys.stdout)
    left_out = _print_table(console, title, columns, rows)
    if left_out:
        names = ", ".join(left_out)
        legend.append(f"Not shown at this width: {names}. A wider terminal or --json has them.")
    for line in legend:
        click.echo(click.wrap_text(line, min(100, console.width), "  ", "    "))
    for sentence in sentences:
        click.echo(sentence)
    _show_texts(console, texts, [report.model for report in reports], sys.stdout)


def _console(file: Any) -> "Console":
    from rich.console import Console

    return Console(file=file, width=None if file.isatty() else WIDTH_OF_A_FILE)


def _print_table(
    console: "Console", title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]
) -> list[str]:
    """Print a table with the columns that fit. Returns the names of those left out."""
    left_out: list[str] = []
    for name in ("", *LEAVE_OUT):
        left_out += [name] if name in columns else []
        table = _table(title, columns, rows, left_out)
        if console.measure(table, options=console.options.update(width=10_000)).minimum <= (
            console.width
        ):
            break
    console.print(table)
    return left_out


def _table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], left_out: Sequence[str]
) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title))
    kept = [place for place, name in enumerate(columns) if name not in left_out]
    for place in kept:
        is_text = columns[place] in ("head", "model", "kinds", "silent", "heads")
        header = columns[place].replace(", ", ",\n").replace(" ", "\n")
        wraps = columns[place] in ("kinds", "heads")
        justify = "left" if is_text else "right"
        table.add_column(header, justify=justify, no_wrap=not wraps)
    for row in rows:
        table.add_row(*(Text(row[place]) for place in kept))
    return table


def _show_texts(
    console: "Console", texts: Sequence["TextReport"], models: Sequence[str], file: Any
) -> None:
    for text, model in zip(texts, models, strict=False):
        click.echo("", file=file)
        click.echo(
            f"{model} on {text.source}: {text.rows} rows of {text.positions} tokens, of "
            f"{text.n_tokens:,} in the text.",
            file=file,
        )
        columns = ("longest match", "queries", "right", "loss, right", "loss, otherwise")
        rows = [
            (
                "none" if not row.length else _length(row.length),
                f"{row.queries:,}",
                "–" if row.share_right is None else f"{row.share_right:.0%}",
                _number(row.loss_right),
                _number(row.loss_wrong),
            )
            for row in text.matches
        ]
        _print_table(console, "Repeats of the text", columns, rows)
        columns = ("head", "right", "wrong", "even head", "other row", *map(_length, range(1, 5)))
        rows = [
            (
                head.name,
                *map(_number, (head.right, head.wrong, head.even, head.other_row)),
                *map(_number, head.by_length),
            )
            for head in text.heads
        ]
        _print_table(console, "Attention to the tokens after earlier copies", columns, rows)
        _show_silences(console, text, file)


def _show_silences(console: "Console", text: "TextReport", file: Any) -> None:
    if not text.silences:
        click.echo("No induction head was found, so none is silenced.", file=file)
        return
    columns = ("silent", "heads", "rise, right", "rise, wrong", "rise, no match")
    rows = [
        (
            silence.what,
            ", ".join(silence.heads),
            *(
                _signed(silence.rise[name], silence.spread[name])
                for name in ("right", "wrong", "none")
            ),
        )
        for silence in text.silences
    ]
    _print_table(console, "Rise of the loss (nats) without heads", columns, rows)
    width = min(100, console.width)
    for line in (
        "A query has a match if its token occurred earlier in the row. right: what followed an "
        "earlier copy comes next again; wrong: it does not. Columns 1 to 4+: right repeats by the "
        "number of tokens that match.",
        "even head: what a head that attends evenly would give at right repeats. other row: the "
        "same head at the places where another row repeats.",
        "controls: for each induction head one of its layer that writes about as much and attends "
        "less than half as much to matches. ±: standard deviation over thirds of the rows.",
    ):
        click.echo(click.wrap_text(line, width, "  ", "    "), file=file)


def _length(length: int) -> str:
    return f"{length}+" if length == 4 else str(length)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _signed(value: float | None, spread: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:+.2f}" + ("" if spread is None else f" ± {spread:.2f}")
