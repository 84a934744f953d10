"""Limits that the kernel keeps for all processes of a submission together (cgroup v2, Linux).

Each worker gets its own control group. It counts all memory that the processes use, including files
in memory and buffers of the kernel, and it limits processes and processor time.
"""

import os
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
OWN = Path("/proc/self/cgroup")
NEEDED = ("memory", "pids")
WANTED = ("memory", "pids", "cpu")
PREFIX = "induction-heads-"
REMOVAL_SECONDS = 2.0


class NoGroups(RuntimeError):
    """No control group can be made here. The message completes "because …"."""


@dataclass(frozen=True)
class Limit:
    """The limits of one group: bytes of memory, processes, and processors used at a time."""

    memory: int
    processes: int
    processors: float = 1.0

    def files(self) -> dict[str, str]:
        """The text of each file of the group. The kernel may lack those with "swap" or "cpu"."""
        return {
            "memory.max": str(self.memory),
            "memory.swap.max": "0",
            "memory.oom.group": "1",
            "pids.max": str(self.processes),
            "cpu.max": f"{int(self.processors * 100_000)} 100000",
        }


class ControlGroup:
    """The group of one worker. A process joins it by writing 0 to `entrance()`."""

    def __init__(self, path: Path, limit: Limit):
        self.path = path
        path.mkdir()
        for name, text in limit.files().items():
            if (path / name).exists() or name in ("memory.max", "pids.max"):
                (path / name).write_text(text)

    def entrance(self) -> int:
        """An open file, which even a process that cannot see the control groups can use."""
        return os.open(self.path / "cgroup.procs", os.O_WRONLY)

    def ran_out_of_memory(self) -> bool:
        """Whether the kernel has ended processes because the limit on memory was reached."""
        with suppress(OSError, ValueError):
            lines = (self.path / "memory.events").read_text().splitlines()
            return any(int(n) > 0 for name, n in map(str.split, lines) if name == "oom_kill")
        return False

    def close(self) -> None:
        """End its processes and remove it."""
        with suppress(OSError):
            (self.path / "cgroup.kill").write_text("1")
        end = time.monotonic() + REMOVAL_SECONDS
        while self.path.exists() and time.monotonic() < end:
            with suppress(OSError):
                self.path.rmdir()
                return
            time.sleep(0.01)


class ControlGroups:
    """The group of one run, which holds the groups of its workers. Raises NoGroups.

    `place` is the group to make it in; by default a suitable one is searched for.
    """

    def __init__(self, limit: Limit, place: Path | None = None, needed: tuple[str, ...] = NEEDED):
        self.limit = limit
        place = place or find_place(needed=needed)
        _remove_old(place)
        self.path = place / f"{PREFIX}{os.getpid()}-{uuid.uuid4().hex[:8]}"
        try:
            self.path.mkdir()
            available = (self.path / "cgroup.controllers").read_text().split()
            for name in WANTED:
                if name in available:
                    (self.path / "cgroup.subtree_control").write_text(f"+{name}")
            self.group("trial").close()
        except OSError as error:
            self.close()
            raise NoGroups(f"a group cannot be made in {place} ({error.strerror})") from error

    def group(self, name: str) -> ControlGroup:
        """A new group for a worker."""
        return ControlGroup(self.path / name, self.limit)

    def close(self) -> None:
        """Remove all groups of the run."""
        _remove(self.path)


def find_place(mounts: Path = MOUNTS, own: Path = OWN, needed: tuple[str, ...] = NEEDED) -> Path:
    """The nearest group above this process in which groups with limits can be made.

    Raises NoGroups.
    """
    root = _mount(mounts)
    line = next((x for x in _lines(own) if x.startswith("0::/")), None)
    if root is None or line is None:
        raise NoGroups("the system has no control groups of version 2")
    if not set(needed) <= set(_words(root / "cgroup.controllers")):
        raise NoGroups(
            f"the control groups of version 2 have no limits on {' and '.join(needed)} here"
        )
    path = (root / line.removeprefix("0::/")).resolve()
    for place in (path, *path.parents):
        if not place.is_relative_to(root):
            break
        if set(needed) <= set(_words(place / "cgroup.subtree_control")) and all(
            os.access(file, os.W_OK) for file in (place, place / "cgroup.procs")
        ):
            return place
    raise NoGroups(
        "this account may not make control groups (with systemd it may if the command starts "
        "with `systemd-run --user --scope`)"
    )


def _mount(mounts: Path) -> Path | None:
    """Where the control groups of version 2 are."""
    for line in _lines(mounts):
        before, _, after = line.partition(" - ")
        if after.startswith("cgroup2 "):
            return Path(before.split()[4])
    return None


def _lines(file: Path) -> list[str]:
    with suppress(OSError, UnicodeDecodeError):
        return file.read_text().splitlines()
    return []


def _words(file: Path) -> list[str]:
    return " ".join(_lines(file)).split()


def _remove_old(place: Path) -> None:
    """Remove what killed runs have left behind."""
    for path in place.glob(f"{PREFIX}*"):
        pid = path.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            _remove(path)


def _remove(path: Path) -> None:
    """Remove a group and the groups in it, except those that still have processes."""
    for inside in (*path.glob("*/"), path):
        with suppress(OSError):
            inside.rmdir()
