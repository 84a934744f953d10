"""The real command, killed with SIGKILL and resumed, on one machine and on a Dask cluster."""

import os
import random
import signal
import time
from pathlib import Path

import pytest
from small_class import ROOT, grade, graded, journal, make_class, make_mixed_class, outputs, start

KILLS = 3
pytestmark = pytest.mark.xdist_group("a class, killed")  # One run is compared with all others.


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> tuple[Path, Path]:
    """The class and the results of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("unbroken")
    make_mixed_class(folder / "class")
    (folder / "seed").write_text("a secret")
    done = grade(
        folder / "class", "--out", folder / "out", "--jobs", 2, "--seed-file", folder / "seed"
    )
    assert done.returncode == 0, done.stderr
    return folder, folder / "out"


def wait_for(folder: Path, n_graded: int, process) -> None:
    end = time.monotonic() + 120
    while sum(graded(folder).values()) < n_graded and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
def test_a_run_killed_three_times_gives_the_same_bytes_and_grades_nobody_twice(unbroken, tmp_path):
    folder, whole = unbroken
    chance = random.Random(4)
    command = (
        folder / "class",
        "--out",
        tmp_path / "out",
        "--jobs",
        2,
        "--resume",
        "--seed-file",
        folder / "seed",
    )
    for kill in range(KILLS):
        with start(*command) as process:
            if kill:  # The first may be killed before anything is written.
                wait_for(tmp_path / "out", 2 * kill, process)
            time.sleep(chance.uniform(0, 2))
            # Sometimes only the command: the processes that it started must not spoil the next run.
            if kill % 2:
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    last = grade(*command)
    assert last.returncode == 0, last.stderr
    assert outputs(tmp_path / "out") == outputs(whole)
    assert max(graded(tmp_path / "out").values()) == 1
    finished = set()
    for event in journal(tmp_path / "out"):
        assert event["student"] not in finished, "started again after it was graded"
        if event["event"] == "graded":
            finished.add(event["student"])
    # A kill may fall between writing a student's record and writing its line in the journal.
    assert finished <= set(graded(whole))
    assert len(set(graded(whole)) - finished) <= 2 * KILLS


@pytest.mark.slow
def test_the_number_of_jobs_does_not_change_a_byte(unbroken, tmp_path):
    folder, whole = unbroken
    done = grade(
        folder / "class", "--out", tmp_path / "out", "--jobs", 1, "--seed-file", folder / "seed"
    )
    assert done.returncode == 0, done.stderr
    assert outputs(tmp_path / "out") == outputs(whole)


@pytest.mark.long
def test_a_dask_cluster_of_two_processes_gives_the_same_bytes(unbroken, tmp_path):
    distributed = pytest.importorskip("distributed")
    folder, whole = unbroken
    here = {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        env=here,
        silence_logs=50,
    ) as cluster:
        done = grade(
            folder / "class",
            "--out",
            tmp_path / "out",
            "--backend",
            "dask",
            "--scheduler",
            cluster.scheduler_address,
            "--seed-file",
            folder / "seed",
        )
    assert done.returncode == 0, done.stderr
    assert outputs(tmp_path / "out") == outputs(whole)
    assert max(graded(tmp_path / "out").values()) == 1


@pytest.mark.long  # Dask is started to wait for nothing.
def test_an_unreachable_scheduler_is_reported(tmp_path, monkeypatch):
    make_class(tmp_path / "class", ada="x = 1\n")
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "2s")
    done = grade(
        tmp_path / "class",
        "--out",
        tmp_path / "out",
        "--backend",
        "dask",
        "--scheduler",
        "tcp://127.0.0.1:9",
    )
    assert done.returncode == 2
    assert "The cluster at tcp://127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr
