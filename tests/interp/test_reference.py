"""Records of public models: those in the folder are whole, and the command writes such records."""

import json
import re
from pathlib import Path

import jsonschema
import matplotlib.pyplot as plt
import pytest
import torch
from click.testing import CliRunner

from induction_heads.cli.reference import reference
from induction_heads.figures import public_records
from induction_heads.interp.ablation import ablation_scores
from induction_heads.interp.analysis import analyze
from induction_heads.interp.reference import (
    PUBLIC,
    reported_findings,
    stored_records,
)
from induction_heads.models.checksum import weights_checksum
from induction_heads.models.loading import load_attention_only

BOOK = Path(__file__).parents[2] / "book"
SCHEMA = json.loads((PUBLIC / "schema.json").read_text())


def require_record(record: dict) -> None:
    """Raise unless the record fits the schema and its parts fit each other."""
    jsonschema.validate(record, SCHEMA)
    n_layers, n_heads = record["sizes"]["n_layers"], record["sizes"]["n_heads"]
    places = [(head["layer"], head["head"]) for head in record["heads"]]
    assert places == [(layer, head) for layer in range(n_layers) for head in range(n_heads)]
    seeds = {shape["seed"] for shape in record["probes"]["shapes"]}
    assert len(seeds) >= 3
    assert max(record["probes"]["first_row"]) < record["sizes"]["d_vocab"]
    assert 2 * record["losses"]["period"] <= record["sizes"]["n_ctx"]
    for head in record["heads"]:
        for kind, score in head["score"].items():
            assert head["lowest"][kind] <= score + 1e-4
            if kind in head["kinds"]:
                assert head["lowest"][kind] >= record["threshold"] - 1e-4


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with the record of a toy, which is not a public model."""
    place = tmp_path_factory.mktemp("records")
    result = CliRunner().invoke(reference, ["toy-2l", "--out", str(place), "--rows", "8"])
    assert result.exit_code == 0, result.output
    assert "induction heads: L1H0, L1H1." in result.output
    return place


def test_every_stored_record_is_whole():
    for record in stored_records():
        require_record(record)
        assert record["revision"], f"{record['model']} does not say which commit was measured."


def test_what_the_command_writes_is_a_record_of_the_measurements(folder):
    (record,) = stored_records(folder)
    require_record(record)
    model = load_attention_only("toy-2l")
    report = analyze(model, batch=8)
    assert record["weights"] == weights_checksum(model)
    assert [head["kinds"] for head in record["heads"]] == [list(h.kinds) for h in report.heads]
    assert [h["match_length"] for h in record["heads"]] == [h.match_length for h in report.heads]
    for stored, head in zip(record["heads"], report.heads, strict=True):
        assert stored["score"] == {kind: round(s, 4) for kind, s in head.score.items()}
    by_name = {(head["layer"], head["head"]): head for head in record["heads"]}
    # Without the previous-token head the second copy costs as much as tokens that never repeat.
    rise = by_name[0, 0]["ablation"]
    assert rise["repeats"]["mean"] > 2 > 10 * abs(rise["control"]["mean"])


def test_the_rise_without_a_head_is_that_of_plain_ablation(folder):
    (record,) = stored_records(folder)
    model, rises = load_attention_only("toy-2l"), []
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        block = torch.rand(2, 64, generator=generator).argsort(dim=-1)[:, :16]
        rises.append(ablation_scores(model, torch.cat([block, block], dim=1), last=15))
    means = torch.stack(rises).mean(dim=0)
    stored = [head["ablation"]["repeats"]["mean"] for head in record["heads"]]
    torch.testing.assert_close(torch.tensor(stored), means.flatten(), atol=1e-3, rtol=1e-3)


def test_a_model_with_a_record_is_skipped_and_wrong_names_are_one_sentence(folder, tmp_path):
    before = (folder / "toy-2l.json").stat().st_mtime_ns
    result = CliRunner().invoke(reference, ["toy-2l", "--out", str(folder)])
    assert "is there already. Add --again" in result.output
    assert (folder / "toy-2l.json").stat().st_mtime_ns == before
    wrong = CliRunner().invoke(reference, ["./gone", "--out", str(tmp_path)])
    assert (wrong.exit_code, "There is no folder" in wrong.output) == (2, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 99}', '{"model": "gpt2"}'])
def test_a_file_that_is_not_a_record_is_named(tmp_path, text: str):
    (tmp_path / "odd.json").write_text(text)
    with pytest.raises(ValueError, match=r"odd\.json is not a record"):
        stored_records(tmp_path)


def test_an_invented_number_does_not_fit_the_schema(folder):
    (record,) = stored_records(folder)
    for change in ({"weights": "unknown"}, {"heads": []}, {"format": 2}, {"note": "by hand"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(record | change, SCHEMA)


def test_reported_heads_are_cited_and_stand_in_the_chapter():
    references = (BOOK / "references.bib").read_text()
    chapter = (BOOK / "ch13_real_models.ipynb").read_text()
    findings = json.loads((PUBLIC / "reported.json").read_text())["findings"]
    for finding in findings:
        assert re.search(rf"@\w+{{{finding['citation']},", references), finding["citation"]
        assert ", ".join(finding["heads"]) in chapter, finding["heads"]
    assert reported_findings("gpt2@step5") == findings
    assert reported_findings("pythia-70m") == []


def test_records_are_drawn_with_what_others_reported(folder):
    (toy,) = stored_records(folder)
    gpt2 = toy | {"model": "gpt2", "sizes": toy["sizes"] | {"n_layers": 12, "n_heads": 12}}
    figure = public_records.induction_maps([toy, gpt2])
    outlined = [len(ax.patches) for ax in figure.axes[:2]]
    assert outlined == [0, 9]  # Two lists of five and four heads.
    lines = public_records.comparison_lines(gpt2)
    assert "reported by wang2023" in lines[2]
    assert lines[2].endswith("here: L1H0, L1H1; in both: none")
    assert "nothing reported to compare with" in public_records.comparison_lines(toy)[1]
    plt.close(figure)
    several = [toy, *(toy | {"model": f"m@step{step}"} for step in (0, 5))]
    assert len(public_records.drawings(several)) == 2
    assert public_records.comparisons(several) == public_records.comparison_lines(toy)
    assert public_records.drawings([]) == public_records.comparisons([]) == []


def test_checkpoints_are_put_in_order(folder):
    (toy,) = stored_records(folder)
    records = [toy | {"model": f"m@step{step}"} for step in (512, 0, 1000)] + [toy]
    steps = public_records.checkpoints(records)
    assert list(steps) == ["m"]
    assert list(steps["m"]) == [0, 512, 1000]
    figure, ax = plt.subplots()
    public_records.formation_curves(ax, steps["m"])
    assert ax.lines[0].get_xdata().tolist() == [0, 512, 1000]
    plt.close(figure)
