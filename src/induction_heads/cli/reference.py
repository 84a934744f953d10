"""`induction-heads reference`: measure a public model and write a small record of it."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from induction_heads.cli.options import (
    device_option,
    dtype_option,
    require_device,
    require_writable,
)


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("public"),
    show_default=True,
    help="Folder for the records, one file for each model.",
)
@click.option(
    "--seeds",
    metavar="N",
    type=click.IntRange(min=3),
    default=3,
    show_default=True,
    help="Number of seeds of every measurement.",
)
@click.option(
    "--rows",
    metavar="N",
    type=click.IntRange(min=4),
    default=16,
    show_default=True,
    help="Number of sequences in every probe; a quarter as many for the ablations.",
)
@dtype_option
@device_option
@click.option("--again", is_flag=True, help="Measure models that already have a record as well.")
def reference(
    models: tuple[str, ...],
    out: Path,
    seeds: int,
    rows: int,
    dtype: str | None,
    device: str,
    again: bool,
) -> None:
    """Measure each MODEL, such as gpt2, pythia-70m@step1000 or a folder, and write a record.

    A record is a JSON file of about 1 kB for each head: its scores with their spread and controls,
    three measures of copying, its match length, and the rise of the loss without it, on repeats and
    on tokens that never repeat. It states the commit of the model on the hub, a checksum of the
    weights, the versions of the libraries, and which tokens the probes drew.

    Chapter 13 draws the records in the folder `public` beside its notebook, next to the numbers
    that others have published. A model with a record is skipped, so a loop over checkpoints can be
    stopped and started again.

    Exit status: 0 if every model has a record, 2 for a usage error or if one cannot be loaded.
    """
    require_writable(out)
    require_device(device)
    for name in models:
        path = out / f"{_file_name(name)}.json"
        if path.exists() and not again:
            click.echo(f"{name}: {path} is there already. Add --again to measure it again.")
            continue
        try:
            record = _measured(name, dtype, device, seeds, rows)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        _write(path, record)
        click.echo(f"{name}: {_summary(record)} Record: {path}")


def _file_name(name: str) -> str:
    """The name of a record's file: that of the model, without what a file name cannot hold."""
    place = Path(name)
    base = place.resolve().name if place.is_dir() else name
    return base.replace("/", "--").replace(":", "-")


def _measured(name: str, dtype: str | None, device: str, seeds: int, rows: int) -> dict[str, Any]:
    from induction_heads.interp.reference import reference_record
    from induction_heads.models.folders import checkpoint_name, find_checkpoint
    from induction_heads.models.hub import commit_of
    from induction_heads.models.loading import load_lightest

    bars = None if sys.stderr.isatty() else False
    model = load_lightest(name, dtype=dtype, device=device, progress=bars)
    hand_built = name.startswith("hand-built:")
    revision = None if hand_built else commit_of(find_checkpoint(name, progress=False)[0])
    shown = checkpoint_name(name)
    shown = Path(name).resolve().name if Path(name).is_dir() else shown
    return reference_record(model, shown, revision=revision, seeds=seeds, rows=rows, progress=True)


def _write(path: Path, record: dict[str, Any]) -> None:
    """Write a record with one head on a line, so that two versions can be compared."""
    from induction_heads.files import write_atomically

    heads = ",\n".join(f"  {json.dumps(head)}" for head in record["heads"])
    lines = [f" {json.dumps(name)}: {json.dumps(record[name])}" for name in record]
    lines[-1] = f' "heads": [\n{heads}\n ]'
    write_atomically(path, "{\n" + ",\n".join(lines) + "\n}\n")


def _summary(record: dict[str, Any]) -> str:
    from induction_heads.interp.reference import heads_of_kind

    kinds = ("previous_token", "induction")
    return " ".join(
        f"{kind.replace('_', '-')} heads: {', '.join(heads_of_kind(record, kind)) or 'none'}."
        for kind in kinds
    )
