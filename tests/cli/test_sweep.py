"""The real `sweep` command: killed, resumed, on a Dask cluster, and with wrong arguments."""

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

from induction_heads.cli.main import main
from induction_heads.sweeps.families import FAMILIES
from induction_heads.sweeps.journal import SweepFolder
from induction_heads.sweeps.toy_models import TRIAL

SOURCE = Path(__file__).parents[2] / "src"
TABLES = ("models.csv", "snapshots.csv", "table.csv")


def start(*arguments: object) -> subprocess.Popen:
    """Start `induction-heads sweep trial …` as a new process."""
    command = [
        sys.executable,
        "-m",
        "induction_heads.cli.main",
        "sweep",
        "trial",
        *map(str, arguments),
    ]
    here = os.environ | {"PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command,
        env=here,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finished(*arguments: object) -> subprocess.CompletedProcess:
    with start(*arguments) as process:
        out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess([], process.returncode, out, err)


def tables(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in TABLES}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    """An uninterrupted run and its output."""
    out = tmp_path_factory.mktemp("unbroken") / "out"
    done = finished("--out", out, "--jobs", 1)
    assert done.returncode == 0, done.stderr
    return out, done


@pytest.mark.slow
def test_a_run_shows_its_progress_and_writes_all_files(unbroken):
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
    assert page.count('<img src="data:image/png;base64,') == 3
    assert "http" not in page.replace("http-equiv", "")


@pytest.mark.long  # tests/sweeps/test_runner.py resumes torn journals in seconds.
def test_a_run_killed_and_resumed_has_the_same_tables_and_trains_nothing_twice(unbroken, tmp_path):
    out, chance = tmp_path / "out", random.Random(1)
    for kill in range(3):
        with start("--out", out, "--jobs", 2, "--resume") as process:
            end = time.monotonic() + 60
            while len(SweepFolder(out).records()) <= kill and process.poll() is None:
                assert time.monotonic() < end
                time.sleep(0.02)
            time.sleep(chance.uniform(0, 0.3))
            # Sometimes only the command: the processes that it started must not spoil the next run.
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


@pytest.mark.long
def test_a_dask_cluster_of_two_processes_gives_the_same_tables(unbroken, tmp_path):
    distributed = pytest.importorskip("distributed")
    here = {"PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        env=here,
        silence_logs=50,
    ) as cluster:
        done = finished(
            "--out", tmp_path / "out", "--backend", "dask", "--scheduler", cluster.scheduler_address
        )
    assert done.returncode == 0, done.stderr
    assert tables(tmp_path / "out") == tables(unbroken[0])


def test_an_unreachable_scheduler_is_reported(tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "2s")
    done = finished(
        "--out", tmp_path / "out", "--backend", "dask", "--scheduler", "tcp://127.0.0.1:9"
    )
    assert done.returncode == 2
    assert "The cluster at tcp://127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_finished_run_is_repeated_only_in_another_folder(unbroken):
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
    ("arguments", "message"),
    [
        (["replicate"], "No family is called 'replicate'. Did you mean replication?"),
        (["xyzzy"], "No family is called 'xyzzy'. Families: data, replication,"),
        (["trial", "--backend", "dask"], "--backend dask and --scheduler ADDR go together."),
        (["trial", "--sample", "0"], "0.0 is not in the range 0<x<=1"),
        (["trial", "--jobs", "0"], "0 is not in the range x>=1"),
    ],
)
def test_usage_errors_name_the_problem(tmp_path, arguments, message):
    done = CliRunner().invoke(main, ["sweep", *arguments, "--out", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert message in " ".join(done.output.replace("│", " ").split())
