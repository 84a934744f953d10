"""The files that a student handed in: in a folder, a zip, a notebook, or several of them.

Any of them may be malicious. Links are not followed, sizes are limited before anything is read, a
zip is never unpacked, and no name in it is ever used as a path.
"""

import io
import os
import stat
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath

from induction_heads.grading.submission import NotReadable, read_regular, too_large

MAX_ZIP = 50 * 2**20
MAX_ENTRIES = 5000
MAX_DEPTH = 12
MAX_INNER = 20
INNER_DEPTH = 2
MAX_UNPACKED = 500 * 2**20
MAX_RATIO = 200
SMALL = 2**20
"""Bytes. Smaller files in a zip may have any compression ratio."""
SKIPPED = {"__MACOSX", "__pycache__", "node_modules", "site-packages", "venv", "_build"}
"""Folders that programs make and nobody writes to."""

Read = Callable[[int], bytes]
"""`read(limit)`: the bytes of a file. Raises NotReadable."""


class NotAccepted(ValueError):
    """A submission that is refused completely. The message continues "The submission …"."""


class Files:
    """The files of a submission by relative path, with `/`, and the zips that were refused."""

    def __init__(self) -> None:
        self._reads: dict[str, Read] = {}
        self.refused: dict[str, str] = {}

    @property
    def names(self) -> list[str]:
        """All relative paths, sorted."""
        return sorted(self._reads)

    def __contains__(self, name: str) -> bool:
        return name in self._reads

    def read(self, name: str, limit: int) -> bytes:
        """The bytes of a file. Raises NotReadable."""
        return self._reads[name](limit)

    def add(self, name: str, read: Read) -> None:
        """Add a file. Raises NotAccepted if there are too many."""
        if len(self._reads) >= MAX_ENTRIES:
            raise NotAccepted(f"has more than {MAX_ENTRIES:,} files")
        self._reads[name] = read


def open_files(*entries: Path) -> Files:
    """The files in a student's entries, which are folders, zips, notebooks or other files.

    A zip in a folder or in another zip counts as a folder. Raises NotAccepted if the only entry
    is refused.
    """
    files = Files()
    for entry in entries:
        try:
            _add_entry(files, entry, "" if len(entries) == 1 else f"{entry.name}/")
        except NotAccepted as error:
            if len(entries) == 1:
                raise
            files.refused[entry.name] = str(error)
    left = MAX_ZIP
    for _ in range(INNER_DEPTH):
        left = _open_zips(files, left)
    return files


def _add_entry(files: Files, entry: Path, before: str) -> None:
    if entry.is_symlink():
        raise NotAccepted("is a link, and links are not followed")
    if entry.is_dir():
        _add_folder(files, entry, before, MAX_DEPTH)
    elif entry.suffix.lower() == ".zip":
        try:
            data = read_regular(entry, MAX_ZIP)
        except NotReadable as error:
            raise NotAccepted(str(error)) from error
        _add_zip(files, data, before)
    else:
        files.add(entry.name, partial(read_regular, entry))


def _add_folder(files: Files, folder: Path, before: str, depth: int) -> None:
    inner = []
    try:
        with os.scandir(folder) as scan:
            for number, entry in enumerate(scan):
                if number >= MAX_ENTRIES:
                    raise NotAccepted(f"has more than {MAX_ENTRIES:,} files")
                if is_skipped(entry.name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    inner.append(entry)
                else:
                    files.add(f"{before}{entry.name}", partial(read_regular, Path(entry.path)))
    except OSError as error:
        if depth == MAX_DEPTH:
            raise NotAccepted(f"cannot be read: {error.strerror}") from error
        files.refused[before.rstrip("/")] = f"cannot be read: {error.strerror}"
    for entry in sorted(inner, key=lambda entry: entry.name) if depth else ():
        _add_folder(files, Path(entry.path), f"{before}{entry.name}/", depth - 1)


def _add_zip(files: Files, data: bytes, before: str) -> None:
    """Add the files in a zip. If it is refused, none of them is added."""
    if data.count(b"PK\x01\x02") > MAX_ENTRIES:
        raise NotAccepted(f"has more than {MAX_ENTRIES:,} files")
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        infos = archive.infolist()
    except Exception as error:  # A malformed zip can break the reader in many ways.
        raise NotAccepted("is not a zip that can be read") from error
    if sum(info.file_size for info in infos) > MAX_UNPACKED:
        raise NotAccepted(f"would unpack to more than {MAX_UNPACKED // 2**20} MB")
    members: dict[str, Read] = {}
    for info in infos:
        name = info.filename.replace("\\", "/")  # Some programs for Windows write these.
        if info.orig_filename != info.filename or _leads_out(name):
            raise NotAccepted("has a file whose name leads out of the zip")
        if info.file_size > SMALL and info.file_size > MAX_RATIO * max(1, info.compress_size):
            raise NotAccepted("has a file that unpacks to far more than its packed size")
        if name.endswith("/") or any(map(is_skipped, name.split("/"))):
            continue
        if name in members:
            raise NotAccepted("has two files with the same name")
        members[name] = partial(_member, archive, info)
    for name, read in members.items():
        files.add(f"{before}{name}", read)


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> bytes:
    """The bytes of a file in a zip. Raises NotReadable."""
    mode = info.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise NotReadable("is a link or a device in the zip, and those are not followed")
    if info.flag_bits & 0x1:
        raise NotReadable("is encrypted. Submit a zip without a password")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise NotReadable("uses an unusual compression method. Submit an ordinary zip")
    if info.file_size > limit:
        raise too_large(limit)
    try:
        with archive.open(info) as file:
            data = file.read(limit + 1)
    except Exception as error:  # Broken streams raise zlib, struct, EOF and more.
        raise NotReadable("is damaged in the zip") from error
    if len(data) > limit:
        raise too_large(limit)
    return data


def _open_zips(files: Files, left: int) -> int:
    """Add the files in each zip that has not been opened yet. Returns how many bytes are left."""
    zips = [n for n in files.names if n.lower().endswith(".zip") and n not in files.refused]
    zips = [name for name in zips if not any(n.startswith(f"{name}/") for n in files.names)]
    for number, name in enumerate(zips):
        try:
            if number >= MAX_INNER:
                raise NotAccepted(f"is one of more than {MAX_INNER} zips, so it was not opened")
            data = files.read(name, left)
            left -= len(data)
            _add_zip(files, data, f"{name}/")
        except (NotAccepted, NotReadable) as error:
            files.refused[name] = str(error)
    return left


def _leads_out(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return not parts or name.startswith("/") or ".." in parts or ":" in parts[0] or "\0" in name


def is_skipped(name: str) -> bool:
    """Whether a file or folder is hidden, or made by a program and not by a person."""
    return name.startswith(".") or name in SKIPPED
