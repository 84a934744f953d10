"""A worker process seen from the judge: started, asked within a time limit, and stopped."""

import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from induction_heads.grading.wire import STARTED, Closed, Malformed, read_message, write_message

BROKEN = (70, 71)
"""Exit codes of a forked worker that could not go on, for a reason of the submission's."""

MAX_OUTPUT = 10 * 2**20
KEPT_OUTPUT = 16 * 2**10
PASSED_ON = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


def printable(text: str) -> str:
    """The text with whatever may act on a terminal, or is no valid text, written as an escape."""
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)


class Silent(Exception):
    """No answer within the time limit."""


class Died(Exception):
    """The process ended, or sent something that is no answer. The message says which."""


class Started(Protocol):
    """A started worker: three streams, and ways to wait for its end and to bring it about."""

    requests: BinaryIO
    answers: BinaryIO
    printed: BinaryIO

    def wait(self, seconds: float) -> int | None:
        """The exit code or minus the signal, or None if it still runs after `seconds`."""
        ...

    def why(self) -> str | None:
        """Why it was ended from outside, in words, where that is known."""
        ...

    def stop(self) -> None:
        """End it and what it started, as far as the system can."""
        ...


class Spawned(Started):
    """A worker in a new Python process, with a temporary folder of its own."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(
            prefix="induction-heads-", ignore_cleanup_errors=True
        )
        home = Path(self._folder.name)
        # -P: the folder the worker runs in is not on its import path.
        command = [sys.executable, "-P", "-m", "induction_heads.grading.worker"]
        self._process = subprocess.Popen(
            command, cwd=home, env=worker_environment(home), start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.requests = cast(BinaryIO, self._process.stdin)
        self.answers = cast(BinaryIO, self._process.stdout)
        self.printed = cast(BinaryIO, self._process.stderr)

    def wait(self, seconds: float) -> int | None:
        """The exit code or minus the signal, or None if it still runs after `seconds`."""
        try:
            return self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None

    def why(self) -> str | None:
        """Nobody but the system ends it."""
        return None

    def stop(self) -> None:
        """End it and its process group, and delete its folder."""
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        clean_up(self._folder)


def clean_up(folder: tempfile.TemporaryDirectory) -> None:
    """Delete a worker's folder, whatever the submission put there."""
    with suppress(RecursionError):
        folder.cleanup()
        return
    if remove := shutil.which("rm"):  # Folders nested deeper than Python can follow.
        subprocess.run([remove, "-rf", folder.name], check=False, capture_output=True)


class WorkerProcess:
    """One running worker: what it is asked, what it answers and what it prints.

    Use it in a `with` block.
    """

    def __init__(self, started: Started):
        self._started = started
        self._events: queue.Queue[tuple[str, Any]] = queue.Queue(maxsize=64)
        self._kept = bytearray()
        self._n_printed = 0
        self._readers = [
            threading.Thread(target=work, daemon=True)
            for work in (self._read_answers, self._read_output)
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> "WorkerProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, message: dict[str, Any]) -> None:
        """Send a request without waiting for the worker to read it."""
        threading.Thread(target=self._write, args=(message,), daemon=True).start()

    def receive(self, seconds: float) -> dict[str, Any]:
        """The next message. Raises Silent after `seconds`, and Died when none can come any more."""
        try:
            kind, content = self._events.get(timeout=max(seconds, 0.0))
        except queue.Empty:
            raise Silent from None
        if kind == "message" and isinstance(content, dict):
            return content
        if kind == "closed":
            raise Died(self._last_words())
        if kind == "flood":
            raise Died(f"printed more than {MAX_OUTPUT // 2**20} MB.")
        raise Died("sent something that is no answer.")

    def forget_output(self) -> None:
        """Start a new record of what is printed."""
        self._kept.clear()
        self._n_printed = 0

    def has_printed(self) -> bool:
        """Whether anything was printed since the last `forget_output`."""
        return self._n_printed > len(STARTED)

    def output(self) -> str:
        """What the worker has printed since the last `forget_output`, up to 16 kB."""
        time.sleep(0.02)  # The answer comes through another pipe and may overtake the last line.
        return printable(bytes(self._kept).rpartition(STARTED)[2].decode(errors="replace"))

    def close(self) -> None:
        """Stop the process and everything it started."""
        self._started.stop()
        for reader in self._readers:
            reader.join(timeout=1)
        # A pipe that an escaped child still holds open is left to the reader that waits on it.
        if not any(reader.is_alive() for reader in self._readers):
            for pipe in (self._started.requests, self._started.answers, self._started.printed):
                with suppress(OSError):
                    pipe.close()

    def _write(self, message: dict[str, Any]) -> None:
        with suppress(OSError, ValueError):  # A dead worker is noticed by its silence.
            write_message(self._started.requests, message)

    def _read_answers(self) -> None:
        try:
            while True:
                self._events.put(("message", read_message(self._started.answers)))
        except Malformed as error:
            self._events.put(("malformed", str(error)))
        except (Closed, OSError, ValueError):
            self._events.put(("closed", None))

    def _read_output(self) -> None:
        stream = self._started.printed
        with suppress(OSError, ValueError):
            while chunk := os.read(stream.fileno(), 2**16):
                self._n_printed += len(chunk)
                self._kept += chunk[: max(0, KEPT_OUTPUT - len(self._kept))]
                if self._n_printed > MAX_OUTPUT:
                    self._events.put(("flood", None))
                    return

    def _last_words(self) -> str:
        code = self._started.wait(5.0)
        if why := self._started.why():
            return f"{why}."
        if code is None:
            return "closed its own channel for answers."
        if code in BROKEN:
            return "broke the process that runs it. Does it change Python's own functions?"
        if code >= 0:
            return f"ended the whole process with exit code {code}."
        name = signal.Signals(-code).name if -code in list(signal.Signals) else f"signal {-code}"
        reasons = {"SIGXCPU": "it used too much processor time", "SIGKILL": "out of memory?"}
        return f"brought the whole process down ({reasons.get(name, name)})."


def worker_environment(home: Path) -> dict[str, str]:
    """A small environment: no credentials, no network hubs, one thread, this package importable."""
    passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    here = str(Path(__file__).resolve().parents[2])
    paths = [here, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {
        **passed_on,
        "PYTHONPATH": os.pathsep.join(str(Path(path).resolve()) for path in paths),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONIOENCODING": "utf-8",
        "PYTHONHASHSEED": "0",
        "HOME": str(home),
        "TMPDIR": str(home),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "MPLBACKEND": "Agg",
        "USER": "student",
        "ARROW_DEFAULT_MEMORY_POOL": "system",  # The other one starts a thread before the fork.
    }
