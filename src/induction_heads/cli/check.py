"""`induction-heads check`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from induction_heads.cli.options import require_folder, selections_in, submission_option
from induction_heads.cli.printing import print_next, show_check

if TYPE_CHECKING:
    from induction_heads.course.registry import Selection
    from induction_heads.grading.chapter_files import ChapterFile
    from induction_heads.grading.results import ChapterResult


@click.command()
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@submission_option
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@click.option("--watch", is_flag=True, help="Check again whenever a file is saved.")
@click.option(
    "--save-input",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Save the input of the first wrong answer of one exercise.",
)
def check(
    targets: tuple[str, ...], folder: Path, as_json: bool, watch: bool, save_input: Path | None
) -> None:
    """Check your answers.

    A TARGET is a chapter (ch04), a file (exercises/ch04_induction_heads.py) or an exercise
    (induction_score). Without one, everything is checked.

    Exit status: 0 if everything passed, 1 if something did not, 2 for a usage error. With --watch
    the command runs until Ctrl-C and exits with 0.
    """
    if watch and (as_json or save_input):
        other = "--json" if as_json else "--save-input"
        raise click.UsageError(f"--watch and {other} cannot be combined. Choose one.")
    selections, folder = selections_in(targets, folder)
    if save_input and sum(len(selection.exercises) for selection in selections) != 1:
        raise click.UsageError("--save-input needs one exercise: check NAME --save-input FILE.")
    require_folder(folder)
    _warn_of_other_code()
    from induction_heads.grading.running_submission import WorkerFailed
    from induction_heads.grading.workers import WorkerPoolFailed

    try:
        if watch:
            _watch(selections, folder)
            return
        chapters = _check(selections, folder, quiet=as_json)
    except (WorkerPoolFailed, WorkerFailed) as error:
        raise click.UsageError(str(error)) from error
    if as_json:
        results = [chapter.as_json() for chapter in chapters]
        one = len(targets) == 1 and len(results) == 1
        click.echo(json.dumps(results[0] if one else results, indent=2))
    if save_input:
        _save_input(selections[0], chapters[0], save_input)
    sys.exit(0 if all(chapter.passed for chapter in chapters) else 1)


def _warn_of_other_code() -> None:
    """With --submission the code may be someone else's: say what does not protect from it here."""
    from click.core import ParameterSource

    from induction_heads.grading.sandbox import isolation

    if click.get_current_context().get_parameter_source("folder") is ParameterSource.COMMANDLINE:
        for sentence in isolation().sentences():
            click.echo(sentence, err=True)


def _check(selections: "list[Selection]", folder: Path, *, quiet: bool) -> "list[ChapterResult]":
    from rich.console import Console

    from induction_heads.grading.checking import FolderChecker
    from induction_heads.grading.report import summary_line

    console = Console(highlight=False)
    with FolderChecker(folder) as checker:
        chapters = []
        for selection in selections:
            found = _other_file(selection, folder)
            if found is not None:
                click.echo(f"{selection.stem}: {found.name} is checked.", err=True)
            submission = found.submission if found is not None else None
            chapters.append(
                show_check(checker, selection, console, quiet=quiet, submission=submission)
            )
        if checker.problem:
            click.echo(checker.problem, err=True)
        if not quiet:
            console.print(f"\n{summary_line(chapters)}")
            print_next(console, checker, chapters)
    return chapters


def _other_file(selection: "Selection", folder: Path) -> "ChapterFile | None":
    """Where the chapter's file is missing: the file that `grade` would take, such as a notebook."""
    from induction_heads.course.registry import chapter_exercises
    from induction_heads.grading.chapter_files import chapter_files
    from induction_heads.grading.hand_in_files import NotAccepted, open_files

    if (folder / f"{selection.stem}.py").exists():
        return None
    names = [exercise.name for exercise in chapter_exercises(selection.stem)]
    try:
        (found,) = chapter_files(open_files(folder), {selection.stem: names})
    except NotAccepted:
        return None
    return found if found.name else None


def _save_input(selection: "Selection", chapter: "ChapterResult", file: Path) -> None:
    """Save the input of the one result, and print the line that loads it, on stderr."""
    from induction_heads.grading.saved_input import NoInput, failing_case, save_input
    from induction_heads.grading.sheet import Sheet

    sheet = Sheet(selection.exercises[0])
    try:
        names = save_input(sheet, failing_case(sheet, chapter.exercises[0]), file)
    except NoInput as error:
        click.echo(str(error), err=True)
        return
    except OSError as error:
        raise click.UsageError(f"Cannot write to {str(file)!r}: {error.strerror}.") from error
    click.echo(
        f"The input ({', '.join(names)}) is in {file}. To call your function with it:", err=True
    )
    name = sheet.exercise.name
    click.echo(
        f"  from induction_heads import load_input; {name}(**load_input({str(file)!r}))", err=True
    )


def _watch(selections: "list[Selection]", folder: Path) -> None:
    from rich.console import Console

    from induction_heads.cli.watch import Watch
    from induction_heads.grading.checking import FolderChecker

    try:
        with FolderChecker(folder) as checker:
            Watch(selections, checker, Console(highlight=False)).run()
    except KeyboardInterrupt:
        click.echo("\nStopped watching.")
