"""What an attack must leave unchanged: the judge's process, its machine and its messages."""

import os
import signal
import socket
import threading
import time
import unicodedata
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from induction_heads.grading.results import ChapterResult

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE = 3.0
"""Seconds in which processes and threads may still end after a check."""


def state() -> dict[str, Any]:
    """What an attack must not change in the judge's own process."""
    umask = os.umask(0o77)
    os.umask(umask)
    return {
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "umask": umask,
        "dtype": torch.get_default_dtype(),
        "threads of torch": torch.get_num_threads(),
        "gradients": torch.is_grad_enabled(),
        "signals": [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)],
        "comparison": bool(torch.equal(torch.ones(2), torch.zeros(2))),
    }


def counts() -> dict[str, int]:
    """What an attack must not leave behind in the judge's own process."""
    return {
        "threads": threading.active_count(),
        "children": len(children()),
        "open files": len(os.listdir("/proc/self/fd")),
    }


def children() -> list[int]:
    """The running child processes of this process."""
    pids = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid():
            pids.append(int(folder.name))
    return pids


def named_processes(marker: str) -> list[int]:
    """The processes that have the marker in their name or their arguments."""
    pids = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name = (folder / "comm").read_text(errors="replace")
            command = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if (marker in name or marker in command) and int(folder.name) != os.getpid():
            pids.append(int(folder.name))
    return pids


def comes_true(holds: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    """Whether `holds` returns true now or within `seconds`."""
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds()


def forget_peak_memory() -> None:
    """Reset the peak memory of this process."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> int:
    """The peak memory of this process in bytes since the last `forget_peak_memory`."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return 1024 * int(line.split()[1])


def unprintable(text: str) -> list[str]:
    """The characters of a message that could harm a terminal, a file or a page."""
    harmless = "\n\t"
    bad = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
    return [c for c in text if unicodedata.category(c) in bad and c not in harmless]


@dataclass(frozen=True)
class Scene:
    """The surroundings of one attack: files that it must not touch, and servers."""

    marker: str
    outside: Path
    witness: Path
    server: socket.socket
    unix: socket.socket
    before: dict[str, bytes]

    @property
    def places(self) -> dict[str, str]:
        """The values of the placeholders `@name@` in a submission."""
        return {
            "marker": self.marker,
            "outside": str(self.outside),
            "witness": str(self.witness),
            "port": str(self.server.getsockname()[1]),
            "secret": "a-password-of-the-judge",
            "repository": str(REPOSITORY),
            "process_namespace": os.readlink("/proc/self/ns/pid"),
        }

    def traces(self) -> list[str]:
        """What the attack has left behind or changed, in words. It must be empty."""
        traces = []
        if not comes_true(lambda: not named_processes(self.marker)):
            traces.append(f"processes still run: {named_processes(self.marker)}")
        if self.witness.exists():
            traces.append("a file was written outside")
        if _content(self.outside) != self.before:
            traces.append("other people's files were changed")
        for name, server in (("TCP", self.server), ("Unix", self.unix)):
            if _was_called(server):
                traces.append(f"a {name} connection was opened")
        return traces


def _content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


def _was_called(server: socket.socket) -> bool:
    try:
        server.accept()[0].close()
    except BlockingIOError:
        return False
    return True


@contextmanager
def scene(folder: Path, right: str) -> Iterator[Scene]:
    """A fresh scene in `folder`, with another student's submission `right`."""
    outside = folder / "outside"
    for name, content in {
        "other_student/ch99_trial.py": right,
        "results/grades.csv": "student,points\nother,10\n",
        "results/other_student.json": "{}",
        "progress.json": "{}",
    }.items():
        path = outside / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    marker = f"hostile{uuid.uuid4().hex[:7]}"
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(f"\0{marker}")
        unix.listen()
        server.setblocking(False)
        unix.setblocking(False)
        yield Scene(marker, outside, folder / "witness", server, unix, _content(outside))


def texts(chapter: ChapterResult) -> list[str]:
    """All texts of a result that a person or a file can get."""
    return [text for result in chapter.exercises for text in (result.message, result.mistake or "")]
