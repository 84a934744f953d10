"""A reader's progress: a small JSON file next to the folder of exercises.

`{"version": 1, "folders": {"exercises": {"causal_mask": {"digest": …, "status": "passed",
"mistake": null, "attempts": 2, "hints": 1}}}}`. A stored result counts only while the code is
unchanged, so the file can be deleted at any time: only the number of hints shown is lost.
"""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from induction_heads.files import write_atomically
from induction_heads.grading.results import STATUSES, Result

FILE = ".induction-heads.json"
VERSION = 1
MAX_BYTES = 2**20
REPEATABLE = tuple(name for name in STATUSES if name != "timeout")
"""Statuses that the same code gets again. A timeout may depend on the machine."""


@dataclass(frozen=True)
class Entry:
    """One exercise: its last result, the digest of its code, and the attempts and hints so far."""

    digest: str = ""
    status: str = "not_started"
    mistake: str | None = None
    attempts: int = 0
    hints: int = 0


@dataclass(frozen=True)
class Progress:
    """The entries of one folder. `problem` says what could not be read or written, or is None."""

    entries: dict[str, Entry] = field(default_factory=dict)
    problem: str | None = None

    def entry(self, name: str) -> Entry:
        """The entry of an exercise; an empty one if there is none."""
        return self.entries.get(name, Entry())

    def status(self, name: str, digest: str) -> str | None:
        """The status of this code, or None if it has not been checked."""
        entry = self.entry(name)
        return entry.status if entry.digest == digest and entry.status in REPEATABLE else None


def progress_file(folder: Path) -> Path:
    """The progress file that belongs to a folder of exercises."""
    return folder.resolve().parent / FILE


def read_progress(folder: Path) -> Progress:
    """The progress in this folder. A damaged file is renamed to `.bak` and read as empty."""
    path = progress_file(folder)
    try:
        content = _content(path)
    except FileNotFoundError:
        return Progress()
    except OSError as error:
        return Progress(
            problem=f"{path.name} cannot be read ({error.strerror}). It was not changed."
        )
    except ValueError as error:
        aside = path.with_name(f"{FILE}.bak")
        with suppress(OSError):
            os.replace(path, aside)
        return Progress(
            problem=f"{path.name} was damaged ({error}). It was renamed to {aside.name}, and hints "
            "start again from the first."
        )
    return Progress(_entries(content["folders"].get(folder.resolve().name, {})))


def record_results(folder: Path, results: tuple[Result, ...], digests: dict[str, str]) -> Progress:
    """Add results to the file and return the new progress.

    If the file cannot be written, `problem` says so, and the new progress is not stored.
    """
    before = read_progress(folder)
    entries = dict(before.entries)
    for result in results:
        old = before.entry(result.name)
        is_new = old.digest != digests[result.name]
        entries[result.name] = replace(
            old,
            digest=digests[result.name],
            status=result.status,
            mistake=result.mistake,
            attempts=old.attempts + (result.status != "not_started" and is_new),
        )
    return _written(folder, replace(before, entries=entries))


def record_hint(folder: Path, name: str, number: int) -> Progress:
    """Record that the first `number` hints were shown, and return the new progress.

    If the file cannot be written, `problem` says so.
    """
    before = read_progress(folder)
    entry = replace(before.entry(name), hints=max(number, before.entry(name).hints))
    return _written(folder, replace(before, entries={**before.entries, name: entry}))


def _content(path: Path) -> dict[str, Any]:
    """The content of the file. Raises ValueError with the defect as its message."""
    if path.exists() and not path.is_file():  # A pipe would be read forever.
        raise ValueError("it is not a file")
    with path.open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise ValueError("it is larger than 1 MB")
    try:
        content = json.loads(raw.decode())
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    if not isinstance(content, dict) or content.get("version") != VERSION:
        raise ValueError(f"its version is not {VERSION}")
    folders = content.get("folders")
    if not isinstance(folders, dict) or not all(isinstance(v, dict) for v in folders.values()):
        raise ValueError("its folders are missing")
    for entries in folders.values():
        _entries(entries)
    return content


def _entries(content: dict[str, Any]) -> dict[str, Entry]:
    return {name: _entry(name, fields) for name, fields in content.items()}


def _entry(name: str, fields: Any) -> Entry:
    try:
        entry = Entry(**fields)
    except TypeError:
        raise ValueError(f"the entry of {name} has unknown fields") from None
    texts = isinstance(entry.digest, str) and isinstance(entry.mistake, str | None)
    counts = all(type(n) is int and 0 <= n < 10**6 for n in (entry.attempts, entry.hints))
    if not texts or not counts or entry.status not in list(STATUSES):
        raise ValueError(f"the entry of {name} has invalid values")
    return entry


def _written(folder: Path, progress: Progress) -> Progress:
    """Write the file completely or not at all."""
    path = progress_file(folder)
    try:
        folders = _content(path)["folders"]
    except (OSError, ValueError):
        folders = {}
    folders[folder.resolve().name] = {name: asdict(e) for name, e in progress.entries.items()}
    text = json.dumps({"version": VERSION, "folders": folders}, indent=1) + "\n"
    try:
        write_atomically(path, text, private=True)
    except OSError as error:
        unwritten = (
            f"Your progress cannot be stored in {path.parent} ({error.strerror}), so results and "
            "hints will not be remembered."
        )
        return replace(progress, problem=progress.problem or unwritten)
    return progress
