"""The changed answers that a check may accept, each with the reason."""

import json
import tomllib
from pathlib import Path

FILE = Path(__file__).parent / "survivors.toml"

Key = tuple[str, str, str, str]
"""Exercise, answer, the line as it is, and what it becomes."""


def read_table() -> dict[Key, str]:
    """The reason for each survivor.

    An entry of the file gives one reason for one or more changes of one line: `line` with a list
    `becomes`. Raises ValueError for a change that is listed twice.
    """
    reasons: dict[Key, str] = {}
    for entry in tomllib.loads(FILE.read_text(encoding="utf-8")).get("survivor", []):
        for becomes in entry["becomes"]:
            key = (entry["exercise"], entry["answer"], entry["line"], becomes)
            if key in reasons:
                raise ValueError(f"{key} is listed twice in {FILE.name}.")
            reasons[key] = entry["reason"]
    return reasons


def entry(key: Key, reason: str) -> str:
    """A change as it is written in the table."""
    exercise, answer, line, becomes = (json.dumps(part, ensure_ascii=False) for part in key)
    return (
        f"[[survivor]]\nexercise = {exercise}\nanswer = {answer}\nline = {line}\n"
        f"becomes = [{becomes}]\nreason = {json.dumps(reason, ensure_ascii=False)}\n"
    )
