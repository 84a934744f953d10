"""`induction-heads status`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from induction_heads.cli.options import require_folder, selections_in, submission_option
from induction_heads.cli.printing import current_states, print_place, progress_in

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 80
"""Width of the tables in a pipe or a file."""


@click.command()
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@submission_option
@click.option("--json", "as_json", is_flag=True, help="Print every exercise as JSON.")
def status(targets: tuple[str, ...], folder: Path, as_json: bool) -> None:
    """Show which exercises are done, failing or not started, and how many minutes are left.

    Without a TARGET you see one line for each chapter; `status ch04` lists the exercises of a
    chapter. Exercises that have changed since the last check are checked first.
    """
    from induction_heads.grading.checking import FolderChecker
    from induction_heads.grading.states import next_exercise
    from induction_heads.grading.status_table import chapter_rows, minutes_of

    selections, folder = selections_in(targets, folder)
    require_folder(folder)
    progress = progress_in(folder)
    with FolderChecker(folder) as checker:
        states = current_states(checker, selections, progress)
        place = next_exercise(checker, selections, states, "")
    chapters = chapter_rows(selections, states, progress)
    total, left = minutes_of(chapters)
    if as_json:
        summary = {"minutes": total, "minutes_left": left, "chapters": chapters}
        click.echo(json.dumps(summary, indent=2, ensure_ascii=False))
        return
    from rich.console import Console

    from induction_heads.grading.status_table import totals_line

    console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)
    if targets:
        for chapter in chapters:
            _print_exercises(console, chapter)
    else:
        _print_chapters(console, chapters)
    console.print(totals_line(chapters))
    if place is not None:
        print_place(console, place)
    if not targets:
        console.print("One chapter in full: induction-heads status ch01", markup=False)


def _print_chapters(console: "Console", chapters: list[dict[str, Any]]) -> None:
    from rich.table import Table

    from induction_heads.grading.status_table import minutes_of, states_of

    table = Table()
    table.add_column("chapter", no_wrap=True)
    for name in ("done", "failing", "not started", "minutes left"):
        table.add_column(name, justify="right", no_wrap=True)
    for chapter in chapters:
        done, failing, not_started = states_of([chapter])
        n_exercises = len(chapter["exercises"])
        total, left = minutes_of([chapter])
        table.add_row(
            chapter["chapter"],
            f"[green]{done} of {n_exercises}[/]"
            if done == n_exercises
            else f"{done} of {n_exercises}",
            f"[red]{failing}[/]" if failing else "",
            str(not_started or ""),
            f"{left} of {total}",
        )
    console.print(table)


def _print_exercises(console: "Console", chapter: dict[str, Any]) -> None:
    from rich.table import Table

    from induction_heads.grading.results import STATE_STYLES

    table = Table(title=chapter["chapter"], title_justify="left")
    for name in ("exercise", "difficulty", "minutes", "hints", "state"):
        right = name in ("minutes", "hints")
        table.add_column(name, justify="right" if right else "left", no_wrap=True)
    for row in chapter["exercises"]:
        state = row["state"]
        table.add_row(
            row["name"],
            "★" * row["difficulty"],
            str(row["minutes"]),
            str(row["hints"] or ""),
            f"[{STATE_STYLES[state]}]{state}[/]",
        )
    console.print(table)
