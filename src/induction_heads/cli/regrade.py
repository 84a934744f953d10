"""`induction-heads regrade`: grades one exercise of a class again."""

import sys
from pathlib import Path

import click

from induction_heads.cli.grade import print_summary
from induction_heads.cli.options import (
    class_options,
    jobs_option,
    one_exercise,
    sandbox_options,
)


@click.command()
@click.argument("exercise")
@click.argument("submissions", type=click.Path(path_type=Path))
@click.option(
    "--out",
    required=True,
    metavar="RESULTS",
    type=click.Path(path_type=Path),
    help="Folder that `grade` wrote.",
)
@class_options
@jobs_option
@sandbox_options
def regrade(
    exercise: str,
    submissions: Path,
    out: Path,
    class_file: Path | None,
    columns: Path | None,
    roster: Path | None,
    jobs: int | None,
    without_isolation: bool,
    user: str | None,
) -> None:
    """Grade EXERCISE again for every student in SUBMISSIONS, and list whose points changed.

    Use it after a check or the points of an exercise have changed. The seed stays the same, and all
    other exercises keep their results. If it is interrupted, run it again.
    """
    from induction_heads.grading.grade import CannotGrade, GradingOptions, regrade_folder
    from induction_heads.parallel import cores

    name = one_exercise(exercise).exercises[0].name
    options = GradingOptions(
        submissions,
        out,
        (),
        class_file,
        columns,
        jobs or cores(),
        without_isolation=without_isolation,
        user=user,
        roster=roster,
    )
    try:
        grades, changes = regrade_folder(options, name, say=lambda line: click.echo(line, err=True))
    except CannotGrade as error:
        raise click.UsageError(str(error)) from error
    except KeyboardInterrupt:
        click.echo("\nStopped. Run the same command again to continue.", err=True)
        sys.exit(130)
    for line in changes:
        click.echo(line)
    click.echo(f"{name}: {len(changes)} of {grades.n_students} students now have different points.")
    print_summary(grades, out, as_json=False)
    sys.exit(1 if grades.failed else 0)
