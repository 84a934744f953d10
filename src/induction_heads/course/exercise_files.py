"""The files of exercises: as they came with the course, and the reader's own."""

import ast
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from induction_heads.course.registry import chapter_exercises, chapter_stems
from induction_heads.files import write_atomically

PACKAGED = Path(__file__).parent / "exercises"
"""The files in an installed package. A checkout has them in its folder `exercises`."""

CHECKOUT = Path(__file__).parents[3] / "exercises"
STUB = "raise NotImplementedError"


class NoStub(ValueError):
    """The original text of an exercise is not available. The message says what to do."""


def folder_here(start: Path | None = None) -> Path:
    """The folder of exercises that belongs to a folder, by default the current one.

    That is `exercises` in it, the folder itself if it has a chapter's file, or the `exercises` of
    the nearest folder above. If there is none, it is `exercises`, which does not exist.
    """
    start = start or Path()
    if (start / "exercises").is_dir():
        return start / "exercises"
    if _has_chapters(start):
        return start
    above = (folder / "exercises" for folder in start.resolve().parents)
    return next(filter(_has_chapters, above), start / "exercises")


def _has_chapters(folder: Path) -> bool:
    return any((folder / f"{stem}.py").is_file() for stem in chapter_stems())


def stub_text(stem: str) -> str:
    """The text of a chapter's file with every exercise still to be written.

    In a checkout a reader may have edited the file: then every exercise is emptied again, and the
    rest stays. Raises NoStub if there is no file, or if it is not valid Python.
    """
    folder = PACKAGED if PACKAGED.is_dir() else CHECKOUT
    path = folder / f"{stem}.py"
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NoStub(f"This copy of the course has no readable {path}.") from error
    return emptied(source, [exercise.name for exercise in chapter_exercises(stem)], path)


def emptied(source: str, names: list[str], path: Path) -> str:
    """The source with the body of each of these functions replaced by `raise NotImplementedError`.

    Signatures and docstrings stay, and so does everything else. Raises NoStub if it is not valid
    Python.
    """
    lines = source.splitlines()
    for node in reversed(_functions(source, names, path)):
        lines[node.lineno - 1 : node.end_lineno] = _emptied(lines, node)
    return "\n".join(lines) + "\n"


def _emptied(lines: list[str], node: ast.FunctionDef) -> list[str]:
    """The lines of a function without its body."""
    has_docstring = ast.get_docstring(node) is not None
    if has_docstring:
        end = node.body[0].end_lineno or node.lineno
        head = lines[node.lineno - 1 : end]
    else:
        first = node.body[0]
        head = lines[node.lineno - 1 : first.lineno - 1]
        if not head:  # All on one line: `def f(x): return x`.
            before = lines[first.lineno - 1].encode()[: first.col_offset]
            head = [before.decode().rstrip()]
    return [*head, f"    {STUB}"]


def _functions(source: str, names: list[str], path: Path) -> list[ast.FunctionDef]:
    """The top-level functions with these names, in the order of the file."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError) as error:
        line = f" (line {error.lineno})" if isinstance(error, SyntaxError) else ""
        raise NoStub(
            f"{path} is not valid Python{line}, so its exercises cannot be found. Correct it, or "
            f"take the file as it came with the course."
        ) from error
    return [node for node in body if isinstance(node, ast.FunctionDef) and node.name in names]


def reset_chapter(path: Path, stem: str) -> list[Path]:
    """Write the chapter's file as it started.

    Returns the files written: none if nothing has changed, else the file and, if there was one,
    the file with the old text. Raises NoStub if the original text is not available.
    """
    return _replaced(path, stub_text(stem))


def reset_exercise(path: Path, stem: str, name: str) -> list[Path]:
    """Write one exercise as it started, and leave the rest of the file as it is.

    Returns the files written, as `reset_chapter` does. Raises NoStub if the file is not valid
    Python, or if the original text of the exercise is not available.
    """
    if not path.is_file():
        return reset_chapter(path, stem)
    stub = stub_text(stem)
    (start,) = _functions(stub, [name], path)
    text = stub.splitlines()[start.lineno - 1 : start.end_lineno]
    source = path.read_text(encoding="utf-8")
    lines, nodes = source.splitlines(), _functions(source, [name], path)
    for number, node in reversed(list(enumerate(nodes))):  # If two have the same name, one stays.
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        lines[first - 1 : node.end_lineno] = [] if number else text
    if not nodes:
        lines += ["", "", *text]
    return _replaced(path, "\n".join(lines) + "\n")


def _replaced(path: Path, text: str) -> list[Path]:
    """Write a file and keep the old text beside it. Returns the files written."""
    if not path.is_file():
        write_atomically(path, text)
        return [path]
    old = path.read_bytes()
    if old.decode("utf-8", "replace").replace("\r\n", "\n") == text:
        return []
    aside = next(each for each in _names_beside(path) if not each.exists())
    write_atomically(aside, old)
    write_atomically(path, text)
    return [path, aside]


def _names_beside(path: Path) -> Iterator[Path]:
    yield path.with_name(f"{path.name}.bak")
    yield from (path.with_name(f"{path.name}.bak{number}") for number in count(2))
