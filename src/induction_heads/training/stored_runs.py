"""Unfinished training runs on disk, so that a command that was stopped can continue.

Inside `kept_in(folder)` every call of `train` stores its state there from time to time, when it is
stopped with Ctrl-C, and at its end. The same command in the same folder then continues: finished
runs are read, and the run that was stopped continues with the same numbers.
"""

import hashlib
import json
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from induction_heads.files import write_atomically
from induction_heads.versions import package_version

SECONDS = 60.0
"""Time between two states of a run on the disk."""

_SOURCES = ("data", "models", "training")
"""The folders whose code decides what a run computes."""


class _Kept:
    """The folder of a command's runs, and how many have begun.

    `training` is true while one of them takes its steps. `stopped` says whether Ctrl-C was pressed.
    """

    def __init__(self, folder: Path):
        self.folder, self.n_runs = folder, 0
        self.training = self.stopped = False


_kept: ContextVar[_Kept | None] = ContextVar("kept", default=None)


@contextmanager
def kept_in(folder: Path) -> Iterator[None]:
    """Keep the state of every training run in `folder`. Ctrl-C takes effect between two steps."""
    kept = _Kept(folder)
    token = _kept.set(kept)
    try:
        with _interrupts(kept):
            yield
    finally:
        _kept.reset(token)


@contextmanager
def _interrupts(kept: _Kept) -> Iterator[None]:
    """Let Ctrl-C set `kept.stopped`, which `train` looks at; a second Ctrl-C ends at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> None:
        if kept.stopped or not kept.training:
            raise KeyboardInterrupt
        kept.stopped = True

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class State:
    """The state of one training run on disk. Its methods take the `TrainingRun`."""

    def __init__(self, kept: _Kept, path: Path, key: str):
        self._kept, self._path, self._key = kept, path, key
        self._saved = self._started = time.monotonic()
        self._cpu = time.process_time()
        self._earlier, self._first = 0.0, 0

    def restore(
        self, run: Any, optimizer: torch.optim.Optimizer, generator: torch.Generator
    ) -> int:
        """Restore a stored state and return its number of steps; 0 if there is none.

        A file that is damaged, or that belongs to another run, is ignored.
        """
        stored = _read(self._path, self._key)
        if stored is None:
            return 0
        tensors, facts = stored
        run.model.load_state_dict(_part(tensors, "model"))
        run.losses[:] = tensors["losses"].tolist()
        run.snapshots |= {step: _part(tensors, f"snapshot{step}") for step in facts["snapshots"]}
        run.earlier_seconds = self._earlier = facts["seconds"]
        states = {i: _part(tensors, f"optimizer{i}") for i in facts["optimized"]}
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": states, "param_groups": groups})
        generator.set_state(tensors["generator"])
        self._first = len(run.losses)
        return self._first

    def after_step(
        self, run: Any, optimizer: torch.optim.Optimizer, generator: torch.Generator
    ) -> None:
        """Store the state if it is time to. Raises KeyboardInterrupt if Ctrl-C was pressed."""
        if self._kept.stopped or time.monotonic() - self._saved > SECONDS:
            self.store(run, optimizer, generator)
        if self._kept.stopped:
            raise KeyboardInterrupt

    def finish(
        self, run: Any, optimizer: torch.optim.Optimizer, generator: torch.Generator
    ) -> None:
        """Store the state of a run that has taken all its steps."""
        self._kept.training = False
        if len(run.losses) > self._first:
            self.store(run, optimizer, generator)

    def store(self, run: Any, optimizer: torch.optim.Optimizer, generator: torch.Generator) -> None:
        """Write the state completely or not at all."""
        self._saved = time.monotonic()
        optimized = optimizer.state_dict()["state"]
        tensors = {f"model/{name}": value for name, value in run.model.state_dict().items()}
        for step, weights in run.snapshots.items():
            tensors |= {f"snapshot{step}/{name}": value for name, value in weights.items()}
        for index, values in optimized.items():
            tensors |= {f"optimizer{index}/{name}": value for name, value in values.items()}
        tensors["losses"] = torch.tensor(run.losses, dtype=torch.float64)
        tensors["generator"] = generator.get_state()
        facts = {
            "key": self._key,
            "snapshots": list(run.snapshots),
            "optimized": list(optimized),
            "seconds": self._earlier + time.process_time() - self._cpu,
        }
        # Copies: tied weights share their memory, which the format does not allow.
        own = {name: value.detach().clone().contiguous() for name, value in tensors.items()}
        write_atomically(self._path, save(own, metadata={"facts": json.dumps(facts)}))


def state_of(
    model: torch.nn.Module, settings: Any, seed: int, snapshots_at: Iterable[int]
) -> State | None:
    """The state on disk of the run that begins now, or None outside `kept_in`."""
    kept = _kept.get()
    if kept is None:
        return None
    kept.n_runs, kept.training = kept.n_runs + 1, True
    sha256 = hashlib.sha256()
    facts = (kept.n_runs, asdict(settings), seed, sorted(snapshots_at), torch.__version__)
    sha256.update(f"{facts}\0{package_version()}\0{_source_digest()}".encode())
    for name, weight in model.state_dict().items():
        sha256.update(name.encode() + weight.detach().float().contiguous().numpy().tobytes())
    return State(kept, kept.folder / f"run-{kept.n_runs}.safetensors", sha256.hexdigest())


def _source_digest() -> str:
    """A digest of the code that trains: a run continues only with the same code."""
    package = Path(__file__).parents[1]
    paths = [path for name in _SOURCES for path in sorted((package / name).glob("*.py"))]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()


def _read(path: Path, key: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The tensors and facts of a stored state, or None if it is not one of this run."""
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["facts"])
            if facts["key"] != key:
                return None
            return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118
    except (OSError, SafetensorError, ValueError, KeyError):
        return None


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    start = f"{prefix}/"
    return {n.removeprefix(start): value for n, value in tensors.items() if n.startswith(start)}
