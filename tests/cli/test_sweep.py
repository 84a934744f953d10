"""The real `sweep` command: killed, resumed, on a Dask cluster, and asked wrongly."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from induction_heads.cli import main
from induction_heads.sweep_families import FAMILIES
from induction_heads.sweep_family import TRIAL
from induction_heads.sweep_journal import SweepFolder

SOURCE = Path(__file__).parents[1] / "src"
TABLES = ("models.csv", "snapshots.csv", "table.csv")


def start(*arguments: object) -> subprocess.Popen:
    """`induction-heads sweep trial …` as a process of its own."""
    command = [sys.executable, "-m", "induction_heads.cli", "sweep", "trial", *map(str, arguments)]
    here = os.environ | {"PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, env=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def finished(*arguments: object) -> subprocess.CompletedProcess:
    with start(*arguments) as process:
        out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess([], process.returncode, out, err)


def tables(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in TABLES}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    """A run that was left alone, and what it said."""
    out = tmp_path_factory.mktemp("unbroken") / "out"
    done = finished("--out", out, "--jobs", 1)
    assert done.returncode == 0, done.stderr
    return out, done


@pytest.mark.slow
def test_a_run_tells_how_far_it_is_and_leaves_all_files(unbroken):
    out, done = unbroken
    planned = f"{sum(map(FAMILIES['trial'].planned_ablations, TRIAL)):,}"
    assert f"0 of {len(TRIAL)} models, 0 of {planned} ablations" in done.stderr
    assert " s left" in done.stderr
    assert f"{len(TRIAL)} of {len(TRIAL)} models, {planned} of {planned} ablations" in done.stderr
    assert f"{len(TRIAL)} models, {planned} head ablations" in done.stdout
    summary = json.loads((out / "summary.json").read_text())
    assert summary["models"] == len(TRIAL)
    assert f"{summary['ablations']:,}" == planned
    assert summary["command"] == "induction-heads sweep trial --out DIR --jobs 1"
    page = (out / "index.html").read_text()
    assert page.count("<img src='data:image/png;base64,") == 3
    assert "http" not in page.replace("http-equiv", "")


@pytest.mark.slow
def test_a_run_killed_and_resumed_has_the_same_tables_and_trains_nothing_twice(unbroken, tmp_path):
    out, chance = tmp_path / "out", random.Random(1)
    for kill in range(3):
        with start("--out", out, "--jobs", 2, "--resume") as process:
            end = time.monotonic() + 60
            while len(SweepFolder(out).records()) <= kill and process.poll() is None:
                assert time.monotonic() < end
                time.sleep(0.02)
            time.sleep(chance.uniform(0, 0.3))
            # Only the command itself at times: what it started must not spoil the next run.
            if kill % 2:
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    last = finished("--out", out, "--jobs", 2, "--resume")
    assert last.returncode == 0, last.stderr
    assert tables(out) == tables(unbroken[0])
    lines = (out / "journal.jsonl").read_text().splitlines()
    names = [json.loads(line)["record"]["model"] for line in lines if line.endswith("}}")]
    assert sorted(names) == sorted(variant.name for variant in TRIAL)


@pytest.mark.slow
def test_a_dask_cluster_of_two_processes_gives_the_same_tables(unbroken, tmp_path):
    distributed = pytest.importorskip("distributed")
    here = {"PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None,
        env=here, silence_logs=50,
    ) as cluster:  # fmt: skip
        done = finished("--out", tmp_path / "out", "--backend", "dask",
                        "--scheduler", cluster.scheduler_address)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert tables(tmp_path / "out") == tables(unbroken[0])


def test_a_scheduler_that_does_not_answer_is_said(tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "2s")
    done = finished("--out", tmp_path / "out", "--backend", "dask",
                    "--scheduler", "tcp://127.0.0.1:9")  # fmt: skip
    assert done.returncode == 2
    assert "The cluster at tcp://127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_finished_run_is_not_run_again_unless_elsewhere(unbroken):
    out, _ = unbroken
    refused = CliRunner().invoke(main, ["sweep", "trial", "--out", str(out)])
    assert refused.exit_code == 2
    assert "Add --resume" in " ".join(refused.output.split())
    journal = (out / "journal.jsonl").read_bytes()
    again = CliRunner().invoke(main, ["sweep", "trial", "--out", str(out), "--resume", "--json"])
    assert again.exit_code == 0
    assert json.loads(again.stdout)["models"] == len(TRIAL)
    assert (out / "journal.jsonl").read_bytes() == journal


def test_a_sample_is_a_part_of_the_family(tmp_path):
    command = ["sweep", "trial", "--out", str(tmp_path), "--jobs", "1", "--sample", "0.2", "--json"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert (summary["models"], summary["sample"]) == (1, 0.2)
    assert summary["command"].endswith("--sample 0.2")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["replicate"], "No family called 'replicate'. Families: data, replication,"),
        (["trial", "--backend", "dask"], "--backend dask and --scheduler ADDR go together."),
        (["trial", "--sample", "0"], "0.0 is not in the range 0<x<=1"),
        (["trial", "--jobs", "0"], "0 is not in the range x>=1"),
    ],
)
def test_wrong_calls_are_said(tmp_path, arguments, said):
    done = CliRunner().invoke(main, ["sweep", *arguments, "--out", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert said in " ".join(done.output.replace("│", " ").split())
