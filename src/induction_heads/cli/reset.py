"""`induction-heads reset`: exercises as they started."""

from pathlib import Path

import click

from induction_heads.cli.options import require_folder, selections_in, submission_option


@click.command()
@click.argument("targets", nargs=-1, metavar="[NAME]...")
@click.option("--all", "everything", is_flag=True, help="Reset every chapter.")
@submission_option
def reset(targets: tuple[str, ...], everything: bool, folder: Path) -> None:
    """Write exercises as they started, with the old text kept beside them.

    NAME is an exercise (causal_mask), of which only the function is replaced, or a chapter (ch01).
    The old file is kept as ch01_attention.py.bak, .bak2 and so on.
    """
    from induction_heads.course.exercise_files import NoStub, reset_chapter, reset_exercise
    from induction_heads.course.registry import chapter_exercises

    if everything == bool(targets):
        raise click.UsageError("Name exercises or chapters to reset, or pass --all.")
    selections, folder = selections_in(targets, folder)
    require_folder(folder)
    for selection in selections:
        path = folder / f"{selection.stem}.py"
        whole = len(selection.exercises) == len(chapter_exercises(selection.stem))
        names = [selection.stem] if whole else [each.name for each in selection.exercises]
        for name in names:
            try:
                if whole:
                    written = reset_chapter(path, selection.stem)
                else:
                    written = reset_exercise(path, selection.stem, name)
            except NoStub as error:
                raise click.UsageError(str(error)) from error
            except OSError as error:
                raise click.UsageError(f"Cannot write {path}: {error.strerror}.") from error
            click.echo(_sentence(name, path, written))


def _sentence(name: str, path: Path, written: list[Path]) -> str:
    if not written:
        return f"{name} is as it started. Nothing was changed."
    if len(written) == 1:
        return f"{name}: {path} was missing and has been written."
    return f"{name} starts over in {path}. The old text is in {written[1]}."
