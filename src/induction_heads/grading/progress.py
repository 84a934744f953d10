"""What a reader has done so far: a small JSON file beside the folder of exercises.

`{"version": 1, "folders": {"exercises": {"causal_mask": {"digest": …, "status": "passed",
"mistake": null, "attempts": 2, "hints": 1}}}}`. A result counts only for the code that it was found
for, so that the file can be deleted at any time: only the hints used are lost.
"""

import json
import os
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from induction_heads.grading.results import STATUSES, Result

FILE = ".induction-heads.json"
VERSION = 1
MAX_BYTES = 2**20
KEPT = ("passed", "failed", "error", "not_started")
"""What is found again for the same code. A timeout may not be."""


@dataclass(frozen=True)
class Entry:
    """One exercise: the last result with the digest of its code, attempts checked, hints shown."""

    digest: str = ""
    status: str = "not_started"
    mistake: str | None = None
    attempts: int = 0
    hints: int = 0


@dataclass(frozen=True)
class Progress:
    """The entries of one folder. `problem` says why the file could not be read, if it could not."""

    entries: dict[str, Entry] = field(default_factory=dict)
    problem: str | None = None

    def entry(self, name: str) -> Entry:
        """The entry of an exercise; an empty one if there is none."""
        return self.entries.get(name, Entry())

    def status(self, name: str, digest: str) -> str | None:
        """The status found for this code, or None if it has not been checked."""
        entry = self.entry(name)
        return entry.status if entry.digest == digest and entry.status in KEPT else None


def progress_file(folder: Path) -> Path:
    """The progress file that belongs to a folder of exercises."""
    return folder.resolve().parent / FILE


def read_progress(folder: Path) -> Progress:
    """What the file says about the folder. A file that cannot be read is put aside as `.bak`."""
    path = progress_file(folder)
    try:
        content = _content(path)
    except FileNotFoundError:
        return Progress()
    except OSError as error:
        return Progress(problem=f"{path.name} cannot be read ({error.strerror}); nothing is lost.")
    except ValueError as error:
        aside = path.with_name(f"{FILE}.bak")
        with suppress(OSError):
            os.replace(path, aside)
        said = f"{path.name} was damaged ({error}) and is now {aside.name}: hints start anew."
        return Progress(problem=said)
    return Progress(_entries(content["folders"].get(folder.resolve().name, {})))


def record_results(folder: Path, results: tuple[Result, ...], digests: dict[str, str]) -> Progress:
    """Add results to the file and return what it says then. Without permission none is written."""
    before = read_progress(folder)
    entries = dict(before.entries)
    for result in results:
        old = before.entry(result.name)
        again = old.digest == digests[result.name]
        entries[result.name] = replace(
            old,
            digest=digests[result.name],
            status=result.status,
            mistake=result.mistake,
            attempts=old.attempts + (result.status != "not_started" and not again),
        )
    return _written(folder, replace(before, entries=entries))


def record_hint(folder: Path, name: str, number: int) -> Progress:
    """Remember that so many hints were shown, and return what the file now says."""
    before = read_progress(folder)
    entry = replace(before.entry(name), hints=max(number, before.entry(name).hints))
    return _written(folder, replace(before, entries={**before.entries, name: entry}))


def _content(path: Path) -> dict[str, Any]:
    """The file as data. Raises ValueError that says what is wrong with it."""
    with path.open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise ValueError("it is larger than 1 MB")
    try:
        content = json.loads(raw.decode())
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    if not isinstance(content, dict) or content.get("version") != VERSION:
        raise ValueError(f"it is not of version {VERSION}")
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
        raise ValueError(f"the entry of {name} has other fields") from None
    texts = isinstance(entry.digest, str) and isinstance(entry.mistake, str | None)
    counts = all(type(n) is int and 0 <= n < 10**6 for n in (entry.attempts, entry.hints))
    if not texts or not counts or entry.status not in STATUSES:
        raise ValueError(f"the entry of {name} has values that do not belong there")
    return entry


def _written(folder: Path, progress: Progress) -> Progress:
    """Write the file as a whole or not at all."""
    path = progress_file(folder)
    try:
        folders = _content(path)["folders"]
    except (OSError, ValueError):
        folders = {}
    folders[folder.resolve().name] = {name: asdict(e) for name, e in progress.entries.items()}
    text = json.dumps({"version": VERSION, "folders": folders}, indent=1) + "\n"
    try:
        handle, new = tempfile.mkstemp(dir=path.parent, prefix=FILE)
    except OSError:  # A folder that cannot be written keeps no progress.
        return progress
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(new, path)
    except OSError:
        with suppress(OSError):
            os.unlink(new)
    return progress
