"""A submission behind a worker process: calls its functions, and starts anew after a death."""

import time
from dataclasses import dataclass
from typing import Any

from induction_heads.grading.calling import REMARKS, Outcome
from induction_heads.grading.nursery import Nursery, NurseryFailed
from induction_heads.grading.process import Died, Silent, Spawned, WorkerProcess, printable
from induction_heads.grading.submission import Submission

STATUSES = {"returned", "not_started", "signature", "raised", "unusable", "missing"}
MAX_TEXT = 4000


@dataclass(frozen=True)
class Limits:
    """Seconds: for the worker to start, the file to load, and a call's inputs to be made ready.

    The call itself has the limit of its exercise. `most` is an upper bound on that, if given.
    """

    start: float = 180.0
    load: float = 30.0
    prepare: float = 120.0
    most: float | None = None


class WorkerFailed(RuntimeError):
    """The worker did not start: a fault of the installation, not of the submission."""


def _words(value: Any) -> set[str]:
    parts = value if isinstance(value, (list, tuple)) else ()
    return {part for part in parts if isinstance(part, str)}


class RunningSubmission:
    """Calls functions of one submission. Use it in a `with` block.

    Its worker comes from `nursery`, or without one is a process started for it alone. `models`:
    whether models will be among the arguments.
    """

    def __init__(
        self,
        submission: Submission,
        limits: Limits | None = None,
        nursery: Nursery | None = None,
        models: bool = True,
    ):
        self.submission = submission
        self.limits = limits or Limits()
        self._nursery, self._models = nursery, models
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
        """Stop the worker, if one runs."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def call(self, name: str, args: tuple, kwargs: dict, seconds: float) -> Outcome:
        """Call the submission's function `name` within `seconds`, and say what came of it."""
        if self.limits.most is not None:
            seconds = min(seconds, self.limits.most)
        worker = self._loaded_worker()
        if self._unloadable is not None or worker is None:
            return self._unloadable or Outcome("died", message="could not be called.")
        start, allowed = time.monotonic(), seconds
        try:
            worker.forget_output()
            request = {"do": "call", "name": name, "args": args, "kwargs": kwargs}
            worker.send({**request, "seconds": float(seconds + self.limits.prepare)})
            reply = worker.receive(self.limits.prepare)
            if reply.get("event") == "started":
                start = time.monotonic()
                reply = worker.receive(seconds)
            elif time.monotonic() - start > seconds and reply.get("status") == "returned":
                raise Silent  # It answered without saying when it started: all of the time counts.
            return self._outcome(reply, worker, time.monotonic() - start)
        except Silent:
            message = f"did not finish within {allowed:.3g} s. Is there a loop that never ends?"
            return self._lost("timeout", message, start)
        except Died as error:
            return self._lost("died", str(error), start)

    def _outcome(self, reply: dict[str, Any], worker: WorkerProcess, seconds: float) -> Outcome:
        """A reply as an outcome. Whatever does not look like one raises Died."""
        status, message, changed = (reply.get(key) for key in ("status", "message", "changed"))
        well_formed = (
            reply.get("event") == "done"
            and status in STATUSES
            and isinstance(message, str)
            and (changed is None or isinstance(changed, str))
        )
        if not well_formed or status is None or message is None:
            raise Died("sent something that is no answer.")
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
        """The running worker with the submission loaded, started if there is none."""
        if self._unloadable is not None or self._worker is not None:
            return self._worker
        self._worker = self._started_worker()
        file = f"{self.submission.stem}.py"
        start = time.monotonic()
        try:
            request = {"do": "load", "stem": self.submission.stem, "source": self.submission.source}
            self._worker.forget_output()
            self._worker.send({**request, "seconds": self.limits.load})
            problem = self._worker.receive(self.limits.load).get("problem")
            if problem is not None:
                self._unloadable = self._lost(
                    "unloadable", printable(str(problem)[:MAX_TEXT]), start
                )
        except Silent:
            message = f"{file} did not finish loading within {self.limits.load:.3g} s."
            self._unloadable = self._lost("unloadable_in_time", message, start)
        except Died as error:
            self._unloadable = self._lost("unloadable", f"{file}, while loading, {error}", start)
        return self._worker

    def _started_worker(self) -> WorkerProcess:
        if self._nursery is None:
            worker = WorkerProcess(Spawned())
        else:
            try:
                worker = self._nursery.worker(models=self._models)
            except NurseryFailed as error:
                raise WorkerFailed(str(error)) from error
        try:
            worker.receive(self.limits.start)
        except (Silent, Died) as error:
            said = worker.output().strip()[-1000:]
            worker.close()
            raise WorkerFailed(
                f"The process that runs submissions did not start ({error}). {said}"
            ) from error
        return worker
