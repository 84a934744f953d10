"""The process that runs a submission: it receives inputs and sends answers, both as plain data.

`python -m induction_heads.grading.worker` reads requests from stdin and writes answers to stdout.
Everything that the submission prints goes to stderr. The checks and the solutions are never
imported here.
"""

import importlib.abc
import linecache
import os
import random
import sys
import types
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any, BinaryIO

import numpy
import torch

from induction_heads.grading import calls
from induction_heads.grading.calls import Outcome
from induction_heads.grading.live_models import LiveModels
from induction_heads.grading.loading import (
    Failure,
    about_failures,
    make_importable,
    run_statements,
)
from induction_heads.grading.own_code import refuse_calls
from induction_heads.grading.wire import ENDED, STARTED, Closed, read_message, write_message
from induction_heads.models.plain_data import Unsendable

HIDDEN = "induction_heads.course"
EXTRA_MEMORY = 4 * 2**30
MAX_FILE = 64 * 2**20
MAX_OPEN_FILES = 256


class _NoChecks(importlib.abc.MetaPathFinder):
    """Refuses to import the checks. It is a reminder only: the sandbox is the protection."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: Any = None) -> None:
        if fullname == HIDDEN or fullname.startswith(f"{HIDDEN}."):
            raise ImportError(f"{fullname} has the answers, so a submission cannot import it.")


def restrict() -> None:
    """Limit memory, file size and open files of this process if the system can."""
    try:
        import resource
    except ImportError:  # Windows has no such limits. Only the judge's time limits remain.
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
    """Let this process use `seconds` more of processor time, even if the judge has ended."""
    try:
        import resource
    except ImportError:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    total = int(used.ru_utime + used.ru_stime + 2 * seconds + 10)
    _set_limit(resource.RLIMIT_CPU, total, keep_hard=True)


def load(
    stem: str, source: str, beside: Mapping[str, str] | None = None
) -> tuple[types.ModuleType, list[Failure], str | None]:
    """Run a submission's file as the module `stem`, with the modules `beside` it importable.

    Returns the module, the statements that failed, and what makes all of it unusable, or None.
    """
    filename = f"{stem}.py"
    module = types.ModuleType(stem)
    module.__file__ = filename
    sys.modules[stem] = module
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    if beside:
        make_importable(beside)
    failures: list[Failure] = []
    try:
        failures = run_statements(source, filename, module)
    except SyntaxError as error:
        return module, [], f"{filename} is not valid Python: {_syntax(error)}"
    except BaseException as error:  # sys.exit too: the worker must answer.
        return module, [], f"{filename} cannot be loaded: it {calls.explain(error, filename)[1]}"
    return module, failures, None


def _syntax(error: SyntaxError) -> str:
    line = (error.text or "").strip()
    return f"line {error.lineno}: {error.msg}{': ' + line if line else ''}"


class Worker:
    """Answers requests until the stream of requests ends."""

    def __init__(self, requests: BinaryIO, answers: BinaryIO):
        self.requests, self.answers = requests, answers
        self.module = types.ModuleType("nothing_loaded")
        self.failures: list[Failure] = []
        self.models = LiveModels()

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
                refuse_calls(request.get("refused", {}))
                file = request["stem"], request["source"], request.get("beside")
                self.module, self.failures, problem = load(*file)
                self._send({"event": "loaded", "problem": problem})
            else:
                self._answer(self._call(request), request["name"])

    def _call(self, request: dict[str, Any]) -> Outcome:
        function = getattr(self.module, request["name"], None)
        if function is None:
            return Outcome("missing", message=f"is not defined in {self.module.__name__}.py.")
        if str(getattr(function, "__module__", "")).startswith("induction_heads."):
            return Outcome("signature", message="is the package's own, imported.")
        try:
            args, kwargs = request["args"], request["kwargs"]
            return calls.call(function, args, kwargs, self._started, self.models)
        except KeyboardInterrupt:  # Nobody is at a keyboard here: the submission raised it.
            return Outcome("raised", message="raised KeyboardInterrupt.")
        except BaseException as error:  # A malicious class may break the code that inspects it.
            message = f"is or returned something that cannot be read ({type(error).__name__})."
            return Outcome("unusable", message=message)

    def _started(self) -> None:
        os.write(2, STARTED)
        self._send({"event": "started"})

    def _answer(self, outcome: Outcome, name: str) -> None:
        if outcome.status in ("raised", "missing"):
            reason = about_failures(self.failures, name, outcome.message)
            outcome = replace(outcome, message=outcome.message + reason)
        # The value is plain data: asdict would copy the tensors in it again.
        fields = {**asdict(Outcome(outcome.status)), **vars(outcome), "event": "done"}
        self._flush()
        with suppress(OSError):  # The submission may have closed it.
            os.write(2, ENDED)
        try:
            self._send(fields)
        except Unsendable as error:
            message = f"returned {error}, which cannot be compared with an answer."
            self._send({**fields, "status": "unusable", "value": None, "message": message})

    def _send(self, message: dict[str, Any]) -> None:
        self._flush()
        write_message(self.answers, message)

    def _flush(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):  # The submission may have closed or replaced it.
                stream.flush()


def _own_streams() -> tuple[BinaryIO, BinaryIO]:
    """New streams for requests and answers. Then stdin is empty, and stdout goes to stderr."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, answers


def hide_checks() -> None:
    """Make imports of the checks fail in this process."""
    sys.meta_path.insert(0, _NoChecks())


def run(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until their stream ends."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    restrict()
    # Random answers are the same whenever a submission is graded.
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
