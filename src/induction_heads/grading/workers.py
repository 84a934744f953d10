"""Starts a fresh worker process for each submission, while PyTorch is imported only once."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

from induction_heads.grading import user_ids
from induction_heads.grading.control_groups import ControlGroup, ControlGroups, NoGroups
from induction_heads.grading.sandbox import (
    GROUP_LIMIT,
    MAX_MEMORY,
    OWN_FOLDER,
    Isolation,
    bubblewrap,
    isolation,
)
from induction_heads.grading.worker_process import (
    SpawnedWorker,
    WorkerHandle,
    WorkerProcess,
    clean_up,
    worker_environment,
)

MAX_MESSAGE = 4096


class WorkerPoolFailed(RuntimeError):
    """No worker could be started. The cause is the installation, not a submission."""


class WorkerPool:
    """Starts workers: forked from a fork server and sandboxed if possible, else new processes.

    Use it in a `with` block. `isolation` says how the machine is protected from the submissions.
    Without a sandbox, the workers run as `user` if that is not None, which needs root.
    Raises WorkerPoolFailed if the fork server does not start within `seconds`.
    """

    def __init__(self, *, isolated: bool = True, seconds: float = 180.0, user: str | None = None):
        self.isolation = (
            isolation() if isolated else Isolation(False, "Submissions are not sandboxed.")
        )
        alone = self.isolation.complete
        self._server = _ForkClient(alone, seconds, user) if _can_fork() else None

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def worker(self, *, models: bool = True) -> WorkerProcess:
        """A fresh worker. With `models`, the fork server imports TransformerLens first."""
        if self._server is None:
            return WorkerProcess(SpawnedWorker())
        return WorkerProcess(ForkedWorker(self._server, models))

    def close(self) -> None:
        """End the fork server and all workers."""
        if self._server is not None:
            self._server.close()


def has_user(name: str) -> bool:
    """Whether this system has a user of that name."""
    import pwd  # Not on Windows, where nothing runs as another user.

    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def as_user(user: str) -> list[str]:
    """The start of a command that runs as another user, without any way back to root."""
    import pwd

    ids = [f"--reuid={user}", f"--regid={pwd.getpwnam(user).pw_gid}", "--clear-groups"]
    return ["setpriv", *ids, "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", "--"]


def _can_fork() -> bool:
    # On other systems a process that has imported PyTorch cannot be forked safely, if at all.
    return sys.platform == "linux"


class _ForkClient:
    """The client of a `fork_server.ForkServer` in a process that it starts."""

    def __init__(self, alone: bool, seconds: float, user: str | None = None):
        self.alone, self.user = alone, user
        self.numbers = count(1)
        self._ids = user_ids.reserve() if alone else None
        self._groups = _groups() if alone else None
        self._one_at_a_time = threading.Lock()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-P", "-m", "induction_heads.grading.fork_server"]
        if alone:
            command = bubblewrap([*command, "alone"])
        elif user is not None:
            command = [*as_user(user), *command]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  Open while the process runs.
        with theirs:
            self._process = subprocess.Popen(
                command,
                env=worker_environment(Path(OWN_FOLDER)),
                stdin=theirs.fileno(),
                stdout=self._errors,
                stderr=self._errors,
                start_new_session=True,
            )
        try:
            self._receive(seconds)
        except WorkerPoolFailed:
            self.close()
            raise

    def uid(self, number: int) -> int:
        """The user id of a worker that is alone; root may choose it."""
        return self._ids.of(number) if self._ids else 0

    def group(self, number: int) -> ControlGroup | None:
        """A control group for a worker, where the system offers them."""
        if self._groups is None:
            return None
        try:
            return self._groups.group(str(number))
        except OSError as error:
            raise WorkerPoolFailed(f"No control group can be made: {error.strerror}.") from error

    def ask(self, do: str, descriptors: tuple[int, ...] = (), **details: Any) -> dict[str, Any]:
        """Send a request and wait for its reply."""
        with self._one_at_a_time:
            try:
                data = json.dumps({"do": do, **details}).encode()
                socket.send_fds(self._control, [data], descriptors)
            except OSError as error:
                raise WorkerPoolFailed(self._problem()) from error
            return self._receive(60.0)

    def _receive(self, seconds: float) -> dict[str, Any]:
        self._control.settimeout(seconds)
        try:
            data = self._control.recv(MAX_MESSAGE)
        except OSError as error:
            raise WorkerPoolFailed(self._problem()) from error
        if not data:
            raise WorkerPoolFailed(self._problem())
        return json.loads(data)

    def _problem(self) -> str:
        if self._errors.closed:
            return "The process that starts workers has been closed and does not answer."
        self._errors.seek(0)
        errors = self._errors.read()[-1000:].decode(errors="replace").strip()
        return f"The process that starts workers does not answer. {errors}"

    def close(self) -> None:
        """End the server and all its workers."""
        self._control.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()
        if self._ids is not None:
            self._ids.close()
        if self._groups is not None:
            self._groups.close()


def _groups() -> ControlGroups | None:
    try:
        return ControlGroups(GROUP_LIMIT)
    except NoGroups:  # `isolation` says so.
        return None


class ForkedWorker(WorkerHandle):
    """A worker forked from the fork server."""

    def __init__(self, server: _ForkClient, models: bool):
        self._server, self._number = server, next(server.numbers)
        self._code: int | None = None
        self._why: str | None = None
        self._folder = None if server.alone else _temporary_folder(server.user)
        self._group = server.group(self._number)
        entrances = () if self._group is None else (self._group.entrance(),)
        (ask_r, ask_w), (answer_r, answer_w), (print_r, print_w) = (os.pipe() for _ in range(3))
        self.requests, self.answers, self.printed = _files(ask_w, answer_r, print_r)
        try:
            reply = server.ask(
                "fork",
                (ask_r, answer_w, print_w, *entrances),
                uid=server.uid(self._number),
                number=self._number,
                models=models,
                folder=self._folder.name if self._folder else OWN_FOLDER,
            )
            if reply["problem"] is not None:
                raise WorkerPoolFailed(f"A worker could not be started: {reply['problem']}.")
        except WorkerPoolFailed:
            self._release()
            raise
        finally:
            for descriptor in (ask_r, answer_w, print_w, *entrances):
                os.close(descriptor)

    def wait(self, seconds: float) -> int | None:
        """The exit code, or minus the signal, or None if it still runs after `seconds`."""
        end = time.monotonic() + seconds
        while self._code is None:
            reply = self._server.ask("ended", number=self._number)
            self._code, self._why = reply["code"], reply["why"]
            if time.monotonic() > end:
                break
            time.sleep(0.01)
        return self._code

    def why(self) -> str | None:
        """Why the fork server or the kernel ended it, or None."""
        if self._why is None and self._group is not None and self._group.ran_out_of_memory():
            return f"used more than {MAX_MEMORY // 2**30} GB of memory"
        return self._why

    def stop(self) -> None:
        """End it and everything it started."""
        with contextlib.suppress(WorkerPoolFailed):  # Then its workers have ended too.
            self._server.ask("stop", number=self._number)
        self._remove()

    def _release(self) -> None:
        for stream in (self.requests, self.answers, self.printed):
            stream.close()
        self._remove()

    def _remove(self) -> None:
        if self._group is not None:
            self._group.close()
        if self._folder is not None:
            clean_up(self._folder)


def _temporary_folder(user: str | None) -> tempfile.TemporaryDirectory:
    folder = tempfile.TemporaryDirectory(prefix="induction-heads-", ignore_cleanup_errors=True)
    if user is not None:
        shutil.chown(folder.name, user)
    return folder


def _files(requests: int, answers: int, printed: int) -> tuple[BinaryIO, BinaryIO, BinaryIO]:
    return os.fdopen(requests, "wb"), os.fdopen(answers, "rb"), os.fdopen(printed, "rb")
