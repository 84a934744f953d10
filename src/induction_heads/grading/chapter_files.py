"""Which of the files that a student handed in has the answers of each chapter. Nothing is run.

The file with the most answers is taken. Among equals, it is the one whose name is closest to that
of the exercise file, and then the one nearest to the top. A chapter may have several notebooks,
such as `ch07_ablation.ipynb` and `ch07_patching.ipynb`: if they are in one folder and no function
has an answer in two of them, they count as one.
"""

import ast
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath

from induction_heads.grading import scopes
from induction_heads.grading.hand_in_files import Files
from induction_heads.grading.imported_files import modules_beside
from induction_heads.grading.notebook_source import (
    MAX_NOTEBOOK,
    NotANotebook,
    Notebook,
    exported_source,
    is_exported,
    notebook_source,
    python_of_exported,
    read_notebook,
)
from induction_heads.grading.source_code import Function, is_stub, near_name
from induction_heads.grading.submission import MAX_BYTES, NotReadable, Submission, decoded
from induction_heads.grading.worker_process import printable

Chapters = Mapping[str, Collection[str]]
"""The stem of each chapter → the names of its exercises."""

MAX_CODE_FILES = 80
MAX_CODE = 2**20
"""Characters of code that are read to find the answers of one student."""
MAX_SHOWN = 5

_OTHER_CHAPTER = re.compile(r"(?:^|_)ch(?:apter)?_?(\d{1,2})(?=_|$)")
_NAMES_CHAPTER = re.compile(r"ch(?:apter)?[\W_]?\d{1,2}[^/]*$", re.IGNORECASE)
_DEFINED = re.compile(r"^(?:async\s+)?def\s+(\w+)", re.MULTILINE)


@dataclass(frozen=True)
class ChapterFile:
    """The file that was taken for a chapter, and what else was there.

    `name` is "" if nothing was handed in for the chapter. Of `n_exercises` functions, `n_written`
    are more than a stub. `others` are files that also have functions of the chapter, with their
    number of answers. `is_valid` is whether the file is valid Python.
    """

    submission: Submission
    name: str
    n_written: int
    n_exercises: int
    others: tuple[tuple[str, int], ...] = ()
    is_valid: bool = True

    @property
    def stem(self) -> str:
        """The chapter."""
        return self.submission.stem


@dataclass
class _Code:
    """A file of code: which functions it defines, and whether each is more than a stub."""

    name: str
    text: str = ""
    notebook: Notebook | None = None
    problem: str | None = None
    written: dict[str, bool] | None = None
    is_valid: bool = True

    @property
    def is_notebook(self) -> bool:
        return self.name.lower().endswith(".ipynb")

    def n_written(self, names: Collection[str]) -> int:
        return sum((self.written or {}).get(name, False) for name in names)

    def misspelled(self, names: Collection[str], others: Collection[str]) -> list[str]:
        """The functions that are most likely meant to be one of `names`, and not of `others`."""
        own = (self.written or {}).keys() - set(names) - set(others)
        missing = set(names) - (self.written or {}).keys()
        return sorted({near for name in missing if (near := near_name(name, own))})


def chapter_files(files: Files, chapters: Chapters) -> list[ChapterFile]:
    """The file of each chapter. A chapter without one has a submission with a `problem`."""
    codes = _codes(files)
    known = {name for names in chapters.values() for name in names}
    return [_chapter_file(files, codes, stem, names, known) for stem, names in chapters.items()]


def _codes(files: Files) -> list[_Code]:
    names = [name for name in files.names if _is_code(name)]
    if any("exercises" in PurePosixPath(name).parts for name in names):
        names = [n for n in names if not {"solutions", "tests"} & set(PurePosixPath(n).parts[:-1])]
    # Files with the name of a chapter first: others must not use up what may be read.
    names.sort(key=lambda name: (not _NAMES_CHAPTER.search(name), name.count("/"), name))
    codes: list[_Code] = []
    left = MAX_CODE
    for name in names[:MAX_CODE_FILES]:
        for code in _read(files, name, left):
            left -= len(code.text)
            codes.append(code)
    return codes


def _is_code(name: str) -> bool:
    if "induction_heads" in PurePosixPath(name).parts[:-1]:  # The package, in a zip of the pack.
        return False
    return bool(re.search(r"\.(?:ipynb|py)(?:\.txt)?$", name, re.IGNORECASE))


def _read(files: Files, name: str, left: int) -> list[_Code]:
    """The code in a file. A notebook may have cells that write other files."""
    if left < 0:
        return [_Code(name, problem="was not read: there is too much code in the submission")]
    try:
        if not re.search(r"\.ipynb(?:\.txt)?$", name, re.IGNORECASE):
            return [_code(name, decoded(files.read(name, MAX_BYTES)))]
        notebook = read_notebook(files.read(name, MAX_NOTEBOOK))
    except (NotANotebook, NotReadable) as error:
        return [_Code(name, problem=str(error))]
    own = _Code(name, notebook=notebook)
    own.text = "\n".join(statement.text for statement in notebook.statements)
    own.written = _written([statement.node for statement in notebook.statements])
    return [own, *(_code(f"{name}/{file}", text) for file, text in notebook.files.items())]


def _code(name: str, text: str) -> _Code:
    try:
        python = python_of_exported(text) or text
        return _Code(name, text, written=_written(ast.parse(python).body))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        written = dict.fromkeys(_DEFINED.findall(text), False)
        return _Code(name, text, written=written, is_valid=False)


def _written(nodes: Sequence[ast.stmt]) -> dict[str, bool]:
    written: dict[str, bool] = {}
    for node in nodes:
        if isinstance(node, Function):
            written[node.name] = written.get(node.name, False) or not is_stub(node)
        elif not scopes.is_import(node):
            written |= dict.fromkeys(_set_by(node), True)
    return written


def _set_by(node: ast.stmt) -> set[str]:
    if isinstance(node, (ast.If, ast.Try, ast.With)):
        return {
            n
            for child in ast.iter_child_nodes(node)
            if isinstance(child, ast.stmt)
            for n in ({child.name} if isinstance(child, Function) else _set_by(child))
        }
    return scopes.own_names([node])


def _chapter_file(
    files: Files, codes: Sequence[_Code], stem: str, names: Collection[str], known: set[str]
) -> ChapterFile:
    ranks = [(_rank(code, stem, names), code) for code in _joined(codes, stem, names)]
    ranks = [(rank, code) for rank, code in ranks if _serves(rank, code, names, known)]
    ranked = sorted(ranks, key=lambda pair: (pair[0], pair[1].name))
    if not ranked:
        return ChapterFile(_nothing(files, stem), "", 0, len(names))
    best, taken = ranked[0]
    others = tuple((code.name, code.n_written(names)) for _, code in ranked[1:])
    equals = [code for rank, code in ranked if rank == best]
    made = partial(ChapterFile, name=taken.name, n_written=taken.n_written(names))
    if len({code.text for code in equals}) > 1:
        listed = " and ".join(sorted(shown(code.name) for code in equals)[:MAX_SHOWN])
        problem = f"The submission has {len(equals)} files for {stem}: {listed}. Submit only one."
        submission = Submission(stem, problem=problem)
    else:
        submission = _submission(files, taken, stem, names, known)
    return made(submission, n_exercises=len(names), others=others, is_valid=taken.is_valid)


def _joined(codes: Sequence[_Code], stem: str, names: Collection[str]) -> list[_Code]:
    """The files, with the notebooks of the chapter in one folder as one if they share no answer."""
    by_folder: dict[PurePosixPath, list[_Code]] = {}
    for code in sorted(codes, key=lambda code: code.name):
        if code.notebook is not None and _kind(code, stem) < 4 and code.n_written(names):
            by_folder.setdefault(PurePosixPath(code.name).parent, []).append(code)
    joined = list(codes)
    for parts in by_folder.values():
        answers = [name for code in parts for name in names if (code.written or {}).get(name)]
        if len(parts) > 1 and len(answers) == len(set(answers)):
            joined = [code for code in joined if all(code is not part for part in parts)]
            joined.append(_one_notebook(parts))
    return joined


def _one_notebook(parts: Sequence[_Code]) -> _Code:
    """Notebooks of one folder, one after the other."""
    notebooks = [code.notebook for code in parts if code.notebook is not None]
    statements = tuple(each for notebook in notebooks for each in notebook.statements)
    further = "".join(f" and {PurePosixPath(code.name).name}" for code in parts[1:])
    return _Code(
        f"{parts[0].name}{further}",
        "\n".join(code.text for code in parts),
        Notebook(statements, {}),
        written=_written([statement.node for statement in statements]),
    )


def _rank(code: _Code, stem: str, names: Collection[str]) -> tuple[int, int, int]:
    """How well a file serves a chapter, the smallest first."""
    return -code.n_written(names), _kind(code, stem), code.name.count("/")


def _serves(
    rank: tuple[int, int, int], code: _Code, names: Collection[str], known: Collection[str]
) -> bool:
    """Whether a file has anything to do with a chapter, by its name or by what it defines."""
    n_unwritten, kind, _ = rank
    if kind < 4 or n_unwritten or set(names) & (code.written or {}).keys():
        return True
    is_unreadable = code.is_notebook and code.problem is not None
    return kind == 4 and (is_unreadable or bool(code.misspelled(names, known)))


def _kind(code: _Code, stem: str) -> int:
    """How close the file's name is to that of the chapter's file, from 0 to 6."""
    base = PurePosixPath(code.name).name
    if base == f"{stem}.py":
        return 0
    plain = unicodedata.normalize("NFKC", base).casefold()
    plain = re.sub(r"\.(?:ipynb|py)(?:\.txt)?$", "", plain)
    plain = re.sub(r"[\W_]+", "_", plain).strip("_")  # "ch01 (1)" becomes "ch01_1".
    chapters = {int(number) for number in _OTHER_CHAPTER.findall(plain)}
    if f"_{stem}_" in f"_{plain}_":
        return 2 if code.is_notebook else 1
    if chapters == {int(stem[2:4])}:
        return 3
    return 4 + bool(chapters)


def _nothing(files: Files, stem: str) -> Submission:
    """The message if nothing was handed in for a chapter: which files there were instead."""
    there = [shown(name) for name in files.names[:MAX_SHOWN]]
    more = len(files.names) - len(there)
    problem = f"There is no file {stem}.py in the submission."
    if there:
        rest = f" and {more:,} more" if more else ""
        problem += f" It has {', '.join(there)}{rest}."
    for name, reason in list(files.refused.items())[:MAX_SHOWN]:
        problem += f" {shown(name)} {reason}."
    return Submission(stem, problem=problem)


def shown(name: str) -> str:
    """The name of a file, with anything that is not visible as escapes, and not too long."""
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in printable(name))
    return text if len(text) <= 100 else f"…{text[-99:]}"


def _submission(
    files: Files, code: _Code, stem: str, names: Collection[str], known: set[str]
) -> Submission:
    if code.problem is not None:
        what = "The notebook" if code.is_notebook else f"{stem}.py"
        advice = " Clear its outputs and hand it in again." if "larger than" in code.problem else ""
        return Submission(stem, problem=f"{what} {code.problem}.{advice * code.is_notebook}")
    if code.notebook is not None:
        try:
            # With a misspelled function, the check can ask whether it was meant.
            source = notebook_source(code.notebook, [*names, *code.misspelled(names, known)])
        except NotANotebook as error:
            return Submission(stem, problem=f"The notebook {error}.")
    else:
        source = exported_source(code.text, names) if is_exported(code.text) else code.text
    read = partial(_beside, files, PurePosixPath(code.name).parent)
    return Submission(stem, source, beside=modules_beside(source, read))


def _beside(files: Files, folder: PurePosixPath, name: str) -> str | None:
    """The source of the file `name` in the folder, or in one above it."""
    for place in (folder, *folder.parents):
        path = str(place / name)
        if path in files:
            try:
                return decoded(files.read(path, MAX_BYTES))
            except NotReadable:
                return None
    return None
