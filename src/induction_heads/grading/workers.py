"""A warm process that forks a fresh worker for each submission: PyTorch is imported only once."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

from induction_heads.grading.process import (
    Spawned,
    Started,
    WorkerProcess,
    clean_up,
    worker_environment,
)
from induction_heads.grading.sandbox import OWN_FOLDER, Isolation, bubblewrap, isolation

MAX_MESSAGE = 4096


class NurseryFailed(RuntimeError):
    """No worker could be started: a fault of the installation, not of a submission."""


class Nursery:
    """Starts workers: forked and isolated where the system can, else one process each.

    Use it in a `with` block. `isolation` says what protects the machine from the submissions.
    Raises NurseryFailed if the warm process does not start within `seconds`.
    """

    def __init__(self, *, isolated: bool = True, seconds: float = 180.0):
        self.isolation = isolation() if isolated else Isolation(False, "Isolation is off.")
        self._forks = _Forks(self.isolation.complete, seconds) if _can_fork() else None

    def __enter__(self) -> "Nursery":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def worker(self, *, models: bool = True) -> WorkerProcess:
        """A fresh worker. With `models`, TransformerLens is imported before it is forked."""
        if self._forks is None:
            return WorkerProcess(Spawned())
        return WorkerProcess(Forked(self._forks, models))

    def close(self) -> None:
        """End the warm process and every worker that still runs."""
        if self._forks is not None:
            self._forks.close()


def _can_fork() -> bool:
    # Elsewhere, a process that has imported PyTorch cannot be forked safely, or not at all.
    return sys.platform == "linux"


class _Forks:
    """The other end of `forking.Forks`."""

    def __init__(self, alone: bool, seconds: float):
        self.alone = alone
        self.numbers = count(1)
        self._one_at_a_time = threading.Lock()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-P", "-m", "induction_heads.grading.forking"]
        if alone:
            command = bubblewrap([*command, "alone"])
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  Open as long as the process runs.
        with theirs:
            self._process = subprocess.Popen(
                command, env=worker_environment(Path(OWN_FOLDER)), stdin=theirs.fileno(),
                stdout=self._errors, stderr=self._errors, start_new_session=True,
            )  # fmt: skip
        try:
            self._receive(seconds)
        except NurseryFailed:
            self.close()
            raise

    def ask(self, do: str, descriptors: tuple[int, ...] = (), **details: Any) -> dict[str, Any]:
        """Send a request and wait for its reply."""
        with self._one_at_a_time:
            try:
                data = json.dumps({"do": do, **details}).encode()
                socket.send_fds(self._control, [data], descriptors)
            except OSError as error:
                raise NurseryFailed(self._why()) from error
            return self._receive(60.0)

    def _receive(self, seconds: float) -> dict[str, Any]:
        self._control.settimeout(seconds)
        try:
            data = self._control.recv(MAX_MESSAGE)
        except OSError as error:
            raise NurseryFailed(self._why()) from error
        if not data:
            raise NurseryFailed(self._why())
        return json.loads(data)

    def _why(self) -> str:
        if self._errors.closed:
            return "The process that starts workers has been closed and does not answer."
        self._errors.seek(0)
        said = self._errors.read()[-1000:].decode(errors="replace").strip()
        return f"The process that starts workers does not answer. {said}"

    def close(self) -> None:
        """End it and all its workers."""
        self._control.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()


class Forked(Started):
    """A worker that was forked from the warm process."""

    def __init__(self, forks: _Forks, models: bool):
        self._forks, self._number = forks, next(forks.numbers)
        self._code: int | None = None
        self._why: str | None = None
        self._folder = None if forks.alone else _own_folder()
        (ask_r, ask_w), (answer_r, answer_w), (print_r, print_w) = (os.pipe() for _ in range(3))
        self.requests, self.answers, self.printed = _files(ask_w, answer_r, print_r)
        try:
            reply = forks.ask(
                "fork", (ask_r, answer_w, print_w), number=self._number, models=models,
                folder=self._folder.name if self._folder else OWN_FOLDER,
            )  # fmt: skip
            if reply["problem"] is not None:
                raise NurseryFailed(f"A worker could not be started: {reply['problem']}")
        except NurseryFailed:
            self._let_go()
            raise
        finally:
            for descriptor in (ask_r, answer_w, print_w):
                os.close(descriptor)

    def wait(self, seconds: float) -> int | None:
        """The exit code or minus the signal, or None if it still runs after `seconds`."""
        end = time.monotonic() + seconds
        while self._code is None:
            reply = self._forks.ask("ended", number=self._number)
            self._code, self._why = reply["code"], reply["why"]
            if time.monotonic() > end:
                break
            time.sleep(0.01)
        return self._code

    def why(self) -> str | None:
        """Why it was ended from outside, in words, where that is known."""
        return self._why

    def stop(self) -> None:
        """End it and everything it started."""
        with contextlib.suppress(NurseryFailed):  # Then its workers are gone too.
            self._forks.ask("stop", number=self._number)
        if self._folder is not None:
            clean_up(self._folder)

    def _let_go(self) -> None:
        for stream in (self.requests, self.answers, self.printed):
            stream.close()
        if self._folder is not None:
            clean_up(self._folder)


def _own_folder() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="induction-heads-", ignore_cleanup_errors=True)


def _files(requests: int, answers: int, printed: int) -> tuple[BinaryIO, BinaryIO, BinaryIO]:
    return os.fdopen(requests, "wb"), os.fdopen(answers, "rb"), os.fdopen(printed, "rb")
