"""The stored results of sweeps: complete, readable, and what the command still gives."""

import json

import pytest
from click.testing import CliRunner

from induction_heads.cli.main import main
from induction_heads.interp.formation import formation_step
from induction_heads.sweeps.families import FAMILIES
from induction_heads.sweeps.outputs import write_outputs
from induction_heads.sweeps.stored_results import (
    RESULTS,
    NoResults,
    differences_from_stored,
    read_records,
    stored_names,
    stored_summary,
    stored_sweep,
)
from induction_heads.sweeps.toy_models import ToyVariant
from induction_heads.sweeps.toy_record import model_record


def test_the_replication_is_stored_with_its_totals_command_versions_and_date():
    totals = stored_summary("replication")
    assert totals["models"] >= 34
    assert totals["ablations"] >= 50_000
    assert totals["command"].startswith("induction-heads sweep replication --out DIR --jobs ")
    assert set(totals["versions"]) >= {"induction-heads", "python", "torch"}
    assert totals["date"] > "2026"


@pytest.mark.parametrize("name", stored_names())
def test_the_tables_hold_every_model_of_the_family_and_add_up_to_the_totals(name):
    totals, pairs = stored_summary(name), stored_sweep(name)
    assert [record["model"] for _, record in pairs] == [m.name for m in FAMILIES[name].models]
    assert totals["models"] == len(pairs)
    assert totals["ablations"] == sum(record["ablations"] for _, record in pairs)
    assert totals["snapshots"] == sum(len(record["snapshots"]) for _, record in pairs)
    assert totals["formed"] == sum(formation_step(record) is not None for _, record in pairs)
    for model, record in pairs:
        if record["status"] == "trained":
            assert record["ablations"] == FAMILIES[name].planned_ablations(model)
            assert record["snapshots"][-1]["step"] == model.steps


@pytest.mark.parametrize("name", stored_names())
def test_the_tables_written_from_what_was_read_are_the_same_bytes(name, tmp_path):
    records = [record | {"seconds": 0.0} for _, record in stored_sweep(name)]
    run = {"family": name, "command": "", "sample": 1.0}
    write_outputs(tmp_path, FAMILIES[name], records, run)
    for file in ("models.csv", "snapshots.csv", "table.csv"):
        assert (tmp_path / file).read_bytes() == (RESULTS / name / file).read_bytes()


def test_a_name_without_results_gets_the_names_that_have_some():
    with pytest.raises(NoResults, match="Stored: data, "):
        stored_sweep("nothing")


@pytest.mark.long
def test_a_fixed_sample_of_the_replication_gives_the_stored_results_again(tmp_path):
    out = tmp_path / "out"
    arguments = ["sweep", "replication", "--sample", "0.05", "--jobs", "2", "--out", str(out)]
    done = CliRunner().invoke(main, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    totals = json.loads(done.stdout)
    assert totals["matches"]
    assert totals["differences"] == []
    assert totals["models"] == len(FAMILIES["replication"].sample(0.05).models) == 3
    again = read_records(out)
    assert differences_from_stored("replication", list(again.values())) == []


def test_what_lies_outside_the_spread_is_reported():
    records = {model.name: record for model, record in stored_sweep("replication")}
    never, formed = records["1l-2h-64-tiled-s0"], records["2l-2h-64-tiled-s0"]
    as_if = formed | {"model": never["model"]}
    assert any(
        "stored: in no seed" in said for said in differences_from_stored("replication", [as_if])
    )
    as_if = never | {"model": formed["model"]}
    assert any(
        "did not form; stored: at" in said
        for said in differences_from_stored("replication", [as_if])
    )
    late = [s for s in formed["snapshots"] if s["step"] == 0 or s["step"] > 300]
    sentences = differences_from_stored("replication", [formed | {"snapshots": late}])
    assert any("formed at step" in said for said in sentences)
    assert differences_from_stored("replication", [formed, never]) == []


def test_a_model_of_another_seed_and_length_is_told_apart_by_its_numbers():
    brief = model_record(ToyVariant(steps=60, snapshots=4))
    said = differences_from_stored("replication", [brief | {"model": "2l-2h-64-tiled-s0"}])
    assert any("the last second copy loss" in sentence for sentence in said)
