"""One run of `grade`: from a folder of submissions to a folder of grades."""

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from induction_heads.course import registry
from induction_heads.course.registry import Selection
from induction_heads.files import NotUsable
from induction_heads.grading import gradebook, points
from induction_heads.grading.class_file import BadClassFile
from induction_heads.grading.classroom import GradingJob, Regrade, Work, grade_class, pending
from induction_heads.grading.dates import Dates, read_dates
from induction_heads.grading.final_grades import final_grade
from induction_heads.grading.hand_columns import BadColumns, HandColumns, read_columns
from induction_heads.grading.listing import HandIns, Listing
from induction_heads.grading.outputs import ClassGrades, write_outputs
from induction_heads.grading.results_folder import GradingSettings, ResultsFolder
from induction_heads.grading.review import looks
from induction_heads.grading.roster import BadRoster, Roster, read_roster
from induction_heads.grading.running_submission import WorkerFailed
from induction_heads.grading.sandbox import isolation
from induction_heads.grading.students import DuplicateStudent, find_students, read_student
from induction_heads.grading.workers import has_user
from induction_heads.progress_bar import progress_bar
from induction_heads.versions import package_version

LOWEST_SEED, HIGHEST_SEED = 1000, 2**31 - 1
"""Small seeds are easy to guess, and `check` uses 0."""

Say = Callable[[str], None]


class CannotGrade(ValueError):
    """Nothing can be graded with these options. The message says why, and what to do."""


@dataclass(frozen=True)
class GradingOptions:
    """The options of one run.

    `class_file` has points and dates, and `columns` what the teacher adds by hand. `scheduler` is
    the address of a Dask scheduler, or None. `own_code`: whether submissions may not call the
    package's version of an exercise. `user` runs submissions where there is no sandbox. `now`
    decides whether feedback is held back; None is the time of the run. `roster` is the list of the
    class.
    """

    submissions: Path
    out: Path
    selections: Sequence[Selection]
    class_file: Path | None = None
    columns: Path | None = None
    jobs: int = 1
    resume: bool = False
    seed_file: Path | None = None
    scheduler: str | None = None
    without_isolation: bool = False
    own_code: bool = False
    user: str | None = None
    now: datetime | None = None
    roster: Path | None = None


@dataclass(frozen=True)
class Grades:
    """The outcome of a run.

    `n_kept` students were graded in an earlier run. `failed` names those whom the judge could not
    grade.
    """

    n_students: int
    n_kept: int
    mean: float
    max_points: float
    failed: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The summary that `--json` prints."""
        return {
            "students": self.n_students,
            "graded": self.n_students - self.n_kept,
            "kept": self.n_kept,
            "mean": round(self.mean, 4),
            "max_points": self.max_points,
            "failed": list(self.failed),
        }


@dataclass(frozen=True)
class ClassInputs:
    """What a teacher writes about a class, read from its files."""

    points: points.Points
    dates: Dates
    columns: HandColumns


def grade_folder(options: GradingOptions, say: Say = lambda line: None) -> Grades:
    """Grade every student in `options.submissions` and write all files. Raises CannotGrade."""
    _require_sandbox(options, say)
    folder = ResultsFolder(options.out)
    with _errors_as_cannot_grade(options):
        inputs = _inputs(options, say)
        hand_ins = _hand_ins(options, say)
        _say_what_is_missing(say)
        with folder.held(resume=options.resume):
            _require_earlier_files(options, folder)
            job = _job(options, folder, inputs.points)
            n_kept = len(hand_ins.work) - len(pending(job, hand_ins.work))
            records = _graded_records(job, hand_ins.work, options, n_kept)
            return _finish(options, inputs, hand_ins, records, n_kept, say)


def regrade_folder(
    options: GradingOptions, exercise: str, say: Say = lambda line: None
) -> tuple[Grades, list[str]]:
    """Grade one exercise again for every student, with the current checks and points.

    The other exercises keep their results. A student whose submission has changed, or who has no
    grade yet, is graded in full. Returns the grades, and a line for each student whose points
    changed. Raises CannotGrade.
    """
    _require_sandbox(options, say)
    folder = ResultsFolder(options.out)
    with _errors_as_cannot_grade(options), folder.held(resume=True):
        stored = folder.settings()
        if stored is None:
            raise CannotGrade(f"{options.out} has no grades yet. Begin with `grade`.")
        options = replace(
            options, selections=[registry.select(stem)[0] for stem in stored.chapters]
        )
        if exercise not in _exercise_names(options.selections):
            chapters = ", ".join(stem[:4] for stem in stored.chapters)
            raise CannotGrade(f"{exercise} was not graded there, only the exercises of {chapters}.")
        _require_earlier_files(options, folder)
        inputs = _inputs(options, say)
        hand_ins = _hand_ins(options, say)
        _say_what_is_missing(say)
        work = hand_ins.work
        unfinished = folder.regrade()
        if unfinished is not None and unfinished[0] != (exercise,):
            raise CannotGrade(
                f"The regrade of {', '.join(unfinished[0])} was interrupted. Finish it first: run "
                "`regrade` with that name again."
            )
        settings = replace(
            stored,
            version=package_version(),
            checks=_checks_digest(),
            points=_regrade_points(options, stored, inputs.points),
            regrades=stored.regrades + (unfinished is None),
        )
        before = {student.name: folder.any_record(student.name) for student, _ in work}
        folder.begin_regrade((exercise,), settings)
        job = _new_job(options, folder, settings, inputs.points)
        n_kept = len(work) - len(pending(job, work))
        records = _graded_records(job, work, options, n_kept)
        grades = _finish(options, inputs, hand_ins, records, n_kept, say)
    return grades, list(_changes(before, records, inputs))


def _require_earlier_files(options: GradingOptions, folder: ResultsFolder) -> None:
    """Raise CannotGrade if a file of an earlier run is not passed: its part would be lost."""
    if forgotten := folder.forgotten(_teachers_files(options)):
        raise CannotGrade(
            f"{options.out} was graded with {' and '.join(forgotten)}. Pass that again, or late "
            "work, points by hand, names or the date of the feedback would be lost. To do without "
            f"it, delete {options.out / 'class_files.json'} first."
        )


def _teachers_files(options: GradingOptions) -> dict[str, Path | None]:
    return {
        "--class-file": options.class_file,
        "--columns": options.columns,
        "--roster": options.roster,
    }


def _regrade_points(options: GradingOptions, stored: GradingSettings, new: points.Points) -> str:
    """The digest of the current points. Raises CannotGrade if the class file was forgotten."""
    digest = points.digest(new)
    if options.class_file is None and digest != stored.points:
        raise CannotGrade(
            f"{options.out} was graded with a class file. Pass it with --class-file, or the points "
            "of all exercises would change."
        )
    return digest


def _changes(
    before: Mapping[str, gradebook.StudentRecord | None],
    records: Sequence[gradebook.StudentRecord],
    inputs: ClassInputs,
) -> Iterator[str]:
    """`ada: 3.00 → 4.00` for each student whose final points changed.

    Both have what lateness costs and the columns by hand as they are now.
    """

    def points(record: gradebook.StudentRecord) -> str:
        return gradebook.number(final_grade(record, inputs.dates, inputs.columns)["points"])

    for record in records:
        earlier = before.get(record["student"])
        old, new = points(earlier) if earlier else "none", points(record)
        if old != new:
            yield f"{record['student']}: {old} → {new}"


def _require_sandbox(options: GradingOptions, say: Say) -> None:
    if isolation().complete:
        return
    if not options.without_isolation:
        _say_what_is_missing(say)
        raise CannotGrade(
            "Unknown code could read your files and change grades. Install bubblewrap on "
            "Linux, or grade in a container and pass --without-isolation."
        )
    if options.user is None:
        return
    if os.geteuid() != 0:
        raise CannotGrade("--run-as needs root: only root can run code as another user.")
    if not has_user(options.user):
        raise CannotGrade(f"There is no user {options.user!r} on this system.")


def _say_what_is_missing(say: Say) -> None:
    """A sentence for each layer of the protection that this machine lacks."""
    for sentence in isolation().sentences():
        say(sentence)


@contextmanager
def _errors_as_cannot_grade(options: GradingOptions) -> Iterator[None]:
    try:
        yield
    except (BadClassFile, BadColumns, NotUsable, WorkerFailed) as error:
        raise CannotGrade(str(error)) from error
    except OSError as error:
        raise CannotGrade(f"{error.filename or options.out}: {error.strerror or error}.") from error


def _inputs(options: GradingOptions, say: Say) -> ClassInputs:
    inputs = ClassInputs(
        points.read_points(options.class_file, options.selections),
        read_dates(options.class_file),
        read_columns(options.columns),
    )
    if sentence := points.old_key(options.class_file):
        say(sentence)
    return inputs


def _graded_records(
    job: GradingJob, work: Work, options: GradingOptions, n_kept: int
) -> list[gradebook.StudentRecord]:
    _grade(job, work, options, n_kept)
    ResultsFolder(job.folder).end_regrade()
    return _records(job, work)


def _finish(
    options: GradingOptions,
    inputs: ClassInputs,
    hand_ins: HandIns,
    records: Sequence[gradebook.StudentRecord],
    n_kept: int,
    say: Say,
) -> Grades:
    """Write the outputs and sum up."""
    ResultsFolder(options.out).remember(_teachers_files(options))
    absent = [gradebook.absent_record(records[0], person) for person in hand_ins.absent()]
    for sentence in inputs.columns.strangers([r["student"] for r in (*records, *absent)]):
        say(sentence)
    final = [final_grade(record, inputs.dates, inputs.columns) for record in records]
    grades = ClassGrades(
        final,
        options.selections,
        [final_grade(record, inputs.dates, inputs.columns) for record in absent],
        hand_ins.persons(),
        inputs.dates.site,
        inputs.dates.holds_feedback(options.now or datetime.now().astimezone()),
    )
    names = _exercise_names(options.selections)
    seen = looks(hand_ins.sources(), names)
    write_outputs(options.out, grades, hand_ins.listing(), isolation(), seen)
    if grades.held_back and inputs.dates.feedback_from is not None:
        day = f"{inputs.dates.feedback_from:%Y-%m-%d %H:%M}"
        say(f"Feedback is held back until {day}. Run the same command with --resume after that.")
    failed = tuple(r["student"] for r in records if r["status"] != "graded")
    mean = gradebook.mean_total(final) or 0.0
    return Grades(len(records), n_kept, mean, final[0]["max_points"], failed)


def dry_run(options: GradingOptions, say: Say = lambda line: None) -> Listing:
    """Which file would be graded for whom. Nothing is run or written. Raises CannotGrade.

    The class file and the columns are read as well, so that their errors show before a long run.
    """
    with _errors_as_cannot_grade(options):
        columns = _inputs(options, say).columns
    hand_ins = read_hand_ins(options)
    absent = [person.label for person in hand_ins.absent()]
    for sentence in columns.strangers([*(student.name for student, _ in hand_ins.work), *absent]):
        say(sentence)
    return hand_ins.listing()


def _exercise_names(selections: Sequence[Selection]) -> list[str]:
    return [exercise.name for selection in selections for exercise in selection.exercises]


def read_hand_ins(options: GradingOptions) -> HandIns:
    """The submissions of the class. Nothing is run or written. Raises CannotGrade."""
    if not options.submissions.is_dir():
        raise CannotGrade(f"There is no folder {str(options.submissions)!r}.")
    if options.out.resolve().is_relative_to(options.submissions.resolve()):
        raise CannotGrade(
            f"{options.out} is inside {options.submissions}, where every folder is a student. "
            "Choose another folder for --out."
        )
    try:
        roster = Roster(read_roster(options.roster)) if options.roster else None
        students, left_out = find_students(options.submissions, roster)
    except (BadRoster, DuplicateStudent) as error:
        raise CannotGrade(str(error)) from error
    if not students:
        seen = "".join(f"\n{entry.name}: {entry.reason}." for entry in left_out[:5])
        raise CannotGrade(
            f"{options.submissions} has no submissions. Expected one folder, .zip or .ipynb for "
            f"each student, with the student's name.{seen}"
        )
    chapters = {s.stem: [exercise.name for exercise in s.exercises] for s in options.selections}
    work = [(student, read_student(student, chapters)) for student in students]
    return HandIns(work, left_out, roster)


def _hand_ins(options: GradingOptions, say: Say) -> HandIns:
    """The submissions of the class, after a sentence on each entry that is left out."""
    hand_ins = read_hand_ins(options)
    for entry in hand_ins.left_out:
        say(f"Left out: {entry.name} ({entry.reason})")
    return hand_ins


def _job(
    options: GradingOptions, folder: ResultsFolder, exercise_points: points.Points
) -> GradingJob:
    stored = folder.settings()
    settings = GradingSettings(
        package_version(),
        _checks_digest(),
        tuple(selection.stem for selection in options.selections),
        points.digest(exercise_points),
        _seed(options.seed_file, stored),
        options.own_code,
        stored.regrades if stored else 0,
    )
    folder.begin(settings)
    return _new_job(options, folder, settings, exercise_points)


def _new_job(
    options: GradingOptions,
    folder: ResultsFolder,
    settings: GradingSettings,
    exercise_points: points.Points,
) -> GradingJob:
    unfinished = folder.regrade()
    return GradingJob(
        options.out.resolve(),
        settings,
        exercise_points,
        parent=None if options.scheduler else os.getpid(),
        isolated=not options.without_isolation,
        user=options.user,
        regrade=Regrade(*unfinished) if unfinished else None,
    )


def _seed(file: Path | None, begun: GradingSettings | None) -> int:
    """The seed of all inputs: from the file, from the run to resume, or a new secret one."""
    if file is None:
        n_seeds = HIGHEST_SEED - LOWEST_SEED
        return begun.seed if begun else LOWEST_SEED + secrets.randbelow(n_seeds)
    try:
        phrase = file.read_bytes().strip()
    except OSError as error:
        raise CannotGrade(f"{file} cannot be read: {error.strerror}.") from error
    if not phrase:
        raise CannotGrade(f"{file} is empty. Write any secret text into it.")
    number = int.from_bytes(hashlib.sha256(phrase).digest()[:8], "big")
    return LOWEST_SEED + number % (HIGHEST_SEED - LOWEST_SEED)


def _checks_digest() -> str:
    """A digest of the files of the course, which define the right answers."""
    checks = hashlib.sha256()
    for file in sorted(registry.FOLDER.rglob("*.py")):
        checks.update(f"{file.relative_to(registry.FOLDER).as_posix()}\0".encode())
        checks.update(file.read_bytes().replace(b"\r\n", b"\n"))
    return checks.hexdigest()


def _grade(job: GradingJob, work: Work, options: GradingOptions, n_kept: int) -> None:
    with progress_bar(len(work), "students", done=n_kept) as advance:
        try:
            grade_class(job, work, jobs=options.jobs, scheduler=options.scheduler, done=advance)
        except OSError as error:
            if options.scheduler is None:
                raise
            raise CannotGrade(f"The cluster at {options.scheduler} failed: {error}.") from error


def _records(job: GradingJob, work: Work) -> list[gradebook.StudentRecord]:
    folder, settings = ResultsFolder(job.folder), job.settings.digest()
    records = []
    for student, hand_in in work:
        record = folder.record(student.name, settings, hand_in.digest)
        if record is None:
            raise NotUsable(f"The record of {student.name} is missing. Run again with --resume.")
        records.append(record)
    return records
