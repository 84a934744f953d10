"""The worker pool: each worker is fresh and isolated, and ends with everything it started."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from trial import DOUBLED, RIGHT_DOUBLED, ROW_SUMS, STEM, WIDTH, Bench

from induction_heads.grading import fork_server, sandbox
from induction_heads.grading.running_submission import RunningSubmission
from induction_heads.grading.submission import Submission
from induction_heads.grading.workers import WorkerPool, WorkerPoolFailed

HEAD = "import os, sys, time, torch\n"
ANSWER = "def row_sums(matrix):\n    return matrix.sum(1)\n"
RAISES = "def row_sums(matrix):\n    raise ValueError({})\n"


def error_text(bench: Bench, source: str) -> str:
    """The text of the error that a submission raises. It has time even on a busy machine."""
    (result,) = bench.check(HEAD + source, replace(ROW_SUMS, seconds=30.0))
    return result.message.splitlines()[0].partition("ValueError")[2].partition(": ")[2]


@pytest.fixture
def alone(isolating: WorkerPool, tmp_path: Path) -> Bench:
    return Bench(tmp_path, isolating)


def test_one_submission_does_not_see_changes_by_another(forking: WorkerPool, tmp_path: Path):
    bench = Bench(tmp_path, forking)
    spoil = "import builtins\ntorch.sum = torch.Tensor.sum = builtins.sum = None\ntorch.x = 1\n"
    bench.check(HEAD + spoil + ANSWER)
    assert bench.check(ANSWER)[0].passed
    assert error_text(bench, RAISES.format("hasattr(torch, 'x')")) == "False"


def test_a_worker_that_asks_to_be_traced_does_not_end_the_fork_server(
    forking: WorkerPool, tmp_path: Path
):
    """Without the filter of system calls it may ask, and then its parent is told of its signals."""
    bench = Bench(tmp_path, forking)
    source = """
import ctypes, signal
def row_sums(matrix):
    ctypes.CDLL(None).ptrace(0, 0, 0, 0)
    os.kill(os.getpid(), signal.SIGCHLD)
    return matrix.sum(1)
"""
    assert bench.check(HEAD + source)[0].status == "timeout"
    assert bench.check(ANSWER)[0].passed


def test_forked_workers_start_with_the_same_random_state(forking: WorkerPool, tmp_path: Path):
    bench = Bench(tmp_path, forking)
    source = RAISES.format("torch.rand(1).item()")
    assert error_text(bench, source) == error_text(bench, source) != ""


def test_models_reach_a_forked_worker(alone: Bench):
    source = "def width(model):\n    return model.cfg.d_model\n"
    assert all(result.passed for result in alone.check(source, WIDTH))


def test_a_worker_is_alone_in_its_process_space(alone: Bench):
    listed = error_text(
        alone, RAISES.format("sorted(n for n in os.listdir('/proc') if n.isdigit())")
    )
    assert listed in ("['1', '2']", "[]")


def test_a_worker_has_no_privileges_and_cannot_write_to_the_system(alone: Bench):
    held = "[line.split()[1] for line in open('/proc/self/status') if line.startswith('CapEff')]"
    assert error_text(alone, RAISES.format(held)) == "['0000000000000000']"
    (result,) = alone.check(RAISES.format("open('/usr/x', 'w')"))
    assert "Read-only" in result.message
    writes = "def row_sums(matrix):\n    open('own', 'w').write('x')\n    return matrix.sum(1)\n"
    assert alone.check(writes)[0].passed
    assert error_text(alone, RAISES.format("os.listdir('.')")) == "[]"


def test_checks_solutions_and_home_are_hidden(alone: Bench):
    checks = f"os.listdir({str(sandbox.PACKAGE / 'course')!r})"
    assert error_text(alone, RAISES.format(checks)) == "[]"
    for hidden in (
        Path(__file__),
        Path(__file__).parents[2] / "solutions",
        Path.home() / ".bashrc",
    ):
        assert error_text(alone, RAISES.format(f"os.path.exists({str(hidden)!r})")) == "False"


def test_there_is_no_network(alone: Bench):
    connects = "import socket\ndef row_sums(matrix):\n    socket.create_connection(('{}', 80), 1)\n"
    for address in ("127.0.0.1", "192.0.2.1"):
        assert "Network is unreachable" in alone.check(connects.format(address))[0].message


def test_memory_of_all_processes_together_is_limited(alone: Bench):
    source = """
def row_sums(matrix):
    for _ in range(3):
        if os.fork() == 0:
            hoard = b'x' * (2 * 2**30)
            time.sleep(30)
    time.sleep(30)
"""
    (result,) = alone.check(HEAD + source, replace(ROW_SUMS, seconds=30.0))
    assert result.status == "error"
    assert "used more than 4 GB of memory" in result.message


def test_processes_are_limited(alone: Bench):
    source = """
def row_sums(matrix):
    started = 0
    try:
        while started < 1000:
            if os.fork() == 0:
                time.sleep(30)
            started += 1
    except OSError:
        raise ValueError(started < 100) from None
"""
    assert error_text(alone, source) == "True"


def needs_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("NOT RUN: user ids of submissions, which only root can choose")


def test_each_submission_has_a_user_id_of_its_own(alone: Bench):
    needs_root()
    assert len({error_text(alone, RAISES.format("os.getuid()")) for _ in range(2)}) == 2


def test_a_neighbor_with_the_same_user_id_is_named_as_the_cause(alone: Bench, monkeypatch):
    needs_root()
    assert alone.pool is not None
    assert alone.pool._server is not None
    monkeypatch.setattr(alone.pool._server, "uid", lambda number: 1_899_999_999)
    source = """
def row_sums(matrix):
    try:
        while True:
            if os.fork() == 0:
                time.sleep(60)
    except OSError:
        return matrix.sum(1)
"""
    submission = Submission(STEM, HEAD + source)
    with RunningSubmission(submission, pool=alone.pool, models=False) as neighbor:
        assert neighbor.call("row_sums", (torch.ones(1, 1),), {}, 60.0).status == "returned"
        with pytest.raises(WorkerPoolFailed, match="Resource temporarily unavailable"):
            alone.pool.worker(models=False)
    with alone.pool.worker(models=False) as worker:
        assert worker.receive(60.0) == {"event": "ready"}


def test_processes_of_a_submission_end_with_it(alone: Bench):
    name = f"left-behind-{os.getpid()}"
    source = f"""
if os.fork() == 0:
    os.setsid()
    os.execv(sys.executable, ['{name}', '-c', 'import time; time.sleep(60)'])
def row_sums(matrix):
    return matrix.sum(1)
"""
    assert alone.check(HEAD + source)[0].passed
    assert not [pid for pid in _pids() if name in _command(pid)]


def _pids() -> list[str]:
    return [pid for pid in os.listdir("/proc") if pid.isdigit()]


def _command(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def test_the_fork_server_ends_with_its_judge():
    pool = WorkerPool(isolated=False)
    assert pool._server is not None
    pid = pool._server._process.pid
    worker = pool.worker(models=False)
    assert worker.receive(30) == {"event": "ready"}
    pool.close()
    assert not Path(f"/proc/{pid}").exists()
    worker.close()
    with pytest.raises(WorkerPoolFailed, match="does not answer"):
        pool.worker()


def test_memory_in_use_counts_a_process_space(alone: Bench):
    assert fork_server.memory_in_use(os.getpid()) > 50 * 2**20


def test_missing_isolation_is_reported(monkeypatch: pytest.MonkeyPatch):
    sandbox.isolation.cache_clear()
    monkeypatch.setattr(sandbox.shutil, "which", lambda name: None)
    try:
        isolation = sandbox.isolation()
    finally:
        sandbox.isolation.cache_clear()
    assert not isolation.complete
    assert "`bwrap` is not installed" in isolation.message
    assert "cannot be sandboxed" in isolation.message


def test_a_worker_starts_in_a_fraction_of_a_second(forking: WorkerPool, tmp_path: Path):
    # Not a speed test: a worker that imports PyTorch again takes more than a second.
    bench = Bench(tmp_path, forking)
    bench.check(RIGHT_DOUBLED, DOUBLED)
    imported = RAISES.format("time.process_time() < 1 and 'torch' in sys.modules")
    start = time.monotonic()
    assert error_text(bench, imported) == "True"
    assert time.monotonic() - start < 30


def test_the_same_submission_with_each_kind_of_worker(each_bench: Bench):
    right, wrong = each_bench.check(
        f"{ANSWER}def doubled(number):\n    return 3\n", ROW_SUMS, DOUBLED
    )
    assert right.passed
    assert (wrong.status, wrong.n_right, wrong.n_cases) == ("failed", 0, 2)
