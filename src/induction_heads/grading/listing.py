"""What was handed in, before anything is graded: the file of each student and chapter."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from induction_heads.grading.chapter_files import ChapterFile, shown
from induction_heads.grading.roster import Person, Roster
from induction_heads.grading.students import HandIn, LeftOut, Student, absent_persons

NOTHING = "nothing handed in"
NOT_IN_ROSTER = "not in the roster"


@dataclass(frozen=True)
class Row:
    """One line of the listing: a student, the chapters it is about, the file, and remarks."""

    student: str
    chapters: str
    file: str
    remark: str = ""

    def as_json(self) -> dict[str, Any]:
        """The row as `--json` prints it."""
        return vars(self).copy()


@dataclass(frozen=True)
class Listing:
    """The files of all students, the entries that were left out, and who handed in nothing."""

    rows: tuple[Row, ...]
    left_out: tuple[LeftOut, ...]
    n_students: int

    @property
    def n_absent(self) -> int:
        """The number of rows with nothing handed in."""
        return sum(row.file == NOTHING for row in self.rows)

    @property
    def n_strangers(self) -> int:
        """The number of students who are not in the roster."""
        return sum(row.remark == NOT_IN_ROSTER for row in self.rows)

    def totals(self) -> str:
        """`3 students (1 not in the roster), 1 row with nothing handed in, 2 entries left out`"""
        strangers = f" ({self.n_strangers} not in the roster)" if self.n_strangers else ""
        parts = [
            _counted(self.n_students, "student", "students") + strangers,
            _counted(self.n_absent, "row", "rows") + " with nothing handed in",
            _counted(len(self.left_out), "entry", "entries") + " left out",
        ]
        return ", ".join(parts)

    def as_json(self) -> dict[str, Any]:
        """The listing as `--json` prints it."""
        return {
            "students": self.n_students,
            "files": [row.as_json() for row in self.rows],
            "left_out": [{"entry": e.name, "reason": e.reason} for e in self.left_out],
        }


@dataclass(frozen=True)
class HandIns:
    """The submissions of a class, read but not run."""

    work: Sequence[tuple[Student, HandIn]]
    left_out: Sequence[LeftOut]
    roster: Roster | None

    def listing(self) -> Listing:
        """Which file serves each student and chapter."""
        return listing(self.work, self.left_out, self.roster)

    def absent(self) -> list[Person]:
        """The people on the class list who have no submission."""
        students = [student for student, _ in self.work]
        return absent_persons(self.roster, students) if self.roster else []

    def persons(self) -> dict[str, Person]:
        """The rows of the class list, by the name under which each student is graded."""
        present = {student.name: student.person for student, _ in self.work if student.person}
        return present | {person.label: person for person in self.absent()}

    def sources(self) -> dict[str, list[str]]:
        """For each student, the sources of all chapters and of the modules beside them."""
        return {
            student.name: [
                source
                for submission in hand_in.submissions
                for source in (submission.source, *dict(submission.beside).values())
            ]
            for student, hand_in in self.work
        }


def listing(
    work: Sequence[tuple[Student, HandIn]],
    left_out: Sequence[LeftOut],
    roster: Roster | None = None,
) -> Listing:
    """The listing of a class."""
    rows = [row for student, hand_in in work for row in _rows(student, hand_in, roster)]
    absent = absent_persons(roster, [student for student, _ in work]) if roster else []
    rows += [Row(_called(person), "all", NOTHING, "no entry has this name") for person in absent]
    return Listing(tuple(rows), tuple(left_out), len(work))


def _rows(student: Student, hand_in: HandIn, roster: Roster | None) -> list[Row]:
    name = _called(student.person) if student.person else student.name
    rows = [
        Row(name, file.stem[:4], shown(file.name), _remark(file))
        for file in hand_in.files
        if file.name
    ]
    absent = hand_in.absent
    if absent and not rows:
        rows.append(Row(name, _range(absent), NOTHING, _instead(hand_in.files[0])))
    elif absent:
        rows.append(Row(name, _range(absent), NOTHING))
    for entry, reason in hand_in.refused:
        rows.append(Row(name, "all" if not hand_in.files else "", shown(entry), reason))
    if roster is not None and student.person is None:
        rows.append(Row(name, "", shown(student.path.name), NOT_IN_ROSTER))
    return rows


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _called(person: Person) -> str:
    return f"{person.label} ({person.name})" if person.name != person.label else person.label


def _remark(file: ChapterFile) -> str:
    """How many answers the file has, why it cannot be used, and what else was there."""
    remark = f"{file.n_written} of {file.n_exercises} written"
    if file.submission.problem:
        remark = file.submission.problem
    elif not file.is_valid:
        remark = "not valid Python"
    elif file.submission.beside:
        remark += f", with {', '.join(shown(f'{name}.py') for name, _ in file.submission.beside)}"
    others = [f"{shown(name)} ({n_written})" for name, n_written in file.others[:4]]
    more = f" and {len(file.others) - 4} more" if len(file.others) > 4 else ""
    return f"{remark}; not taken: {', '.join(others)}{more}" if others else remark


def _instead(file: ChapterFile) -> str:
    """What was there instead of the file of a chapter."""
    problem = file.submission.problem or ""
    return problem.partition(" in the submission. ")[2] or "empty"


def _range(stems: Sequence[str]) -> str:
    """`ch01 ch03–ch05`: the chapters, with neighbors joined."""
    numbers = [int(stem[2:4]) for stem in stems]
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return " ".join(
        f"ch{run[0]:02}" if len(run) == 1 else f"ch{run[0]:02}–ch{run[-1]:02}" for run in runs
    )
