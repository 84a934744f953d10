"""`induction-heads train`: retrain a zoo model and compare it with the shipped one."""

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from induction_heads.cli.options import require_writable
from induction_heads.files import NotUsable, RunFolder
from induction_heads.near_names import suggestion

if TYPE_CHECKING:
    from induction_heads.training.remake import Request, Trained

UNFINISHED = ".unfinished"
"""Subfolder of --out with the state of a run that has not ended."""


@dataclass(frozen=True)
class TrainSettings:
    """What decides the runs of a command: only the same ones continue it."""

    name: str
    seed: int | None
    spread: int | None


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
    try:
        with _kept(out, request, force=force, resume=resume):
            trained = trainers[name](request)
    except remake.NotOffered as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        raise click.UsageError(f"Cannot write to {out}: {error.strerror or error}.") from error
    except KeyboardInterrupt:
        click.echo(f"\nStopped. {_how_to_continue(out)}", err=True)
        sys.exit(130)
    _print(trained, out, as_json=as_json)
    raise SystemExit(1 if trained.differences else 0)


class TrainingFolder(RunFolder[TrainSettings]):
    """The folder inside that of --out which holds a run until it ends."""

    command = "induction-heads train"
    contents = "an unfinished run"

    def __init__(self, out: Path):
        super().__init__(out / UNFINISHED)
        self.out = out

    def read_settings(self, values: dict[str, Any]) -> TrainSettings:
        """The settings from the JSON of `settings.json`. Raises TypeError."""
        return TrainSettings(**values)

    def differences(self, stored: TrainSettings, settings: TrainSettings) -> list[str]:
        """The options of the stored run that differ from those of this one."""
        before, now = asdict(stored), asdict(settings)
        return [
            f"{key} {'of the recipe' if value is None else value}"
            for key, value in before.items()
            if value != now[key]
        ]

    def require_usable(self, *, force: bool, resume: bool) -> None:
        """Raise UsageError if --out holds anything that this run may not continue or replace."""
        unfinished = (self.path / "settings.json").exists()
        if resume and not unfinished and (self.out / "training.json").exists():
            raise click.UsageError(
                f"{self.out} holds a finished run, so there is nothing to continue. To train "
                "again, choose another folder, or replace --resume with --force."
            )
        if resume and not unfinished:
            raise click.UsageError(f"{self.out} holds no run to continue. Leave out --resume.")
        if not (resume or force or unfinished) and self.out.is_dir() and any(self.out.iterdir()):
            raise click.UsageError(
                f"{self.out} is not empty. Choose another folder, or add --force."
            )
        require_writable(self.out)


@contextmanager
def _kept(out: Path | None, request: "Request", *, force: bool, resume: bool) -> Iterator[None]:
    """Keep what is trained in the folder of --out, if there is one, and remove it at the end.

    It stays there if the run is stopped or fails. Raises UsageError if the folder cannot be used.
    """
    if out is None:
        if resume:
            raise click.UsageError("--resume needs --out FOLDER, which holds what was trained.")
        yield
        return
    from induction_heads.training.remake import NotOffered
    from induction_heads.training.stored_runs import kept_in

    folder = TrainingFolder(out)
    folder.require_usable(force=force, resume=resume)
    ended = False
    try:
        with folder.held(resume=resume or force):
            if force and not resume:
                _empty(folder.path)
            folder.begin(TrainSettings(request.name, request.seed, request.spread))
            try:
                with kept_in(folder.path):
                    yield
            except NotOffered:
                ended = True
                raise
            ended = True
    except NotUsable as error:
        raise click.UsageError(str(error)) from error
    finally:
        if ended:
            shutil.rmtree(folder.path, ignore_errors=True)
            with suppress(OSError):  # Only if nothing was written.
                out.rmdir()


def _empty(folder: Path) -> None:
    """Remove the state of an earlier run, but not the lock of this one."""
    for file in folder.iterdir():
        if file.name != ".lock":
            file.unlink()


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
