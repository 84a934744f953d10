"""Try every changed answer of a chapter: in several processes, and going on where a run ended."""

import hashlib
import json
import multiprocessing
import os
import resource
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import wait
from pathlib import Path
from typing import NamedTuple

import torch
from drawn import ROOT

import induction_heads
from induction_heads.course.registry import FOLDER
from mutation.implementations import Implementation, implementations, loaded, mutants
from mutation.trial import LinesRun, Trial

RECORDS = ROOT / "_build" / "mutation"
"""What was tried already, one file for each answer and state of the code that decides."""

MORE_MEMORY = 6 * 2**30
ACCEPTED = "accepted"
NOT_RUN = "in a line of shared code that the unchanged answer does not run"
"""The verdict on a change of an option that belongs to the mistakes and not to this answer."""

REFUSED = 3
"""The exit status of a worker whose right answer is refused."""


class Found(NamedTuple):
    """A changed answer and what became of it: ACCEPTED, or the reason why it was refused."""

    key: tuple[str, str, str, str]
    verdict: str

    @property
    def survived(self) -> bool:
        """Whether the check accepts it."""
        return self.verdict == ACCEPTED


def found(
    stem: str, exercise: str | None = None, say: Callable[[str], None] = lambda text: None
) -> list[Found]:
    """The verdict on every changed answer of a chapter, or of one exercise of it.

    Raises RefusedUnchanged where a check refuses a right answer as it is.
    """
    torch.set_num_threads(1)
    loaded(stem)
    answers = [
        _Answer(each, _record(stem, each), [mutant.key for mutant in mutants(each)])
        for each in implementations(stem)
        if exercise in (None, each.exercise)
    ]
    waiting, running = list(answers), dict[int, tuple[multiprocessing.Process, _Answer]]()
    while waiting or running:
        while waiting and len(running) < len(os.sched_getaffinity(0)):
            answer = waiting.pop(0)
            if answer.is_done:
                say(answer.summary)
                continue
            trial = _prepared(answer.implementation.exercise)
            process = multiprocessing.get_context("fork").Process(
                target=_work, args=(answer, trial)
            )
            process.start()
            running[process.sentinel] = process, answer  # type: ignore[assignment]
        for sentinel in wait(list(running)) if running else []:
            process, answer = running.pop(sentinel)  # type: ignore[call-overload]
            process.join()
            if process.exitcode == REFUSED:
                raise RefusedUnchanged(_read(answer.failure)[-1])
            if process.exitcode:
                _add(answer.record, "ended the process")
            waiting.insert(0, answer)
    return [result for answer in answers for result in answer.results]


class RefusedUnchanged(AssertionError):
    """A check refuses a right answer."""


@dataclass(frozen=True)
class _Answer:
    """A right answer, its changes, and the file that keeps the verdicts on them."""

    implementation: Implementation
    record: Path
    keys: list[tuple[str, str, str, str]]

    @property
    def failure(self) -> Path:
        return self.record.with_suffix(".refused")

    @property
    def is_done(self) -> bool:
        return len(_read(self.record)) >= len(self.keys)

    @property
    def results(self) -> list[Found]:
        verdicts = _read(self.record)[: len(self.keys)]
        return [Found(key, verdict) for key, verdict in zip(self.keys, verdicts, strict=True)]

    @property
    def summary(self) -> str:
        left = sum(result.survived for result in self.results)
        which = f"{self.implementation.exercise}, {self.implementation.label}"
        return f"{which}: {len(self.keys)} changes, {left} accepted"


@cache
def _prepared(exercise: str) -> Trial:
    """The check of an exercise, with what its workers share when they are forked."""
    trial = Trial(exercise)
    trial.prepare()
    return trial


def _work(answer: _Answer, trial: Trial) -> None:
    """Try the changes that have no verdict yet, and write one line of the record for each."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MORE_MEMORY, used + MORE_MEMORY))
    implementation = answer.implementation
    answer.record.parent.mkdir(parents=True, exist_ok=True)
    ran = LinesRun()
    with ran:
        said = trial.accepts_original(implementation.function)
    if said:
        which = f"{implementation.exercise}, {implementation.label}"
        _add(answer.failure, f"{which}, is refused unchanged: {said}")
        os._exit(REFUSED)
    for mutant in mutants(implementation)[len(_read(answer.record)) :]:
        runs = not mutant.is_shared or ran.any_of(mutant.where.path, mutant.lines)
        _add(answer.record, (trial.refusal(mutant.function) or ACCEPTED) if runs else NOT_RUN)
    os._exit(0)


def _add(record: Path, verdict: str) -> None:
    with record.open("a", encoding="utf-8") as file:
        file.write(json.dumps(verdict) + "\n")


def _read(record: Path) -> list[str]:
    if not record.is_file():
        return []
    lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _record(stem: str, implementation: Implementation) -> Path:
    """Named for everything that the verdicts depend on, so that an old record is not read."""
    package = Path(induction_heads.__file__).parent
    folders = [FOLDER / stem, package / "data", package / "models", package / "interp"]
    folders += [package / "training", package / "sweeps"]
    files: Iterable[Path] = [
        implementation.home.path,
        *FOLDER.glob("*.py"),
        *(package / "grading").glob("*.py"),
        *(path for folder in folders for path in sorted(folder.glob("*.py"))),
        *Path(__file__).parent.glob("*.py"),
    ]
    text = b"".join(path.read_bytes() for path in sorted(files))
    digest = hashlib.sha256(text).hexdigest()[:12]
    name = f"{implementation.exercise}-{implementation.label.replace(' ', '_')}-{digest}.jsonl"
    return RECORDS / stem / name
