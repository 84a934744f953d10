"""`induction-heads check`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from induction_heads.checks.registry import Selection
    from induction_heads.grading.rechecking import Rechecking
    from induction_heads.grading.results import ChapterResult, Result
    from induction_heads.grading.submission import Submission


@click.command()
@click.argument("target", required=False)
@click.option(
    "--submission",
    "folder",
    default="exercises",
    show_default=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder with the files to check.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@click.option("--watch", is_flag=True, help="Check again whenever a file is saved.")
def check(target: str | None, folder: Path, as_json: bool, watch: bool) -> None:
    """Check your answers: all of them, a chapter (ch04) or one exercise (induction_score).

    Exit code 0: everything passed. 1: something did not. 2: the command was not understood.
    With --watch it runs until Ctrl-C and exits with 0.
    """
    if watch and as_json:
        raise click.UsageError("--watch is for reading along; --json checks once. Choose one.")
    selections = _selected(target)
    if folder.is_file():
        raise click.UsageError(f"{str(folder)!r} is a file. Name the folder that it is in.")
    if not folder.is_dir():
        raise click.UsageError(
            f"There is no folder {str(folder)!r}. Run this where the course's `exercises` folder "
            "is, or name the folder with --submission."
        )
    from induction_heads.grading.nursery import NurseryFailed
    from induction_heads.grading.running import WorkerFailed

    try:
        if watch:
            _watched(selections, folder)
            return
        chapters = _checked(selections, folder, quiet=as_json)
    except (NurseryFailed, WorkerFailed) as error:
        raise click.UsageError(str(error)) from error
    if as_json:
        found = [chapter.as_json() for chapter in chapters]
        click.echo(json.dumps(found if target is None else found[0], indent=2))
    sys.exit(0 if all(chapter.passed for chapter in chapters) else 1)


def _selected(target: str | None) -> "list[Selection]":
    from induction_heads.checks.registry import UnknownTarget, select

    try:
        return select(target)
    except UnknownTarget as error:
        raise click.UsageError(str(error)) from None


def _checked(selections: "list[Selection]", folder: Path, *, quiet: bool) -> "list[ChapterResult]":
    from rich.console import Console

    from induction_heads.grading.rechecking import Rechecking
    from induction_heads.grading.report import summary_line

    console = Console(highlight=False)
    with Rechecking(folder) as rechecking:
        chapters = [show_check(rechecking, asked, console, quiet=quiet) for asked in selections]
    if rechecking.problem:
        click.echo(rechecking.problem, err=True)
    if not quiet:
        console.print(f"\n{summary_line(chapters)}")
    return chapters


def show_check(
    rechecking: "Rechecking",
    selection: "Selection",
    console: "Console",
    *,
    quiet: bool = False,
    submission: "Submission | None" = None,
) -> "ChapterResult":
    """Check the exercises of one chapter and print each result as it comes."""
    from rich.console import Console

    last = ""
    if not quiet:
        console.print(f"[bold]{selection.stem}[/bold]")
    with Console(stderr=True).status(f"Starting {selection.stem}") as status:

        def show(name: str, result: "Result | None") -> None:
            nonlocal last
            if result is None:
                status.update(f"Checking {name}")
            elif not quiet:
                # A file that cannot be loaded says so once, not once for each exercise in it.
                print_result(console, result, again=result.message == last != "")
                last = result.message

        return rechecking.check(selection, show, submission)


def _watched(selections: "list[Selection]", folder: Path) -> None:
    from rich.console import Console

    from induction_heads.grading.rechecking import Rechecking
    from induction_heads.watching import Watch

    try:
        with Rechecking(folder) as rechecking:
            Watch(selections, rechecking, Console(highlight=False)).run()
    except KeyboardInterrupt:
        click.echo("\nStopped watching.")


def print_result(console: "Console", result: "Result", *, again: bool = False) -> None:
    """Print the status of one exercise and what is to be said about it."""
    from induction_heads.grading.report import STYLES, result_lines

    head, *lines = result_lines(result)
    console.print(f"  {head}", style=STYLES[result.status], markup=False)
    for line in ["    as above"] if again else lines:
        console.print(f"  {line}", markup=False, soft_wrap=True)
