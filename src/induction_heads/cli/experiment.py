"""`induction-heads experiment`: make the stored results of a small experiment again."""

import json
from pathlib import Path

import click

from induction_heads.near_names import suggestion


@click.command()
@click.argument("name")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the results to this file. Runs that it already has are not made again.",
)
@click.option(
    "--run", "only", multiple=True, metavar="RUN", help="Make only this run. May be repeated."
)
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def experiment(name: str, out: Path | None, only: tuple[str, ...], as_json: bool) -> None:
    """Make the runs of the experiment NAME and compare them with the stored results.

    NAME is chains, clamps, hapax, in-weights, lags, minimal-task, ngram-text, positions,
    relations or suppressors. Each takes between one and thirty CPU minutes.

    Exit status: 0 if they match, 1 if one differs, 2 for a usage error.
    """
    from induction_heads.training import experiments

    if name not in experiments.EXPERIMENTS:
        close = suggestion(name, experiments.EXPERIMENTS, known="Experiments:")
        raise click.UsageError(f"No experiment is called {name!r}. {close}")
    runs = experiments.EXPERIMENTS[name].runs
    for run in only:
        if run not in runs:
            raise click.UsageError(
                f"{name} has no run called {run!r}. {suggestion(run, runs, known='Runs:')}"
            )

    def done(run: str) -> None:
        if not as_json:
            click.echo(run)

    try:
        record = experiments.run_experiment(name, only=only, out=out, done=done)
    except OSError as error:
        raise click.UsageError(f"Cannot use {out}: {error.strerror or error}.") from error
    except experiments.NotResults as error:
        raise click.UsageError(str(error)) from error
    differences = experiments.differences_from_stored(record)
    if as_json:
        click.echo(json.dumps(record | {"differences": differences}))
    else:
        for sentence in differences or ["They match the stored results."]:
            click.echo(sentence)
    raise SystemExit(1 if differences else 0)
