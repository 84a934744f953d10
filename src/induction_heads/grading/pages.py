"""Pages for people: the feedback for one student, and the summary of a class for the teacher.

Pages load nothing, run nothing, and escape every text that a submission had a part in.
"""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Any

from induction_heads.checks.exercise import Exercise
from induction_heads.checks.registry import Selection
from induction_heads.grading.gradebook import Record, by_chapter, number
from induction_heads.grading.report import MARKS, WORDS

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; background: #fff }
table { border-collapse: collapse }
.wide { overflow-x: auto }
th, td { padding: .25rem .6rem; border: 1px solid #ddd; text-align: right }
th, td.text { text-align: left }
thead th { vertical-align: bottom }
.heat td { min-width: 2.6rem }
.heat thead th { writing-mode: vertical-rl; font-weight: normal; text-align: left }
section { border-left: 4px solid #999; padding: 0 1rem; margin: 1rem 0 }
section.passed { border-color: #1a7f37 }
section.failed, section.error, section.timeout { border-color: #b3261e }
h3 { margin: 0 }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: inherit; margin: .3rem 0 }
bdi { unicode-bidi: isolate }
"""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"


def text(value: str) -> str:
    """`value` for a page: markup escaped, and control and invisible characters written out."""
    shown = "".join(c if c == "\n" or _is_visible(c) else f"\\u{ord(c):04x}" for c in value)
    return f"<bdi>{escape(shown, quote=True)}</bdi>"


def _is_visible(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def page(title: str, body: Sequence[str]) -> str:
    """A page that stands alone."""
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>",
            *body,
            "</main></body></html>\n",
        ]
    )


def feedback_page(record: Record) -> str:
    """Everything about one student: points of each chapter, then each exercise with its message."""
    body = [
        f"<h1>Feedback for {text(record['student'])}</h1>",
        f"<p>{number(record['points'])} of {number(record['max_points'])} points.</p>",
    ]
    for chapter, (points, most) in by_chapter(record).items():
        body.append(f"<h2>{text(chapter)}: {number(points)} of {number(most)}</h2>")
        body += [
            _exercise_section(exercise)
            for exercise in record["exercises"]
            if exercise["chapter"] == chapter
        ]
    return page("Feedback", body)


def _exercise_section(exercise: dict[str, Any]) -> str:
    status = exercise["status"]
    cases = f", {exercise['n_right']} of {exercise['n_cases']} cases right"
    head = f"{MARKS[status]} {text(exercise['name'])}: {WORDS[status]}"
    points = f"{number(exercise['points'])} of {number(exercise['max_points'])} points"
    said = f"<pre>{text(exercise['message'])}</pre>" if exercise["message"] else ""
    return (
        f'<section class="{status}"><h3>{head}</h3>'
        f"<p>{points}{cases if exercise['n_cases'] else ''}.</p>{said}</section>"
    )


def summary_page(records: Sequence[Record], selections: Sequence[Selection]) -> str:
    """The class: a heatmap of exercises × students, means, and the commonest mistakes."""
    exercises = [(s.stem, exercise) for s in selections for exercise in s.exercises]
    found = {
        record["student"]: {exercise["name"]: exercise for exercise in record["exercises"]}
        for record in records
    }
    ungraded = [record["student"] for record in records if record["status"] != "graded"]
    body = [
        "<h1>Summary of the class</h1>",
        f"<p>{len(records)} students, {len(exercises)} exercises. {_mean_total(records)}</p>",
    ]
    if ungraded:
        names = ", ".join(text(name) for name in ungraded)
        body.append(f"<p><strong>Not graded, please look by hand:</strong> {names}.</p>")
    body += [
        "<h2>What to re-teach</h2>",
        *_mistakes(found, exercises),
        "<h2>Exercises</h2>",
        *_exercise_table(found, exercises),
        "<h2>Exercises × students</h2>",
        *_heatmap(found, exercises),
    ]
    return page("Summary of the class", body)


def _mean_total(records: Sequence[Record]) -> str:
    if not records:
        return ""
    mean = sum(record["points"] for record in records) / len(records)
    return f"Mean {number(mean)} of {number(records[0]['max_points'])} points."


Found = dict[str, dict[str, dict[str, Any]]]


def _mistakes(found: Found, exercises: Sequence[tuple[str, Exercise]]) -> list[str]:
    """The known mistakes, most frequent first, each with the hint that its students have seen."""
    counts: Counter[tuple[str, str]] = Counter()
    for of_student in found.values():
        for name, result in of_student.items():
            if result["mistake"]:
                counts[name, result["mistake"]] += 1
    if not counts:
        return ["<p>No answer equals a known mistake.</p>"]
    hints = {(e.name, m.name): m.hint for _, e in exercises for m in e.mistakes}
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rows = [
        f'<tr><td>{count}</td><td class="text">{text(name)}</td><td class="text">{text(mistake)}'
        f'</td><td class="text">{text(hints.get((name, mistake), ""))}</td></tr>'
        for (name, mistake), count in ranked
    ]
    head = ("students", "exercise", "mistake", "hint")
    return _table("Known mistakes, the most frequent first.", head, rows)


def _table(caption: str, head: Sequence[str], rows: Sequence[str], kind: str = "") -> list[str]:
    columns = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    return [
        f'<div class="wide"><table class="{kind}"><caption>{caption}</caption>',
        f"<thead><tr>{columns}</tr></thead><tbody>",
        *rows,
        "</tbody></table></div>",
    ]


def _exercise_table(found: Found, exercises: Sequence[tuple[str, Exercise]]) -> list[str]:
    rows = []
    for stem, exercise in exercises:
        results = [of_student[exercise.name] for of_student in found.values()]
        statuses = Counter(result["status"] for result in results)
        counts = "".join(f"<td>{statuses[status]}</td>" for status in WORDS)
        mean = sum(map(_share, results)) / len(results) if results else 0.0
        rows.append(
            f'<tr><th scope="row">{text(stem[:4])} {text(exercise.name)}</th>'
            f"<td>{100 * mean:.0f} %</td>{counts}</tr>"
        )
    head = ("exercise", "mean", *WORDS.values())
    return _table("Mean share of the points, and students by status.", head, rows)


def _share(result: dict[str, Any]) -> float:
    if not result["max_points"]:
        return float(result["status"] == "passed")
    return result["points"] / result["max_points"]


def _heatmap(found: Found, exercises: Sequence[tuple[str, Exercise]]) -> list[str]:
    """A table whose cells are colored: the numbers in it say all that the colors do."""
    rows = []
    for student, of_student in found.items():
        cells = "".join(_cell(student, of_student[exercise.name]) for _, exercise in exercises)
        rows.append(f'<tr><th scope="row">{text(student)}</th>{cells}</tr>')
    head = ("student", *(f"{text(stem[:4])} {text(e.name)}" for stem, e in exercises))
    caption = "Percent of the points of each exercise. Darker is more, · is not started."
    return _table(caption, head, rows, "heat")


def _cell(student: str, result: dict[str, Any]) -> str:
    share = _share(result)
    shown = "·" if result["status"] == "not_started" else f"{100 * share:.0f}"
    light = round(96 - 61 * share)
    color = "#fff" if light < 62 else "#222"
    title = escape(f"{result['name']}: {WORDS[result['status']]}", quote=True)
    return (
        f'<td style="background: hsl(215 60% {light}%); color: {color}" title="{title}">'
        f"{shown}</td>"
    )
