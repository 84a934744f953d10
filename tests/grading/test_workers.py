"""The warm process: each worker is fresh, alone, and gone with all that it started."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from trial import DOUBLED, RIGHT_DOUBLED, ROW_SUMS, WIDTH, Bench

from induction_heads.grading import forking, sandbox
from induction_heads.grading.nursery import Nursery, NurseryFailed

HEAD = "import os, sys, time, torch\n"
ANSWER = "def row_sums(matrix):\n    return matrix.sum(1)\n"
RAISES = "def row_sums(matrix):\n    raise ValueError({})\n"


def said(bench: Bench, source: str) -> str:
    """What a submission that raises an error says. It has time, also on a busy machine."""
    (result,) = bench.check(HEAD + source, replace(ROW_SUMS, seconds=30.0))
    return result.message.splitlines()[0].partition("ValueError")[2].partition(": ")[2]


@pytest.fixture
def alone(isolating: Nursery, tmp_path: Path) -> Bench:
    return Bench(tmp_path, isolating)


def test_one_submission_does_not_see_what_another_left(forking: Nursery, tmp_path: Path):
    bench = Bench(tmp_path, forking)
    spoil = "import builtins\ntorch.sum = torch.Tensor.sum = builtins.sum = None\ntorch.x = 1\n"
    bench.check(HEAD + spoil + ANSWER)
    assert bench.check(ANSWER)[0].passed
    assert said(bench, RAISES.format("hasattr(torch, 'x')")) == "False"


def test_forked_workers_start_with_the_same_random_state(forking: Nursery, tmp_path: Path):
    bench = Bench(tmp_path, forking)
    source = RAISES.format("torch.rand(1).item()")
    assert said(bench, source) == said(bench, source) != ""


def test_models_reach_a_forked_worker(alone: Bench):
    source = "def width(model):\n    return model.cfg.d_model\n"
    assert all(result.passed for result in alone.check(source, WIDTH))


def test_a_worker_is_alone_in_its_process_space(alone: Bench):
    listed = said(alone, RAISES.format("sorted(n for n in os.listdir('/proc') if n.isdigit())"))
    assert listed in ("['1', '2']", "[]")


def test_a_worker_has_no_privileges_and_cannot_write_to_the_system(alone: Bench):
    held = "[line.split()[1] for line in open('/proc/self/status') if line.startswith('CapEff')]"
    assert said(alone, RAISES.format(held)) == "['0000000000000000']"
    assert "Read-only" in alone.check(f"{HEAD}open('/usr/x', 'w')\n{ANSWER}")[0].message
    assert alone.check(f"{HEAD}open('own', 'w').write('x')\n{ANSWER}")[0].passed
    assert said(alone, RAISES.format("os.listdir('.')")) == "[]"


def test_checks_solutions_and_home_are_not_there(alone: Bench):
    checks = f"os.listdir({str(sandbox.PACKAGE / 'checks')!r})"
    assert said(alone, RAISES.format(checks)) == "[]"
    for hidden in (
        Path(__file__),
        Path(__file__).parents[2] / "solutions",
        Path.home() / ".bashrc",
    ):
        assert said(alone, RAISES.format(f"os.path.exists({str(hidden)!r})")) == "False"


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
    assert said(alone, source) == "True"


def test_what_a_submission_started_is_gone_with_it(alone: Bench):
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


def test_the_warm_process_ends_with_its_judge():
    nursery = Nursery(isolated=False)
    assert nursery._forks is not None
    pid = nursery._forks._process.pid
    worker = nursery.worker(models=False)
    assert worker.receive(30) == {"event": "ready"}
    nursery.close()
    assert not Path(f"/proc/{pid}").exists()
    worker.close()
    with pytest.raises(NurseryFailed, match="does not answer"):
        nursery.worker()


def test_memory_in_use_counts_a_process_space(alone: Bench):
    assert forking.memory_in_use(os.getpid()) > 50 * 2**20


def test_isolation_that_is_missing_is_said(monkeypatch: pytest.MonkeyPatch):
    sandbox.isolation.cache_clear()
    monkeypatch.setattr(sandbox.shutil, "which", lambda name: None)
    try:
        found = sandbox.isolation()
    finally:
        sandbox.isolation.cache_clear()
    assert not found.complete
    assert "`bwrap` is not installed" in found.said
    assert "Isolation is off" in found.said


def test_a_worker_starts_in_a_fraction_of_a_second(forking: Nursery, tmp_path: Path):
    # Not a speed test: a worker that imports PyTorch again takes more than a second.
    bench = Bench(tmp_path, forking)
    bench.check(RIGHT_DOUBLED, DOUBLED)
    imported = RAISES.format("time.process_time() < 1 and 'torch' in sys.modules")
    start = time.monotonic()
    assert said(bench, imported) == "True"
    assert time.monotonic() - start < 30


def test_the_same_submission_in_every_way(bench: Bench):
    right, wrong = bench.check(f"{ANSWER}def doubled(number):\n    return 3\n", ROW_SUMS, DOUBLED)
    assert right.passed
    assert (wrong.status, wrong.n_right, wrong.n_cases) == ("failed", 0, 2)
