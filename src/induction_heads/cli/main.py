"""The `induction-heads` command. Each subcommand is imported only when it is used."""

import importlib
from typing import Any

import click

from induction_heads.cli.encoding import survive_any_encoding
from induction_heads.near_names import suggestion
from induction_heads.versions import package_version

SUBCOMMANDS = {
    "analyze": (
        "induction_heads.cli.analyze",
        "analyze",
        "Find induction and other heads in a model.",
    ),
    "check": ("induction_heads.cli.check", "check", "Check your answers to the exercises."),
    "experiment": (
        "induction_heads.cli.experiment",
        "experiment",
        "Make the results of a small experiment again.",
    ),
    "hint": ("induction_heads.cli.hint", "hint", "Show the next hint for an exercise."),
    "init": ("induction_heads.cli.init", "init", "Write the exercises to a folder."),
    "models": ("induction_heads.cli.models", "models", "List the models of the course."),
    "reset": ("induction_heads.cli.reset", "reset", "Start an exercise over."),
    "solution": ("induction_heads.cli.solution", "solution", "Show the solution of an exercise."),
    "status": ("induction_heads.cli.status", "status", "Show which exercises are done."),
    "grade": ("induction_heads.cli.grade", "grade", "Grade the submissions of a class."),
    "regrade": (
        "induction_heads.cli.regrade",
        "regrade",
        "Grade one exercise of a class again.",
    ),
    "reference": (
        "induction_heads.cli.reference",
        "reference",
        "Measure a public model and write a record.",
    ),
    "release": (
        "induction_heads.cli.release",
        "release",
        "Write the course without its solutions.",
    ),
    "sweep": ("induction_heads.cli.sweep", "sweep", "Train and ablate a family of models."),
    "train": ("induction_heads.cli.train", "train", "Retrain a zoo model and compare it."),
}
"""Name → (module, attribute, short help). PyTorch is not imported to list them."""

SECTIONS = {
    "For readers": ("init", "check", "status", "hint", "solution", "reset"),
    "Models": ("models", "analyze", "reference", "train", "sweep", "experiment"),
    "For teachers": ("release", "grade", "regrade"),
}
"""The sections of `--help`, with their commands in the order of use."""

STOPPED = 130
"""The exit status after Ctrl-C, as shells have it."""


class LazyGroup(click.Group):
    """A group whose subcommands live in modules that are imported on use."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command. Its output survives any encoding."""
        survive_any_encoding()
        return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand. Ctrl-C ends it with exit status 130, not with a traceback."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("\nStopped.", err=True)
            ctx.exit(STOPPED)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, without importing their modules."""
        return sorted(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand, imported now."""
        if cmd_name not in SUBCOMMANDS:
            return None
        module, attribute, _ = SUBCOMMANDS[cmd_name]
        return getattr(importlib.import_module(module), attribute)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The subcommand that the arguments name. Raises UsageError with the closest names."""
        name = args[0]
        if name not in SUBCOMMANDS and not name.startswith("-"):
            close = suggestion(name, SUBCOMMANDS, known="The commands are")
            ctx.fail(f"There is no command {name!r}. {close}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The lists of commands in `--help`."""
        for title, names in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, SUBCOMMANDS[name][2]) for name in names])


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_version(), prog_name="induction-heads")
def main() -> None:
    """Induction Heads: a hands-on course. Check exercises, train and analyze small models."""


if __name__ == "__main__":
    main()
