"""The folder that `grade` writes: settings, one record a student, a journal. It survives a kill.

Every file is written under another name, flushed and renamed, so it is there in full or not at all.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from induction_heads.durable import (
    TEMPORARY,
    append_line,
    canonical,
    locked,
    remove_unfinished,
    write_atomically,
)

FORMAT = 1


class NotUsable(ValueError):
    """A results folder that must not be written to. The message says why and what to do."""


@dataclass(frozen=True)
class Settings:
    """What the grades depend on besides the submissions. All of it must be equal to resume."""

    version: str
    checks: str
    chapters: tuple[str, ...]
    weights: str
    seed: int
    format: int = FORMAT

    def digest(self) -> str:
        """A digest of all settings."""
        return hashlib.sha256(canonical(asdict(self)).encode()).hexdigest()


NAMES = {
    "version": "the version of the package",
    "checks": "the checks",
    "chapters": "the chapters",
    "weights": "the weights",
    "seed": "the seed",
    "format": "the form of the results",
}


def _text(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=1, ensure_ascii=True) + "\n"


class ResultsFolder:
    """A folder with `settings.json`, `results/`, and `journal.jsonl`."""

    def __init__(self, path: Path):
        self.path = path

    def settings(self) -> Settings | None:
        """The settings of the run that began here, or None. Raises NotUsable if unreadable."""
        file = self.path / "settings.json"
        if not file.exists():
            return None
        try:
            given = json.loads(file.read_text(encoding="utf-8"))
            return Settings(**(given | {"chapters": tuple(given["chapters"])}))
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise NotUsable(f"{file} cannot be read. Choose another folder for --out.") from error

    def is_unused(self) -> bool:
        """Whether nothing but remains of a run that was killed at its very start is here."""
        if not self.path.is_dir():
            return not self.path.exists()
        names = [entry.name for entry in self.path.iterdir()]
        return all(name == ".lock" or name.startswith(TEMPORARY) for name in names)

    def begin(self, settings: Settings) -> None:
        """Write the settings of a new run."""
        write_atomically(self.path / "settings.json", _text(asdict(settings)), private=True)

    def sweep(self) -> None:
        """Remove what killed runs left half-written. Only while this folder is `held`."""
        remove_unfinished(self.path)

    def record(self, student: str, settings: str, submission: str) -> dict[str, Any] | None:
        """The record of a student if it is whole and of these settings and this submission."""
        try:
            text = self._record_file(student).read_text(encoding="utf-8")
            found = json.loads(text)
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(found, dict) or text != _text(found):
            return None
        checksum = found.pop("checksum", None)
        whole = checksum == hashlib.sha256(canonical(found).encode()).hexdigest()
        wanted = (student, settings, submission)
        given = tuple(found.get(key) for key in ("student", "settings", "submission"))
        return found if whole and given == wanted else None

    def write_record(self, record: dict[str, Any]) -> None:
        """Write a student's record with its checksum. From now on it is not graded again."""
        checksum = hashlib.sha256(canonical(record).encode()).hexdigest()
        file = self._record_file(record["student"])
        write_atomically(file, _text(record | {"checksum": checksum}))

    def _record_file(self, student: str) -> Path:
        return self.path / "results" / f"{student}.json"

    def note(self, **event: Any) -> None:
        """Add a line to the journal, after whatever a killed run left there."""
        append_line(self.path / "journal.jsonl", canonical(event))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder for one run. Raises NotUsable if another run holds it."""
        self.path.mkdir(parents=True, exist_ok=True)
        with locked(self.path / ".lock", wait=False) as taken:
            if not taken:
                raise NotUsable(f"Another `grade` is writing to {self.path}. Wait until it ends.")
            yield

    @contextmanager
    def only_one(self, student: str) -> Iterator[None]:
        """Wait until no other process grades this student, also one left over by a killed run."""
        folder = self.path / ".locks"
        folder.mkdir(exist_ok=True)
        with locked(folder / student, wait=True):
            yield
