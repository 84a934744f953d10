"""The `induction-heads` command. Each subcommand is imported only when it is used."""

import importlib

import click

import induction_heads

SUBCOMMANDS = {
    "analyze": (
        "induction_heads.cli_analyze",
        "analyze",
        "Find the heads of every kind in a model.",
    ),
    "check": ("induction_heads.cli_check", "check", "Check your answers to the exercises."),
    "hint": ("induction_heads.cli_progress", "hint", "Give the next hint for an exercise."),
    "solution": ("induction_heads.cli_progress", "solution", "Show the solution of an exercise."),
    "status": ("induction_heads.cli_progress", "status", "Show what is done and what is left."),
    "grade": ("induction_heads.cli_grade", "grade", "Grade the submissions of a class."),
    "release": ("induction_heads.cli_release", "release", "Write the pack for students."),
    "sweep": ("induction_heads.cli_sweep", "sweep", "Train and ablate a family of models."),
    "train": ("induction_heads.cli_train", "train", "Train a model of the zoo again."),
}
"""Name → (module, attribute, short help). PyTorch is not imported to list them."""


class LazyGroup(click.Group):
    """A group whose subcommands live in modules that are imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, without importing their modules."""
        return sorted(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand, imported now."""
        if cmd_name not in SUBCOMMANDS:
            return None
        module, attribute, _ = SUBCOMMANDS[cmd_name]
        return getattr(importlib.import_module(module), attribute)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands in `--help`."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (*_, line) in sorted(SUBCOMMANDS.items())])


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(induction_heads.__version__, prog_name="induction-heads")
def main() -> None:
    """Induction Heads: a hands-on course. Check exercises, train and analyze small models."""


if __name__ == "__main__":
    main()
