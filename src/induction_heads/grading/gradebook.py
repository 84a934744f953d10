"""The grades of a class as files for other systems: CSV for Canvas and Moodle, Gradescope's JSON.

Canvas: `Student`, `ID`, `SIS User ID`, `SIS Login ID`, `Section`, then one column per assignment
(Instructure, "How do I import grades in the Gradebook?"). Moodle reads any columns and asks which
one has the user, which ones are grades and which one is feedback (Moodle docs, "Grade import").
Gradescope: "Autograder specifications", section "Output format".
"""

import csv
import io
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from induction_heads.grading.roster import Person

StudentRecord = dict[str, Any]
Persons = Mapping[str, Person]
"""The rows of the class list, by student."""

IDENTITY = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
TOTAL = "Induction heads: total"
MAXIMA = "Points Possible"
CANVAS_COMPUTES = re.compile(r"(Current|Final|Override) (Score|Points|Grade|Status)")
"""Canvas skips a column whose heading contains such a name."""
NO_GRADE = "-"
"""What Moodle reads as no grade everywhere. An empty cell of a new grade item becomes 0."""
FORMULA = "=+-@\t\r\n|%"
NO_PERSONS: Persons = MappingProxyType({})


def neutral(cell: str) -> str:
    """A cell that no spreadsheet reads as a formula: one that might be gets an apostrophe in front.

    Full-width signs count, and so do signs after spaces or invisible characters.
    """
    visible = "".join(c for c in cell if unicodedata.category(c) not in ("Cf", "Zs"))
    first = unicodedata.normalize("NFKC", visible[:1])[:1]
    clean = "".join(" " if unicodedata.category(c) == "Cc" else c for c in cell)
    return f"'{clean}" if cell[:1] in ("\t", "\r", "\n") or (first and first in FORMULA) else clean


def number(points: float) -> str:
    """Points with two decimals, as gradebooks show them."""
    return f"{points:.2f}"


def exercise_points(record: StudentRecord) -> dict[str, tuple[float, float]]:
    """What the exercises of each chapter earned, and their maximum points, in order."""
    sums: dict[str, tuple[float, float]] = {}
    for exercise in record["exercises"]:
        points, maximum = sums.get(exercise["chapter"], (0.0, 0.0))
        sums[exercise["chapter"]] = (
            points + exercise["points"],
            maximum + exercise["max_points"],
        )
    return sums


def by_chapter(record: StudentRecord) -> dict[str, tuple[float, float]]:
    """The points and the maximum points of each chapter, less what lateness costs, in order."""
    lost = {entry["chapter"]: entry["lost"] for entry in record.get("late", ())}
    return {
        stem: (points - lost.get(stem, 0.0), maximum)
        for stem, (points, maximum) in exercise_points(record).items()
    }


def is_graded(record: StudentRecord) -> bool:
    """Whether the points are a grade. If not, the teacher has to look at the submission."""
    return record.get("status", "graded") == "graded"


def absent_record(record: StudentRecord, person: Person) -> StudentRecord:
    """A record with the exercises of another one, for a person who handed in nothing."""
    exercises = [exercise | {"points": 0.0} for exercise in record["exercises"]]
    return record | {
        "student": person.label,
        "status": "graded",
        "absent": list(exercise_points(record)),
        "points": 0.0,
        "exercises": exercises,
    }


def is_absent(record: StudentRecord) -> bool:
    """Whether nothing was handed in for any chapter."""
    return set(record.get("absent", ())) >= exercise_points(record).keys()


def earned(record: StudentRecord) -> dict[str, float | None]:
    """The points of each chapter. None without a grade, and where nothing was handed in."""
    absent = set(record.get("absent", ()))
    return {
        stem: points if is_graded(record) and stem not in absent else None
        for stem, (points, _) in by_chapter(record).items()
    }


def total(record: StudentRecord) -> float | None:
    """All points. None without a grade, or if nothing was handed in and no points were added."""
    by_hand = [column["points"] for column in record.get("columns", ())]
    if not is_graded(record) or (is_absent(record) and all(p is None for p in by_hand)):
        return None
    return record["points"]


def mean_total(records: Sequence[StudentRecord]) -> float | None:
    """The mean of those who have a total. None if nobody has."""
    totals = [points for record in records if (points := total(record)) is not None]
    return sum(totals) / len(totals) if totals else None


def _all_points(record: StudentRecord) -> list[float | None]:
    """What the cells of points say: chapters, columns by hand, total. None is an empty cell."""
    by_hand = [c["points"] if is_graded(record) else None for c in record.get("columns", ())]
    return [*earned(record).values(), *by_hand, total(record)]


def _all_maxima(record: StudentRecord) -> list[float]:
    """The most points that each of `_all_points` can have."""
    chapters = [maximum for _, maximum in by_chapter(record).values()]
    return [*chapters, *(c["max_points"] for c in record.get("columns", ())), record["max_points"]]


def _identity(record: StudentRecord, person: Person | None) -> list[str]:
    """The cells of IDENTITY. Without a list of the class, only the student's name is known."""
    student = record["student"]
    person = person or Person(student, student)
    # Canvas takes any row whose first cell contains these words for the maxima.
    name = neutral(person.name or student).replace(MAXIMA, MAXIMA.replace(" ", "_"))
    return [name, *map(neutral, (person.id, person.sis_id, person.login, person.section))]


def _heading(name: str) -> str:
    """The heading of a column of points, which Canvas takes as the name of an assignment.

    It would skip a "Final Score", and take a number in brackets for the assignment's id.
    """
    name = CANVAS_COMPUTES.sub(lambda match: match[0].lower(), name)
    return neutral("Induction heads: " + re.sub(r"\((\d+)\)$", r"[\1]", name))


def grades_csv(
    records: Sequence[StudentRecord],
    *,
    points_possible: bool = False,
    persons: Persons = NO_PERSONS,
) -> str:
    """One row for each student: identity, the points of each chapter and column, and their sum.

    A student without a grade has empty cells, and so has a chapter for which nothing was handed in.
    Canvas does not read them as 0. With `points_possible` the first row has the maximum points.
    Canvas creates new assignments from it.
    """
    first = records[0] if records else {"exercises": [], "max_points": 0}
    names = [*by_chapter(first), *(column["name"] for column in first.get("columns", ()))]
    rows = [[*IDENTITY, *map(_heading, names), TOTAL]]
    if points_possible and records:
        rows.append([f"    {MAXIMA}", "", "", "", "", *map(number, _all_maxima(first))])
    for record in records:
        cells = ["" if points is None else number(points) for points in _all_points(record)]
        rows.append([*_identity(record, persons.get(record["student"])), *cells])
    return csv_text(rows)


def moodle_csv(records: Sequence[StudentRecord], *, persons: Persons = NO_PERSONS) -> str:
    """One row for each student: user name, percentages, total of at most 100, feedback.

    Moodle stores user names in lower case and matches them exactly. It refuses a whole file with a
    grade above 100, unless its administrator has raised the limit. Where `grades_csv` has an empty
    cell there is a hyphen.
    """
    first = records[0] if records else {"exercises": []}
    names = [*by_chapter(first), *(column["name"] for column in first.get("columns", ()))]
    head = ["username", *(neutral(f"{name} (%)") for name in names)]
    rows = [[*head, "Induction heads", "Induction heads feedback"]]
    for record in records:
        person = persons.get(record["student"], Person())
        name = neutral((person.login or record["student"]).lower())
        cells = map(_percent, _all_points(record), _all_maxima(record))
        rows.append([name, *cells, neutral(feedback_line(record))])
    return csv_text(rows)


def _percent(points: float | None, maximum: float) -> str:
    if points is None or not maximum:
        return NO_GRADE
    return number(min(100.0, 100 * points / maximum))


def feedback_line(record: StudentRecord) -> str:
    """The feedback on one line: points of each chapter and column, lateness, comments."""
    if not is_graded(record):
        return "Not graded yet."
    points = total(record)
    parts = [
        "Nothing handed in"
        if points is None
        else f"{number(points)} of {number(record['max_points'])} points"
    ]
    if points is not None:
        maxima = [maximum for _, maximum in by_chapter(record).values()]
        for (stem, share), most in zip(earned(record).items(), maxima, strict=True):
            words = "nothing handed in" if share is None else f"{number(share)} of {number(most)}"
            parts.append(f"{stem[:4]}: {words}")
    for column in record.get("columns", ()):
        if column["points"] is not None:
            most = number(column["max_points"])
            parts.append(f"{column['name']}: {number(column['points'])} of {most}")
    parts += [late_words(entry) for entry in record.get("late", ())]
    parts += [f"{name}: {text}" for name, text in record.get("comments", {}).items()]
    return "; ".join(parts)


def late_words(entry: dict[str, Any]) -> str:
    """`ch04 was 2 days late: 20 % less (−1.20 points)`"""
    days = f"{entry['days']} day{'s' if entry['days'] != 1 else ''}"
    cost = f"{entry['percent']:g} % less (−{number(entry['lost'])} points)"
    return f"{entry['chapter'][:4]} was {days} late: {cost}"


def csv_text(rows: Sequence[Sequence[str]]) -> str:
    """The rows as CSV, with the line ends that spreadsheets write."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()


def gradescope_json(record: StudentRecord, *, held_back: bool = False) -> str:
    """The `results.json` that Gradescope reads for one submission.

    With `held_back` students see it when the teacher publishes the grades, and not before.
    """
    visibility = "after_published" if held_back else "visible"
    tests = [
        {
            "name": f"{exercise['chapter'][:4]} {exercise['name']}",
            "score": exercise["points"],
            "max_score": exercise["max_points"],
            "status": "passed" if exercise["status"] == "passed" else "failed",
            "output": exercise["message"] or "Passed.",
            "output_format": "text",
            "visibility": visibility,
        }
        for exercise in record["exercises"]
    ]
    n_passed = sum(test["status"] == "passed" for test in tests)
    lines = [f"{n_passed} of {len(tests)} exercises passed."]
    lines += [f"{late_words(entry)}." for entry in record.get("late", ())]
    results = {
        "score": record["points"],
        "output": "\n".join(lines),
        "output_format": "text",
        "visibility": visibility,
        "tests": tests,
    }
    return json.dumps(results, indent=1) + "\n"
