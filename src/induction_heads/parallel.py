"""Where tasks run: in processes on this machine, or on the workers of a Dask cluster."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache

DEATHS = ("TerminatedWorkerError", "KilledWorker")
"""What joblib and Dask raise when a process of theirs was killed."""


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def end_with(parent: int) -> None:
    """End this process soon after `parent` does: joblib's own would wait for work for minutes."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def machines(scheduler: str | None, jobs: int) -> Iterator[None]:
    """Within this context `joblib.Parallel` runs on `jobs` processes here, or on a Dask cluster.

    `scheduler` is the address of a Dask scheduler. Raises OSError if it does not answer.
    """
    from joblib import parallel_config

    with ExitStack() as stack:
        if scheduler is None:
            backend = "loky" if jobs > 1 else "sequential"
            stack.enter_context(parallel_config(backend=backend, n_jobs=jobs))
        else:
            from dask.distributed import Client

            stack.enter_context(Client(scheduler, timeout=10, set_as_default=True))
            stack.enter_context(parallel_config(backend="dask", n_jobs=-1))
        yield
