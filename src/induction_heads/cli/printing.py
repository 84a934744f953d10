"""What several commands print: results, the next exercise, and a bar while checking for states."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from induction_heads.course.registry import Selection
    from induction_heads.grading.checking import FolderChecker
    from induction_heads.grading.progress import Progress
    from induction_heads.grading.results import ChapterResult, Result
    from induction_heads.grading.states import Place
    from induction_heads.grading.submission import Submission


def show_check(
    checker: "FolderChecker",
    selection: "Selection",
    console: "Console",
    *,
    quiet: bool = False,
    submission: "Submission | None" = None,
) -> "ChapterResult":
    """Check the exercises of one chapter and print each result when it is known."""
    from rich.console import Console

    last = ""
    if not quiet:
        console.print(f"[bold]{selection.stem}[/bold]")
    with Console(stderr=True).status(f"Starting {selection.stem}") as spinner:

        def show(name: str, result: "Result | None") -> None:
            nonlocal last
            if result is None:
                spinner.update(f"Checking {name}")
            elif not quiet:
                # A file that cannot be loaded has the same message for each exercise in it.
                print_result(console, result, as_above=result.message == last != "")
                last = result.message

        return checker.check(selection, show, submission)


def print_result(console: "Console", result: "Result", *, as_above: bool = False) -> None:
    """Print the status and the message of one exercise.

    With `as_above` the message refers to the previous one.
    """
    from induction_heads.grading.report import result_lines
    from induction_heads.grading.results import STATUSES

    head, *lines = result_lines(result)
    console.print(f"  {head}", style=STATUSES[result.status].style, markup=False)
    for line in ["    as above"] if as_above else lines:
        console.print(f"  {line}", markup=False, soft_wrap=True)


def print_next(
    console: "Console", checker: "FolderChecker", chapters: "list[ChapterResult]"
) -> None:
    """After a pass, print which exercise comes next and where to write it."""
    from induction_heads.course.registry import select
    from induction_heads.grading.progress import read_progress
    from induction_heads.grading.results import STATUSES
    from induction_heads.grading.states import known_states, next_exercise

    results = [result for chapter in chapters for result in chapter.exercises]
    if not any(result.passed for result in results):
        return
    left = [result.name for result in results if not result.passed]
    course = select(None)
    states, _ = known_states(checker, course, read_progress(checker.folder))
    states |= {result.name: STATUSES[result.status].state for result in results}
    place = next_exercise(checker, course, states, left[0] if left else results[-1].name)
    if place is None:
        console.print("All exercises of the course have passed.")
    else:
        print_place(console, place)


def print_place(console: "Console", place: "Place") -> None:
    """Print which exercise is next and where it is, on two lines if one is too narrow for it."""
    line = f"Next: {place}"
    if len(line) > console.width:
        line = line.replace(") in ", ")\n  in ", 1)
    console.print(line, markup=False, soft_wrap=True)


def progress_in(folder: Path) -> "Progress":
    """The progress stored for a folder. A problem with its file goes to stderr."""
    from induction_heads.grading.progress import read_progress

    progress = read_progress(folder)
    if progress.problem:
        click.echo(progress.problem, err=True)
    return progress


def current_states(
    checker: "FolderChecker", selections: "list[Selection]", progress: "Progress"
) -> dict[str, str]:
    """The state of each exercise. Changed code is checked now, with a bar on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    from induction_heads.grading.results import STATUSES
    from induction_heads.grading.running_submission import WorkerFailed
    from induction_heads.grading.states import known_states
    from induction_heads.grading.workers import WorkerPoolFailed

    states, unchecked = known_states(checker, selections, progress)
    if not unchecked:
        return states
    columns = (TextColumn("Checking {task.description}"), BarColumn(), MofNCompleteColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        total = sum(len(selection.exercises) for selection in unchecked)
        task = bar.add_task("", total=total)

        def show(name: str, result: "Result | None") -> None:
            bar.update(task, description=name, advance=result is not None)

        try:
            for selection in unchecked:
                for result in checker.check(selection, show).exercises:
                    states[result.name] = STATUSES[result.status].state
        except (WorkerPoolFailed, WorkerFailed) as error:
            raise click.UsageError(str(error)) from error
    if checker.problem and checker.problem != progress.problem:
        click.echo(checker.problem, err=True)
    return states
