"""Many models at once: order, resume, processes that die, models that diverge."""

import json
import os
import signal
import time
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from induction_heads.sweeps.families import FAMILIES, Family
from induction_heads.sweeps.journal import SweepFolder
from induction_heads.sweeps.outputs import write_outputs
from induction_heads.sweeps.runner import CHUNK_SECONDS, MAX_DEATHS, chunks, run_family
from induction_heads.sweeps.toy_models import REPLICATION, ToyVariant
from induction_heads.sweeps.toy_record import model_record

BRIEF = ToyVariant(n_layers=1, steps=20, snapshots=2)
THREE = (BRIEF, replace(BRIEF, n_layers=2), replace(BRIEF, smeared=True))
RUN = {"family": "three", "command": "pytest"}


def family(models, work=model_record) -> Family:
    """Toys as a family, or anything that `work` gives a record of."""
    return replace(FAMILIES["trial"], models=tuple(models), record=work)


def pretended(variant: ToyVariant, notes: Path, deadly: str = "", times: int = 0) -> dict:
    """A record without any training. `deadly` kills its process so many times."""
    with (notes / variant.name).open("a") as file:
        file.write("x")
    if variant.name == deadly and (notes / variant.name).stat().st_size <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return {"model": variant.name, "status": "trained", "ablations": 1}


def broken(variant: ToyVariant) -> dict:
    """A model whose measurement has a fault."""
    if variant == BRIEF:
        raise ZeroDivisionError("a fault")
    return {"model": variant.name, "status": "trained"}


def runs(notes: Path) -> Counter:
    return Counter({path.name: path.stat().st_size for path in notes.iterdir()})


@pytest.fixture
def notes(tmp_path) -> Path:
    (tmp_path / "notes").mkdir()
    return tmp_path / "notes"


@pytest.fixture
def folder(tmp_path) -> SweepFolder:
    return SweepFolder(tmp_path)


def large(count: int) -> list[ToyVariant]:
    """Variants that are chunks of their own."""
    return [ToyVariant(seed=seed) for seed in range(count)]


def test_chunks_hold_every_variant_once_and_a_second_of_work():
    for variants in (REPLICATION, [replace(BRIEF, seed=seed) for seed in range(40)]):
        found = chunks(variants)
        assert sorted(v.name for chunk in found for v in chunk) == sorted(v.name for v in variants)
        assert all(sum(v.cost() for v in chunk) >= CHUNK_SECONDS for chunk in found[:-1])
        assert all(sum(v.cost() for v in chunk[:-1]) < CHUNK_SECONDS for chunk in found)
    assert all(len(chunk) == 1 for chunk in chunks(REPLICATION))


def test_records_come_in_the_order_of_the_family_and_are_told_of(folder, notes):
    told = []
    work = partial(pretended, notes=notes)
    records = run_family(family(THREE, work), folder, done=lambda r: told.append(r["model"]))
    assert [record["model"] for record in records] == [variant.name for variant in THREE]
    assert sorted(told) == sorted(variant.name for variant in THREE)
    assert folder.records() == {record["model"]: record for record in records}


def test_what_is_in_the_journal_is_not_run_again(folder, notes):
    work = partial(pretended, notes=notes)
    run_family(family(THREE[:2], work), folder)
    records = run_family(family(THREE, work), folder)
    assert len(records) == 3
    assert set(runs(notes).values()) == {1}


@pytest.mark.slow
def test_a_process_that_dies_is_replaced_and_its_model_run_again(folder, notes):
    variants = large(4)
    work = partial(pretended, notes=notes, deadly=variants[1].name, times=1)
    records = run_family(family(variants, work), folder, jobs=2)
    assert [record["status"] for record in records] == ["trained"] * 4
    assert runs(notes)[variants[1].name] == 2


@pytest.mark.slow
def test_a_model_that_always_kills_its_process_is_recorded_and_the_others_are_trained(
    folder, notes
):
    variants = large(4)
    work = partial(pretended, notes=notes, deadly=variants[1].name, times=99)
    records = run_family(family(variants, work), folder, jobs=2)
    assert [record["status"] for record in records] == ["trained", "died", "trained", "trained"]
    assert f"died {MAX_DEATHS} times" in records[1]["why"]
    assert runs(notes)[variants[1].name] == MAX_DEATHS
    assert len(folder.records()) == 4


@pytest.mark.long
def test_a_dask_worker_that_dies_is_replaced_and_its_model_run_again(folder, notes):
    distributed = pytest.importorskip("distributed")
    variants, tests = large(3), Path(__file__).parent
    here = {"PYTHONPATH": f"{tests.parent / 'src'}{os.pathsep}{tests}", "OMP_NUM_THREADS": "1"}
    work = partial(pretended, notes=notes, deadly=variants[1].name, times=1)
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        env=here,
        silence_logs=50,
    ) as cluster:
        records = run_family(family(variants, work), folder, scheduler=cluster.scheduler_address)
    assert [record["status"] for record in records] == ["trained"] * 3
    assert runs(notes)[variants[1].name] == 2


def test_a_fault_stops_the_run_and_keeps_what_was_finished(folder):
    variants = [ToyVariant(), BRIEF]
    with pytest.raises(ZeroDivisionError):
        run_family(family(variants, broken), folder)
    assert list(folder.records()) == [ToyVariant().name]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> Path:
    """Three models and one that diverges, run in one go."""
    path = tmp_path_factory.mktemp("unbroken")
    write_outputs(path, family(FOUR), run_family(family(FOUR), SweepFolder(path)), RUN)
    return path


FOUR = (*THREE, replace(BRIEF, seed=9, learning_rate=float("inf")))
TABLES = ("models.csv", "snapshots.csv", "table.csv")


def test_a_model_that_diverges_is_in_every_table(unbroken):
    summary = json.loads((unbroken / "summary.json").read_text())
    assert summary["diverged"] == [FOUR[3].name]
    assert summary["models"] == 4
    lines = (unbroken / "models.csv").read_text().splitlines()
    assert len(lines) == 5
    assert ",diverged,The loss became" in lines[4]
    assert FOUR[3].name in (unbroken / "table.csv").read_text()
    assert f"{FOUR[3].name} diverged: The loss became" in (unbroken / "index.html").read_text()


def test_the_totals_are_those_of_the_table(unbroken):
    summary = json.loads((unbroken / "summary.json").read_text())
    heads = (unbroken / "table.csv").read_text().splitlines()[1:]
    assert summary["ablations"] == 16 * len(heads)
    assert summary["snapshots"] == len((unbroken / "snapshots.csv").read_text().splitlines()) - 1
    assert set(summary["versions"]) >= {"torch", "python", "induction-heads"}


def test_resuming_a_torn_journal_gives_the_same_tables(unbroken, folder):
    journal = (unbroken / "journal.jsonl").read_bytes()
    folder.journal.write_bytes(journal[: 2 * len(journal) // 3])
    kept = len(folder.records())
    assert 0 < kept < 4
    write_outputs(folder.path, family(FOUR), run_family(family(FOUR), folder), RUN)
    for name in TABLES:
        assert (folder.path / name).read_bytes() == (unbroken / name).read_bytes()


@pytest.mark.slow
def test_two_processes_give_the_same_tables(unbroken, folder):
    records = run_family(family(FOUR), folder, jobs=2)
    write_outputs(folder.path, family(FOUR), records, RUN)
    for name in TABLES:
        assert (folder.path / name).read_bytes() == (unbroken / name).read_bytes()
