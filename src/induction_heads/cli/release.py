"""`induction-heads release`: the pack for students."""

from pathlib import Path

import click


@click.command()
@click.option("--out", required=True, metavar="DIR", type=click.Path(path_type=Path),
              help="Folder for the pack. It must be empty or not there yet.")  # fmt: skip
@click.option("--zip", "as_zip", is_flag=True, help="Also write DIR.zip.")
@click.option("--source", metavar="DIR", default=".", type=click.Path(path_type=Path),
              help="Checkout of the course. Default: here.")  # fmt: skip
def release(out: Path, as_zip: bool, source: Path) -> None:
    """Write the student pack: exercises, notebooks and all that `check` needs, no solution.

    The same checkout gives the same bytes, and so the same SHA-256.
    """
    from induction_heads.release import (
        NotACheckout,
        digest,
        student_pack,
        write_folder,
        write_zip,
    )

    zipped = out.with_name(f"{out.name}.zip")
    if as_zip and zipped.exists():
        raise click.UsageError(f"{zipped} is there already. Remove it, or choose another --out.")
    try:
        pack = student_pack(source)
        write_folder(pack, out)
    except (NotACheckout, FileExistsError) as error:
        raise click.UsageError(str(error)) from error
    click.echo(f"{out}: {len(pack)} files, SHA-256 of names and contents {digest(pack)}")
    if as_zip:
        click.echo(f"{zipped}: SHA-256 {write_zip(pack, zipped)}")
