"""The student pack: everything needed to read, write and check the exercises, without solutions.

The same checkout gives the same bytes on any machine: files are sorted, times are fixed and the zip
is not compressed. Only files named here are included.
"""

import hashlib
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

Pack = dict[str, bytes]
"""Path, with `/` → content, sorted by path."""

WHOLE = (
    "pyproject.toml",
    "requirements.txt",
    "runtime.txt",
    "LICENSE",
    "LICENSE-text",
    "CITATION.cff",
    "_config.yml",
    ".gitignore",
)
README = "book/teach/classroom/README-students.md"
BOOK = ("_toc.yml", "references.bib", "matplotlibrc", "run_notebooks.py")
TEXT = (
    ".py",
    ".md",
    ".toml",
    ".txt",
    ".yml",
    ".cff",
    ".ipynb",
    ".j2",
    ".json",
    ".bib",
    ".css",
    ".js",
    ".csv",
    ".svg",
)
PACKAGE_ENDINGS = (
    *(".py", ".md", ".json", ".csv", ".toml", ".js", ".css", ".j2", ".safetensors"),
    *(".gz", ".txt"),  # The held-out text and its license.
)
"""What a file of the package may end with; anything else there is left out."""
COURSE = "src/induction_heads/course/"
AUTHORS_TARGETS = ("test", "test-all", "check", "ebook", "bench")
TOP = "induction-heads"
EARLIEST = (1980, 1, 1, 0, 0, 0)


class NotACheckout(ValueError):
    """The folder is not a checkout of the course. The message names a missing file."""


def student_files(root: Path) -> Pack:
    """The files of the pack, from the checkout of the course at `root`.

    Raises NotACheckout if a file of the course is missing.
    """
    stems = sorted(path.parent.name for path in (root / COURSE).glob("ch[0-9][0-9]_*/checks.py"))
    if not stems:
        raise NotACheckout(
            f"{root} is not a checkout of the course: it has no {COURSE}ch…/checks.py."
        )
    names = [*WHOLE, *(f"exercises/{stem}.py" for stem in stems), *_book(root), *_package(root)]
    pack = {name: _bytes(root, name) for name in names}
    pack["Makefile"] = _changed(_bytes(root, "Makefile"), without_targets)
    pack["README.md"] = _bytes(root, README)
    pack["book/_toc.yml"] = _changed(pack["book/_toc.yml"], without_teaching)
    pack["book/index.md"] = _changed(pack["book/index.md"], without_links_to_teachers)
    for name in names:
        if name.endswith(".ipynb"):
            pack[name] = without_outputs(pack[name])
    return dict(sorted(pack.items()))


def _bytes(root: Path, name: str) -> bytes:
    try:
        data = (root / name).read_bytes()
    except OSError as error:
        raise NotACheckout(f"{root} is not a checkout of the course: it has no {name}.") from error
    is_text = name.endswith(TEXT) or "." not in PurePosixPath(name).name
    return data.replace(b"\r\n", b"\n") if is_text else data


def _changed(data: bytes, change: Callable[[str], str]) -> bytes:
    return change(data.decode()).encode()


def _book(root: Path) -> list[str]:
    """The pages in the table of contents, except those in `teach`, and the files they need."""
    listed = re.findall(
        r"^\s*(?:-\s*file|root):\s*(\S+)", _bytes(root, "book/_toc.yml").decode(), re.M
    )
    pages = [page for page in listed if not page.startswith("teach/")]
    files = [_page(root, page) for page in pages]
    paths = [*(root / "book/assets").iterdir(), *(root / "book/_ext").glob("*.py")]
    extras = [path.relative_to(root).as_posix() for path in paths if path.is_file()]
    return [*(f"book/{name}" for name in BOOK), *files, *extras]


def _page(root: Path, page: str) -> str:
    for kind in (".ipynb", ".md"):
        if (root / f"book/{page}{kind}").is_file():
            return f"book/{page}{kind}"
    raise NotACheckout(f"{root} is not a checkout of the course: book/_toc.yml names {page}.")


def _package(root: Path) -> list[str]:
    folder = root / "src/induction_heads"
    paths = [
        p for p in folder.rglob("*") if p.suffix in PACKAGE_ENDINGS and "__pycache__" not in p.parts
    ]
    return [path.relative_to(root).as_posix() for path in paths if path.is_file()]


def without_targets(makefile: str) -> str:
    """The Makefile without the targets that need solutions or tests."""
    words = "|".join(AUTHORS_TARGETS)
    makefile = re.sub(rf"^(?:{words}):.*\n(?:\t.*\n)*\n?", "", makefile, flags=re.M)
    makefile = re.sub(rf"^#   make (?:{words}) .*\n", "", makefile, flags=re.M)
    makefile = makefile.replace("# For authors:\n", "")
    makefile = re.sub(r"\A# .*\n", "# Short names for the longer commands.\n", makefile)
    return re.sub(
        r"^\.PHONY:.*$",
        lambda line: " ".join(w for w in line[0].split() if w not in AUTHORS_TARGETS),
        makefile,
        flags=re.M,
    )


def without_teaching(toc: str) -> str:
    """The table of contents without the part for teachers."""
    return re.sub(r"^  - caption: Teaching\n(?:    .*\n?)*", "", toc, flags=re.M)


def without_links_to_teachers(page: str) -> str:
    """A page without the sentences that link to the part for teachers."""
    return re.sub(r"\s*[^.\n]*\{doc\}`[^`]*<teach/[^`]*`[^.]*\.", "", page)


def without_outputs(notebook: bytes) -> bytes:
    """A notebook without outputs and execution counts."""
    content = json.loads(notebook)
    for cell in content["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
    if content == json.loads(notebook):
        return notebook
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def digest(pack: Pack) -> str:
    """The SHA-256 of all names and contents."""
    total = hashlib.sha256()
    for name, data in sorted(pack.items()):
        total.update(f"{name}\0{hashlib.sha256(data).hexdigest()}\n".encode())
    return total.hexdigest()


def write_folder(pack: Pack, folder: Path) -> None:
    """Write the pack into a new or empty folder. Raises FileExistsError if it is not empty."""
    if folder.is_dir() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty. Choose another folder for --out.")
    for name, data in pack.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def write_zip(pack: Pack, path: Path) -> str:
    """Write the pack as a zip with the same bytes on every machine. Returns its SHA-256."""
    with zipfile.ZipFile(
        path, "w", zipfile.ZIP_STORED
    ) as file:  # Versions of zlib compress differently.
        for name, data in sorted(pack.items()):
            info = zipfile.ZipInfo(f"{TOP}/{name}", EARLIEST)
            info.create_system, info.external_attr = 3, 0o100644 << 16
            file.writestr(info, data)
    return hashlib.sha256(path.read_bytes()).hexdigest()
