"""The folder that `grade` writes: settings, a record for each student, a journal."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from induction_heads.files import (
    RunFolder,
    append_line,
    canonical,
    digest,
    indented,
    locked,
    write_atomically,
)

FORMAT = 2


@dataclass(frozen=True)
class GradingSettings:
    """What the grades depend on besides the submissions. Grading resumes only with equal ones."""

    version: str
    checks: str
    chapters: tuple[str, ...]
    points: str
    seed: int
    own_code: bool = False
    regrades: int = 0
    format: int = FORMAT

    def digest(self) -> str:
        """A digest of all settings."""
        return digest(asdict(self))


NAMES = {
    "version": "the version of the package",
    "checks": "the checks",
    "chapters": "the chapters",
    "points": "the points",
    "seed": "the seed",
    "own_code": "--own-code",
    "format": "the format of the results",
}
"""Setting → its name in messages."""


class ResultsFolder(RunFolder[GradingSettings]):
    """The folder of a class. `results/` has a record for each graded student.

    While some exercises are graded again, `regrade.json` says which ones, and the digest of the
    settings before. If that is interrupted, the next run continues it.
    """

    command, contents, private = "grade", "the grades of another run", True

    def read_settings(self, values: dict[str, Any]) -> GradingSettings:
        """The settings from their JSON."""
        values["chapters"] = tuple(values["chapters"])
        if "weights" in values:  # The name of `points` in format 1.
            values["points"] = values.pop("weights")
        return GradingSettings(**values)

    def differences(self, stored: GradingSettings, settings: GradingSettings) -> list[str]:
        """What differs, with the values of the version and the chapters. The seed stays secret."""
        names = []
        for name, words in NAMES.items():
            before, now = getattr(stored, name), getattr(settings, name)
            if before == now or (name == "points" and stored.chapters != settings.chapters):
                continue  # Other chapters have other points: naming the chapters is enough.
            shown = f" ({_shown(before)}, now {_shown(now)})"
            names.append(words + shown if name in ("version", "chapters") else words)
        return names

    def begin_regrade(self, exercises: tuple[str, ...], settings: GradingSettings) -> None:
        """Replace the settings, after writing down what is to be graded again."""
        stored = self.settings()
        if self.regrade() is None and stored is not None:
            state = {"exercises": list(exercises), "before": stored.digest()}
            write_atomically(self.path / "regrade.json", indented(state))
        write_atomically(self.path / "settings.json", indented(asdict(settings)), private=True)

    def regrade(self) -> tuple[tuple[str, ...], str] | None:
        """The exercises of an unfinished regrade and the digest of the settings before, or None."""
        try:
            state = json.loads((self.path / "regrade.json").read_text(encoding="utf-8"))
            return tuple(state["exercises"]), state["before"]
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def end_regrade(self) -> None:
        """Note that every student has been graded again."""
        (self.path / "regrade.json").unlink(missing_ok=True)

    def forgotten(self, files: Mapping[str, Path | None]) -> list[str]:
        """The options of earlier runs that have no file now, such as `--columns points.csv`."""
        return [f"{option} {name}" for option, name in self._files().items() if not files[option]]

    def remember(self, files: Mapping[str, Path | None]) -> None:
        """Note which files of the teacher this run uses, by option."""
        used = {option: path.name for option, path in files.items() if path is not None}
        if used:
            write_atomically(self.path / "class_files.json", indented(used))

    def _files(self) -> dict[str, str]:
        try:
            files = json.loads((self.path / "class_files.json").read_text(encoding="utf-8"))
            return {str(option): str(name) for option, name in files.items()}
        except (OSError, ValueError, AttributeError):
            return {}

    def any_record(self, student: str) -> dict[str, Any] | None:
        """The student's record, whatever its settings and submission; None if it is not intact."""
        try:
            record = json.loads(self._record_file(student).read_text(encoding="utf-8"))
            return self.record(student, record["settings"], record["submission"])
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return None

    def record(self, student: str, settings: str, submission: str) -> dict[str, Any] | None:
        """The record of a student, or None if there is no intact one for these two digests."""
        try:
            text = self._record_file(student).read_text(encoding="utf-8")
            record = json.loads(text)
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(record, dict) or text != indented(record):
            return None
        intact = record.pop("checksum", None) == digest(record)
        key = tuple(record.get(name) for name in ("student", "settings", "submission"))
        return record if intact and key == (student, settings, submission) else None

    def write_record(self, record: dict[str, Any]) -> None:
        """Write a student's record with its checksum, so that the student counts as graded."""
        file = self._record_file(record["student"])
        write_atomically(file, indented(record | {"checksum": digest(record)}))

    def _record_file(self, student: str) -> Path:
        return self.path / "results" / f"{student}.json"

    def note(self, **event: Any) -> None:
        """Append an event to the journal."""
        append_line(self.journal, canonical(event))

    @contextmanager
    def only_one(self, student: str) -> Iterator[None]:
        """Wait until no other process grades this student, not even one of a killed run."""
        folder = self.path / ".locks"
        folder.mkdir(exist_ok=True)
        with locked(folder / student, wait=True):
            yield


def _shown(value: Any) -> str:
    return " ".join(value) if isinstance(value, tuple) else str(value)
