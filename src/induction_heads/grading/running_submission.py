"""Calls the functions of a submission in a worker process, and restarts it if it dies."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from induction_heads.grading.calls import REMARKS, Outcome
from induction_heads.grading.submission import Submission
from induction_heads.grading.worker_process import (
    NoReply,
    SpawnedWorker,
    WorkerDied,
    WorkerProcess,
    printable,
)
from induction_heads.grading.workers import WorkerPool, WorkerPoolFailed
from induction_heads.models.plain_data import ModelData

CALL_STATUSES = {"returned", "not_started", "signature", "raised", "unusable", "missing"}
MAX_TEXT = 4000
RETRY_SECONDS = 1.0
USED_UP = "for one student are used up."


@dataclass(frozen=True)
class Limits:
    """Seconds for the worker to start, and for the file to load.

    A call has the limit of its exercise, and at most `most` if that is not None. The time is
    counted from the request. Only building the models among the arguments has its own limit:
    `prepare` for all calls of a submission together. `student` is for all files of one student.
    """

    start: float = 180.0
    load: float = 30.0
    prepare: float = 600.0
    most: float | None = None
    student: float = 3600.0


class Budget:
    """The time that is left for one student: all that their files and calls take is counted."""

    def __init__(self, seconds: float):
        self.seconds = self.left = seconds

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count the time that the block takes."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.left -= time.monotonic() - start

    def message(self) -> str:
        """Why a function was not called."""
        if self.seconds < 120:
            return f"The {self.seconds:.3g} seconds {USED_UP}"
        return f"The {self.seconds / 60:.3g} minutes {USED_UP}"


class WorkerFailed(RuntimeError):
    """The worker did not start. The cause is the installation, not the submission."""


def _words(value: Any) -> set[str]:
    parts = value if isinstance(value, (list, tuple)) else ()
    return {part for part in parts if isinstance(part, str)}


class RunningSubmission:
    """Calls functions of one submission. Use it in a `with` block.

    The worker comes from `pool`, or is a new Python process if `pool` is None. `models`: whether
    any arguments are models. `refused`: library functions that the submission must not call, as
    name → module. `budget` is the student's, shared by all their files.
    """

    def __init__(
        self,
        submission: Submission,
        limits: Limits | None = None,
        pool: WorkerPool | None = None,
        models: bool = True,
        refused: Mapping[str, str] | None = None,
        budget: Budget | None = None,
    ):
        self.submission = submission
        self.limits = limits or Limits()
        self.budget = budget or Budget(self.limits.student)
        self._preparing = self.limits.prepare
        self._pool, self._models = pool, models
        self._refused = dict(refused or {})
        self._worker: WorkerProcess | None = None
        self._unloadable = (
            None
            if submission.problem is None
            else Outcome("unloadable", message=submission.problem)
        )

    def __enter__(self) -> "RunningSubmission":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the worker if it runs."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def call(self, name: str, args: tuple, kwargs: dict, seconds: float) -> Outcome:
        """The outcome of calling the submission's function `name` within `seconds`."""
        with self.budget.counted():
            if self.budget.left <= 0:
                return Outcome("timeout", message=f"was not called. {self.budget.message()}")
            limits = (seconds, self.limits.most, self.budget.left)
            allowed = min(limit for limit in limits if limit is not None)
            return self._call(name, args, kwargs, allowed)

    def _call(self, name: str, args: tuple, kwargs: dict, seconds: float) -> Outcome:
        worker = self._loaded_worker()
        if self._unloadable is not None or worker is None:
            return self._unloadable or Outcome("died", message="could not be called.")
        preparing = self._preparing if _has_model((args, kwargs)) else 0.0
        start, free = time.monotonic(), 0.0
        try:
            worker.forget_output()
            request = {"do": "call", "name": name, "args": args, "kwargs": kwargs}
            worker.send({**request, "seconds": float(seconds + preparing)})
            reply = worker.receive(seconds + preparing)
            if reply.get("event") == "started":
                # Models are built before the start. The submission can work there too, so more
                # than the time for models counts.
                free = min(time.monotonic() - start, preparing)
                self._preparing -= free
                reply = worker.receive(start + free + seconds - time.monotonic())
            elif time.monotonic() - start > seconds and reply.get("status") == "returned":
                raise NoReply  # It did not say when it started, so all of the time counts.
            return self._outcome(reply, worker, time.monotonic() - start - free)
        except NoReply:
            message = f"did not finish within {seconds:.3g} s. Is there a loop that never ends?"
            return self._lost("timeout", message, start + free)
        except WorkerDied as error:
            return self._lost("died", str(error), start + free)

    def _outcome(self, reply: dict[str, Any], worker: WorkerProcess, seconds: float) -> Outcome:
        """A reply as an outcome. Raises WorkerDied if it is malformed."""
        status, message, changed = (reply.get(key) for key in ("status", "message", "changed"))
        well_formed = (
            reply.get("event") == "done"
            and status in CALL_STATUSES
            and isinstance(message, str)
            and (changed is None or isinstance(changed, str))
        )
        if not well_formed or status is None or message is None:
            raise WorkerDied("sent something that is not an answer.")
        output = worker.output() if status != "returned" or worker.has_printed() else ""
        return Outcome(
            status,
            reply.get("value"),
            printable(message[:MAX_TEXT]),
            changed and printable(changed[:100]),
            seconds,
            output,
            tuple(name for name in REMARKS if name in _words(reply.get("remarks"))),
        )

    def _lost(self, status: str, message: str, start: float) -> Outcome:
        output = self._worker.output() if self._worker else ""
        self.close()
        return Outcome(status, message=message, seconds=time.monotonic() - start, output=output)

    def _loaded_worker(self) -> WorkerProcess | None:
        """The worker with the submission loaded, started if it does not run."""
        if self._unloadable is not None or self._worker is not None:
            return self._worker
        self._worker = self._started_worker()
        file = f"{self.submission.stem}.py"
        start = time.monotonic()
        try:
            request = {
                "do": "load",
                "stem": self.submission.stem,
                "source": self.submission.source,
                "beside": dict(self.submission.beside),
                "refused": self._refused,
            }
            self._worker.forget_output()
            self._worker.send({**request, "seconds": self.limits.load})
            problem = self._worker.receive(self.limits.load).get("problem")
            if problem is not None:
                self._unloadable = self._lost(
                    "unloadable", printable(str(problem)[:MAX_TEXT]), start
                )
        except NoReply:
            message = f"{file} did not finish loading within {self.limits.load:.3g} s."
            self._unloadable = self._lost("unloadable_in_time", message, start)
        except WorkerDied as error:
            self._unloadable = self._lost("unloadable", f"{file}, while loading, {error}", start)
        return self._worker

    def _started_worker(self) -> WorkerProcess:
        """A worker that answers. It is tried twice: another process may have used up a resource."""
        try:
            return self._started_once()
        except WorkerFailed:
            time.sleep(RETRY_SECONDS)
            return self._started_once()

    def _started_once(self) -> WorkerProcess:
        if self._pool is None:
            worker = WorkerProcess(SpawnedWorker())
        else:
            try:
                worker = self._pool.worker(models=self._models)
            except WorkerPoolFailed as error:
                raise WorkerFailed(str(error)) from error
        try:
            worker.receive(self.limits.start)
        except (NoReply, WorkerDied) as error:
            output = worker.output().strip()[-1000:]
            worker.close()
            raise WorkerFailed(
                f"The process that runs submissions did not start ({error}). {output}"
            ) from error
        return worker


def _has_model(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_has_model, value))
    if isinstance(value, dict):
        return any(map(_has_model, value.values()))
    return isinstance(value, ModelData)
