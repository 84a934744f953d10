"""The process that runs a submission. It receives inputs and returns answers, both as plain data.

Run as `python -m induction_heads.grading.worker`: requests come in on stdin, answers go out on the
original stdout, and everything the submission prints goes to stderr. The checks and the solutions
are never imported here.
"""

import importlib.abc
import linecache
import os
import random
import sys
import types
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, BinaryIO

import numpy
import torch

from induction_heads.grading import calling
from induction_heads.grading.calling import Outcome
from induction_heads.grading.wire import STARTED, Closed, Unsendable, read_message, write_message

HIDDEN = "induction_heads.checks"
EXTRA_MEMORY = 4 * 2**30
MAX_FILE = 64 * 2**20
MAX_OPEN_FILES = 256


class _NoChecks(importlib.abc.MetaPathFinder):
    """Refuses to import the checks. A refusal, not a wall: isolation is the sandbox's work."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: Any = None) -> None:
        if fullname == HIDDEN or fullname.startswith(f"{HIDDEN}."):
            raise ImportError(f"{fullname} holds the answers, so a submission cannot import it.")


def restrict() -> None:
    """Limit memory, file size and open files of this process, where the system can."""
    try:
        import resource
    except ImportError:  # Windows has no such limits: the judge's clock is what remains.
        return
    limits = [
        (resource.RLIMIT_AS, _address_space() + EXTRA_MEMORY),
        (resource.RLIMIT_FSIZE, MAX_FILE),
        (resource.RLIMIT_NOFILE, MAX_OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ]
    for kind, limit in limits:
        _set_limit(kind, limit)


def _address_space() -> int:
    """Bytes of address space in use: PyTorch alone maps several gigabytes."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 16 * 2**30


def _set_limit(kind: int, soft: int, *, keep_hard: bool = False) -> None:
    import resource

    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard)
    try:
        resource.setrlimit(kind, (soft, hard if keep_hard else soft))
    except (OSError, ValueError):  # macOS refuses some of them.
        return


def allow_processor_seconds(seconds: float) -> None:
    """Let this process use `seconds` more of processor time. Stops it if the judge is gone."""
    try:
        import resource
    except ImportError:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    total = int(used.ru_utime + used.ru_stime + 2 * seconds + 10)
    _set_limit(resource.RLIMIT_CPU, total, keep_hard=True)


def load(stem: str, source: str) -> tuple[types.ModuleType, str | None]:
    """Run a submission's file as the module `stem`. Returns it and what went wrong, or None."""
    filename = f"{stem}.py"
    module = types.ModuleType(stem)
    module.__file__ = filename
    sys.modules[stem] = module
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    try:
        exec(compile(source, filename, "exec", dont_inherit=True), module.__dict__)
    except SyntaxError as error:
        return module, f"{filename} is not valid Python: {_syntax(error)}"
    except BaseException as error:  # sys.exit too: the worker must answer.
        return module, f"{filename} cannot be loaded: it {calling.explain(error, filename)[1]}"
    return module, None


def _syntax(error: SyntaxError) -> str:
    line = (error.text or "").strip()
    return f"line {error.lineno}: {error.msg}{': ' + line if line else ''}"


class Worker:
    """Answers requests until the stream of requests ends."""

    def __init__(self, requests: BinaryIO, answers: BinaryIO):
        self.requests, self.answers = requests, answers
        self.module = types.ModuleType("nothing_loaded")

    def serve(self) -> None:
        """Answer one request after the other. A request is a dict with the key "do"."""
        self._send({"event": "ready"})
        while True:
            try:
                request = read_message(self.requests)
            except Closed:
                return
            allow_processor_seconds(request["seconds"])
            if request["do"] == "load":
                self.module, problem = load(request["stem"], request["source"])
                self._send({"event": "loaded", "problem": problem})
            else:
                self._answer(self._call(request))

    def _call(self, request: dict[str, Any]) -> Outcome:
        function = getattr(self.module, request["name"], None)
        if function is None:
            return Outcome("missing", message=f"is not defined in {self.module.__name__}.py.")
        try:
            return calling.call(function, request["args"], request["kwargs"], self._started)
        except KeyboardInterrupt:  # Nobody is at a keyboard here: the submission raised it.
            return Outcome("raised", message="raised KeyboardInterrupt.")

    def _started(self) -> None:
        os.write(2, STARTED)
        self._send({"event": "started"})

    def _answer(self, outcome: Outcome) -> None:
        # The value is data already; asdict would copy tensors inside it once more.
        fields = {**asdict(Outcome(outcome.status)), **vars(outcome), "event": "done"}
        try:
            self._send(fields)
        except Unsendable as error:
            message = f"returned {error}, which cannot be compared with an answer."
            self._send({**fields, "status": "unusable", "value": None, "message": message})

    def _send(self, message: dict[str, Any]) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        write_message(self.answers, message)


def _own_streams() -> tuple[BinaryIO, BinaryIO]:
    """Requests and answers on descriptors of their own; stdin empty, stdout joined to stderr."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, answers


def hide_checks() -> None:
    """Let nothing in this process import the checks."""
    sys.meta_path.insert(0, _NoChecks())


def run(requests: BinaryIO, answers: BinaryIO) -> None:
    """Serve a judge until the stream of requests ends."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    restrict()
    # Answers drawn at random are the same ones each time a submission is graded.
    random.seed(0)
    numpy.random.seed(0)
    torch.manual_seed(0)
    Worker(requests, answers).serve()


def main() -> None:
    """Serve the judge that started this process."""
    requests, answers = _own_streams()
    hide_checks()
    torch.set_num_threads(1)
    run(requests, answers)


if __name__ == "__main__":
    main()
