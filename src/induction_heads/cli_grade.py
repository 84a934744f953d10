"""`induction-heads grade`: the grades of a class."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from induction_heads.checks.registry import Selection
    from induction_heads.grading.grade import Grades, Order


@click.command()
@click.argument("submissions", type=click.Path(path_type=Path))
@click.option("--out", required=True, metavar="RESULTS", type=click.Path(path_type=Path),
              help="Folder for the grades. Made if it is not there.")  # fmt: skip
@click.option("--chapters", metavar="ch01,ch04", help="Only these chapters.")
@click.option("--weights", metavar="FILE", type=click.Path(path_type=Path),
              help="TOML file that says what exercises are worth.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(min=1), metavar="N",
              help="Students graded at once. Default: one for each core.")  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on with a run that was stopped.")
@click.option("--seed-file", metavar="FILE", type=click.Path(path_type=Path),
              help="Draw the inputs from the text in this file, to repeat a run.")  # fmt: skip
@click.option("--backend", type=click.Choice(["dask"]), help="Grade on a cluster.")
@click.option("--scheduler", metavar="ADDR", help="Address of the Dask scheduler.")
@click.option("--without-isolation", is_flag=True,
              help="Grade even where submissions cannot be shut in completely.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON.")
def grade(
    submissions: Path, out: Path, chapters: str | None, weights: Path | None, jobs: int | None,
    resume: bool, seed_file: Path | None, backend: str | None, scheduler: str | None,
    without_isolation: bool, as_json: bool,
) -> None:  # fmt: skip
    """Grade a class: one folder, .zip or .ipynb for each student in SUBMISSIONS.

    Exit code 0: everybody was graded. 1: the check failed for somebody, named at the end.
    2: the command was not understood, or cannot run here.
    """
    from induction_heads.grading.grade import CannotGrade, Order, grade_folder
    from induction_heads.machines import cores

    if bool(backend) != bool(scheduler):
        raise click.UsageError("--backend dask and --scheduler ADDR go together.")
    order = Order(
        submissions, out, _selected(chapters), weights, jobs or cores(), resume, seed_file,
        scheduler, without_isolation,
    )  # fmt: skip
    try:
        grades = grade_folder(order, say=lambda line: click.echo(line, err=True))
    except CannotGrade as error:
        raise click.UsageError(str(error)) from error
    except KeyboardInterrupt:
        click.echo("\nStopped. The same command with --resume goes on.", err=True)
        sys.exit(130)
    _tell(order, grades, as_json)
    sys.exit(1 if grades.failed else 0)


def _selected(chapters: str | None) -> "list[Selection]":
    """The chapters asked for, whole and each once, in the order of the course."""
    from induction_heads.checks.registry import UnknownTarget, chapter_stems, select

    if chapters is None:
        return select(None)
    found = {}
    try:
        for part in filter(None, (part.strip() for part in chapters.split(","))):
            (selection,) = select(part)
            found[selection.stem] = select(selection.stem)[0]
    except UnknownTarget as error:
        raise click.UsageError(str(error)) from None
    if not found:
        raise click.UsageError("--chapters names no chapter. Write it as --chapters ch01,ch04.")
    return [found[stem] for stem in chapter_stems() if stem in found]


def _tell(order: "Order", grades: "Grades", as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(grades.as_json(), indent=2))
        return
    again = f", {grades.n_kept} of them before" if grades.n_kept else ""
    mean, most = grades.mean, grades.max_points
    click.echo(f"{grades.n_students} students graded{again}. Mean {mean:.2f} of {most:.2f} points.")
    for name in grades.failed:
        click.echo(f"Not graded, please look by hand: {name}")
    click.echo(f"Grades: {order.out / 'grades.csv'}")
    click.echo(f"What to re-teach: {order.out / 'summary.html'}")
