"""`induction-heads analyze`: find the heads of every kind in a model."""

import json
import sys
from pathlib import Path

import click


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
    from induction_heads import models
    from induction_heads.analysis import analyze as run_analysis

    try:
        if model.startswith("hand-built:"):
            loaded = models.hand_built(model.removeprefix("hand-built:"))
        elif (models.zoo_folder(model) / "config.json").is_file() or Path(model).is_dir():
            loaded = models.load_attention_only(model)
        else:
            loaded = models.load_model(model)
        report = run_analysis(loaded, name=model, threshold=threshold, seeds=seeds,
                              progress=sys.stderr.isatty() and not as_json)  # fmt: skip
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if out:
        from induction_heads.report_page import page, pictures

        out.mkdir(parents=True, exist_ok=True)
        figures = pictures(loaded, report)
        for figure in figures:
            (out / figure.name).write_bytes(figure.png)
        (out / "report.html").write_text(page(report, figures), encoding="utf-8")
        (out / "report.json").write_text(json.dumps(report.as_dict(), indent=2) + "\n")
    if as_json:
        click.echo(json.dumps(report.as_dict()))
        return
    from rich.console import Console
    from rich.table import Table

    from induction_heads.report_page import COLUMNS, summary_sentences, table_rows

    table = Table(title=f"Heads of {model}")
    for column in COLUMNS:
        table.add_column(column, justify="left" if column in ("head", "kinds") else "right")
    for row in table_rows(report):
        table.add_row(*row)
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table)
    for sentence in summary_sentences(report):
        click.echo(sentence)
    if out:
        click.echo(f"Report: {out / 'report.html'}")
