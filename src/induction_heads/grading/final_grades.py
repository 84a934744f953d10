"""The final grades: the records of the exercises, what lateness costs, and columns by hand.

Records keep what the exercises earned, so dates and columns can change without grading again.
"""

from datetime import timedelta

from induction_heads.grading.dates import Dates
from induction_heads.grading.gradebook import StudentRecord, exercise_points
from induction_heads.grading.hand_columns import HandColumns, HandRow


def final_grade(record: StudentRecord, dates: Dates, columns: HandColumns) -> StudentRecord:
    """The record of a student with what the outputs show besides the exercises.

    `late` has the chapters that came late, `columns` the points by hand with their maxima (None
    where the cell is empty), and `comments` the texts by hand. `points` and `max_points` include
    all of these.
    """
    row = columns.row(record["student"])
    late = _late(record, dates, row)
    by_hand = [
        {"name": name, "points": row.points.get(name), "max_points": maximum}
        for name, maximum in columns.maxima.items()
    ]
    lost = sum(entry["lost"] for entry in late)
    added = sum(entry["points"] or 0.0 for entry in by_hand)
    return record | {
        "late": late,
        "columns": by_hand,
        "comments": dict(row.texts),
        "points": round(record["points"] - lost + added, 4),
        "max_points": round(record["max_points"] + sum(columns.maxima.values()), 4),
    }


def _late(record: StudentRecord, dates: Dates, row: HandRow) -> list[dict]:
    """The late chapters: days, percent and points lost. Empty without the time of submission."""
    late = []
    absent = record.get("absent", ())
    for stem, (points, _) in exercise_points(record).items():
        submitted = row.submitted.get(stem, row.submitted.get(""))
        due = dates.due.get(stem)
        if due is None or submitted is None or stem in absent:
            continue
        days = dates.late.days_late(due + timedelta(days=row.extra_days), submitted)
        percent = dates.late.lost_percent(days)
        if days:
            lost = round(points * percent / 100, 4)
            late.append({"chapter": stem, "days": days, "percent": percent, "lost": lost})
    return late
