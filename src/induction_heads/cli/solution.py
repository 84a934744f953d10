"""`induction-heads solution`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from induction_heads.cli.options import one_exercise, require_folder, submission_option
from induction_heads.cli.printing import current_states, progress_in

if TYPE_CHECKING:
    from induction_heads.course.registry import Selection


@click.command()
@click.argument("name", metavar="EXERCISE")
@submission_option
@click.option("--reveal", is_flag=True, help="Show it even if your function has not passed.")
def solution(name: str, folder: Path, reveal: bool) -> None:
    """Show the commented solution of EXERCISE once your own has passed.

    Exit status: 0 if it was shown, 1 if not, 2 for a usage error.
    """
    from induction_heads.grading.solutions import solution_code

    require_folder(folder)
    selection = one_exercise(name)
    exercise = selection.exercises[0].name
    code = solution_code(folder, selection.stem, exercise)
    if code is None:
        click.echo(
            f"This copy of the course does not include the solution of {exercise}.", err=True
        )
        sys.exit(1)
    if not reveal and not _has_passed(folder, selection):
        click.echo(
            f"Your {exercise} has not passed yet. To see the solution anyway, run "
            f"`induction-heads solution {exercise} --reveal`.",
            err=True,
        )
        sys.exit(1)
    _print_code(code)


def _has_passed(folder: Path, selection: "Selection") -> bool:
    from induction_heads.grading.checking import FolderChecker
    from induction_heads.grading.states import DONE

    with FolderChecker(folder) as checker:
        states = current_states(checker, [selection], progress_in(folder))
    return states[selection.exercises[0].name] == DONE


def _print_code(code: str) -> None:
    from rich.console import Console
    from rich.syntax import Syntax

    if sys.stdout.isatty():
        Console().print(Syntax(code, "python", theme="ansi_dark", background_color="default"))
    else:
        click.echo(code)
