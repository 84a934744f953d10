"""`induction-heads train`: retrain a zoo model and compare it with the shipped one."""

import json
import shutil
import sys
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from induction_heads.cli.options import require_writable
from induction_heads.files import write_atomically
from induction_heads.near_names import suggestion

if TYPE_CHECKING:
    from induction_heads.training.remake import Request, Trained

UNFINISHED = ".unfinished"
"""Subfolder of --out with the state of a run that has not ended."""


@click.command()
@click.argument("name")
@click.option("--seed", type=int, metavar="N", help="Seed to use instead of the recipe's.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Also write the model, its snapshots and its card to this folder.",
)
@click.option(
    "--spread",
    type=click.IntRange(min=2),
    metavar="N",
    help="Also train N − 1 more seeds and record the spread.",
)
@click.option(
    "--force", is_flag=True, help="Overwrite the folder of --out even if it is not empty."
)
@click.option("--resume", is_flag=True, help="Continue the run that was stopped, in --out.")
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress bar.")
def train(
    name: str,
    seed: int | None,
    out: Path | None,
    spread: int | None,
    force: bool,
    resume: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Train the zoo model NAME from its recipe and compare it with the shipped one.

    natural-2l takes about 20 CPU minutes, gpt2-2l, llama-4l and pythia-4l 10 to 15, python-2l
    about six, and the others up to two. With --out a run that was stopped, for example with
    Ctrl-C, can be continued with --resume.

    Exit status: 0 if it matches, 1 if it differs, 2 for a usage error, 130 after Ctrl-C.
    """
    from induction_heads.training import remake

    trainers = remake.trainers()
    if name not in trainers:
        close = suggestion(name, trainers, known="Recipes:")
        raise click.UsageError(f"No recipe is called {name!r}. {close}")
    request = remake.Request(name, seed, spread, out, progress=not (quiet or as_json))
    if out:
        _prepare(request, out, force=force, resume=resume)
    elif resume:
        raise click.UsageError("--resume needs --out FOLDER, which holds what was trained.")
    try:
        with _kept(out):
            trained = trainers[name](request)
    except remake.NotOffered as error:
        _forget(out)
        raise click.UsageError(str(error)) from error
    except OSError as error:
        raise click.UsageError(f"Cannot write to {out}: {error.strerror or error}.") from error
    except KeyboardInterrupt:
        click.echo(f"\nStopped. {_how_to_continue(out)}", err=True)
        sys.exit(130)
    _forget(out)
    _print(trained, out, as_json=as_json)
    raise SystemExit(1 if trained.differences else 0)


def _prepare(request: "Request", out: Path, *, force: bool, resume: bool) -> None:
    """Make the folder ready for this run. Raises UsageError if it holds anything else."""
    unfinished = out / UNFINISHED
    about = {"name": request.name, "seed": request.seed, "spread": request.spread}
    stored = _about(unfinished)
    if resume and stored is None:
        raise click.UsageError(f"{out} holds no run to continue. Leave out --resume.")
    if resume and stored != about:
        raise click.UsageError(
            f"{out} holds an unfinished run with other settings: {_settings(stored)}. "
            "Resume with the same ones, or choose another folder."
        )
    if not resume and not force and stored is not None:
        raise click.UsageError(
            f"{out} holds an unfinished run of {stored['name']}. Add --resume to continue it, "
            "or --force to start over."
        )
    if not (resume or force) and out.is_dir() and any(out.iterdir()):
        raise click.UsageError(f"{out} is not empty. Choose another folder, or add --force.")
    require_writable(out)
    if not resume:
        shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True, exist_ok=True)
    write_atomically(unfinished / "settings.json", json.dumps(about) + "\n")


def _about(unfinished: Path) -> dict | None:
    """The settings of the run that a folder keeps, or None."""
    try:
        about = json.loads((unfinished / "settings.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return about if isinstance(about, dict) and "name" in about else None


def _settings(about: dict | None) -> str:
    values = {k: v for k, v in (about or {}).items() if v is not None}
    return ", ".join(f"{key} {value}" for key, value in values.items())


def _kept(out: Path | None) -> AbstractContextManager[None]:
    """Keep what is trained in the folder of --out, if there is one."""
    if out is None:
        return nullcontext()
    from induction_heads.training.stored_runs import kept_in

    return kept_in(out / UNFINISHED)


def _forget(out: Path | None) -> None:
    """Remove the state of a run that has ended."""
    if out is not None:
        shutil.rmtree(out / UNFINISHED, ignore_errors=True)
        with suppress(OSError):  # Only if nothing was written.
            out.rmdir()


def _how_to_continue(out: Path | None) -> str:
    if out is None:
        return "Nothing was kept. With --out FOLDER, a run can be continued with --resume."
    return f"What was trained is in {out}. To continue, run the same command with --resume."


def _print(trained: "Trained", out: Path | None, *, as_json: bool) -> None:
    """Print the record as JSON, or the summary and the differences from the shipped model."""
    differences = trained.differences
    if as_json:
        comparison = {"matches": not differences, "differences": differences}
        click.echo(json.dumps(trained.record | comparison))
        return
    for sentence in trained.summary:
        click.echo(sentence)
    if out:
        click.echo(f"Written to {out}.")
    if differences:
        click.echo("It differs from the shipped model:")
    for sentence in [f"  {line}" for line in differences] or [trained.matching]:
        click.echo(sentence)
