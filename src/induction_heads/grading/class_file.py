"""The class file: one TOML file with the points, the dates and the late policy of a class.

`points` and `dates` say what the keys mean. Here the file is read and its names are checked.
"""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from induction_heads.course.registry import chapter_stems
from induction_heads.near_names import suggestion

KEYS = {"partial_credit", "chapters", "exercises", "late", "feedback_from", "site"}


class BadClassFile(ValueError):
    """An invalid class file. The message says where, and what was expected."""


def read_toml(path: Path) -> dict[str, Any]:
    """The content of the class file. Raises BadClassFile if it is not TOML or has unknown keys."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadClassFile(f"{path} cannot be read: {error.strerror}.") from error
    except RecursionError:
        raise BadClassFile(f"{path} is not valid: its brackets are nested too deeply.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadClassFile(f"{path} is not valid TOML: {error}.") from error
    require_known(content, KEYS, f"{path}: the file")
    return content


def tables(content: dict[str, Any], key: str) -> dict[str, dict[str, Any]]:
    """The tables under [key.NAME], by name."""
    entries = content.get(key, {})
    if not isinstance(entries, dict) or not all(isinstance(t, dict) for t in entries.values()):
        raise BadClassFile(f"write [{key}.NAME] with its settings on the lines under it.")
    return entries


def chapter_tables(content: dict[str, Any], known: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The tables under [chapters.NAME], by the stem of the chapter."""
    chapters = tables(content, "chapters")
    for name, table in chapters.items():
        require_known(table, known, f"[chapters.{name}]")
    return {_stem(name): table for name, table in chapters.items()}


def _stem(name: str) -> str:
    stems = chapter_stems()
    for stem in stems:
        if name in (stem, stem[:4]):
            return stem
    raise BadClassFile(_unknown(name, [stem[:4] for stem in stems], "[chapters]"))


def require_known(names: Iterable[str], known: Iterable[str], place: str) -> None:
    """Raise BadClassFile for the first name that is not known, with the closest known one."""
    for name in names:
        if name not in known:
            raise BadClassFile(_unknown(name, sorted(known), place))


def _unknown(name: str, known: list[str], place: str) -> str:
    hint = suggestion(name, known, known="Known names:")
    return f"{place} has {name!r}, which is not known. {hint}"
