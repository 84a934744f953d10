"""What Canvas, Moodle, Gradescope and GitHub Classroom make of a file, by their importers' rules.

Each function takes what a teacher uploads, raises NotImported where the system would refuse it, and
returns what the system would store.
"""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


class NotImported(ValueError):
    """The system would refuse the file. The message says which rule it breaks."""


@dataclass(frozen=True)
class CanvasStudent:
    """A student of a Canvas course. `number` is Canvas's own id of the account."""

    number: int
    name: str
    sis_id: str = ""
    login: str = ""


@dataclass
class CanvasImport:
    """What Canvas shows before a teacher confirms. `strangers` are names that it does not know."""

    maxima: dict[str, str] = field(default_factory=dict)
    grades: dict[str, dict[str, str]] = field(default_factory=dict)
    strangers: list[str] = field(default_factory=list)


# canvas-lms, lib/gradebook_importer.rb: the numbered comments are its rules.
CANVAS_IDENTITY = ("SIS User ID", "SIS Login ID", "Section")
CANVAS_OWN = re.compile(
    "Current Score|Current Points|Current Grade|Final Score|Final Points|Final Grade"
    "|Override Score|Override Grade|Override Status"
)


def canvas_import(text: str, students: Sequence[CanvasStudent]) -> CanvasImport:
    """What Canvas reads in a gradebook file. `grades` are by the student's name in Canvas."""
    separator = _canvas_separator(text.splitlines()[:3])
    reader = csv.reader(io.StringIO(text), delimiter=separator)
    rows = [list(map(_canvas_cell, row)) for row in reader]
    head = rows[0] if rows else []
    # 1. The header starts with a student column, an id column and the two SIS columns.
    if len(head) <= 3 or "Student" not in head[0] or "ID" not in head[1]:
        raise NotImported("Invalid header row")
    if tuple(head[2:5]) != CANVAS_IDENTITY:
        raise NotImported("Invalid header row: the last column of the student is not Section")
    # 2. What is left are assignments, without the columns that Canvas computes itself. Of two with
    #    one name, both read the first column.
    titles = [title for title in head[5:] if not CANVAS_OWN.search(title)]
    places = {title: head.index(title) for title in titles}
    # 3. A number in brackets at the end is the id of an assignment that exists already.
    for title in titles:
        if re.fullmatch(r".*\s\(\d+\)", title):
            raise NotImported(f"{title!r} is taken for an assignment by its number")
    found = CanvasImport()
    for row in rows[1:]:
        # 4. The row of maxima is any row with these words in its first cell.
        if "Points Possible" in row[0]:
            found.maxima = {title: row[place] for title, place in places.items()}
            continue
        student = _canvas_student(row, students)
        if student is None:
            found.strangers.append(row[0])
            continue
        found.grades[student.name] = {title: row[place] for title, place in places.items()}
    return found


def _canvas_separator(lines: Sequence[str]) -> str:
    """5. The separator that gives more columns, if it gives the same number in all lines."""
    counts = {}
    for separator in ";,":
        sizes = {len(next(csv.reader([line], delimiter=separator))) for line in lines}
        counts[separator] = sizes.pop() if len(sizes) == 1 else 0
    return ";" if counts[";"] > counts[","] else ","


def _canvas_cell(cell: str) -> str:
    """6. In a cell of digits, points and commas, the last of these signs is the decimal point."""
    if not re.fullmatch(r"-?[0-9.,]+%?", cell):
        return cell
    *before, last = re.split("[,.]", cell)
    return f"{''.join(before)}.{last}" if before else last


def _canvas_student(row: Sequence[str], students: Sequence[CanvasStudent]) -> CanvasStudent | None:
    """7. Canvas's id, of which it reads the first digits; the SIS id; the login; the name."""
    _, number, sis_id, login, _ = row[:5]
    digits = re.match(r"\s*(\d+)", number)
    for matches in (
        lambda student: digits is not None and student.number == int(digits[1]),
        lambda student: bool(sis_id) and student.sis_id == sis_id,
        lambda student: bool(login) and student.login == login,
        lambda student: student.name == row[0],
    ):
        if found := next(filter(matches, students), None):
            return found
    return None


NEW = "new"
"""The choice "New grade item" for a column of a file for Moodle."""


@dataclass
class MoodleImport:
    """What Moodle stores: a grade by user and item, None for no grade; and feedback."""

    grades: dict[tuple[str, str], float | None] = field(default_factory=dict)
    feedback: dict[tuple[str, str], str] = field(default_factory=dict)


def moodle_import(
    text: str, columns: Mapping[str, str | tuple[str, str]], users: Sequence[str]
) -> MoodleImport:
    """What Moodle reads in a CSV file of grades.

    `columns` says what a teacher chooses for a column: "username", NEW, ("grade", ITEM) or
    ("feedback", ITEM). Other columns are ignored.
    """
    # moodle, grade/import/csv/classes/load_data.php, and normalise_value in lib/dml.
    head, *rows = list(csv.reader(io.StringIO(text), strict=True))
    head = [cell.strip() for cell in head]
    if missing := columns.keys() - set(head):
        raise NotImported(f"there is no column {missing}")
    chosen = [choice for choice in columns.values() if choice != NEW]
    if len(set(chosen)) < len(chosen):
        raise NotImported("two columns are mapped to one field")
    stored, user = MoodleImport(), ""
    for row in rows:
        if len(row) <= 1:
            continue
        for name, cell in zip(head, map(str.strip, row), strict=True):
            choice = columns.get(name)
            if choice == "username" and cell not in ("", "0"):  # Else: still the user before.
                if cell not in users:
                    raise NotImported(f"user mapping error, could not find {cell!r}")
                user = cell
            elif choice == NEW:
                # Here only a hyphen is no grade: the database stores empty text as 0.
                stored.grades[user, name] = None if cell == "-" else float(cell or 0)
            elif isinstance(choice, tuple) and choice[0] == "grade":
                stored.grades[user, choice[1]] = _moodle_grade(cell)
            elif isinstance(choice, tuple) and choice[0] == "feedback":
                stored.feedback[user, choice[1]] = cell
        if not user:
            raise NotImported("user mapping error, no user")
    if any(grade is not None and grade > 100 for grade in stored.grades.values()):
        raise NotImported("one of the grade values is larger than the allowed maximum of 100")
    items = {item for _, item in stored.grades}
    for _, item in stored.feedback:  # docs.moodle.org, "Grade import", note 3.
        if item not in items:
            raise NotImported(f"feedback without grades deletes the grades of {item}")
    return stored


def _moodle_grade(cell: str) -> float | None:
    if cell in ("", "-"):
        return None
    try:
        return float(cell)
    except ValueError:
        raise NotImported("bad grade, perhaps a column that is mapped wrongly") from None


GRADESCOPE_FORMATS = {"text", "html", "simple_format", "md", "ansi"}
GRADESCOPE_VISIBILITY = {"hidden", "after_due_date", "after_published", "visible"}
GRADESCOPE_TOP = {
    "score": (int, float),
    "execution_time": (int, float),
    "output": str,
    "output_format": GRADESCOPE_FORMATS,
    "test_output_format": GRADESCOPE_FORMATS,
    "test_name_format": GRADESCOPE_FORMATS,
    "visibility": GRADESCOPE_VISIBILITY,
    "stdout_visibility": GRADESCOPE_VISIBILITY,
    "extra_data": dict,
    "tests": list,
    "leaderboard": list,
}
GRADESCOPE_TEST = {
    "score": (int, float),
    "max_score": (int, float),
    "status": {"passed", "failed"},
    "name": str,
    "name_format": GRADESCOPE_FORMATS,
    "number": str,
    "output": str,
    "output_format": GRADESCOPE_FORMATS,
    "tags": list,
    "visibility": GRADESCOPE_VISIBILITY,
    "extra_data": dict,
}


def gradescope_import(text: str) -> dict[str, float]:
    """The score of each test, and of the submission under "".

    The rules are in gradescope-autograders.readthedocs.io, "Autograder Specifications", section
    "Output format".
    """
    results = json.loads(text, parse_constant=_not_json)
    _require_fields(results, GRADESCOPE_TOP, "results.json")
    tests = results.get("tests", [])
    if "score" not in results and not (tests and all("score" in test for test in tests)):
        raise NotImported("a score is required for the submission or for every test")
    for test in tests:
        _require_fields(test, GRADESCOPE_TEST, test.get("name", "a test"))
    scores = {test["name"]: float(test["score"]) for test in tests}
    if len(scores) < len(tests):
        raise NotImported("two tests have one name")
    return {"": float(results.get("score", sum(scores.values()))), **scores}


def _not_json(constant: str) -> float:
    raise NotImported(f"{constant} is not JSON")


def _require_fields(table: Mapping[str, Any], fields: Mapping[str, Any], place: str) -> None:
    for name, value in table.items():
        expected = fields.get(name)
        if expected is None:
            raise NotImported(f"{place} has a field {name!r}")
        right = value in expected if isinstance(expected, set) else isinstance(value, expected)
        if not right or isinstance(value, bool):
            raise NotImported(f"{place}: {name} is {value!r}")


def classroom_import(workflow: Mapping[Any, Any]) -> dict[str, int]:
    """The points of each grader of a workflow that GitHub Classroom can read.

    The rules are those of the actions autograding-command-grader (action.yml, src/main.js) and
    autograding-grading-reporter (README.md, src/main.js, src/notify-classroom.js).
    """
    ((name, job),) = workflow["jobs"].items()
    if name != "run-autograding-tests":
        raise NotImported("the reporter looks for the check run of this name")
    if workflow.get("permissions", {}).get("checks") != "write":
        raise NotImported("the reporter may not write the points to the check run")
    steps = job["steps"]
    graders = [step for step in steps if "autograding-command-grader@" in step.get("uses", "")]
    (reporter,) = [s for s in steps if "autograding-grading-reporter@" in s.get("uses", "")]
    if reporter is not steps[-1]:
        raise NotImported("the reporter has to come last")
    points = {}
    for step in graders:
        inputs = step["with"]
        if not inputs.get("test-name") or not inputs.get("command"):
            raise NotImported(f"{step['id']} lacks test-name or command")
        if not 0 < float(inputs.get("timeout", 10)) <= 60:
            raise NotImported(f"{step['id']}: the timeout is in minutes, at most 60")
        if int(inputs["max-score"]) != inputs["max-score"]:
            raise NotImported(f"{step['id']}: max-score is read as a whole number")
        points[step["id"]] = inputs["max-score"]
    if len(points) < len(graders):
        raise NotImported("two graders have one id")
    for runner in reporter["with"]["runners"].split(","):
        result = reporter["env"].get(f"{runner.strip().upper()}_RESULTS", "")
        expected = f"${{{{steps.{runner.strip()}.outputs.result}}}}"
        if runner.strip() not in points or result.replace(" ", "") != expected:
            raise NotImported(f"the reporter gets no result of {runner}")
    return points
