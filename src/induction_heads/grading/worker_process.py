"""The judge's side of a worker process: starts it, sends requests with time limits, stops it."""

import os
import queue
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from induction_heads.grading.wire import (
    ENDED,
    STARTED,
    Closed,
    Malformed,
    read_message,
    write_message,
)

BROKEN = (70, 71)
"""Exit codes of a forked worker that a submission has broken."""

MAX_OUTPUT = 10 * 2**20
RECORDED_OUTPUT = 16 * 2**10
LAST_OUTPUT_SECONDS = 1.0
"""How long to wait for the printed text of a call that has already answered."""
POLL_SECONDS = 0.2
_CAN_POLL = hasattr(select, "poll")
"""Windows has none. There every reader ends with the process that it reads from."""

MAX_MARKS = 4
"""Marks on one letter: no script needs more, and hundreds cover the lines above and below."""

INVISIBLE = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
"""Letters and marks that show nothing."""

INHERITED = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


def printable(text: str) -> str:
    """The text with terminal codes, and anything else that is not visible, as escapes.

    A letter keeps its first marks, such as accents; more of them are escaped.
    """
    parts, n_marks = [], 0
    for character in text:
        n_marks = n_marks + 1 if unicodedata.category(character)[0] == "M" else 0
        plain = character.isprintable() and character not in INVISIBLE and n_marks <= MAX_MARKS
        parts.append(character if plain or character in "\n\t" else ascii(character)[1:-1])
    return "".join(parts)


class NoReply(Exception):
    """The worker did not answer within the time limit."""


class WorkerDied(Exception):
    """The worker ended, or sent something that is not an answer. The message says which."""


class WorkerHandle(Protocol):
    """A running worker: three streams, and ways to wait for it and to stop it."""

    requests: BinaryIO
    answers: BinaryIO
    printed: BinaryIO

    def wait(self, seconds: float) -> int | None:
        """The exit code, or minus the signal, or None if it still runs after `seconds`."""
        ...

    def why(self) -> str | None:
        """Why it was ended from outside, or None."""
        ...

    def stop(self) -> None:
        """End it and everything it started, as far as the system allows."""
        ...


class SpawnedWorker(WorkerHandle):
    """A worker in a new Python process with a temporary folder."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(
            prefix="induction-heads-", ignore_cleanup_errors=True
        )
        home = Path(self._folder.name)
        # -P: the folder the worker runs in is not on its import path.
        command = [sys.executable, "-P", "-m", "induction_heads.grading.worker"]
        self._process = subprocess.Popen(
            command,
            cwd=home,
            env=worker_environment(home),
            start_new_session=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.requests = cast(BinaryIO, self._process.stdin)
        self.answers = cast(BinaryIO, self._process.stdout)
        self.printed = cast(BinaryIO, self._process.stderr)

    def wait(self, seconds: float) -> int | None:
        """The exit code, or minus the signal, or None if it still runs after `seconds`."""
        try:
            return self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None

    def why(self) -> str | None:
        """None: nothing but the system ends it."""
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
    """Delete a worker's folder, whatever the submission wrote into it."""
    with suppress(RecursionError):
        folder.cleanup()
        return
    if remove := shutil.which("rm"):  # Folders may be nested deeper than Python can delete.
        subprocess.run([remove, "-rf", folder.name], check=False, capture_output=True)


class _Pipe:
    """One end of a pipe. A thread that waits for it ends when `closing` is set.

    A process that a submission has left behind may hold the other end open, and never answer.
    """

    def __init__(self, file: BinaryIO, closing: threading.Event):
        self._descriptor, self._closing = file.fileno(), closing
        if _CAN_POLL:
            os.set_blocking(self._descriptor, False)

    def read(self, n_bytes: int) -> bytes:
        """Up to `n_bytes` bytes, or none at the end of the stream."""
        return os.read(self._descriptor, n_bytes) if self._is_ready("in") else b""

    def write(self, data: bytes) -> int:
        """Write all bytes. Raises OSError if the other end is closed."""
        left = memoryview(data)
        while left and self._is_ready("out"):
            left = left[os.write(self._descriptor, left) :]
        return len(data)

    def flush(self) -> None:
        """Nothing: every byte has been written."""

    def _is_ready(self, direction: str) -> bool:
        if not _CAN_POLL:
            return True
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN if direction == "in" else select.POLLOUT)
        while not self._closing.is_set():
            if poll.poll(POLL_SECONDS * 1000):
                return True
        return False


class WorkerProcess:
    """The requests, answers and printed output of one running worker. Use it in a `with` block.

    A message of the worker is read only while `receive` waits for one. Until then it fills no
    memory here, whatever the submission sends.
    """

    def __init__(self, started: WorkerHandle):
        self._started = started
        self._events: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._awaited = threading.Semaphore(0)
        self._closing = threading.Event()
        self._output = bytearray()
        self._n_printed = 0
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        for work in (self._read_answers, self._read_output):
            self._start(work)

    def __enter__(self) -> "WorkerProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, message: dict[str, Any]) -> None:
        """Send a request without waiting for the worker to read it."""
        self._start(self._write, message)

    def receive(self, seconds: float) -> dict[str, Any]:
        """The next message. Raises NoReply after `seconds`, and WorkerDied if none can follow."""
        self._awaited.release()
        try:
            kind, content = self._events.get(timeout=max(seconds, 0.0))
        except queue.Empty:
            raise NoReply from None
        if kind == "message" and isinstance(content, dict):
            return content
        if kind == "closed":
            raise WorkerDied(self._last_words())
        if kind == "flood":
            raise WorkerDied(f"printed more than {MAX_OUTPUT // 2**20} MB.")
        raise WorkerDied("sent something that is not an answer.")

    def forget_output(self) -> None:
        """Discard the output recorded so far."""
        self._output.clear()
        self._n_printed = 0
        self._ended.clear()

    def has_printed(self) -> bool:
        """Whether a call that has answered printed anything since the last `forget_output`."""
        self._ended.wait(LAST_OUTPUT_SECONDS)
        return self._n_printed > len(STARTED) + len(ENDED)

    def output(self) -> str:
        """The worker's output since the last `forget_output`, up to 16 kB."""
        self._ended.wait(0.02)  # A call that was ended from outside never writes this.
        printed = bytes(self._output).rpartition(STARTED)[2].partition(ENDED)[0]
        return printable(printed.decode(errors="replace"))

    def close(self) -> None:
        """Stop the process and everything it started. No thread and no pipe is left."""
        self._closing.set()
        self._awaited.release()
        self._started.stop()
        for thread in self._threads:
            thread.join()
        for pipe in (self._started.requests, self._started.answers, self._started.printed):
            with suppress(OSError):
                pipe.close()

    def _start(self, work: Callable[..., None], *args: Any) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        self._threads.append(threading.Thread(target=work, args=args, daemon=True))
        self._threads[-1].start()

    def _write(self, message: dict[str, Any]) -> None:
        with suppress(OSError, ValueError):  # `receive` notices a dead worker.
            write_message(_Pipe(self._started.requests, self._closing), message)

    def _read_answers(self) -> None:
        try:
            answers = _Pipe(self._started.answers, self._closing)
            while self._awaited.acquire() and not self._closing.is_set():
                self._events.put(("message", read_message(answers)))
            self._events.put(("closed", None))
        except Malformed as error:
            self._events.put(("malformed", str(error)))
        except (Closed, OSError, ValueError):
            self._events.put(("closed", None))

    def _read_output(self) -> None:
        tail = b""
        with suppress(OSError, ValueError):
            printed = _Pipe(self._started.printed, self._closing)
            while chunk := printed.read(2**16):
                self._n_printed += len(chunk)
                tail = (tail + chunk)[-2 * 2**16 :]
                if ENDED in tail:
                    self._ended.set()
                    tail = b""
                self._output += chunk[: max(0, RECORDED_OUTPUT - len(self._output))]
                if self._n_printed > MAX_OUTPUT:
                    self._events.put(("flood", None))
                    return

    def _last_words(self) -> str:
        code = self._started.wait(5.0)
        if why := self._started.why():
            return f"{why}."
        if code is None:
            return "closed the channel for its answers."
        if code in BROKEN:
            return "broke the process that runs it. Does it change Python's built-in functions?"
        if code >= 0:
            return f"ended the whole process with exit code {code}."
        name = signal.Signals(-code).name if -code in list(signal.Signals) else f"signal {-code}"
        reasons = {"SIGXCPU": "it used too much processor time", "SIGKILL": "out of memory?"}
        return f"brought the whole process down ({reasons.get(name, name)})."


def worker_environment(home: Path) -> dict[str, str]:
    """A small environment: no credentials, no network hubs, one thread, this package importable."""
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    here = str(Path(__file__).resolve().parents[2])
    paths = [here, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {
        **inherited,
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
        "ARROW_DEFAULT_MEMORY_POOL": "system",  # The default one starts a thread before the fork.
    }
