"""Crash-safe files, and the folder of a run that can be killed and resumed."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Generic, TypeVar

TEMPORARY = ".writing-"
"""Prefix of the names of unfinished files."""


def write_atomically(path: Path, data: bytes | str, *, private: bool = False) -> None:
    """Write all of `data` or leave the file unchanged, even if the machine stops.

    With `private` only the owner may read the file.
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
    """Remove the unfinished files of killed runs. Call it only while no other run writes here."""
    for entry in list(folder.rglob(f"{TEMPORARY}*")):
        entry.unlink(missing_ok=True)


def canonical(value: Any) -> str:
    """The JSON of a value on one line, with sorted keys: equal values give equal text.

    >>> canonical({"b": 1, "a": [True, None]})
    '{"a":[true,null],"b":1}'
    """
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))


def digest(value: Any) -> str:
    """The SHA-256 checksum of the canonical JSON of a value, in hexadecimal."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def indented(value: Any) -> str:
    """The JSON of a value over several lines, for files that people open."""
    return json.dumps(value, indent=1, ensure_ascii=True) + "\n"


def append_line(path: Path, line: str, *, sync: bool = False) -> None:
    """Append a line to a file, on a new line even if a killed run left the last one truncated.

    With `sync` the line is on the disk when this returns.
    """
    data = f"{line}\n".encode()
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        size = os.fstat(handle).st_size
        truncated = size > 0 and hasattr(os, "pread") and os.pread(handle, 1, size - 1) != b"\n"
        data = b"\n" + data if truncated else data
        while data:
            data = data[os.write(handle, data) :]
        if sync:
            os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(path: Path, *, wait: bool) -> Iterator[bool]:
    """Hold a lock that the system releases when the process ends, even if it is killed.

    Yields False if another process holds the lock and `wait` is false.
    """
    with open(path, "ab") as file:
        yield _lock(file, wait=wait)


def _lock(file: BinaryIO, *, wait: bool) -> bool:
    """Lock an open file. Returns False if another process holds the lock."""
    try:
        import fcntl
    except ImportError:  # On Windows two runs at once go unnoticed.
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:  # Some network folders have no locks.
        return True
    return True


class NotUsable(ValueError):
    """A folder that this run must not write to. The message says why and what to do."""


RunSettings = TypeVar("RunSettings")


class RunFolder(Generic[RunSettings]):
    """The folder of a run: `settings.json`, `journal.jsonl` and whatever the run writes.

    One run at a time writes to it, and only a run with equal settings resumes it. A subclass names
    its command and its contents for the messages, and compares two sets of settings.
    """

    command: ClassVar[str]
    contents: ClassVar[str]
    private: ClassVar[bool] = False
    """Whether only the owner may read the settings and open the folder."""

    def __init__(self, path: Path):
        self.path = path
        self.journal = path / "journal.jsonl"

    def read_settings(self, values: dict[str, Any]) -> RunSettings:
        """The settings from the JSON of `settings.json`. Raises TypeError or KeyError."""
        raise NotImplementedError

    def differences(self, stored: RunSettings, settings: RunSettings) -> list[str]:
        """What differs between two sets of settings, in words; empty if the run may resume."""
        raise NotImplementedError

    @contextmanager
    def held(self, *, resume: bool) -> Iterator[None]:
        """Hold the folder for one run. Raises NotUsable if it is in use or `resume` is missing."""
        self._require_own_files()
        self.path.mkdir(parents=True, exist_ok=True)
        if self.private:
            with suppress(OSError):  # Some network folders have no permissions.
                self.path.chmod(0o700)
        with locked(self.path / ".lock", wait=False) as free:
            if not free:
                raise NotUsable(
                    f"Another `{self.command}` is writing to {self.path}. Wait until it ends."
                )
            if not resume and self.settings() is not None:
                raise NotUsable(
                    f"{self.path} holds {self.contents}. Add --resume to continue it, or choose "
                    "another folder for --out."
                )
            yield

    def begin(self, settings: RunSettings) -> None:
        """Write the settings of a new run, or check that they equal those of the run to resume.

        Call it while the folder is `held`. Raises NotUsable, naming what differs.
        """
        self._require_own_files()
        stored = self.settings()
        if stored is None:
            text = indented(asdict(settings))  # pyright: ignore[reportArgumentType]
            write_atomically(self.path / "settings.json", text, private=self.private)
        elif names := self.differences(stored, settings):
            raise NotUsable(
                f"{self.path} was begun with other settings: {', '.join(names)}. Resume with the "
                "same ones, or choose another folder for --out."
            )
        remove_unfinished(self.path)

    def settings(self) -> RunSettings | None:
        """The settings of the run that began here, or None. Raises NotUsable if unreadable."""
        file = self.path / "settings.json"
        if not file.exists():
            return None
        try:
            return self.read_settings(json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise NotUsable(f"{file} cannot be read. Choose another folder for --out.") from error

    def _require_own_files(self) -> None:
        """Raise NotUsable if there are files here that no run of this command left."""
        if not self.path.exists() or (self.path / "settings.json").exists():
            return
        if not self.path.is_dir():
            raise NotUsable(f"{self.path} is a file. Choose a folder for --out.")
        names = [entry.name for entry in self.path.iterdir()]
        if not all(name == ".lock" or name.startswith(TEMPORARY) for name in names):
            raise NotUsable(
                f"{self.path} is not empty and holds no run to resume. Choose another folder for "
                "--out."
            )
