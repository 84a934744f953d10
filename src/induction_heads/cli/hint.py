"""`induction-heads hint`."""

from pathlib import Path

import click

from induction_heads.cli.options import one_exercise, require_folder, submission_option
from induction_heads.cli.printing import progress_in


@click.command()
@click.argument("name", metavar="EXERCISE")
@submission_option
@click.option(
    "--number", type=click.IntRange(min=1), metavar="N", help="Show hint N and not the next one."
)
def hint(name: str, folder: Path, number: int | None) -> None:
    """Show the next hint for EXERCISE.

    The last hint is shown only after you have changed the function, right or wrong.
    """
    from induction_heads.course.hints import hints_of
    from induction_heads.grading.checking import FolderChecker
    from induction_heads.grading.progress import record_hint
    from induction_heads.grading.states import is_attempted

    require_folder(folder)
    selection = one_exercise(name)
    exercise = selection.exercises[0].name
    hints, n_shown = hints_of(exercise), progress_in(folder).entry(exercise).hints
    if not hints:
        click.echo(f"There is no hint for {exercise}.")
        return
    if number is not None and number > len(hints):
        raise click.UsageError(f"{exercise} has {len(hints)} hints, so there is no hint {number}.")
    if number is None and n_shown >= len(hints):
        for each in range(1, len(hints) + 1):
            _print_hint(exercise, hints, each)
        return
    number = number or n_shown + 1
    if number == len(hints) and not is_attempted(FolderChecker(folder), selection):
        click.echo(
            f"Hint {len(hints)} of {len(hints)} for {exercise} comes after an attempt. Write "
            f"something in {folder / selection.stem}.py, right or wrong, and run this again."
        )
        return
    _print_hint(exercise, hints, number)
    stored = record_hint(folder, exercise, number)
    if stored.problem:
        click.echo(f"{stored.problem} Add --number {number + 1} for the next hint.", err=True)


def _print_hint(name: str, hints: tuple[str, ...], number: int) -> None:
    click.echo(f"hint {number} of {len(hints)} for {name}")
    click.echo(click.wrap_text(hints[number - 1], 78, "  ", "  "))
