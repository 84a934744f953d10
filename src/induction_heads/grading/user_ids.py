"""User ids for the submissions of one run, which no other run on this machine uses (Linux, root).

The kernel counts processes, keys and pipes for each user id. Two submissions with the same id could
take them from each other.
"""

import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PER_RUN = 256
"""Ids of a run. They are used in turn, and a run has far fewer workers at a time."""

RANGES = ((1_900_000_000, 100_000), (61_000, 16))
"""First id and number of runs: ids that nobody else assigns, and ids that a container also has."""

TRIES = 50


@dataclass
class UserIds:
    """The ids from `first` on, reserved until `close`."""

    first: int
    _reserved: socket.socket | None = None

    def of(self, number: int) -> int:
        """The id of the worker with this number."""
        return self.first + number % PER_RUN

    def close(self) -> None:
        """Give the ids back."""
        if self._reserved is not None:
            self._reserved.close()


def reserve() -> UserIds:
    """Ids that are this run's own. Two runs in one network namespace never get the same.

    A name without a file reserves them: the kernel frees it when the process ends, even if it is
    killed.
    """
    start, n_runs = next(
        ((start, n) for start, n in RANGES if _is_mapped(start, PER_RUN * n)), RANGES[-1]
    )
    for _ in range(TRIES):
        first = start + PER_RUN * secrets.randbelow(n_runs)
        reserved = socket.socket(socket.AF_UNIX)
        with suppress(OSError):
            reserved.bind(f"\0induction-heads-users-{first}")
            return UserIds(first, reserved)
        reserved.close()
    return UserIds(start + PER_RUN * secrets.randbelow(n_runs))


def _is_mapped(first: int, count: int, file: Path = Path("/proc/self/uid_map")) -> bool:
    """Whether this process may use these ids. In a container only some ids exist."""
    try:
        lines = [list(map(int, line.split())) for line in file.read_text().splitlines()]
    except (OSError, ValueError):
        return False
    return any(inside <= first and first + count <= inside + n for inside, _, n in lines)
