"""The process that forks a worker for each submission. It never runs a submission itself.

`workers.WorkerPool` runs it as `python -m induction_heads.grading.fork_server`. Each request is one
JSON object from a Unix socket on stdin. A request to fork carries three file descriptors: the
worker's requests, its answers and its output. A fourth is the entrance of its control group.
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
from induction_heads.grading.sandbox import MAX_MEMORY

POLL_SECONDS = 0.1
MAX_MESSAGE = 4096


@dataclass
class Child:
    """A forked worker. Killing the process `first` ends everything that the worker started."""

    pid: int
    first: int
    alone: bool
    code: int | None = None
    why: str | None = None


class ForkServer:
    """Forks, watches and ends workers on request."""

    def __init__(self, control: socket.socket, alone: bool):
        self.control = control
        self.alone = alone
        self.children: dict[int, Child] = {}

    def serve(self) -> None:
        """Answer requests until the client closes the socket, then end every worker."""
        while True:
            running = [child for child in self.children.values() if child.code is None]
            ready, _, _ = select.select([self.control], [], [], POLL_SECONDS if running else None)
            for child in running:
                _poll(child)
            if not ready:
                continue
            data, descriptors, _, _ = socket.recv_fds(self.control, MAX_MESSAGE, 4)
            if not data:
                break
            request = json.loads(data)
            reply = getattr(self, f"_{request.pop('do')}")(descriptors, **request)
            self.control.send(json.dumps(reply).encode())
        for number in list(self.children):
            self._stop([], number)

    def _fork(
        self, descriptors: list[int], number: int, models: bool, folder: str, uid: int
    ) -> dict[str, Any]:
        if models:  # This takes seconds, but only once: children inherit it.
            importlib.import_module("induction_heads.models.loading")
            importlib.import_module("transformer_lens.model_bridge")
        readable, writable = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(readable)
            _become_worker(descriptors, writable, uid, folder, self.alone)
        os.close(writable)
        for descriptor in descriptors:
            os.close(descriptor)
        line = _read_line(readable)
        if not line.isdigit():
            os.waitpid(pid, 0)
            return {"problem": line or "it ended at once"}
        self.children[number] = Child(pid, int(line), self.alone)
        return {"problem": None}

    def _ended(self, descriptors: list[int], number: int) -> dict[str, Any]:
        child = self.children[number]
        _poll(child)
        return {"code": child.code, "why": child.why}

    def _stop(self, descriptors: list[int], number: int) -> dict[str, Any]:
        child = self.children.pop(number)
        _kill(child)
        if child.code is None:
            os.waitpid(child.pid, 0)
        return {}


def _poll(child: Child) -> None:
    """Record whether a worker has ended, and end one that uses too much memory."""
    if child.code is not None:
        return
    pid, status = os.waitpid(child.pid, os.WNOHANG)
    if pid and not os.WIFSTOPPED(status):  # One that asks to be traced stops at every signal.
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
    """Bytes of memory that all processes in the PID namespace of `first` use together.

    Resident pages are summed first, which is fast but counts shared pages several times. Only if
    that sum is above the limit are the proportional shares of the processes added up.
    """
    namespace = _namespace(first)
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    inside = [pid for pid in pids if namespace is not None and _namespace(pid) == namespace]
    total = sum(_resident(pid) for pid in inside)
    return total if total <= MAX_MEMORY else sum(_share(pid) for pid in inside)


def _namespace(pid: int) -> int | None:
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
    descriptors: list[int], report: int, uid: int, folder: str, alone: bool
) -> NoReturn:
    """Turn this fork into a worker. It writes the process to kill, or a problem, to `report`."""

    def announce(first: int) -> None:
        os.write(report, f"{first}\n".encode())
        os.close(report)

    try:
        streams, entrances = descriptors[:3], descriptors[3:]
        work = partial(_work, streams, folder)
        for entrance in entrances:
            os.write(entrance, b"0")
            os.close(entrance)
        if alone:
            from induction_heads.grading import namespaces

            namespaces.leave(folder)
            namespaces.fork_alone(work, uid, announce)
        os.setsid()
        announce(os.getpid())
        work()
    except Exception as error:
        with suppress(OSError):  # Closed once the worker runs: later errors are not a problem here.
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
    with os.fdopen(requests, "rb") as source, os.fdopen(answers, "wb") as sink:
        worker.run(source, sink)
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
    """Serve the pool that started this process. The argument `alone` turns on namespaces."""
    control = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    torch.set_num_threads(1)
    worker.hide_checks()
    control.send(json.dumps({"ready": True}).encode())
    ForkServer(control, alone="alone" in sys.argv[1:]).serve()


if __name__ == "__main__":
    main()
