"""The files that `grade` writes for a class, from the final grades."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from induction_heads.course.registry import Selection
from induction_heads.files import write_atomically
from induction_heads.grading import gradebook, pages
from induction_heads.grading.gradebook import StudentRecord
from induction_heads.grading.listing import NOTHING, Listing
from induction_heads.grading.review import Look
from induction_heads.grading.sandbox import Isolation


@dataclass(frozen=True)
class ClassGrades:
    """The final grades of a class, and what else its files show.

    `absent` has records of those who handed in nothing, and `persons` the rows of the class list.
    `held_back`: whether students may not see feedback yet. `site` is the address of the book.
    """

    records: Sequence[StudentRecord]
    selections: Sequence[Selection]
    absent: Sequence[StudentRecord] = ()
    persons: gradebook.Persons = field(default_factory=dict)
    site: str = ""
    held_back: bool = False


def write_outputs(
    out: Path,
    grades: ClassGrades,
    listing: Listing,
    sandbox: Isolation,
    looks: Mapping[str, Look],
) -> None:
    """Write the gradebooks, the feedback pages and the summary.

    Feedback that is held back has no pages, not even those of an earlier run.
    """
    for record in grades.records:
        name = record["student"]
        file = out / "gradescope" / name / "results.json"
        write_atomically(file, gradebook.gradescope_json(record, held_back=grades.held_back))
        page = out / "feedback" / f"{name}.html"
        if grades.held_back:
            page.unlink(missing_ok=True)
        else:
            write_atomically(page, pages.feedback_page(record, grades.site))
    summary = pages.summary_page(
        grades.records, grades.selections, listing=listing, sandbox=sandbox, looks=looks
    )
    write_atomically(out / "summary.html", summary)
    rows, persons = [*grades.records, *grades.absent], grades.persons
    write_atomically(out / "review.csv", review_csv(rows, looks))
    canvas = gradebook.grades_csv(rows, points_possible=True, persons=persons)
    write_atomically(out / "canvas.csv", canvas)
    write_atomically(out / "moodle.csv", gradebook.moodle_csv(rows, persons=persons))
    write_atomically(out / "grades.csv", gradebook.grades_csv(rows, persons=persons))


def review_csv(records: Sequence[StudentRecord], looks: Mapping[str, Look]) -> str:
    """What only the teacher reads: status, days late, what to look at, texts by hand."""
    comments = list(dict.fromkeys(name for r in records for name in r.get("comments", {})))
    rows = [["student", "status", "days late", "calls the package's own", "resembles", "share"]]
    rows[0] += map(gradebook.neutral, comments)
    for record in records:
        look = looks.get(record["student"], Look())
        other = look.resembles
        days = max((entry["days"] for entry in record.get("late", ())), default=0)
        graded, absent = gradebook.is_graded(record), gradebook.is_absent(record)
        cells = [
            record["student"],
            NOTHING if graded and absent else record["status"],
            str(days or ""),
            " ".join(look.calls),
            other.other if other else "",
            f"{other.share:.2f}" if other else "",
            *(record.get("comments", {}).get(name, "") for name in comments),
        ]
        rows.append([gradebook.neutral(cell) for cell in cells])
    return gradebook.csv_text(rows)
