"""Options and arguments that several commands share, and the errors for wrong ones."""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from induction_heads.course.registry import Selection

Command = Callable[..., Any]


def submission_option(command: Command) -> Command:
    """Add `--submission DIR` to a command, as its argument `folder`."""
    option = click.option(
        "--submission",
        "folder",
        default=_folder_here,
        show_default="exercises",
        metavar="DIR",
        type=click.Path(path_type=Path),
        help="Folder with your files.",
    )
    return option(command)


def _folder_here() -> Path:
    """The exercises that belong to the current folder."""
    from induction_heads.course.exercise_files import folder_here

    return folder_here()


def class_options(command: Command) -> Command:
    """Add `--class-file`, `--columns` and `--roster`: what a teacher specifies about the class."""
    for name, text in (
        ("--roster", "CSV file of the class with the columns login, name, id and section."),
        ("--columns", "CSV file with points, comments and submission times that you add by hand."),
        (
            "--class-file",
            "TOML file with points, due dates, a late policy and the date of the feedback.",
        ),
    ):
        option = click.option(name, metavar="FILE", type=click.Path(path_type=Path), help=text)
        command = option(command)
    return command


jobs_option = click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    show_default="one for each core",
    help="Number of students to grade at once.",
)


def sandbox_options(command: Command) -> Command:
    """Add `--without-isolation` and `--run-as USER`, as its argument `user`."""
    without = click.option(
        "--without-isolation",
        is_flag=True,
        help="Grade even if submissions cannot be fully sandboxed.",
    )
    run_as = click.option(
        "--run-as",
        "user",
        metavar="USER",
        help="With --without-isolation, run submissions as this user. Needs root.",
    )
    return without(run_as(command))


dtype_option = click.option(
    "--dtype",
    metavar="TYPE",
    help="float32 (default), bfloat16, float16, or auto for the stored type.",
)

device_option = click.option(
    "--device",
    metavar="DEVICE",
    default="cpu",
    show_default=True,
    help="cpu, cuda, cuda:1 … or mps. On mps, PyTorch has had errors that change results silently; "
    "compare with cpu.",
)


def require_device(name: str) -> None:
    """Raise UsageError unless PyTorch can compute on this device. Warn about mps."""
    import torch

    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (number and not number.isdecimal()):
        raise click.UsageError(f"--device {name!r} is not known. Use cpu, cuda, cuda:1 … or mps.")
    available = ["cpu"]
    if torch.cuda.is_available():
        available += ["cuda", *(f"cuda:{n}" for n in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        available.append("mps")
    if name not in available:
        raise click.UsageError(
            f"PyTorch {torch.__version__} cannot use {name!r} on this machine. It can use: "
            f"{', '.join(available)}."
        )
    if kind == "mps":
        click.echo(
            "Warning: on mps, some versions of PyTorch compute wrong numbers without an error. "
            "Compare with --device cpu before you rely on a result.",
            err=True,
        )


def cluster_options(command: Command) -> Command:
    """Add `--backend dask` and `--scheduler ADDR` to a command."""
    backend = click.option("--backend", type=click.Choice(["dask"]), help="Run on a Dask cluster.")
    scheduler = click.option(
        "--scheduler",
        metavar="ADDR",
        help="Address of the Dask scheduler. Start its workers with one thread each.",
    )
    return backend(scheduler(command))


def require_both(backend: str | None, scheduler: str | None) -> None:
    """Raise UsageError if only one of the cluster options was set."""
    if bool(backend) != bool(scheduler):
        raise click.UsageError("--backend dask and --scheduler ADDR go together.")


def require_folder(folder: Path) -> None:
    """Raise UsageError if `folder` is not a folder."""
    if folder.is_file():
        raise click.UsageError(f"{str(folder)!r} is a file. Pass the folder that contains it.")
    if not folder.is_dir():
        raise click.UsageError(
            f"There is no folder {str(folder)!r}. Run this in the folder that contains "
            "`exercises`, pass your folder with --submission, or write the exercises here with "
            "`induction-heads init`."
        )


def require_writable(folder: Path) -> None:
    """Raise UsageError if files cannot be written to `folder`, which need not exist yet.

    Called before work whose results go there, so that the work is not lost.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        why = error.strerror or str(error)
        raise click.UsageError(f"Cannot write to {str(folder)!r}: {why}.") from error
    finally:
        for path in missing:  # A command that fails later leaves no empty folder.
            with suppress(OSError):
                path.rmdir()


def selections_for(target: str | None) -> "list[Selection]":
    """The exercises that `target` names. Raises UsageError for an unknown name."""
    from induction_heads.course.registry import UnknownTarget, select

    try:
        return select(target)
    except UnknownTarget as error:
        raise click.UsageError(str(error)) from None


def selections_in(targets: Sequence[str], folder: Path) -> "tuple[list[Selection], Path]":
    """The exercises that the targets name, and the folder to check.

    A target may be a file, such as `exercises/ch01_attention.py`. Then its folder is checked,
    unless --submission names one. Raises UsageError for an unknown name.
    """
    from induction_heads.course.registry import UnknownTarget, select_all

    notebook = next((name for name in targets if name.lower().endswith(".ipynb")), None)
    if notebook is not None:
        raise click.UsageError(
            f"{notebook!r} is a notebook. Check its functions inside it, with "
            "`from induction_heads import check` and `check(my_function)`."
        )
    try:
        return select_all(targets), _folder_of(targets, folder)
    except UnknownTarget as error:
        unknown = next((name for name in targets if Path(name).is_dir()), None)
        if unknown is not None:
            raise click.UsageError(
                f"{unknown!r} is a folder. To check its files, pass --submission {unknown}."
            ) from None
        file = next((name for name in targets if repr(name) in str(error)), "")
        if file.lower().endswith(".py") and not Path(file).exists():
            raise click.UsageError(f"There is no file {file!r}. {error}") from None
        raise click.UsageError(str(error)) from None


def _folder_of(targets: Sequence[str], folder: Path) -> Path:
    source = click.get_current_context().get_parameter_source("folder")
    parents = {Path(target).resolve().parent for target in targets if Path(target).is_file()}
    if source != click.core.ParameterSource.DEFAULT or not parents:
        return folder
    if len(parents) > 1:
        raise click.UsageError("The files are in different folders. Check one folder at a time.")
    (parent,) = parents
    if folder.resolve() == parent:
        return folder
    return next(Path(target).parent for target in targets if Path(target).is_file())


def one_exercise(name: str) -> "Selection":
    """The exercise called `name`, with its chapter. Raises UsageError for anything else."""
    (selection,) = selections_for(name)
    if len(selection.exercises) > 1:
        names = ", ".join(exercise.name for exercise in selection.exercises)
        raise click.UsageError(f"{name!r} is a chapter. Name one of its exercises: {names}.")
    return selection
