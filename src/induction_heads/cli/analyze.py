"""`induction-heads analyze`: find the heads of every kind in a model, or compare two models."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.table import Table

    from induction_heads.analysis import Report


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL [OTHER]")
@click.option("--threshold", type=click.FloatRange(0, 1, min_open=True), default=0.4,
              show_default=True, help="Lowest score that earns a kind.")  # fmt: skip
@click.option("--seeds", type=click.IntRange(min=2), default=3, show_default=True,
              help="Seeds tried at every period and gap.")  # fmt: skip
@click.option("--rows", type=click.IntRange(min=1), default=16, show_default=True,
              help="Sequences in every probe. Fewer are faster on a large model.")  # fmt: skip
@click.option("--dtype", help="float32 (the default), bfloat16, float16, or auto: as stored.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path),
              help="Write report.html, report.json and PNG figures to this folder.")  # fmt: skip
def analyze(
    models: tuple[str, ...], threshold: float, seeds: int, rows: int, dtype: str | None,
    as_json: bool, out: Path | None,
) -> None:  # fmt: skip
    """Find previous-token, induction and other heads in MODEL, or compare MODEL with OTHER.

    MODEL is a name of the zoo, a hand-built kind such as `hand-built:fixed_offset`, a folder of
    this course or in Hugging Face format, or a name on the model hub such as `gpt2`. MODEL@STEP is
    its checkpoint nearest to that step: `analyze toy-2l@100 toy-2l` compares the two. Supported
    architectures: GPT-2, GPT-NeoX (Pythia), Llama, Mistral, Qwen2. Exit status: 0 when the analysis
    ran, 2 if a model cannot be loaded.
    """
    from induction_heads.comparison import comparison_data

    if len(models) > 2:
        raise click.UsageError(f"{len(models)} models came in; analyze takes one or two.")
    shows_bars = sys.stderr.isatty() and not as_json
    options = {"threshold": threshold, "seeds": seeds, "batch": rows, "progress": shows_bars}
    try:
        analyzed = [_analyzed(name, dtype, options) for name in models]
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    reports = [report for _, report in analyzed]
    data = reports[0].as_dict() if len(reports) == 1 else comparison_data(*reports)
    if out:
        _write(out, data, analyzed)
    if as_json:
        click.echo(json.dumps(data))
        return
    _print(reports)
    if out:
        click.echo(f"Report: {out / 'report.html'}")


def _analyzed(name: str, dtype: str | None, options: dict[str, Any]) -> tuple[Any, "Report"]:
    """The model of that name, and its report. Raises ValueError if it cannot be loaded."""
    from induction_heads.analysis import analyze as run_analysis
    from induction_heads.models import checkpoint_name, load_lightest

    progress = None if options["progress"] else False
    model = load_lightest(name, dtype=dtype, progress=progress)
    return model, run_analysis(model, name=checkpoint_name(name), **options)


def _write(folder: Path, data: dict[str, Any], analyzed: list[tuple[Any, "Report"]]) -> None:
    """Write report.html, report.json and the figures to `folder`."""
    from induction_heads import comparison_page, report_page

    reports = [report for _, report in analyzed]
    if len(analyzed) == 1:
        figures = report_page.pictures(*analyzed[0])
        text = report_page.page(reports[0], figures)
    else:
        first, second = reports
        figures = comparison_page.pictures(first, second)
        text = comparison_page.page(first, second, figures)
    folder.mkdir(parents=True, exist_ok=True)
    for figure in figures:
        (folder / figure.name).write_bytes(figure.png)
    (folder / "report.html").write_text(text, encoding="utf-8")
    (folder / "report.json").write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def _print(reports: list["Report"]) -> None:
    """Print the table of all heads and what was found, or what differs between two models."""
    from rich.console import Console

    from induction_heads import comparison, report_page

    if len(reports) == 1:
        (report,) = reports
        table = _table(f"Heads of {report.model}", report_page.COLUMNS)
        rows, sentences = report_page.table_rows(report), report_page.summary_sentences(report)
    else:
        table = _table(" and ".join(report.model for report in reports), comparison.COLUMNS)
        rows, sentences = comparison.table_rows(*reports), comparison.difference_sentences(*reports)
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 190).print(table)
    for sentence in sentences:
        click.echo(sentence)


def _table(title: str, columns: tuple[str, ...]) -> "Table":
    from rich.table import Table

    table = Table(title=title)
    for column in columns:
        is_text = column in ("head", "model", "kinds")
        table.add_column(column, justify="left" if is_text else "right")
    return table
