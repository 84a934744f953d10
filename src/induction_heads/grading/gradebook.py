"""The grades of a class as files for other systems: CSV for Canvas and Moodle, Gradescope's JSON.

Canvas: `Student`, `ID`, `SIS User ID`, `SIS Login ID`, `Section`, then one column an assignment
(Instructure, "How do I import grades in the Gradebook?"). Moodle reads any columns and asks which
one names the user and which ones are grades (Moodle docs, "Grade import"). Gradescope: "Autograder
specifications", section "Output format".
"""

import csv
import io
import json
import unicodedata
from collections.abc import Sequence
from typing import Any

Record = dict[str, Any]

IDENTITY = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
TOTAL = "Induction heads: total"
FORMULA = "=+-@\t\r\n|%"


def neutral(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula: an apostrophe comes before what might be one.

    Wide forms of the signs count too, and so do spaces and invisible characters before them.
    """
    visible = "".join(c for c in cell if unicodedata.category(c) not in ("Cf", "Zs"))
    first = unicodedata.normalize("NFKC", visible[:1])[:1]
    clean = "".join(" " if unicodedata.category(c) == "Cc" else c for c in cell)
    return f"'{clean}" if cell[:1] in ("\t", "\r", "\n") or (first and first in FORMULA) else clean


def number(points: float) -> str:
    """Points with two decimals, as gradebooks show them."""
    return f"{points:.2f}"


def by_chapter(record: Record) -> dict[str, tuple[float, float]]:
    """The points and the most points of each chapter, in order."""
    sums: dict[str, tuple[float, float]] = {}
    for exercise in record["exercises"]:
        had = sums.get(exercise["chapter"], (0.0, 0.0))
        sums[exercise["chapter"]] = (had[0] + exercise["points"], had[1] + exercise["max_points"])
    return sums


def grades_csv(records: Sequence[Record], *, points_possible: bool = False) -> str:
    """One row a student: who it is, the points of each chapter, and their sum.

    With `points_possible` the first row gives the most points, which Canvas uses to make new
    assignments and Moodle would take for a student.
    """
    chapters = list(by_chapter(records[0])) if records else []
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([*IDENTITY, *(f"Induction heads: {stem}" for stem in chapters), TOTAL])
    if points_possible and records:
        most = [number(most) for _, most in by_chapter(records[0]).values()]
        writer.writerow(["    Points Possible", "", "", "", "", *most, _total(records[0], True)])
    for record in records:
        name = neutral(record["student"])
        points = [number(points) for points, _ in by_chapter(record).values()]
        writer.writerow([name, "", "", name, "", *points, _total(record, False)])
    return text.getvalue()


def _total(record: Record, most: bool) -> str:
    return number(record["max_points" if most else "points"])


def gradescope_json(record: Record) -> str:
    """The `results.json` that Gradescope reads for one submission."""
    tests = [
        {
            "name": f"{exercise['chapter'][:4]} {exercise['name']}",
            "score": exercise["points"],
            "max_score": exercise["max_points"],
            "status": "passed" if exercise["status"] == "passed" else "failed",
            "output": exercise["message"] or "Passed.",
            "output_format": "text",
            "visibility": "visible",
        }
        for exercise in record["exercises"]
    ]
    n_passed = sum(test["status"] == "passed" for test in tests)
    found = {
        "score": record["points"],
        "output": f"{n_passed} of {len(tests)} exercises passed.",
        "output_format": "text",
        "visibility": "visible",
        "tests": tests,
    }
    return json.dumps(found, indent=1) + "\n"
