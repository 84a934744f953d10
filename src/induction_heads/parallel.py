"""Running tasks in processes on this machine or on the workers of a Dask cluster."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache

DEATHS = ("TerminatedWorkerError", "KilledWorker")
"""The names of the errors that joblib and Dask raise when a worker process was killed."""


def cores() -> int:
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def end_with(parent: int) -> None:
    """End this process soon after `parent` ends. Workers of joblib would wait for minutes."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def machines(scheduler: str | None, jobs: int) -> Iterator[None]:
    """Inside this context `joblib.Parallel` runs on `jobs` processes here or on a Dask cluster.

    `scheduler` is the address of a Dask scheduler. Raises OSError if it is not an address, or if
    nothing answers there.
    """
    from joblib import parallel_config

    with ExitStack() as stack:
        if scheduler is None:
            backend = "loky" if jobs > 1 else "sequential"
            stack.enter_context(parallel_config(backend=backend, n_jobs=jobs))
        else:
            from dask.distributed import Client

            try:
                client = Client(scheduler, timeout=10, set_as_default=True)
            except (ValueError, TypeError, ImportError) as error:
                raise OSError(
                    f"{scheduler!r} is not the address of a Dask scheduler, such as "
                    f"tcp://10.0.0.5:8786: {error}"
                ) from error
            stack.enter_context(client)
            stack.enter_context(parallel_config(backend="dask", n_jobs=-1))
        yield
