"""`induction-heads status`, `hint` and `solution`."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from induction_heads.checks.registry import Selection
    from induction_heads.grading.progress import Progress
    from induction_heads.grading.rechecking import Rechecking

DONE, FAILING, NOT_STARTED = "done", "failing", "not started"
STATES = {"passed": DONE, "not_started": NOT_STARTED}
STYLES = {DONE: "green", FAILING: "red", NOT_STARTED: "dim"}

Row = dict[str, Any]


def _folder_option(command: Callable[..., Any]) -> Callable[..., Any]:
    option = click.option(
        "--submission", "folder", default="exercises", show_default=True, metavar="DIR",
        type=click.Path(path_type=Path), help="Folder with your files.",
    )  # fmt: skip
    return option(command)


@click.command()
@_folder_option
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def status(folder: Path, as_json: bool) -> None:
    """What is done, what fails, what is not started, and how many minutes are left.

    What has not been checked since it was changed is checked now.
    """
    from induction_heads.checks.registry import select
    from induction_heads.grading.rechecking import Rechecking

    _require_folder(folder)
    selections = select(None)
    with Rechecking(folder) as rechecking:
        rows = _rows(rechecking, selections)
    chapters = [{"chapter": s.stem, "exercises": rows[s.stem]} for s in selections]
    left = sum(r["minutes"] for c in chapters for r in c["exercises"] if r["state"] != DONE)
    total = sum(r["minutes"] for c in chapters for r in c["exercises"])
    if as_json:
        summary = {"minutes": total, "minutes_left": left, "chapters": chapters}
        click.echo(json.dumps(summary, indent=2, ensure_ascii=False))
    else:
        _print_table(chapters, left, total)


@click.command()
@click.argument("name")
@_folder_option
def hint(name: str, folder: Path) -> None:
    """Give the next hint for the exercise NAME. The last one comes after an attempt."""
    from induction_heads.checks.hints import hints_of
    from induction_heads.grading.progress import record_hint

    _require_folder(folder)
    selection = _selected(name)
    exercise = selection.exercises[0].name
    hints, used = hints_of(exercise), _progress(folder).entry(exercise).hints
    if not hints:
        click.echo(f"There is no hint for {exercise}.")
        return
    if used >= len(hints):
        for number in range(1, len(hints) + 1):
            _print_hint(exercise, hints, number)
    elif used == len(hints) - 1 and not _attempted(folder, selection):
        click.echo(
            f"Hint {len(hints)} of {len(hints)} for {exercise} comes after an attempt: write "
            f"something in {folder / selection.stem}.py, right or wrong, and ask again."
        )
    else:
        _print_hint(exercise, hints, used + 1)
        record_hint(folder, exercise, used + 1)


@click.command()
@click.argument("name")
@_folder_option
@click.option("--reveal", is_flag=True, help="Show it even if yours has not passed.")
def solution(name: str, folder: Path, reveal: bool) -> None:
    """Show the solution of the exercise NAME with its reasons, once yours has passed."""
    from induction_heads.grading.sources import with_helpers

    _require_folder(folder)
    selection = _selected(name)
    exercise = selection.exercises[0].name
    file = folder.resolve().parent / "solutions" / f"{selection.stem}.py"
    text = with_helpers(file.read_text(encoding="utf-8"), exercise) if file.is_file() else None
    if text is None:
        click.echo(f"This copy of the course comes without the solution of {exercise}.", err=True)
        sys.exit(1)
    if not reveal and not _has_passed(folder, selection):
        click.echo(
            f"Your {exercise} has not passed yet. See it anyway with "
            f"`induction-heads solution {exercise} --reveal`.",
            err=True,
        )
        sys.exit(1)
    _print_code(text)


def _require_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise click.UsageError(
            f"There is no folder {str(folder)!r}. Run this where the course's `exercises` folder "
            "is, or name the folder with --submission."
        )


def _selected(name: str) -> "Selection":
    from induction_heads.checks.registry import UnknownTarget, select

    try:
        (selection,) = select(name)
    except UnknownTarget as error:
        raise click.UsageError(str(error)) from None
    if len(selection.exercises) > 1:
        names = ", ".join(exercise.name for exercise in selection.exercises)
        raise click.UsageError(f"{name!r} is a chapter. Name one of its exercises: {names}.")
    return selection


def _progress(folder: Path) -> "Progress":
    from induction_heads.grading.progress import read_progress

    progress = read_progress(folder)
    if progress.problem:
        click.echo(progress.problem, err=True)
    return progress


def _attempted(folder: Path, selection: "Selection") -> bool:
    """Whether the file holds something else than the stub it came with."""
    from induction_heads.grading.rechecking import Rechecking
    from induction_heads.grading.sources import is_untouched

    submission = Rechecking(folder).read(selection.stem)
    return submission.problem is None and not is_untouched(
        submission.source, selection.exercises[0].name
    )


def _has_passed(folder: Path, selection: "Selection") -> bool:
    from induction_heads.grading.rechecking import Rechecking

    with Rechecking(folder) as rechecking:
        (row,) = _rows(rechecking, [selection])[selection.stem]
    return row["state"] == DONE


def _rows(rechecking: "Rechecking", selections: "list[Selection]") -> dict[str, list[Row]]:
    """For each chapter, its exercises with their state. Checks what has no result yet."""
    from induction_heads.checks.registry import Selection

    progress = _progress(rechecking.folder)
    states: dict[str, str] = {}
    unknown = []
    for selection in selections:
        known = _known_states(rechecking, selection, progress)
        states |= known
        left = tuple(e for e in selection.exercises if e.name not in known)
        if left:
            unknown.append(Selection(selection.stem, left))
    states |= _checked_states(rechecking, unknown)
    return {
        s.stem: [
            {"name": e.name, "difficulty": e.difficulty, "minutes": e.minutes,
             "state": states[e.name], "hints": progress.entry(e.name).hints}
            for e in s.exercises
        ]
        for s in selections
    }  # fmt: skip


def _known_states(
    rechecking: "Rechecking", selection: "Selection", progress: "Progress"
) -> dict[str, str]:
    """The states that can be told without running anything."""
    from induction_heads.grading.sources import is_untouched

    submission = rechecking.read(selection.stem)
    if not (rechecking.folder / f"{selection.stem}.py").is_file():
        return {exercise.name: NOT_STARTED for exercise in selection.exercises}
    digests = rechecking.digests(selection, submission)
    known = {}
    for exercise in selection.exercises:
        found = progress.status(exercise.name, digests[exercise.name])
        if is_untouched(submission.source, exercise.name):
            known[exercise.name] = NOT_STARTED
        elif found is not None and submission.problem is None:
            known[exercise.name] = STATES.get(found, FAILING)
    return known


def _checked_states(rechecking: "Rechecking", selections: "list[Selection]") -> dict[str, str]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    from induction_heads.grading.nursery import NurseryFailed
    from induction_heads.grading.running import WorkerFailed

    states: dict[str, str] = {}
    if not selections:
        return states
    columns = (TextColumn("Checking {task.description}"), BarColumn(), MofNCompleteColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        total = sum(len(selection.exercises) for selection in selections)
        task = bar.add_task("", total=total)

        def show(name: str, result: Any) -> None:
            bar.update(task, description=name, advance=result is not None)

        try:
            for selection in selections:
                for result in rechecking.check(selection, show).exercises:
                    states[result.name] = STATES.get(result.status, FAILING)
        except (NurseryFailed, WorkerFailed) as error:
            raise click.UsageError(str(error)) from error
    return states


def _print_table(chapters: list[dict[str, Any]], left: int, total: int) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for name in ("chapter", "exercise", "difficulty", "minutes", "state"):
        table.add_column(name, justify="right" if name == "minutes" else "left", no_wrap=True)
    for chapter in chapters:
        for number, row in enumerate(chapter["exercises"]):
            last = number == len(chapter["exercises"]) - 1
            state, stars = row["state"], "★" * row["difficulty"]
            cells = (chapter["chapter"] * (not number), row["name"], stars, str(row["minutes"]))
            table.add_row(*cells, f"[{STYLES[state]}]{state}[/]", end_section=last)
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    console.print(table)
    states = [row["state"] for chapter in chapters for row in chapter["exercises"]]
    counts = ", ".join(f"{states.count(state)} {state}" for state in (DONE, FAILING, NOT_STARTED))
    console.print(f"{counts}. {left} of {total} minutes left.")


def _print_hint(name: str, hints: tuple[str, ...], number: int) -> None:
    click.echo(f"hint {number} of {len(hints)} for {name}")
    click.echo(click.wrap_text(hints[number - 1], 88, "  ", "  "))


def _print_code(text: str) -> None:
    from rich.console import Console
    from rich.syntax import Syntax

    if sys.stdout.isatty():
        Console().print(Syntax(text, "python", theme="ansi_dark", background_color="default"))
    else:
        click.echo(text)
