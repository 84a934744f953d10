"""`induction-heads sweep`: train a family of models and ablate every head of every snapshot."""

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from induction_heads.sweep_families import Family
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
    """Train the models of FAMILY and ablate all heads of all snapshots.

    FAMILY is data, replication, text or trial.

    Writes summary.json, index.html and three tables to DIR, and compares with the results that
    ship with the course. Exit code 0: every model is in the tables, also one that diverged. 1: the
    process of a model died every time, or a result differs from the shipped ones by more than
    their spread. 2: the command was not understood, or cannot run here.
    """
    from induction_heads.machines import cores
    from induction_heads.stored_sweeps import differences, stored_names
    from induction_heads.sweep_families import FAMILIES
    from induction_heads.sweep_journal import NotUsable, SweepFolder, settings_of

    if family not in FAMILIES:
        raise click.UsageError(f"No family called {family!r}. Families: {', '.join(FAMILIES)}.")
    if bool(backend) != bool(scheduler):
        raise click.UsageError("--backend dask and --scheduler ADDR go together.")
    swept, folder = FAMILIES[family].sample(share), SweepFolder(out)
    settings = settings_of(family, share, swept.models)
    try:
        with folder.held(settings, resume=resume):
            records, totals = _run(family, swept, folder, jobs or cores(), scheduler, share)
    except NotUsable as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        where = f"The cluster at {scheduler} failed: " if scheduler else ""
        raise click.UsageError(f"{where}{error}.") from error
    except KeyboardInterrupt:
        click.echo("\nStopped. The same command with --resume goes on.", err=True)
        sys.exit(130)
    apart = differences(family, records) if family in stored_names() else None
    _tell(totals, apart, out, as_json)
    sys.exit(1 if totals["died"] or apart else 0)


def _run(
    name: str, family: "Family", folder: "SweepFolder", jobs: int,
    scheduler: str | None, share: float,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:  # fmt: skip
    """Run what is left, write all outputs, and return the records and the summary."""
    from induction_heads.sweep_output import write_outputs
    from induction_heads.sweep_progress import Progress
    from induction_heads.sweeps import run_family

    with Progress(family, folder.records()) as progress:
        started = time.monotonic()
        records = run_family(family, folder, jobs=jobs, scheduler=scheduler, done=progress.advance)
        seconds = time.monotonic() - started
    command = f"induction-heads sweep {name} --out DIR"
    command += " --backend dask --scheduler ADDR" if scheduler else f" --jobs {jobs}"
    command += f" --sample {share:g}" if share < 1 else ""
    run = {"family": name, "command": command, "sample": share,
           "seconds_of_last_run": round(seconds, 1)}  # fmt: skip
    return records, write_outputs(folder.path, family, records, run)


def _tell(totals: dict[str, Any], apart: list[str] | None, out: Path, as_json: bool) -> None:
    if as_json:
        said = {} if apart is None else {"matches": not apart, "differences": apart}
        click.echo(json.dumps(totals | said, indent=1))
        return
    click.echo(
        f"{totals['models']} models, {totals['ablations']:,} head ablations, "
        f"{totals['cpu_seconds']:,.0f} CPU-seconds. Induction heads formed in {totals['formed']}."
    )
    for status in ("diverged", "died"):
        if totals[status]:
            click.echo(f"{status.capitalize()}: {', '.join(totals[status])}")
    click.echo(f"Figures: {out / 'index.html'}")
    if apart is not None:
        _tell_differences(apart)
    click.echo(f"Tables: {out / 'models.csv'}, {out / 'snapshots.csv'}, {out / 'table.csv'}")


def _tell_differences(apart: list[str]) -> None:
    if not apart:
        click.echo("All models match the stored results, within their spread over seeds.")
        return
    click.echo("Some models differ from the stored results:")
    for sentence in apart:
        click.echo(f"  {sentence}")
