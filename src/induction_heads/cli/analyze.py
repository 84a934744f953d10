"""`induction-heads analyze`: find induction and other heads in a model, or compare two."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from induction_heads.cli.options import require_writable

if TYPE_CHECKING:
    from rich.table import Table

    from induction_heads.interp.analysis import Report


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL [OTHER]")
@click.option(
    "--threshold",
    metavar="SCORE",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.4,
    show_default=True,
    help="Minimum score for a head to be assigned a kind, such as induction. Its control must stay "
    "below half of its score.",
)
@click.option(
    "--seeds",
    metavar="N",
    type=click.IntRange(min=2),
    default=3,
    show_default=True,
    help="Number of seeds at every period and gap.",
)
@click.option(
    "--rows",
    metavar="N",
    type=click.IntRange(min=1),
    default=16,
    show_default=True,
    help="Number of sequences in every probe. Fewer are faster on a large model.",
)
@click.option(
    "--dtype",
    metavar="TYPE",
    help="float32 (default), bfloat16, float16, or auto for the stored type.",
)
@click.option(
    "--text",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Rank tokens by how often they occur in this text. Probes leave out the most and the "
    "least common. Without it, ranks are from the model's folder or its tokenizer, if possible.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write report.html, report.json and PNG figures to this folder.",
)
def analyze(
    models: tuple[str, ...],
    threshold: float,
    seeds: int,
    rows: int,
    dtype: str | None,
    text: Path | None,
    as_json: bool,
    out: Path | None,
) -> None:
    """Find previous-token, induction and other heads in MODEL, or compare MODEL with OTHER.

    MODEL is the name of a zoo model, a hand-built model such as `hand-built:fixed_offset`, a model
    folder of this course or in Hugging Face format, or a name on the model hub such as `gpt2`.
    MODEL@STEP is its checkpoint nearest to that step: `analyze toy-2l@100 toy-2l` compares the
    two. Most architectures with attention patterns load: GPT-2, Pythia, Llama, Mistral, Qwen,
    Gemma, OLMo, Phi and some fifty more. No code in the folder of a model is run.

    Exit status: 0 if the analysis ran, 2 for a usage error or if a model cannot be loaded.
    """
    from induction_heads.interp.comparison import comparison_data

    if len(models) > 2:
        raise click.UsageError(f"Got {len(models)} models, but analyze takes one or two.")
    if out:
        require_writable(out)
    shows_bars = sys.stderr.isatty() and not as_json
    options = {"threshold": threshold, "seeds": seeds, "batch": rows, "progress": shows_bars}
    try:
        analyzed = [_analyzed(name, dtype, text, options) for name in models]
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


def _analyzed(
    name: str, dtype: str | None, text: Path | None, options: dict[str, Any]
) -> tuple[Any, "Report"]:
    """The model called `name`, and its report. Raises ValueError if it cannot be loaded."""
    from induction_heads.data.token_ranks import rank_by_text
    from induction_heads.interp.analysis import analyze as run_analysis
    from induction_heads.models.folders import checkpoint_name
    from induction_heads.models.loading import load_lightest, load_model

    progress = None if options["progress"] else False
    load = load_lightest if text is None else load_model  # Ranks by a text need the tokenizer.
    model = load(name, dtype=dtype, progress=progress)
    if text is not None:
        content = text.read_text(encoding="utf-8", errors="ignore")
        rank_by_text(model, content, f"counts in {text.name}")
    return model, run_analysis(model, name=checkpoint_name(name), **options)


def _write(folder: Path, data: dict[str, Any], analyzed: list[tuple[Any, "Report"]]) -> None:
    """Write report.html, report.json and the figures to `folder`."""
    from induction_heads.figures import comparison_page, report_page

    reports = [report for _, report in analyzed]
    if len(analyzed) == 1:
        figures = report_page.pictures(*analyzed[0])
        text = report_page.report_html(reports[0], figures)
    else:
        first, second = reports
        figures = comparison_page.pictures(first, second)
        text = comparison_page.comparison_html(first, second, figures)
    folder.mkdir(parents=True, exist_ok=True)
    for figure in figures:
        (folder / figure.name).write_bytes(figure.png)
    (folder / "report.html").write_text(text, encoding="utf-8")
    (folder / "report.json").write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def _print(reports: list["Report"]) -> None:
    """Print the table of all heads and a summary, or the differences between two models."""
    from rich.console import Console

    from induction_heads.figures import report_page
    from induction_heads.interp import comparison

    if len(reports) == 1:
        (report,) = reports
        table = _table(f"Heads of {report.model}", report_page.COLUMNS)
        rows, sentences = report_page.table_rows(report), report_page.summary_sentences(report)
        legend = report_page.legend(report)
    else:
        table = _table(" and ".join(report.model for report in reports), comparison.COLUMNS)
        rows, sentences = comparison.table_rows(*reports), comparison.difference_sentences(*reports)
        legend = [
            "Scores: mean ± standard deviation over the probes.",
            comparison.probe_tokens(*reports),
            "copies repeats, -1 to 1: how often the head raises the correct next token above "
            "another of the block; logits: by how much.",
        ]
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 190).print(table)
    for line in legend:
        click.echo(click.wrap_text(line, 100, "  ", "    "))
    for sentence in sentences:
        click.echo(sentence)


def _table(title: str, columns: tuple[str, ...]) -> "Table":
    from rich.table import Table

    table = Table(title=title)
    for column in columns:
        is_text = column in ("head", "model", "kinds")
        table.add_column(column, justify="left" if is_text else "right")
    return table
