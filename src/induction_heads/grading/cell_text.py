"""The Python in the text of a notebook cell: without what only IPython understands.

IPython's own transformer is not used: it reads a cell again for every magic in it, so a large cell
would keep the grader busy for hours.
"""

import re
from dataclasses import dataclass

PYTHON_CELL_MAGICS = ("time", "timeit", "capture", "prun", "memit", "python", "python3", "py")
"""Cell magics whose cell is Python that defines names."""

_CELL_MAGIC = re.compile(r"%%(\w+)[ \t]*(.*)")
_LINE = re.compile(r"[%!?]|[\w.]+\s*\?{1,2}\s*$")
_RESULT = re.compile(r"(?P<names>[\w, ]+=\s*)[%!]")
_TIMED = re.compile(r"(?P<names>[\w, ]+=\s*)?%(?:time|prun|memit)\s+(?P<code>[^-].*)")
_RUN = re.compile(r"%run\s+(?:-\w+\s+)*(?:\./)?(\w+)\.py\s*$")
_PARTS = re.compile(
    r"""\\\n | \n | \#[^\n]*
    | (?P<quotes>\"{3}|'{3}|["']) | (?P<open>[(\[{]) | (?P<close>[)\]}])""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class CellText:
    """The Python of a cell. `file` is the file that `%%writefile` writes it to, or None.

    `adds` is whether it is added to the file, by `%%writefile -a`.
    """

    python: str
    file: str | None = None
    adds: bool = False


def cell_text(text: str) -> CellText:
    """The Python of a cell: no magics, no shell lines, no indentation of the whole cell.

    A magic becomes `pass`, so a block that has nothing else stays a block, and lines keep their
    numbers. The cell of a magic for another language is empty.
    """
    text = _dedented(text.replace("\r\n", "\n").replace("\r", "\n"))
    first = re.search(r"\S.*", text)
    magic = _CELL_MAGIC.match(first[0]) if first else None
    if first is None or magic is None:
        return CellText(_without_magics(text))
    rest = text[: first.start()] + text[first.end() :]
    name, arguments = magic[1], magic[2].split()
    if name in ("writefile", "file") and arguments:
        return CellText(_dedented(rest.lstrip("\n")), arguments[-1].strip("\"'"), "-a" in arguments)
    if name in PYTHON_CELL_MAGICS:
        return (
            cell_text(rest)
            if _CELL_MAGIC.match(rest.lstrip())
            else CellText(_without_magics(_dedented(rest)))
        )
    return CellText("")


def _dedented(text: str) -> str:
    """The text without the indentation of its first line, as IPython reads a cell."""
    indent = re.match(r"\s*\n|", text)
    margin = re.match(r"[ \t]*(?=\S)", text[indent.end() if indent else 0 :])
    if not margin or not margin[0]:
        return text
    return "\n".join(line.removeprefix(margin[0]) for line in text.split("\n"))


def _without_magics(text: str) -> str:
    """The text with `pass` in place of each statement that only IPython understands.

    No statement of Python starts with `%`, `!` or `?`, but a line inside brackets or a string may.
    """
    lines = text.split("\n")
    inside = _continued(text)
    number = 0
    while number < len(lines):
        line = lines[number]
        plain = line.lstrip()
        if number not in inside and (_LINE.match(plain) or _RESULT.match(plain)):
            indent = line[: len(line) - len(plain)]
            lines[number] = indent + _python_of(plain)
            while line.endswith("\\") and number + 1 < len(lines):
                number += 1
                line, lines[number] = lines[number], ""
        number += 1
    return "\n".join(lines)


def _python_of(magic: str) -> str:
    """The Python that a magic runs, or `pass`."""
    if run := _RUN.match(magic):
        return f"from {run[1]} import *"
    if timed := _TIMED.match(magic):
        return (timed["names"] or "") + timed["code"].rstrip("\\")
    if result := _RESULT.match(magic):
        return f"{result['names'].rstrip()} None"
    return "pass"


def _continued(text: str) -> set[int]:
    """The lines, counted from 0, that start inside brackets or a string, or after a backslash."""
    inside: set[int] = set()
    depth, line, at = 0, 0, 0
    is_magic = _is_magic_at(text, 0)
    while part := _PARTS.search(text, at):
        at = part.end()
        if is_magic and part[0] not in ("\n", "\\\n"):
            continue  # The quotes and brackets of a shell command are not Python's.
        if part["quotes"]:
            end = _end_of_string(text, at, part["quotes"])
            n_lines = text.count("\n", at, end)
            inside.update(range(line + 1, line + n_lines + 1))
            line, at = line + n_lines, end
        elif part["open"]:
            depth += 1
        elif part["close"]:
            depth = max(0, depth - 1)
        elif part[0] == "\\\n":
            line += 1
            inside.add(line)
        elif part[0] == "\n":
            line += 1
            if depth:
                inside.add(line)
            is_magic = not depth and _is_magic_at(text, at)
    return inside


def _is_magic_at(text: str, at: int) -> bool:
    line = text[at : (text.find("\n", at) + 1 or len(text) + 1) - 1].lstrip()
    return bool(_LINE.match(line) or _RESULT.match(line))


def _end_of_string(text: str, at: int, quotes: str) -> int:
    """Where a string ends that starts before `at`. One with single quotes ends with its line."""
    stop = r"\\.|(\"{3})|('{3})" if len(quotes) == 3 else r"\\.|(\")|(')|(\n)"
    for part in re.compile(stop, re.DOTALL).finditer(text, at):
        if part[0] == quotes:
            return part.end()
        if part[0] == "\n":
            return part.start()
    return len(text)
