"""The student pack: everything to read, write and check the exercises, and no solution.

The same checkout gives the same bytes on any machine: files are sorted, times are fixed, the zip is
not compressed, and nothing that is not named here gets in.
"""

import ast
import hashlib
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path, PurePosixPath

Pack = dict[str, bytes]
"""Files by path, with `/`, sorted."""

WHOLE = ("pyproject.toml", "requirements.txt", "runtime.txt", "LICENSE", "LICENSE-text",
         "CITATION.cff", "_config.yml", ".gitignore")  # fmt: skip
README = "book/teach/classroom/README-students.md"
BOOK = ("_toc.yml", "references.bib", "matplotlibrc", "run_notebooks.py")
TEXT = (".py", ".md", ".toml", ".txt", ".yml", ".cff", ".ipynb", ".json", ".bib", ".css", ".csv",
        ".svg")  # fmt: skip
PACKAGE = (".py", ".md", ".json", ".csv", ".safetensors", ".typed")
CHECKS = "src/induction_heads/checks/"
TEACHERS_TARGETS = ("test", "check", "bench")
TOP = "induction-heads"
EARLIEST = (1980, 1, 1, 0, 0, 0)
ALSO_RIGHT = "_ALSO_RIGHT"


class NotACheckout(ValueError):
    """A folder without the files of the course. The message names one that is missing."""


def student_pack(root: Path) -> Pack:
    """The files of the pack, made from the checkout of the course at `root`.

    Raises NotACheckout if a file of the course is missing there.
    """
    stems = sorted(path.stem for path in (root / CHECKS).glob("ch[0-9][0-9]_*.py"))
    if not stems:
        raise NotACheckout(f"{root} is no checkout of the course: it has no {CHECKS}ch….py.")
    names = [*WHOLE, *(f"exercises/{stem}.py" for stem in stems), *_book(root), *_package(root)]
    pack = {name: _bytes(root, name) for name in names}
    pack["Makefile"] = _changed(_bytes(root, "Makefile"), without_targets)
    pack["README.md"] = _bytes(root, README)
    pack["book/_toc.yml"] = _changed(pack["book/_toc.yml"], without_teaching)
    pack["book/index.md"] = _changed(pack["book/index.md"], without_links_to_teachers)
    for name in names:
        if name.endswith(".ipynb"):
            pack[name] = without_outputs(pack[name])
    pack |= _checks_without_other_answers(pack)
    return dict(sorted(pack.items()))


def _bytes(root: Path, name: str) -> bytes:
    try:
        data = (root / name).read_bytes()
    except OSError as error:
        raise NotACheckout(f"{root} is no checkout of the course: it has no {name}.") from error
    is_text = name.endswith(TEXT) or "." not in PurePosixPath(name).name
    return data.replace(b"\r\n", b"\n") if is_text else data


def _changed(data: bytes, change: Callable[[str], str]) -> bytes:
    return change(data.decode()).encode()


def _book(root: Path) -> list[str]:
    """The pages that the table of contents names, but for those in `teach`, and what they need."""
    listed = re.findall(
        r"^\s*(?:-\s*file|root):\s*(\S+)", _bytes(root, "book/_toc.yml").decode(), re.M
    )
    pages = [page for page in listed if not page.startswith("teach/")]
    files = [_page(root, page) for page in pages]
    extras = [*(root / "book/assets").iterdir(), *(root / "book/_ext").glob("*.py")]
    named = [path.relative_to(root).as_posix() for path in extras if path.is_file()]
    return [*(f"book/{name}" for name in BOOK), *files, *named]


def _page(root: Path, page: str) -> str:
    for kind in (".ipynb", ".md"):
        if (root / f"book/{page}{kind}").is_file():
            return f"book/{page}{kind}"
    raise NotACheckout(f"{root} is no checkout of the course: book/_toc.yml names {page}.")


def _package(root: Path) -> list[str]:
    folder = root / "src/induction_heads"
    found = [p for p in folder.rglob("*") if p.suffix in PACKAGE and "__pycache__" not in p.parts]
    return [path.relative_to(root).as_posix() for path in found if path.is_file()]


def without_targets(makefile: str) -> str:
    """The Makefile without the targets that need solutions or tests."""
    words = "|".join(TEACHERS_TARGETS)
    kept = re.sub(rf"^(?:{words}):.*\n(?:\t.*\n)*\n?", "", makefile, flags=re.M)
    kept = re.sub(rf"^#   make (?:{words}) .*\n", "", kept, flags=re.M)
    kept = re.sub(r"\A# .*\n", "# Words for the longer commands.\n", kept)
    return re.sub(
        r"^\.PHONY:.*$",
        lambda line: " ".join(w for w in line[0].split() if w not in TEACHERS_TARGETS),
        kept,
        flags=re.M,
    )


def without_teaching(toc: str) -> str:
    """The table of contents without the part for teachers."""
    return re.sub(r"^  - caption: Teaching\n(?:    .*\n?)*", "", toc, flags=re.M)


def without_links_to_teachers(page: str) -> str:
    """A page without the sentence that links the part for teachers."""
    return re.sub(r"\s*[^.\n]*\{doc\}`[^`]*<teach/[^`]*`[^.]*\.", "", page)


def without_outputs(notebook: bytes) -> bytes:
    """A notebook as if it had never run."""
    content = json.loads(notebook)
    for cell in content["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
    if content == json.loads(notebook):
        return notebook
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def _checks_without_other_answers(pack: Mapping[str, bytes]) -> Pack:
    """The checks without the other right answers, which are solutions, and what only they used."""
    sources = {
        name: data.decode()
        for name, data in pack.items()
        if name.startswith(CHECKS) and name.endswith(".py")
    }
    sources = {name: _without_also_right(source) for name, source in sources.items()}
    while True:
        smaller = {
            name: _without_unused(source, sources) if "/answers/" in name else source
            for name, source in sources.items()
        }
        if smaller == sources:
            return {name: _tidy(source).encode() for name, source in sources.items()}
        sources = smaller


def _without_also_right(source: str) -> str:
    """`…_ALSO_RIGHT = (…)` becomes `…_ALSO_RIGHT = ()`."""
    lines = source.splitlines(keepends=True)
    for node in reversed(ast.parse(source).body):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name.endswith(ALSO_RIGHT):
                lines[node.lineno - 1 : node.end_lineno] = [f"{name} = ()\n"]
    return "".join(lines)


def _without_unused(source: str, sources: Mapping[str, str]) -> str:
    """The source without functions and values that no check uses any more."""
    lines = source.splitlines(keepends=True)
    elsewhere = set().union(*(_names_in(s) for s in sources.values() if s is not source))
    body = ast.parse(source).body
    names = [_names(node) for node in body]
    for node in reversed(body):
        name = _defined(node)
        if not name or name in elsewhere or name.startswith("__"):
            continue
        if not any(
            name in used for other, used in zip(body, names, strict=True) if other is not node
        ):
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
            while lines[first - 2].startswith("#"):  # Its comment, if there is no line between.
                first -= 1
            del lines[first - 1 : node.end_lineno]
    return "".join(lines)


def _defined(node: ast.stmt) -> str | None:
    """The one name that a statement defines, of a function or a value."""
    if isinstance(node, ast.FunctionDef):
        return node.name
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
        return target.id if isinstance(target, ast.Name) else None
    return None


@cache
def _names_in(source: str) -> frozenset[str]:
    """The names used in a whole file. It is asked for once for each other file."""
    return frozenset(_names(ast.parse(source)))


def _names(node: ast.AST) -> set[str]:
    """Every name that is used in a piece of code, also as an attribute or in an import."""
    names = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Store):
            names.add(part.id)
        elif isinstance(part, ast.Attribute):
            names.add(part.attr)
        elif isinstance(part, ast.alias):
            names.add(part.name)
    return names


def _tidy(source: str) -> str:
    return re.sub(r"\n{4,}", "\n\n\n", source).rstrip("\n") + "\n" if source.strip() else source


def digest(pack: Pack) -> str:
    """The SHA-256 of all names and contents."""
    found = hashlib.sha256()
    for name, data in sorted(pack.items()):
        found.update(f"{name}\0{hashlib.sha256(data).hexdigest()}\n".encode())
    return found.hexdigest()


def write_folder(pack: Pack, folder: Path) -> None:
    """Write the pack into a folder that is empty or not there yet. Raises FileExistsError."""
    if folder.is_dir() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty. Choose another folder for --out.")
    for name, data in pack.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def write_zip(pack: Pack, path: Path) -> str:
    """Write the pack as a zip, the same bytes on every machine, and return its SHA-256."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:  # zlibs differ in their output.
        for name, data in sorted(pack.items()):
            info = zipfile.ZipInfo(f"{TOP}/{name}", EARLIEST)
            info.create_system, info.external_attr = 3, 0o100644 << 16
            file.writestr(info, data)
    return hashlib.sha256(path.read_bytes()).hexdigest()
