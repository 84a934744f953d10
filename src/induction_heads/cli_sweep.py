"""`induction-heads sweep`: train a family of models and ablate every head of every snapshot."""

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from induction_heads.sweep_family import Variant
    from induction_heads.sweep_journal import SweepFolder


@click.command()
@click.argument("family")
@click.option("--out", required=True, metavar="DIR", type=click.Path(path_type=Path),
              help="Folder for the results. Made if it is not there.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(min=1), metavar="N",
              help="Models trained at once. Default: one for each core.")  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on with a sweep that was stopped.")
@click.option("--sample", "share", type=click.FloatRange(0, 1, min_open=True), default=1.0,
              metavar="SHARE", help="Only this share of the models, always the same.")  # fmt: skip
@click.option("--backend", type=click.Choice(["dask"]), help="Run on a cluster.")
@click.option(
    "--scheduler",
    metavar="ADDR",
    help="Address of the Dask scheduler; its workers should have one thread each.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def sweep(
    family: str, out: Path, jobs: int | None, resume: bool, share: float, backend: str | None,
    scheduler: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Train all models of FAMILY (replication, trial) and ablate every head of every snapshot.

    Writes summary.json, index.html and three tables to DIR. Exit code 0: every model is in them,
    also one that diverged. 1: the process of a model died every time. 2: the command was not
    understood, or cannot run here.
    """
    from induction_heads.machines import cores
    from induction_heads.sweep_family import FAMILIES, sample
    from induction_heads.sweep_journal import NotUsable, SweepFolder, settings_of

    if family not in FAMILIES:
        raise click.UsageError(f"No family called {family!r}. Families: {', '.join(FAMILIES)}.")
    if bool(backend) != bool(scheduler):
        raise click.UsageError("--backend dask and --scheduler ADDR go together.")
    variants, folder = sample(FAMILIES[family], share), SweepFolder(out)
    settings = settings_of(family, share, variants)
    try:
        with folder.held(settings, resume=resume):
            totals = _run(family, variants, folder, jobs or cores(), scheduler, share)
    except NotUsable as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        where = f"The cluster at {scheduler} failed: " if scheduler else ""
        raise click.UsageError(f"{where}{error}.") from error
    except KeyboardInterrupt:
        click.echo("\nStopped. The same command with --resume goes on.", err=True)
        sys.exit(130)
    _tell(totals, out, as_json)
    sys.exit(1 if totals["died"] else 0)


def _run(
    family: str, variants: "Sequence[Variant]", folder: "SweepFolder", jobs: int,
    scheduler: str | None, share: float,
) -> dict[str, Any]:  # fmt: skip
    """Run what is left, write all outputs, and return the summary."""
    from induction_heads.sweep_output import write_outputs
    from induction_heads.sweep_progress import Progress
    from induction_heads.sweeps import run_family

    with Progress(variants, folder.records()) as progress:
        started = time.monotonic()
        records = run_family(
            variants, folder, jobs=jobs, scheduler=scheduler, done=progress.advance
        )
        seconds = time.monotonic() - started
    command = f"induction-heads sweep {family} --out DIR"
    command += " --backend dask --scheduler ADDR" if scheduler else f" --jobs {jobs}"
    command += f" --sample {share:g}" if share < 1 else ""
    run = {"family": family, "command": command, "sample": share,
           "seconds_of_last_run": round(seconds, 1)}  # fmt: skip
    return write_outputs(folder.path, variants, records, run)


def _tell(totals: dict[str, Any], out: Path, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(totals, indent=1))
        return
    click.echo(
        f"{totals['models']} models, {totals['ablations']:,} head ablations, "
        f"{totals['cpu_seconds']:,.0f} CPU-seconds. Induction heads formed in {totals['formed']}."
    )
    for status in ("diverged", "died"):
        if totals[status]:
            click.echo(f"{status.capitalize()}: {', '.join(totals[status])}")
    click.echo(f"Figures: {out / 'index.html'}")
    click.echo(f"Tables: {out / 'models.csv'}, {out / 'snapshots.csv'}, {out / 'table.csv'}")
