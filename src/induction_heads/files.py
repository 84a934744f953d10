"""Files that are whole after a kill: written in one step, added to line by line, or locked."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

TEMPORARY = ".writing-"
"""How the names of files start that are not whole yet."""


def write_atomically(path: Path, data: bytes | str, *, private: bool = False) -> None:
    """Write a file so that it has all of `data` or does not change, also if the machine stops.

    `private`: only the owner may read it.
    """
    data = data.encode("utf-8", "replace") if isinstance(data, str) else data
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=TEMPORARY, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o600 if private else 0o644)
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # Windows cannot open a folder.
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def remove_unfinished(folder: Path) -> None:
    """Remove what killed runs left half-written. Only while no other run writes there."""
    for entry in list(folder.rglob(f"{TEMPORARY}*")):
        entry.unlink(missing_ok=True)


def canonical(value: Any) -> str:
    """The one JSON text of a value, on one line, for digests and journals."""
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))


def append_line(path: Path, line: str, *, sync: bool = False) -> None:
    """Add a line to a file, after whatever a killed run left there.

    With `sync` the line is on the disk when this returns.
    """
    data = f"{line}\n".encode()
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        size = os.fstat(handle).st_size
        torn = size > 0 and hasattr(os, "pread") and os.pread(handle, 1, size - 1) != b"\n"
        data = b"\n" + data if torn else data
        while data:
            data = data[os.write(handle, data) :]
        if sync:
            os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(path: Path, *, wait: bool) -> Iterator[bool]:
    """Hold a lock that the system gives back when the process ends, however it ends.

    Yields False if another process has it and `wait` is false.
    """
    with open(path, "ab") as file:
        yield _taken(file, wait=wait)


def _taken(file: BinaryIO, *, wait: bool) -> bool:
    """Take the lock on an open file. False if another process has it."""
    try:
        import fcntl
    except ImportError:  # Windows: two runs at once are not noticed.
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:  # Some network folders have no locks.
        return True
    return True
