"""What lies in a student's folder, zip or notebook: the file of each chapter, as text.

Everything here may have been made to do harm. Links are not followed, sizes are limited before
anything is read, a zip is never unpacked, and no name in it is ever used as a path.
"""

import io
import os
import re
import stat
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path, PurePosixPath
from typing import Protocol

from induction_heads.grading.notebook_source import MAX_NOTEBOOK, NotANotebook, notebook_source
from induction_heads.grading.submission import (
    MAX_BYTES,
    NotReadable,
    Submission,
    decoded,
    read_regular,
)

MAX_ZIP = 50 * 2**20
MAX_ENTRIES = 5000
MAX_UNPACKED = 500 * 2**20
MAX_RATIO = 200
SMALL = 2**20
"""Files up to this size may be packed as tightly as they like."""


class NotAccepted(ValueError):
    """A submission that is refused as a whole. The message goes on after "The submission"."""


class Files(Protocol):
    """The files of a submission: names as relative paths with `/`, and their bytes."""

    @property
    def names(self) -> Sequence[str]:
        """All names, sorted."""
        ...

    def read(self, name: str, limit: int) -> bytes:
        """The bytes of a file. Raises NotReadable."""
        ...


class _Folder:
    """The files in a folder and in the folders directly inside it."""

    def __init__(self, path: Path):
        self._path = path
        self.names = sorted(self._files(path, "") + self._inner())

    def _inner(self) -> list[str]:
        found = []
        for entry in self._entries(self._path):
            if entry.is_dir(follow_symlinks=False) and not _is_hidden(entry.name):
                found += self._files(Path(entry.path), f"{entry.name}/")
        return found

    def _files(self, path: Path, before: str) -> list[str]:
        entries = self._entries(path)
        return [f"{before}{e.name}" for e in entries if not e.is_dir(follow_symlinks=False)]

    def _entries(self, path: Path) -> list[os.DirEntry]:
        entries = []
        try:
            with os.scandir(path) as found:
                for entry in found:
                    entries.append(entry)
                    if len(entries) > MAX_ENTRIES:
                        raise NotAccepted(f"has more than {MAX_ENTRIES:,} files in one folder")
        except OSError as error:
            raise NotAccepted(f"cannot be read: {error.strerror}") from error
        return sorted(entries, key=lambda entry: entry.name)

    def read(self, name: str, limit: int) -> bytes:
        return read_regular(self._path / name, limit)


class _Zip:
    """The files of a zip, read in memory."""

    def __init__(self, data: bytes):
        if data.count(b"PK\x01\x02") > MAX_ENTRIES:
            raise NotAccepted(f"has more than {MAX_ENTRIES:,} files")
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except Exception as error:  # A made-up zip may break the reader in many ways.
            raise NotAccepted("is not a zip that can be read") from error
        self._infos: dict[str, zipfile.ZipInfo] = {}
        infos = self._zip.infolist()
        if sum(info.file_size for info in infos) > MAX_UNPACKED:
            raise NotAccepted(f"would unpack to more than {MAX_UNPACKED // 2**20} MB")
        for info in infos:
            self._add(info)
        self.names = sorted(self._infos)

    def _add(self, info: zipfile.ZipInfo) -> None:
        if info.orig_filename != info.filename or _leads_out(info.filename):
            raise NotAccepted("holds a file whose name leads out of the zip")
        if info.file_size > SMALL and info.file_size > MAX_RATIO * max(1, info.compress_size):
            raise NotAccepted("holds a file that unpacks to far more than its size")
        if info.is_dir():
            return
        if info.filename in self._infos:
            raise NotAccepted("holds two files of the same name")
        self._infos[info.filename] = info

    def read(self, name: str, limit: int) -> bytes:
        info = self._infos[name]
        mode = info.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise NotReadable("is a link or a device in the zip, and those are not followed")
        if info.flag_bits & 0x1:
            raise NotReadable("is encrypted. Hand in a zip without a password")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise NotReadable("is packed by an unusual method. Hand in an ordinary zip")
        if info.file_size > limit:
            raise NotReadable(f"is larger than {limit // 2**20} MB")
        try:
            with self._zip.open(info) as file:
                data = file.read(limit + 1)
        except Exception as error:  # Broken streams raise zlib, struct, EOF and more.
            raise NotReadable("is damaged in the zip") from error
        if len(data) > limit:
            raise NotReadable(f"is larger than {limit // 2**20} MB")
        return data


class _Notebook:
    """A notebook that is the whole submission."""

    names = ("notebook.ipynb",)

    def __init__(self, path: Path):
        self._path = path

    def read(self, name: str, limit: int) -> bytes:
        return read_regular(self._path, limit)


@contextmanager
def open_files(path: Path) -> Iterator[Files]:
    """The files of a submission. Raises NotAccepted if it is refused as a whole."""
    if path.is_symlink():
        raise NotAccepted("is a link, and links are not followed")
    if path.is_dir():
        yield _Folder(path)
    elif path.suffix.lower() == ".ipynb":
        yield _Notebook(path)
    else:
        try:
            data = read_regular(path, MAX_ZIP)
        except NotReadable as error:
            raise NotAccepted(str(error)) from error
        yield _Zip(data)


def _leads_out(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return (
        not parts
        or name.startswith("/")
        or ".." in parts
        or "\\" in name
        or ":" in parts[0]
        or "\0" in name
    )


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def chapter_submissions(files: Files, stems: Sequence[str]) -> list[Submission]:
    """The submission for each chapter: its file, or else its notebook, or else the only notebook.

    A file is looked for at the top and then one folder down.
    """
    names = [name for name in files.names if not any(map(_is_hidden, name.split("/")))]
    read = cache(partial(_read, files))
    return [_chapter(read, names, stem) for stem in stems]


def _chapter(read: Callable[[str], str], names: Sequence[str], stem: str) -> Submission:
    found = _nearest(names, re.compile(re.escape(f"{stem}.py")))
    if not found:
        found = _nearest(names, re.compile(rf"{stem[:4]}\b.*\.ipynb|{stem[:4]}_.*\.ipynb", re.I))
    if not found:
        found = _nearest(names, re.compile(r"(?!ch\d\d).*\.ipynb", re.I | re.S))
    if not found:
        return Submission(stem, problem=f"There is no file {stem}.py in the submission.")
    if len(found) > 1:
        said = f"The submission holds {len(found)} files for {stem}. Hand in one."
        return Submission(stem, problem=said)
    try:
        return Submission(stem, read(found[0]))
    except NotReadable as error:
        name = "The notebook" if found[0].lower().endswith(".ipynb") else f"{stem}.py"
        return Submission(stem, problem=f"{name} {error}.")


def _nearest(names: Sequence[str], wanted: re.Pattern[str]) -> list[str]:
    """The names at the top that match, or else those one folder down."""
    for depth in (0, 1):
        found = [
            name
            for name in names
            if name.count("/") == depth and wanted.fullmatch(name.rpartition("/")[2])
        ]
        if found:
            return found
    return []


def _read(files: Files, name: str) -> str:
    """The source in a file. A notebook is read once, for however many chapters."""
    if not name.lower().endswith(".ipynb"):
        return decoded(files.read(name, MAX_BYTES))
    try:
        return notebook_source(files.read(name, MAX_NOTEBOOK))
    except NotANotebook as error:
        raise NotReadable(str(error)) from error
