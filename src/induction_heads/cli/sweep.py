"""`induction-heads sweep`: train a family of models and ablate every head of every snapshot."""

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from induction_heads.cli.options import cluster_options, require_both, require_writable
from induction_heads.near_names import suggestion

if TYPE_CHECKING:
    from induction_heads.sweeps.families import Family
    from induction_heads.sweeps.journal import SweepFolder


@click.command()
@click.argument("family")
@click.option(
    "--out",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder for the results. Created if it does not exist.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    show_default="one for each core",
    help="Number of models to train at once.",
)
@click.option("--resume", is_flag=True, help="Continue a sweep that was stopped.")
@click.option(
    "--sample",
    "share",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    metavar="SHARE",
    help="Run only this share of the models, always the same ones.",
)
@cluster_options
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def sweep(
    family: str,
    out: Path,
    jobs: int | None,
    resume: bool,
    share: float,
    backend: str | None,
    scheduler: str | None,
    as_json: bool,
) -> None:
    """Train the models of FAMILY and ablate every head of every snapshot.

    FAMILY is one of four sets of models: data, replication, text or trial.

    Writes summary.json, index.html and three tables to DIR, and compares them with the results
    shipped with the course.

    Exit status: 0 if every model is in the tables, even one that diverged. 1 if the process of a
    model died every time, or a result differs from the shipped one by more than the spread over
    seeds. 2 for a usage error, or if the sweep cannot run here.
    """
    from induction_heads.files import NotUsable
    from induction_heads.parallel import cores
    from induction_heads.sweeps.families import FAMILIES
    from induction_heads.sweeps.journal import SweepFolder, settings_of
    from induction_heads.sweeps.stored_results import differences_from_stored, stored_names

    if family not in FAMILIES:
        close = suggestion(family, FAMILIES, known="Families:")
        raise click.UsageError(f"No family is called {family!r}. {close}")
    require_both(backend, scheduler)
    require_writable(out)
    swept, folder = FAMILIES[family].sample(share), SweepFolder(out)
    settings = settings_of(family, share, swept.models)
    try:
        with folder.held(resume=resume):
            folder.begin(settings)
            records, totals = _run(family, swept, folder, jobs or cores(), scheduler, share)
    except NotUsable as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        where = f"The cluster at {scheduler} failed: " if scheduler else ""
        raise click.UsageError(f"{where}{error}.") from error
    except KeyboardInterrupt:
        click.echo("\nStopped. Run the same command with --resume to continue.", err=True)
        sys.exit(130)
    sentences = differences_from_stored(family, records) if family in stored_names() else None
    _print_summary(totals, sentences, out, as_json)
    sys.exit(1 if totals["died"] or sentences else 0)


def _run(
    name: str,
    family: "Family",
    folder: "SweepFolder",
    jobs: int,
    scheduler: str | None,
    share: float,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Run the remaining models, write all outputs, and return the records and the summary."""
    from induction_heads.sweeps.outputs import write_outputs
    from induction_heads.sweeps.progress import SweepProgress
    from induction_heads.sweeps.runner import run_family

    with SweepProgress(family, folder.records()) as progress:
        started = time.monotonic()
        records = run_family(family, folder, jobs=jobs, scheduler=scheduler, done=progress.advance)
        seconds = time.monotonic() - started
    command = f"induction-heads sweep {name} --out DIR"
    command += " --backend dask --scheduler ADDR" if scheduler else f" --jobs {jobs}"
    command += f" --sample {share:g}" if share < 1 else ""
    run = {
        "family": name,
        "command": command,
        "sample": share,
        "seconds_of_last_run": round(seconds, 1),
    }
    return records, write_outputs(folder.path, family, records, run)


def _print_summary(
    totals: dict[str, Any], differences: list[str] | None, out: Path, as_json: bool
) -> None:
    """Print the totals. `differences` from the stored results is None if none are stored."""
    if as_json:
        if differences is not None:
            totals |= {"matches": not differences, "differences": differences}
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
    if differences is not None:
        _print_differences(differences)
    click.echo(f"Tables: {out / 'models.csv'}, {out / 'snapshots.csv'}, {out / 'table.csv'}")


def _print_differences(differences: list[str]) -> None:
    if not differences:
        click.echo("All models match the stored results within their spread over seeds.")
        return
    click.echo("Some models differ from the stored results:")
    for sentence in differences:
        click.echo(f"  {sentence}")
