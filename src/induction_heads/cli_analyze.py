"""`induction-heads analyze`: find the heads of every kind in a model."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from induction_heads.analysis import Report


@click.command()
@click.argument("model")
@click.option("--threshold", type=click.FloatRange(0, 1, min_open=True), default=0.4,
              show_default=True, help="Lowest score that earns a kind.")  # fmt: skip
@click.option("--seeds", type=click.IntRange(min=2), default=3, show_default=True,
              help="Seeds tried at every period and gap.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path),
              help="Write report.html, report.json and PNG figures to this folder.")  # fmt: skip
def analyze(model: str, threshold: float, seeds: int, as_json: bool, out: Path | None) -> None:
    """Find previous-token, induction and other heads in MODEL.

    MODEL is a name of the zoo, a hand-built kind such as `hand-built:fixed_offset`, a folder, or a
    name on the model hub. Exit status: 0 when the analysis ran, 2 if MODEL cannot be loaded.
    """
    from induction_heads.analysis import analyze as run_analysis

    try:
        loaded = _loaded(model)
        report = run_analysis(loaded, name=model, threshold=threshold, seeds=seeds,
                              progress=sys.stderr.isatty() and not as_json)  # fmt: skip
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if out:
        _write(out, loaded, report)
    if as_json:
        click.echo(json.dumps(report.as_dict()))
        return
    _print(report)
    if out:
        click.echo(f"Report: {out / 'report.html'}")


def _loaded(name: str) -> Any:
    """The model of that name. Raises ValueError if it cannot be loaded."""
    from induction_heads import models

    if name.startswith("hand-built:"):
        return models.hand_built(name.removeprefix("hand-built:"))
    if (models.zoo_folder(name) / "config.json").is_file() or Path(name).is_dir():
        return models.load_attention_only(name)
    return models.load_model(name)


def _write(folder: Path, model: Any, report: "Report") -> None:
    """Write report.html, report.json and the figures to `folder`."""
    from induction_heads.report_page import page, pictures

    folder.mkdir(parents=True, exist_ok=True)
    figures = pictures(model, report)
    for figure in figures:
        (folder / figure.name).write_bytes(figure.png)
    (folder / "report.html").write_text(page(report, figures), encoding="utf-8")
    (folder / "report.json").write_text(json.dumps(report.as_dict(), indent=2) + "\n")


def _print(report: "Report") -> None:
    """Print the table of all heads and what was found."""
    from rich.console import Console
    from rich.table import Table

    from induction_heads.report_page import COLUMNS, summary_sentences, table_rows

    table = Table(title=f"Heads of {report.model}")
    for column in COLUMNS:
        table.add_column(column, justify="left" if column in ("head", "kinds") else "right")
    for row in table_rows(report):
        table.add_row(*row)
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table)
    for sentence in summary_sentences(report):
        click.echo(sentence)
