"""Dates of a class: when chapters are due, what lateness costs, when students may see feedback.

feedback_from = 2026-10-12               # feedback pages are written from this day on

[late]
percent_per_day = 10                     # of a chapter's points, for each day that has begun
grace_minutes = 15
last_day = 5                             # work that is later earns nothing

[chapters.ch04]
due = 2026-10-05                         # the end of this day; or 2026-10-05T18:00:00+02:00
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from induction_heads.grading.class_file import (
    BadClassFile,
    chapter_tables,
    read_toml,
    require_known,
)
from induction_heads.grading.points import CHAPTER_KEYS

DAY = timedelta(days=1)
LATE_KEYS = {"percent_per_day", "grace_minutes", "last_day"}


@dataclass(frozen=True)
class LatePolicy:
    """What lateness costs: `percent` of the points for each day that has begun.

    Up to `grace` after the due date nothing is late. After `last_day` days nothing is earned; None
    means no limit.
    """

    percent: float = 0.0
    grace: timedelta = timedelta()
    last_day: int | None = None

    def days_late(self, due: datetime, submitted: datetime) -> int:
        """The number of days that have begun after the due date."""
        late = submitted - due
        return 0 if late <= self.grace else math.ceil(late / DAY)

    def lost_percent(self, days: int) -> float:
        """The percentage of the points that are lost, from 0 to 100."""
        if self.last_day is not None and days > self.last_day:
            return 100.0
        return min(100.0, self.percent * days)


@dataclass(frozen=True)
class Dates:
    """The dates of a class. `due` has the chapters with a due date, by stem."""

    due: Mapping[str, datetime] = field(default_factory=dict)
    late: LatePolicy = field(default_factory=LatePolicy)
    feedback_from: datetime | None = None
    site: str = ""

    def holds_feedback(self, now: datetime) -> bool:
        """Whether students may not see feedback yet."""
        return self.feedback_from is not None and now < self.feedback_from


def read_dates(path: Path | None) -> Dates:
    """The dates in the class file, or none. Raises BadClassFile for a value that is not valid."""
    if path is None:
        return Dates()
    content = read_toml(path)
    try:
        return _dates(content)
    except BadClassFile as error:
        raise BadClassFile(f"{path}: {error}") from None


def _dates(content: dict[str, Any]) -> Dates:
    late = content.get("late", {})
    if not isinstance(late, dict):
        raise BadClassFile("write [late] with its settings on the lines under it.")
    require_known(late, LATE_KEYS, "[late]")
    chapters = chapter_tables(content, CHAPTER_KEYS)
    site = content.get("site", "")
    if not isinstance(site, str) or (site and not site.startswith(("https://", "http://"))):
        raise BadClassFile(f'site is {site!r}. Expected an address such as "https://…".')
    feedback_from = content.get("feedback_from")
    return Dates(
        {
            stem: _moment(table["due"], f"[chapters.{stem[:4]}] due", end_of_day=True)
            for stem, table in chapters.items()
            if "due" in table
        },
        LatePolicy(
            _number(late, "percent_per_day", 0, 100),
            timedelta(minutes=_number(late, "grace_minutes", 0, 7 * 24 * 60)),
            _last_day(late) if "last_day" in late else None,
        ),
        None if feedback_from is None else _moment(feedback_from, "feedback_from"),
        f"{site.rstrip('/')}/" if site else "",
    )


def _number(table: dict[str, Any], key: str, low: float, high: float) -> float:
    value = table.get(key, 0)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:
        raise BadClassFile(f"[late] {key} is {value!r}. Expected a number from {low} to {high:,}.")
    return float(value)


def _last_day(late: dict[str, Any]) -> int:
    day = _number(late, "last_day", 0, 1000)
    if not day.is_integer():
        raise BadClassFile(f"[late] last_day is {day:g}. Expected a whole number of days.")
    return int(day)


def _moment(value: Any, place: str, *, end_of_day: bool = False) -> datetime:
    """A date or a time in TOML as a time with a time zone: this computer's if none is written."""
    if isinstance(value, datetime):
        return value.astimezone()
    if isinstance(value, date):
        midnight = datetime.combine(value, time())
        return (midnight + DAY if end_of_day else midnight).astimezone()
    raise BadClassFile(
        f"{place} is {value!r}. Expected a date such as 2026-10-05, or a time such as "
        "2026-10-05T18:00:00+02:00, without quotation marks."
    )
