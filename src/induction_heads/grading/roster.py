"""The list of a class: who belongs to it, and under which names course systems know them.

A CSV file with a header. The columns are login, name, id and section, or the names that Canvas,
Moodle and GitHub Classroom give these columns in their exports.
"""

import csv
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

COLUMNS = {
    "login": ("login", "sis login id", "login id", "username", "user name"),
    "name": ("name", "student", "full name", "student name"),
    "id": ("id", "user id", "id number", "identifier"),
    "sis_id": ("sis user id",),
    "section": ("section", "sections", "group", "groups"),
    "github": ("github", "github_username", "github username", "github login"),
    "email": ("email", "email address", "e-mail"),
    "first": ("first name", "firstname"),
    "last": ("last name", "surname", "lastname"),
}
"""What a column holds → its possible headings, in lowercase."""
CANVAS = {"sis user id", "sis login id"}
"""The headings by which an export of Canvas is recognized."""
MAX_BYTES = 2**21


class BadRoster(ValueError):
    """A list of the class that cannot be used. The message says why."""


@dataclass(frozen=True)
class Person:
    """One row of the list. Any of the texts may be empty, but not both `login` and `name`.

    `id` is the number of the account in Canvas, if the list comes from there. `sis_id` is the
    number that the school gave.
    """

    login: str = ""
    name: str = ""
    id: str = ""
    section: str = ""
    github: str = ""
    email: str = ""
    sis_id: str = ""

    @property
    def label(self) -> str:
        """The text that identifies this person in all files: the login, or else the name."""
        return self.login or self.name

    def forms(self) -> set[str]:
        """The forms in which the name of an entry may identify this person."""
        texts = [self.login, self.name, self.id, self.sis_id, self.github, self.email]
        texts += [self.email.partition("@")[0], *_turned(self.name)]
        return {key for text in texts if (key := folded(text))}


def folded(text: str) -> str:
    """Letters and digits only, in lowercase, as Canvas writes names."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in plain if c.isalnum() or unicodedata.category(c)[0] == "M")


def _turned(name: str) -> list[str]:
    """`Ada King Lovelace` with the last name first, however many words it has."""
    words = name.replace(",", " ").split()
    return [" ".join(words[at:] + words[:at]) for at in range(1, len(words))]


def read_roster(path: Path) -> list[Person]:
    """The people in the file. Raises BadRoster."""
    try:
        data = path.read_bytes()[: MAX_BYTES + 1]
    except OSError as error:
        raise BadRoster(f"{path} cannot be read: {error.strerror}.") from error
    if len(data) > MAX_BYTES:
        raise BadRoster(f"{path} is larger than {MAX_BYTES // 2**20} MB.")
    try:
        rows = list(csv.reader(io.StringIO(_text(data), newline=""), delimiter=_delimiter(data)))
    except csv.Error as error:
        raise BadRoster(f"{path} is not a CSV file: {error}.") from error
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    if not rows:
        raise BadRoster(f"{path} is empty. Expected the columns login, name, id and section.")
    columns = _columns(path, rows[0])
    persons = [_person(columns, row) for row in rows[1:]]
    persons = [p for p in persons if p.label and p.name.strip().casefold() != "points possible"]
    _require_different(path, persons)
    return persons


def _text(data: bytes) -> str:
    for encoding in ("utf-8-sig", "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


def _delimiter(data: bytes) -> str:
    header = _text(data).partition("\n")[0]
    return max(",;\t", key=header.count)


def _columns(path: Path, header: list[str]) -> dict[str, int]:
    names = [re.sub(r"\s+", " ", cell).strip().casefold() for cell in header]
    columns = {
        column: next(names.index(heading) for heading in headings if heading in names)
        for column, headings in COLUMNS.items()
        if set(headings) & set(names)
    }
    if not columns.keys() & {"login", "name", "github", "last"}:
        raise BadRoster(
            f"{path} has the columns {', '.join(header)}. "
            "Expected login, name, id and section, and at least login or name."
        )
    if "id" in columns and not CANVAS & set(names):
        # Canvas looks for its own number first: another one may belong to someone else there.
        columns["sis_id"] = columns.pop("id")
    return columns


def _person(columns: dict[str, int], row: list[str]) -> Person:
    def cell(column: str) -> str:
        at = columns.get(column, len(row))
        return row[at].strip() if at < len(row) else ""

    name = cell("name") or " ".join(filter(None, [cell("first"), cell("last")]))
    login = cell("login") or cell("github")
    rest = map(cell, ("id", "section", "github", "email", "sis_id"))
    return Person(login, name, *rest)


def _require_different(path: Path, persons: Sequence[Person]) -> None:
    seen: set[str] = set()
    for person in persons:
        if (key := folded(person.label)) in seen:
            raise BadRoster(f"{path} has {person.label} twice. Give each student one row.")
        seen.add(key)


class Roster:
    """Finds the person that the name of an entry refers to."""

    def __init__(self, persons: Sequence[Person]):
        self.persons = list(persons)
        self._by_key: dict[str, list[Person]] = {}
        for person in persons:
            for key in person.forms():
                self._by_key.setdefault(key, []).append(person)

    def person(self, student: str, number: str = "", start: str | None = None) -> Person | None:
        """The person with this number, or with this name, or whose login follows `start` in it.

        By default any start will do.
        """
        for key in (number, student):
            persons = self._by_key.get(folded(key), []) if key else []
            if len(persons) == 1:
                return persons[0]
        start = self.common_start([student]) if start is None else start
        ends = [p for p in self.persons if start in _starts(student, p)]
        return ends[0] if len(ends) == 1 else None

    def common_start(self, students: Sequence[str]) -> str:
        """What is before the login in most of the names that end in one: `homework-`.

        GitHub Classroom writes such names. A student who chooses the login `x-ada` is not `ada`.
        """
        starts = Counter(start for s in students for p in self.persons for start in _starts(s, p))
        return min(starts, key=lambda start: (-starts[start], len(start), start), default="")


def _starts(student: str, person: Person) -> set[str]:
    """What is before a login of the person in a name that ends in it, with `-` or `_` between."""
    name = student.casefold()
    logins = {login.casefold() for login in (person.github, person.login) if login}
    starts = {name.removesuffix(login) for login in logins if name.endswith(login)}
    return {start for start in starts if start.endswith(("-", "_"))}
