"""`induction-heads init`: the exercises and notebooks that come with the package."""

import os
import shlex
from pathlib import Path

import click

from induction_heads.cli.options import require_writable


@click.command()
@click.argument(
    "folder", default=".", metavar="[DIR]", type=click.Path(file_okay=False, path_type=Path)
)
@click.option("--notebooks", is_flag=True, help="Also write the chapters as notebooks.")
def init(folder: Path, notebooks: bool) -> None:
    """Write the exercises to DIR/exercises, by default in the current folder.

    With --notebooks the chapters are written to DIR/notebooks, in Markdown that Jupyter and Colab
    show. Files that exist are never overwritten.
    """
    from induction_heads.course.exercise_files import NoStub, stub_text
    from induction_heads.course.plain_notebooks import NoNotebooks, plain_notebooks
    from induction_heads.course.registry import chapter_stems

    if folder.name == "exercises" and any(folder.glob("ch*.py")):
        raise click.UsageError(
            f"{folder} already holds exercises. Name the folder that is to contain `exercises`."
        )
    require_writable(folder)
    texts: dict[Path, str] = {}
    try:
        missing = [s for s in chapter_stems() if not (folder / "exercises" / f"{s}.py").exists()]
        texts |= {folder / "exercises" / f"{stem}.py": stub_text(stem) for stem in missing}
        if notebooks:
            pages = plain_notebooks()
            texts |= {folder / "notebooks" / f"{name}.ipynb": text for name, text in pages.items()}
    except (NoStub, NoNotebooks) as error:
        raise click.UsageError(str(error)) from error
    new = {path: text for path, text in texts.items() if not path.exists()}
    if not new:
        what = "exercises and notebooks" if notebooks else "exercises"
        raise click.UsageError(
            f"All {what} are already in {folder.resolve()}. Nothing was written. To start over, "
            "run `induction-heads reset NAME`."
        )
    _write(new)
    kept = len(chapter_stems()) - len(missing) + len(texts) - len(new)
    _say(folder, list(new), kept, notebooks)


def _write(texts: dict[Path, str]) -> None:
    from induction_heads.files import write_atomically

    for path, text in texts.items():
        try:
            write_atomically(path, text)
        except OSError as error:
            raise click.UsageError(f"Cannot write {path}: {error.strerror}.") from error


def _say(folder: Path, written: list[Path], kept: int, notebooks: bool) -> None:
    """Print what was written, what was kept, and the next command."""
    for name in ("exercises", "notebooks"):
        n_files = sum(path.parent.name == name for path in written)
        if n_files:
            click.echo(f"Wrote {n_files} files to {folder / name}{os.sep}")
    if kept:
        click.echo(f"Kept {kept} files that were already there.")
    here = folder.resolve() == Path.cwd()
    enter = "" if here else f"cd {shlex.quote(str(folder))} && "
    click.echo(f"Next: {enter}induction-heads check ch01")
    if notebooks:
        click.echo(
            f"Or open a notebook: {enter}jupyter lab notebooks (after pip install jupyterlab)"
        )
