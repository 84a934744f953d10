"""One run of `grade`: from a folder of submissions to a folder of grades."""

import hashlib
import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import induction_heads
from induction_heads.checks import registry
from induction_heads.checks.registry import Selection
from induction_heads.durable import write_atomically
from induction_heads.grading import gradebook, pages, weights
from induction_heads.grading.classroom import (
    Class,
    Work,
    grade_class,
    pending,
)
from induction_heads.grading.collect import Unclear, find_students, read_student
from induction_heads.grading.results_folder import (
    NAMES,
    NotUsable,
    ResultsFolder,
    Settings,
)
from induction_heads.grading.running import WorkerFailed
from induction_heads.grading.sandbox import isolation
from induction_heads.grading.weights import BadWeights

if TYPE_CHECKING:
    from tqdm import tqdm

LOWEST_SEED, HIGHEST_SEED = 1000, 2**31 - 1
"""Small seeds are easy to guess: 0 is the one of `check`."""

Say = Callable[[str], None]


class CannotGrade(ValueError):
    """Nothing can be graded as asked. The message says why and what to do."""


@dataclass(frozen=True)
class Order:
    """What was asked for. `scheduler` is the address of a Dask scheduler, or None."""

    submissions: Path
    out: Path
    selections: Sequence[Selection]
    weights: Path | None = None
    jobs: int = 1
    resume: bool = False
    seed_file: Path | None = None
    scheduler: str | None = None
    without_isolation: bool = False


@dataclass(frozen=True)
class Grades:
    """What came of a run. `failed` names the students whom the judge could not grade."""

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


def grade_folder(order: Order, say: Say = lambda line: None) -> Grades:
    """Grade everybody in `order.submissions` and write all files. Raises CannotGrade."""
    shut_in = isolation()
    if not shut_in.complete:
        say(shut_in.said)
        if not order.without_isolation:
            raise CannotGrade(
                "Unknown code could read your files and change grades. Install bubblewrap on "
                "Linux, or grade in a container and say so with --without-isolation."
            )
    folder = ResultsFolder(order.out)
    try:
        worths = weights.read_weights(order.weights, order.selections)
        stems = [selection.stem for selection in order.selections]
        work = _work(order, stems, say)
        _refuse_used(order, folder)
        with folder.held():
            job = _class(order, folder, worths)
            folder.sweep()
            n_kept = len(work) - len(pending(job, work))
            _grade(job, work, order, n_kept)
            records = _records(job, work)
            write_outputs(order.out, records, order.selections)
    except (BadWeights, Unclear, NotUsable, WorkerFailed) as error:
        raise CannotGrade(str(error)) from error
    except OSError as error:
        raise CannotGrade(f"{error.filename or order.out}: {error.strerror or error}.") from error
    failed = tuple(r["student"] for r in records if r["status"] != "graded")
    mean = sum(record["points"] for record in records) / len(records)
    return Grades(len(records), n_kept, mean, records[0]["max_points"], failed)


def _work(order: Order, stems: list[str], say: Say) -> Work:
    if not order.submissions.is_dir():
        raise CannotGrade(f"There is no folder {str(order.submissions)!r}.")
    if order.out.resolve().is_relative_to(order.submissions.resolve()):
        raise CannotGrade(
            f"{order.out} lies in {order.submissions}, where every folder is a student. "
            "Choose another folder for --out."
        )
    students, others = find_students(order.submissions)
    if others:
        say(f"Left out, as neither a folder nor a .zip or .ipynb: {', '.join(others)}")
    if not students:
        raise CannotGrade(
            f"{order.submissions} holds no submission. Expected is one folder, .zip or .ipynb "
            "for each student, named for the student."
        )
    return [(student, read_student(student, stems)) for student in students]


def _refuse_used(order: Order, folder: ResultsFolder) -> None:
    if order.resume or folder.is_unused():
        return
    if folder.settings() is None:
        raise CannotGrade(f"{order.out} is not empty. Choose another folder for --out.")
    raise CannotGrade(
        f"{order.out} holds the grades of another run. Add --resume to go on with it, "
        "or choose another folder for --out."
    )


def _class(order: Order, folder: ResultsFolder, worths: weights.Weights) -> Class:
    begun = folder.settings()
    if begun is None and not folder.is_unused():
        raise NotUsable(f"{order.out} holds no run to resume. Choose another folder for --out.")
    seed = _seed(order.seed_file, begun)
    stems = tuple(selection.stem for selection in order.selections)
    version, checks = induction_heads.__version__, _checks_digest()
    settings = Settings(version, checks, stems, weights.digest(worths), seed)
    if begun is None:
        folder.begin(settings)
    elif begun != settings:
        raise NotUsable(_differing(order.out, begun, settings))
    parent = None if order.scheduler else os.getpid()
    isolated = not order.without_isolation
    return Class(order.out.resolve(), settings, worths, parent=parent, isolated=isolated)


def _differing(out: Path, begun: Settings, settings: Settings) -> str:
    """A sentence that names what differs. The seed is secret, so its value is not said."""
    said = []
    for name, shown in NAMES.items():
        before, now = getattr(begun, name), getattr(settings, name)
        if name == "weights" and begun.chapters != settings.chapters:
            continue  # Other exercises: that is said already.
        if before != now:
            values = name in ("version", "chapters")
            said.append(f"{shown} ({_shown(before)}, now {_shown(now)})" if values else shown)
    return (
        f"{out} was begun with other settings: {', '.join(said)}. Resume with the same ones, "
        "or choose another folder for --out."
    )


def _shown(value: Any) -> str:
    return " ".join(value) if isinstance(value, tuple) else str(value)


def _seed(file: Path | None, begun: Settings | None) -> int:
    """The seed that all inputs are drawn from: by a file, as begun, or a new secret one."""
    if file is None:
        n_seeds = HIGHEST_SEED - LOWEST_SEED
        return begun.seed if begun else LOWEST_SEED + secrets.randbelow(n_seeds)
    try:
        phrase = file.read_bytes().strip()
    except OSError as error:
        raise CannotGrade(f"{file} cannot be read: {error.strerror}.") from error
    if not phrase:
        raise CannotGrade(f"{file} is empty. Write any secret words or numbers in it.")
    drawn = int.from_bytes(hashlib.sha256(phrase).digest()[:8], "big")
    return LOWEST_SEED + drawn % (HIGHEST_SEED - LOWEST_SEED)


def _checks_digest() -> str:
    """A digest of the files that say what is right."""
    found = hashlib.sha256()
    for file in sorted(registry.FOLDER.rglob("*.py")):
        found.update(f"{file.relative_to(registry.FOLDER).as_posix()}\0".encode())
        found.update(file.read_bytes().replace(b"\r\n", b"\n"))
    return found.hexdigest()


def _grade(job: Class, work: Work, order: Order, n_kept: int) -> None:
    from tqdm import tqdm

    with tqdm(total=len(work), initial=n_kept, unit="student", disable=None) as bar:
        try:
            grade_class(
                job, work, jobs=order.jobs, scheduler=order.scheduler, done=lambda: _tick(bar)
            )
        except OSError as error:
            if order.scheduler is None:
                raise
            raise CannotGrade(f"The cluster at {order.scheduler} failed: {error}.") from error


def _tick(bar: "tqdm[Any]") -> None:
    bar.update(1)


def _records(job: Class, work: Work) -> list[gradebook.Record]:
    folder, settings = ResultsFolder(job.folder), job.settings.digest()
    records = []
    for student, handed_in in work:
        record = folder.record(student.name, settings, handed_in.digest)
        if record is None:
            raise NotUsable(f"The record of {student.name} is gone. Run again with --resume.")
        records.append(record)
    return records


def write_outputs(
    out: Path, records: Sequence[gradebook.Record], selections: Sequence[Selection]
) -> None:
    """Write the gradebook, the feedback pages and the summary."""
    for record in records:
        name = record["student"]
        file = out / "gradescope" / name / "results.json"
        write_atomically(file, gradebook.gradescope_json(record))
        write_atomically(out / "feedback" / f"{name}.html", pages.feedback_page(record))
    write_atomically(out / "summary.html", pages.summary_page(records, selections))
    canvas = gradebook.grades_csv(records, points_possible=True)
    write_atomically(out / "canvas.csv", canvas)
    write_atomically(out / "grades.csv", gradebook.grades_csv(records))
