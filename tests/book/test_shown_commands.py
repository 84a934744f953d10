"""The program takes every `induction-heads …` command that a page, card or stored record shows.

None is run.
"""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import nbformat
import pytest

from induction_heads.cli.main import main
from induction_heads.course.registry import UnknownTarget, exercise_names, select
from induction_heads.models.any_order import ANY_ORDER
from induction_heads.models.folders import zoo_folders
from induction_heads.models.hand_built import KINDS
from induction_heads.sweeps.families import FAMILIES
from induction_heads.training.experiments import EXPERIMENTS
from induction_heads.training.remake import trainers

ROOT = Path(__file__).resolve().parents[2]
ZOO, RESULTS = (ROOT / "src/induction_heads" / name for name in ("zoo", "results"))
TEXTS = sorted(
    {
        *ROOT.glob("*.md"),
        *(ROOT / "book").rglob("*.md"),
        *(ROOT / "book").rglob("*.ipynb"),
        *(ROOT / "book/teach").rglob("*.yml"),
        *ZOO.rglob("*.md"),
        *(ROOT / "exercises").rglob("*.py"),
    }
)
RECORDS = sorted({*ZOO.rglob("training.json"), *RESULTS.rglob("*.json")})

PROGRAM = r"(?:\S*/)?induction-heads"
INLINE = re.compile(rf"`{PROGRAM} ([a-z-][^`\n]*)`")
LINE = re.compile(rf"^\s*(?:\$|!|- run:|run:)?\s*{PROGRAM} ([a-z-][^`\n]*)$", re.MULTILINE)

ON_THE_HUB = {"gpt2"}
"""Names that only the model hub has, without a slash."""

OFFLINE = {*zoo_folders(), *(f"hand-built:{kind}" for kind in (*KINDS, ANY_ORDER))}


def text_of(path: Path) -> str:
    """The text of a page; of a notebook its cells."""
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    notebook = nbformat.read(path, as_version=4)
    return "\n\n".join(cell.source for cell in notebook.cells)


def commands_in(text: str) -> list[str]:
    """What follows `induction-heads`, in backticks or on lines of their own, without comments."""
    found = [*INLINE.findall(text), *LINE.findall(text)]
    return [re.split(r"\s+#|\s[|>;&]|\)?[.,]$", command)[0].strip() for command in found]


def values_under(name: str, value: object) -> Iterator[str]:
    """The texts under a name, anywhere in JSON."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == name and isinstance(inner, str):
                yield inner
            yield from values_under(name, inner)
    if isinstance(value, list):
        for inner in value:
            yield from values_under(name, inner)


def shown_commands() -> dict[str, set[str]]:
    """Command → the files that show it."""
    shown: dict[str, set[str]] = {}
    for path in TEXTS:
        for command in commands_in(text_of(path)):
            shown.setdefault(command, set()).add(path.name)
    for path in RECORDS:
        record = json.loads(path.read_text(encoding="utf-8"))
        for line in values_under("command", record):
            program, _, command = line.partition(" ")
            assert program == "induction-heads"
            shown.setdefault(command, set()).add(f"{path.parent.name}/{path.name}")
    return shown


def is_placeholder(word: str) -> bool:
    """Whether a reader is to put a name here: `MODEL`, `SMALL|LARGE`, `...`."""
    return bool(re.fullmatch(r"[A-Z][A-Z_]*|…|\.\.\.|<.*>|\[.*\]", word))


def is_model(name: str) -> bool:
    """Whether the name is one of the package, or may be one of the hub or a folder."""
    base = name.partition("@")[0]
    known = {each.partition("/")[0] for each in zoo_folders()}
    elsewhere = "/" in base and base.partition("/")[0] not in known
    return (
        base in OFFLINE or base in ON_THE_HUB or (elsewhere and not base.startswith("hand-built"))
    )


def is_target(name: str) -> bool:
    try:
        select(name)
    except UnknownTarget:
        return False
    return True


NAMES = {
    "analyze": is_model,
    "reference": is_model,
    "train": lambda name: name in trainers(),
    "experiment": lambda name: name in EXPERIMENTS,
    "sweep": lambda name: name in FAMILIES,
    "check": is_target,
    "status": is_target,
    **dict.fromkeys(
        ("hint", "solution", "reset", "regrade"), lambda name: name in exercise_names()
    ),
}
"""Command → whether its first kind of argument names something that exists."""


def problem_of(command: str) -> str | None:
    """Why a command cannot be run, or None. Nothing is run, and files need not exist."""
    words = shlex.split(command)
    context = click.Context(main, info_name="induction-heads")
    if words[0].startswith("-"):
        name, found, rest = "", main, words
    else:
        name, rest = words[0], words[1:]
        found = main.get_command(context, name)
        if found is None:
            return f"no command is called {name!r}"
    own = click.Context(found, context, info_name=name)
    try:
        options, positional, _ = found.make_parser(own).parse_args(args=list(rest))
    except click.UsageError as error:
        return error.format_message()
    if positional and name:
        return f"{positional[0]!r} is one argument too many"
    for chapter in texts(options.get("chapters")):
        for word in chapter.split(","):
            if not is_target(word):
                return f"no chapter is called {word!r}"
    arguments = [each.name for each in found.params if isinstance(each, click.Argument)]
    named = texts(options.get(arguments[0])) if arguments and name in NAMES else []
    for word in [one for each in named for one in each.split("|")]:  # `a|b`: a or b.
        if not is_placeholder(word) and not NAMES[name](word):
            return f"{name} knows nothing called {word!r}"
    return None


def texts(value: object) -> list[str]:
    """The texts among the values of an option or an argument."""
    values = value if isinstance(value, (list, tuple)) else [value]
    return [each for each in values if isinstance(each, str)]


def test_every_shown_command_would_be_taken():
    shown = shown_commands()
    assert len(shown) > 70
    assert {command.split()[0] for command in shown} >= set(main.list_commands(click.Context(main)))
    problems = {command: problem_of(command) for command in shown}
    offenders = [
        f"induction-heads {command} ({', '.join(sorted(shown[command]))}): {problem}"
        for command, problem in problems.items()
        if problem
    ]
    assert not offenders, "\n".join(offenders)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("annalyze toy-2l", "no command"),
        ("analyze toy-9l", "knows nothing called 'toy-9l'"),
        ("analyze natural-2l/seed-9", "knows nothing"),
        ("analyze hand-built:any-order", "knows nothing"),
        ("analyze toy-2l --jsn", "--jsn"),
        ("train matching/copies", "knows nothing"),
        ("train toy-2l --seed", "requires an argument"),
        ("train toy-2l toy-1l", "one argument too many"),
        ("experiment lag", "knows nothing"),
        ("check ch99", "knows nothing"),
        ("hint no_such_exercise", "knows nothing"),
        ("grade submissions --chapters ch99", "no chapter"),
    ],
)
def test_a_command_that_cannot_be_run_is_noticed(command: str, says: str):
    assert says in str(problem_of(command))


def test_commands_are_found_in_backticks_and_in_console_blocks():
    text = (
        "Run `induction-heads check ch01`.\n\n```console\n"
        "$ .venv/bin/induction-heads train toy-2l --out F   # a comment\n```\n"
    )
    assert commands_in(text) == ["check ch01", "train toy-2l --out F"]
