"""`induction-heads release`: the student pack."""

from pathlib import Path

import click

from induction_heads.cli.options import require_writable


@click.command()
@click.option(
    "--out",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder for the pack. It must be empty or new.",
)
@click.option("--zip", "as_zip", is_flag=True, help="Also write DIR.zip.")
@click.option(
    "--source",
    metavar="DIR",
    default=".",
    show_default="the current folder",
    type=click.Path(path_type=Path),
    help="Checkout of the course.",
)
def release(out: Path, as_zip: bool, source: Path) -> None:
    """Write the student pack: exercises, notebooks and everything that `check` needs.

    It has no solutions. The same checkout always gives the same bytes and SHA-256.

    The pack contains the checks and the library, and most exercises have a function of the same
    name in the library. A student can read both, copy from them, or call the library's version.
    `grade --own-code` refuses such calls, and `grade` shows who mentions these functions and whose
    answers are alike. Nothing shows who wrote an answer.
    """
    from induction_heads.course.student_pack import (
        NotACheckout,
        digest,
        student_files,
        write_folder,
        write_zip,
    )

    zipped = out.with_name(f"{out.name}.zip")
    if as_zip and zipped.exists():
        raise click.UsageError(f"{zipped} already exists. Remove it, or choose another --out.")
    require_writable(out)
    try:
        pack = student_files(source)
        write_folder(pack, out)
    except (NotACheckout, FileExistsError) as error:
        raise click.UsageError(str(error)) from error
    click.echo(f"{out}: {len(pack)} files, SHA-256 of names and contents {digest(pack)}")
    if as_zip:
        click.echo(f"{zipped}: SHA-256 {write_zip(pack, zipped)}")
