"""`induction-heads analyze`: find induction and other heads in a model, or compare two."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from induction_heads.cli.options import (
    device_option,
    dtype_option,
    require_device,
    require_writable,
)

if TYPE_CHECKING:
    from induction_heads.interp.analysis import Report
    from induction_heads.interp.own_text import TextReport

JSON_FORMAT = 1
"""The version of the output of --json; `analyze.schema.json` describes it."""

SCHEMA = Path(__file__).with_name("analyze.schema.json")


def _print_schema(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        click.echo(SCHEMA.read_text(encoding="utf-8"), nl=False)
        context.exit()


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
    "--layers",
    metavar="LIST",
    help="Report only these layers, such as 0-3,5 (counted from 0). Faster if the last ones are "
    "left out.",
)
@click.option(
    "--text",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Also measure on this text: how often it repeats, the loss at repeats, the heads that "
    "attend to them, and the loss without the induction heads.",
)
@click.option(
    "--ranks",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Rank tokens by how often they occur in this text. Probes leave out the most and the "
    "least common. Without it, ranks are from the model's folder or its tokenizer, if possible.",
)
@dtype_option
@device_option
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option(
    "--schema",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_schema,
    help="Print the JSON Schema of the output of --json.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write report.html, report.json and PNG figures to this folder. If the run is stopped, "
    "the same command continues where it stopped.",
)
def analyze(
    models: tuple[str, ...],
    threshold: float,
    seeds: int,
    rows: int,
    layers: str | None,
    text: Path | None,
    ranks: Path | None,
    dtype: str | None,
    device: str,
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
    from induction_heads.cli import analyze_output

    if len(models) > 2:
        raise click.UsageError(f"Got {len(models)} models, but analyze takes one or two.")
    if out:
        require_writable(out)
    require_device(device)
    load = {"dtype": dtype, "device": device}
    options = {"threshold": threshold, "seeds": seeds, "batch": rows, "layers": _layers(layers)}
    try:
        analyzed = [_analyzed(name, load, options, text, ranks, out) for name in models]
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    reports = [report for _, report, _ in analyzed]
    texts = [found for _, _, found in analyzed if found]
    data = analyze_output.as_data(JSON_FORMAT, reports, texts)
    if out:
        models_and_reports = [(model, report) for model, report, _ in analyzed]
        analyze_output.write(out, data, models_and_reports, texts)
    if as_json:
        click.echo(json.dumps(data, allow_nan=False))
        return
    analyze_output.show(reports, texts)
    if out:
        click.echo(f"Report: {out / 'report.html'}")


def _layers(text: str | None) -> list[int] | None:
    """The layers that a list such as 0-3,5 names. Raises UsageError for anything else."""
    if text is None:
        return None
    layers: set[int] = set()
    for piece in text.split(","):
        first, dash, last = (part.strip() for part in piece.partition("-"))
        last = last if dash else first
        if not (first.isdecimal() and last.isdecimal() and int(first) <= int(last) < 10_000):
            raise click.UsageError(f"--layers {text!r} is not a list of layers such as 0-3,5.")
        layers |= set(range(int(first), int(last) + 1))
    return sorted(layers)


def _analyzed(
    name: str,
    load: dict[str, Any],
    options: dict[str, Any],
    text: Path | None,
    ranks: Path | None,
    out: Path | None,
) -> tuple[Any, "Report", "TextReport | None"]:
    """The model called `name`, its report, and that on the text. Raises ValueError."""
    from induction_heads.data.token_ranks import rank_by_text
    from induction_heads.interp import own_text
    from induction_heads.interp.analysis import analyze as run_analysis
    from induction_heads.models.folders import checkpoint_name
    from induction_heads.models.loading import load_lightest, load_model

    # A text needs the tokenizer, which the lightest form of a model does not have.
    load_as = load_lightest if text is None and ranks is None else load_model
    model: Any = load_as(name, progress=None if sys.stderr.isatty() else False, **load)
    if ranks is not None:
        rank_by_text(model, _content(ranks), f"counts in {ranks.name}")
    content = None if text is None else _content(text)
    if content is not None:
        own_text.rows_of_text(model, content)  # Before the analysis, so that no work is lost.
    shown = checkpoint_name(name)
    parts = _kept_parts(model, shown, options, out)
    report = run_analysis(model, name=shown, progress=True, **options, once=parts)
    on_text = None
    if content is not None and text is not None:
        heads = [head[:2] for head in report.found("induction")]
        on_text = own_text.text_report(model, content, text.name, heads)
    if out:
        parts.remove()
    return model, report, on_text


def _content(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="ignore")


def _kept_parts(model: Any, name: str, options: dict[str, Any], out: Path | None) -> Any:
    """What keeps the parts of the analysis in the folder `out`, or nothing."""
    from induction_heads.data.tokens import bos_token, not_drawn
    from induction_heads.files import digest
    from induction_heads.interp.parts import KeptParts, computed
    from induction_heads.models.checksum import weights_checksum
    from induction_heads.versions import package_version

    if out is None:
        return computed
    tokens = {"bos": bos_token(model), "not drawn": digest(not_drawn(model))}
    settings = {"options": options, "weights": weights_checksum(model), "tokens": tokens}
    parts = KeptParts(out, settings | {"version": package_version(), "model": name})
    if parts.folder.is_dir():
        click.echo(f"{name}: goes on with the parts of an earlier run in {parts.folder}.", err=True)
    return parts
