"""The warm process that forks a worker for each submission. It never runs a submission itself.

Run as `python -m induction_heads.grading.forking` by `nursery.Nursery`. Requests, one JSON object
each, come through a Unix socket on stdin; a request to fork brings three descriptors: the worker's
requests, its answers, and where its printed text goes.
"""

import importlib
import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import torch

from induction_heads.grading import worker

MAX_MEMORY = 4 * 2**30
LOOK_EVERY = 0.1
MAX_MESSAGE = 4096


@dataclass
class Child:
    """A forked worker. `first` is the process whose end ends all that the worker started."""

    pid: int
    first: int
    alone: bool
    code: int | None = None
    why: str | None = None


class Forks:
    """Answers requests: forks, ends and watches workers."""

    def __init__(self, control: socket.socket, alone: bool):
        self.control = control
        self.alone = alone
        self.children: dict[int, Child] = {}

    def serve(self) -> None:
        """Answer requests until the other side is gone, then end every worker."""
        while True:
            living = [child for child in self.children.values() if child.code is None]
            ready, _, _ = select.select([self.control], [], [], LOOK_EVERY if living else None)
            for child in living:
                _look_at(child)
            if not ready:
                continue
            data, descriptors, _, _ = socket.recv_fds(self.control, MAX_MESSAGE, 3)
            if not data:
                break
            request = json.loads(data)
            reply = getattr(self, f"_{request.pop('do')}")(descriptors, **request)
            self.control.send(json.dumps(reply).encode())
        for number in list(self.children):
            self._stop([], number)

    def _fork(
        self, descriptors: list[int], number: int, models: bool, folder: str
    ) -> dict[str, Any]:
        if models:  # Takes seconds, once, and a child has it from the start.
            importlib.import_module("induction_heads.models")
            importlib.import_module("transformer_lens.model_bridge")
        readable, writable = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(readable)
            _become_worker(descriptors, writable, number, folder, self.alone)
        os.close(writable)
        for descriptor in descriptors:
            os.close(descriptor)
        said = _read_line(readable)
        if not said.isdigit():
            os.waitpid(pid, 0)
            return {"problem": said or "it ended at once"}
        self.children[number] = Child(pid, int(said), self.alone)
        return {"problem": None}

    def _ended(self, descriptors: list[int], number: int) -> dict[str, Any]:
        child = self.children[number]
        _look_at(child)
        return {"code": child.code, "why": child.why}

    def _stop(self, descriptors: list[int], number: int) -> dict[str, Any]:
        child = self.children.pop(number)
        _kill(child)
        if child.code is None:
            os.waitpid(child.pid, 0)
        return {}


def _look_at(child: Child) -> None:
    """Notice that a worker has ended, and end one that uses too much memory."""
    if child.code is not None:
        return
    pid, status = os.waitpid(child.pid, os.WNOHANG)
    if pid:
        child.code = os.waitstatus_to_exitcode(status)
    elif child.alone and memory_in_use(child.first) > MAX_MEMORY:
        child.why = f"used more than {MAX_MEMORY // 2**30} GB of memory"
        _kill(child)


def _kill(child: Child) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if child.alone:
            os.kill(child.first, signal.SIGKILL)
        else:
            os.killpg(child.first, signal.SIGKILL)


def memory_in_use(first: int) -> int:
    """Bytes of memory that the processes in the process space of `first` hold together.

    Resident pages are summed first, which is fast and counts shared pages many times. Only where
    that sum is too much are the shares of each process added up.
    """
    space = _space(first)
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    inside = [pid for pid in pids if space is not None and _space(pid) == space]
    total = sum(_resident(pid) for pid in inside)
    return total if total <= MAX_MEMORY else sum(_share(pid) for pid in inside)


def _space(pid: int) -> int | None:
    with suppress(OSError):
        return os.stat(f"/proc/{pid}/ns/pid").st_ino
    return None


def _resident(pid: int) -> int:
    with suppress(OSError, IndexError):
        text = Path(f"/proc/{pid}/statm").read_text(encoding="ascii")
        return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _share(pid: int) -> int:
    with suppress(OSError, IndexError):
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        lines = [line.split() for line in text.splitlines() if line.startswith("Pss:")]
        return int(lines[0][1]) * 1024
    return 0


def _become_worker(
    descriptors: list[int], report: int, number: int, folder: str, alone: bool
) -> NoReturn:
    """Turn this fork into a worker. A line goes to `report`: the process to kill, or a problem."""

    def said(first: int) -> None:
        os.write(report, f"{first}\n".encode())
        os.close(report)

    try:
        work = partial(_work, descriptors, folder)
        if alone:
            from induction_heads.grading import namespaces

            namespaces.leave(folder)
            namespaces.fork_alone(work, number, said)
        os.setsid()
        said(os.getpid())
        work()
    except Exception as error:
        with suppress(OSError):  # Closed once the worker runs: what comes then is no problem here.
            os.write(report, f"{error}\n".encode()[:1000])
    os._exit(71)


def _work(descriptors: list[int], folder: str) -> NoReturn:
    requests, answers, printed = (os.dup2(fd, 100 + i) for i, fd in enumerate(descriptors))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    os.closerange(3, requests)
    os.closerange(printed, 256)
    os.chdir(folder)
    os.environ.update(HOME=folder, TMPDIR=folder)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with os.fdopen(requests, "rb") as asked, os.fdopen(answers, "wb") as answered:
        worker.run(asked, answered)
    os._exit(0)


def _read_line(readable: int) -> str:
    data = b""
    while not data.endswith(b"\n"):
        chunk = os.read(readable, 1024)
        if not chunk:
            break
        data += chunk
    os.close(readable)
    return data.decode(errors="replace").strip()


def main() -> None:
    """Serve the nursery that started this process. With the argument `alone`, use namespaces."""
    control = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    torch.set_num_threads(1)
    worker.hide_checks()
    control.send(json.dumps({"ready": True}).encode())
    Forks(control, alone="alone" in sys.argv[1:]).serve()


if __name__ == "__main__":
    main()
