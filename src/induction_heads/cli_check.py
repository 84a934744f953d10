"""`induction-heads check`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from induction_heads.checks.registry import Selection
    from induction_heads.grading.results import ChapterResult, Result


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
def check(target: str | None, folder: Path, as_json: bool) -> None:
    """Check your answers: all of them, a chapter (ch04) or one exercise (induction_score).

    Exit code 0: everything passed. 1: something did not. 2: the command was not understood.
    """
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

    from induction_heads.grading.checking import check_chapter
    from induction_heads.grading.nursery import Nursery
    from induction_heads.grading.submission import read_submission

    console, chapters, last = Console(highlight=False), [], ""
    waiting = Console(stderr=True)
    with waiting.status("Starting") as status, Nursery() as nursery:

        def show(name: str, result: "Result | None") -> None:
            nonlocal last
            if result is None:
                status.update(f"Checking {name}")
            elif not quiet:
                # A file that cannot be loaded says so once, not once for each exercise in it.
                _print_result(console, result, again=result.message == last != "")
                last = result.message

        for selection in selections:
            if not quiet:
                console.print(f"[bold]{selection.stem}[/bold]")
            status.update(f"Starting {selection.stem}")
            submission = read_submission(folder, selection.stem)
            chapters.append(check_chapter(selection, submission, nursery=nursery, progress=show))
    if not quiet:
        from induction_heads.grading.report import summary_line

        console.print(f"\n{summary_line(chapters)}")
    return chapters


def _print_result(console: "Console", result: "Result", *, again: bool) -> None:
    from induction_heads.grading.report import STYLES, result_lines

    head, *lines = result_lines(result)
    console.print(f"  {head}", style=STYLES[result.status], markup=False)
    for line in ["    as above"] if again else lines:
        console.print(f"  {line}", markup=False, soft_wrap=True)
