"""The hostile submissions and the verdicts that they must get, which are in their headers."""

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import build
from collections_of_odd_files import HAND_INS, WORKS

from induction_heads.grading.results import ChapterResult
from induction_heads.grading.running_submission import Limits

FOLDER = Path(__file__).parent / "submissions"
LIMITS = Limits(load=4.0, prepare=30.0, most=2.0)
"""The limits of every attack. They are short, so that all attacks together take minutes."""

Checker = Callable[..., ChapterResult]
"""`checker(selection, submission, **limits)`."""

HEADER = re.compile(r"# (verdict|message|needs|limits): (.+)")


@dataclass(frozen=True)
class Attack:
    """One submission. `verdicts` has the allowed statuses of each exercise, by name.

    `messages` must be in the message of the first exercise that has not passed. `limits` replaces
    fields of `LIMITS`. `write(folder, stem, places)` writes the files.
    """

    name: str
    tries: str
    verdicts: dict[str, tuple[str, ...]]
    write: Callable[[Path, str, dict[str, str]], None]
    messages: tuple[str, ...] = ()
    needs_isolation: bool = False
    limits: dict[str, float] = field(default_factory=dict)


def header(text: str) -> dict[str, list[str]]:
    """The lines `# key: value` at the top of a submission, by key."""
    values: dict[str, list[str]] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        match = HEADER.fullmatch(line)
        if match is None:
            raise ValueError(f"{line!r} is not a header line")
        values.setdefault(match[1], []).append(match[2])
    return values


def verdicts(text: str) -> dict[str, tuple[str, ...]]:
    """`row_sums=failed or error, doubled=passed` as the allowed statuses by exercise."""
    pairs = (part.split("=") for part in text.split(", "))
    return {name: tuple(allowed.split(" or ")) for name, allowed in pairs}


def filled(text: str, places: dict[str, str]) -> str:
    """The text of a submission with placeholders such as `@witness@` replaced by real places."""
    for name, value in places.items():
        text = text.replace(f"@{name}@", value)
    return text


def _of_file(path: Path) -> Attack:
    text = path.read_text(encoding="utf-8")
    values = header(text)

    def write(folder: Path, stem: str, places: dict[str, str]) -> None:
        (folder / f"{stem}.py").write_text(filled(text, places), encoding="utf-8")

    return Attack(
        path.stem,
        ast.get_docstring(ast.parse(text)) or "",
        verdicts(values["verdict"][0]),
        write,
        tuple(values.get("message", ())),
        values.get("needs") == ["isolation"],
        {
            name: float(value)
            for line in values.get("limits", ())
            for name, value in (part.split("=") for part in line.split(", "))
        },
    )


def _of_form(form: build.Form) -> Attack:
    def write(folder: Path, stem: str, places: dict[str, str]) -> None:
        form.write(folder / f"{stem}.py")

    return Attack(form.name, form.tries, verdicts(form.verdict), write, form.messages)


@cache
def attacks() -> tuple[Attack, ...]:
    """All attacks, sorted by name."""
    of_files = [_of_file(path) for path in FOLDER.glob("*.py")]
    return tuple(sorted([*of_files, *map(_of_form, build.FORMS)], key=lambda attack: attack.name))


def table() -> str:
    """The attacks as the table of README.md."""
    lines = ["| name | what it tries | verdict |", "|---|---|---|"]
    for attack in attacks():
        allowed = "; ".join(f"{name}: {' or '.join(ok)}" for name, ok in attack.verdicts.items())
        mark = " *" if attack.needs_isolation else ""
        tries = " ".join(attack.tries.split()).replace("|", "\\|")
        lines.append(f"| `{attack.name}`{mark} | {tries} | {allowed} |")
    lines += ["", "| hand-in | what it tries | outcome |", "|---|---|---|"]
    for case in HAND_INS:
        problem = f"refused: “{case.outcome}”" if case.outcome else "quickly refused or wrong"
        outcome = "works" if case.outcome == WORKS else problem
        lines.append(f"| `{case.name}` | {case.tries} | {outcome} |")
    return "\n".join(lines)


def write_table() -> None:
    """Update the table in README.md."""
    readme = Path(__file__).with_name("README.md")
    before, _, _ = readme.read_text(encoding="utf-8").partition("| name |")
    readme.write_text(f"{before}{table()}\n", encoding="utf-8")


if __name__ == "__main__":
    write_table()
