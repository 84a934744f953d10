"""`induction-heads grade`: grades a class."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from induction_heads.cli.options import (
    class_options,
    cluster_options,
    jobs_option,
    require_both,
    sandbox_options,
    selections_for,
)

if TYPE_CHECKING:
    from induction_heads.course.registry import Selection
    from induction_heads.grading.grade import Grades
    from induction_heads.grading.listing import Listing


@click.command()
@click.argument("submissions", type=click.Path(path_type=Path))
@click.option(
    "--out",
    metavar="RESULTS",
    type=click.Path(path_type=Path),
    help="Folder for the grades. Created if it does not exist.",
)
@click.option("--chapters", metavar="ch01,ch04", help="Grade only these chapters.")
@class_options
@click.option(
    "--points", "--weights", "old_class_file", type=click.Path(path_type=Path), hidden=True
)
@click.option(
    "--own-code",
    is_flag=True,
    help="Refuse calls from a submission to the package's own version of an exercise.",
)
@click.option(
    "--dry-run",
    "only_list",
    is_flag=True,
    help="Only list which file is taken for whom, and what is left out. Runs and writes nothing.",
)
@jobs_option
@click.option("--resume", is_flag=True, help="Continue a run that was stopped.")
@click.option(
    "--seed-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Derive the seed of all inputs from the text in this file, to repeat a run.",
)
@cluster_options
@sandbox_options
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON.")
def grade(
    submissions: Path,
    out: Path | None,
    chapters: str | None,
    class_file: Path | None,
    old_class_file: Path | None,
    columns: Path | None,
    own_code: bool,
    roster: Path | None,
    only_list: bool,
    jobs: int | None,
    resume: bool,
    seed_file: Path | None,
    backend: str | None,
    scheduler: str | None,
    without_isolation: bool,
    user: str | None,
    as_json: bool,
) -> None:
    """Grade the folder SUBMISSIONS, which has one folder, .zip or .ipynb for each student.

    Downloads from Canvas, Moodle and GitHub Classroom are read as they are.

    Exit status: 0 if every student was graded. 1 if the check itself failed for some students, who
    are listed at the end. 2 for a usage error, or if nothing can be graded here.
    """
    from induction_heads.grading.grade import (
        CannotGrade,
        GradingOptions,
        dry_run,
        grade_folder,
    )
    from induction_heads.parallel import cores

    require_both(backend, scheduler)
    if out is None and not only_list:
        raise click.UsageError("Add --out RESULTS for the grades, or --dry-run to list the files.")
    options = GradingOptions(
        submissions,
        out or Path(os.devnull),
        _selections(chapters),
        class_file or old_class_file,
        columns,
        jobs or cores(),
        resume=resume,
        seed_file=seed_file,
        scheduler=scheduler,
        without_isolation=without_isolation,
        own_code=own_code,
        user=user,
        roster=roster,
    )

    def say(line: str) -> None:
        click.echo(line, err=True)

    try:
        if only_list:
            _print_listing(dry_run(options, say=say), as_json)
            return
        grades = grade_folder(options, say=say)
    except CannotGrade as error:
        raise click.UsageError(str(error)) from error
    except KeyboardInterrupt:
        click.echo("\nStopped. Run the same command with --resume to continue.", err=True)
        sys.exit(130)
    print_summary(grades, options.out, as_json)
    sys.exit(1 if grades.failed else 0)


def _selections(chapters: str | None) -> "list[Selection]":
    """The listed chapters, or all of them, in the order of the course and without repetition."""
    from induction_heads.course.registry import chapter_stems, select

    if chapters is None:
        return select(None)
    names = [name.strip() for name in chapters.split(",") if name.strip()]
    stems = {selections_for(name)[0].stem for name in names}
    if not stems:
        raise click.UsageError("--chapters is empty. Write it as --chapters ch01,ch04.")
    return [select(stem)[0] for stem in chapter_stems() if stem in stems]


def _print_listing(listing: "Listing", as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(listing.as_json(), indent=2))
        return
    student = ""
    for row in listing.rows:
        if row.student != student:
            click.echo(row.student)
            student = row.student
        file = f"{row.file}: " if row.remark else row.file
        click.echo(f"  {row.chapters or '':11} {file}{row.remark}")
    for entry in listing.left_out:
        click.echo(f"Left out: {entry.name} ({entry.reason})")
    click.echo(f"{listing.totals()}.")


def print_summary(grades: "Grades", out: Path, as_json: bool) -> None:
    """Print the outcome of a run, as text or as JSON."""
    if as_json:
        click.echo(json.dumps(grades.as_json(), indent=2))
        return
    earlier = f", {grades.n_kept} of them in an earlier run" if grades.n_kept else ""
    points = f"Mean {grades.mean:.2f} of {grades.max_points:.2f} points."
    n_graded = grades.n_students - len(grades.failed)
    click.echo(f"{n_graded} of {grades.n_students} students graded{earlier}. {points}")
    for name in grades.failed:
        click.echo(f"Not graded, please grade by hand: {name}")
    click.echo(f"Grades: {out / 'grades.csv'}")
    click.echo(f"Summary, and what to look at: {out / 'summary.html'}")
