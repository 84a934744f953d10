"""HTML pages: the feedback for one student, and the summary of a class for the teacher.

The pages load nothing. The summary runs one script, which sorts its tables: its hash is in the
page's policy, so no other script can run. Every text that a submission can influence is escaped.
"""

import base64
import hashlib
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from induction_heads.course.exercise import Exercise
from induction_heads.course.registry import Selection
from induction_heads.figures.markup import function_source, rendered
from induction_heads.grading.gradebook import (
    StudentRecord,
    by_chapter,
    earned,
    is_graded,
    late_words,
    mean_total,
    number,
    total,
)
from induction_heads.grading.listing import Listing
from induction_heads.grading.pictures import picture
from induction_heads.grading.report import MARKS, WORDS
from induction_heads.grading.review import Look
from induction_heads.grading.running_submission import USED_UP
from induction_heads.grading.sandbox import Isolation

STUDENT_COLUMNS = ("student", "points", "share", "passed", "days late")

Results = dict[str, dict[str, dict[str, Any]]]
"""Student → exercise name → the result of that exercise."""


def text(value: str) -> Markup:
    """`value` as HTML: markup is escaped, control and invisible characters become escape codes."""
    visible = "".join(c if c == "\n" or _is_visible(c) else f"\\u{ord(c):04x}" for c in value)
    return Markup("<bdi>{}</bdi>").format(escape(visible))


def _is_visible(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def feedback_page(record: StudentRecord, site: str = "") -> str:
    """One student's page: totals, then each exercise with its message and the wrong answer drawn.

    With `site`, the address of the book, each exercise has a link to its place there.
    """
    return rendered(
        "grading/templates/feedback.html.j2",
        record={"late": (), "columns": (), "comments": {}} | record,
        graded=is_graded(record),
        total=total(record),
        earned=earned(record),
        chapters=by_chapter(record),
        site=site,
        marks=MARKS,
        words=WORDS,
        text=text,
        number=number,
        late_words=late_words,
        picture=picture,
        anchor=_anchor,
    )


def _anchor(exercise: dict[str, Any]) -> str:
    """The label of the exercise in the book."""
    return f"ex-{exercise['chapter'][:4]}-{exercise['name'].replace('_', '-')}"


def summary_page(
    records: Sequence[StudentRecord],
    selections: Sequence[Selection],
    *,
    listing: Listing | None = None,
    sandbox: Isolation | None = None,
    looks: Mapping[str, Look] | None = None,
) -> str:
    """The class: what was handed in, students, frequent mistakes, means, exercises × students.

    It begins with what the teacher should look at: students who could not be graded or whose time
    was used up, and which parts of the sandbox are missing. `looks` has what to look at in the
    sources of each student.
    """
    exercises = [(s.stem, exercise) for s in selections for exercise in s.exercises]
    results = {
        record["student"]: {exercise["name"]: exercise for exercise in record["exercises"]}
        for record in records
    }
    graded = {r["student"]: results[r["student"]] for r in records if is_graded(r)}
    script = function_source("figures/sort_tables.js") + Markup("();")
    by_hand = [column["name"] for column in records[0].get("columns", ())] if records else []
    return rendered(
        "grading/templates/summary.html.j2",
        script=script,
        script_hash=_script_hash(script),
        n_students=len(records),
        mean=_mean_total(records),
        protection=sandbox.sentences() if sandbox else (),
        out_of_time=[record["student"] for record in records if _ran_out_of_time(record)],
        ungraded=[record["student"] for record in records if not is_graded(record)],
        listing=listing,
        student_columns=[*STUDENT_COLUMNS, *by_hand, "calls the package’s own", "resembles"],
        students=[_student_row(record, (looks or {}).get(record["student"])) for record in records],
        exercises={
            f"{stem[:4]} {exercise.name}": _exercise_cells(graded, exercise)
            for stem, exercise in exercises
        },
        mistakes=_mistakes(results, exercises),
        heatmap={
            student: [_cell(by_name[exercise.name]) for _, exercise in exercises]
            for student, by_name in results.items()
        },
        words=WORDS,
        text=text,
    )


def _ran_out_of_time(record: StudentRecord) -> bool:
    return any(USED_UP in exercise["message"] for exercise in record["exercises"])


def _script_hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _student_row(
    record: StudentRecord, look: Look | None
) -> tuple[str, list[str], Sequence[str], Any]:
    """(student, cells, functions of the package, resemblance) for the table of students."""
    n_passed = sum(exercise["status"] == "passed" for exercise in record["exercises"])
    points = total(record)
    by_hand = [column["points"] for column in record.get("columns", ())]
    days = max((entry["days"] for entry in record.get("late", ())), default=0)
    share = 100 * (points or 0.0) / record["max_points"] if record["max_points"] else 0.0
    cells = [
        *(["", ""] if points is None else [number(points), f"{share:.0f} %"]),
        str(n_passed),
        str(days or ""),
        *("" if added is None else number(added) for added in by_hand),
    ]
    return record["student"], cells, look.calls if look else (), look.resembles if look else None


def _mean_total(records: Sequence[StudentRecord]) -> str:
    """The mean of those who have a total, in words."""
    mean = mean_total(records)
    if mean is None:
        return ""
    return f"Mean {number(mean)} of {number(records[0]['max_points'])} points."


def _mistakes(
    results: Results, exercises: Sequence[tuple[str, Exercise]]
) -> list[tuple[int, str, str, str]]:
    """(number of students, exercise, mistake, hint) of the known mistakes, most frequent first."""
    counts = Counter(
        (name, result["mistake"])
        for by_name in results.values()
        for name, result in by_name.items()
        if result["mistake"]
    )
    hints = {(e.name, m.name): m.hint for _, e in exercises for m in e.mistakes}
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [(count, *key, hints.get(key, "")) for key, count in ranked]


def _exercise_cells(results: Results, exercise: Exercise) -> list[str]:
    """The mean share of the points, then the number of students with each status."""
    of_exercise = [by_name[exercise.name] for by_name in results.values()]
    mean = sum(map(_share, of_exercise)) / len(of_exercise) if of_exercise else 0.0
    statuses = Counter(result["status"] for result in of_exercise)
    return [f"{100 * mean:.0f} %", *(str(statuses[status]) for status in WORDS)]


def _share(result: dict[str, Any]) -> float:
    if not result["max_points"]:
        return float(result["status"] == "passed")
    return result["points"] / result["max_points"]


def _cell(result: dict[str, Any]) -> dict[str, Any]:
    """A cell of the heatmap. Its number says everything that its color does."""
    share = _share(result)
    lightness = round(96 - 61 * share)
    return {
        "number": "·" if result["status"] == "not_started" else f"{100 * share:.0f}",
        "lightness": lightness,
        "color": "#fff" if lightness < 62 else "#222",
        "title": f"{result['name']}: {WORDS[result['status']]}",
    }
