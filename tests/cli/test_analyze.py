"""`induction-heads analyze`: finds heads, rejects decoys, writes a report, explains errors."""

import json
import re
import time

import jsonschema
import pytest
import torch
from click.testing import CliRunner
from small_hugging_face_models import save_tokenizer, small_model

from induction_heads import progress_bar
from induction_heads.cli import analyze_output
from induction_heads.cli.analyze import SCHEMA, analyze
from induction_heads.files import TEMPORARY
from induction_heads.interp import probe_rows
from induction_heads.models.hand_built import KINDS, hand_built_heads


def run(*arguments: str):
    return CliRunner().invoke(analyze, list(arguments))


@pytest.mark.parametrize("name", ["toy-2l", "python-2l"])
def test_the_circuit_is_found_layer_by_layer(name: str):
    report = json.loads(run(name, "--json").stdout)
    layers = {
        kind: {head["layer"] for head in report["heads"] if kind in head["kinds"]}
        for kind in ("previous_token", "induction")
    }
    assert layers == {"previous_token": {0}, "induction": {1}}


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"induction", "q_composition", "long_prefix"}))
def test_no_decoy_passes(kind: str):
    lines = run(f"hand-built:{kind}").output.splitlines()
    assert lines
    assert not any(line.startswith("induction:") for line in lines)


def test_the_true_hand_built_head_is_found():
    layer, head = hand_built_heads("induction")["induction"]
    assert f"induction: L{layer}H{head} (1.00)" in run("hand-built:induction").output


def test_out_writes_the_report_its_data_and_its_figures(tmp_path):
    result = run("toy-2l", "--out", str(tmp_path / "report"))
    assert result.exit_code == 0
    names = sorted(path.name for path in (tmp_path / "report").iterdir())
    assert names == ["report.html", "report.json", "scores.png", "stripe.png", "types.png"]
    assert json.loads((tmp_path / "report/report.json").read_text())["model"] == "toy-2l"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["hand-built:nonsense"], "kind='nonsense' is not known"),
        (["no-such-model-anywhere"], "Names that work here: gpt2-2l"),
        (["toy-2l", "--threshold", "2"], "2.0 is not in the range"),
        (["."], "The folder '.' is not a model"),
    ],
)
def test_usage_errors_have_one_clear_message(arguments: list[str], says: str):
    result = run(*arguments)
    assert result.exit_code == 2
    assert says in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_threshold_and_seeds_reach_the_analysis():
    report = json.loads(run("toy-2l", "--json", "--threshold", "0.95", "--seeds", "2").stdout)
    assert report["threshold"] == 0.95
    assert {probe["seed"] for probe in report["probes"]} == {0, 1}
    assert not any("induction" in head["kinds"] for head in report["heads"])


def test_a_folder_in_hugging_face_format_is_analyzed(tmp_path):
    small_model("llama").save_pretrained(tmp_path)
    save_tokenizer(tmp_path, puts_bos=True)
    result = run(str(tmp_path), "--json", "--seeds", "2", "--rows", "2", "--dtype", "bfloat16")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (len(report["heads"]), report["bos_token"]) == (8, 1)
    assert not any("induction" in head["kinds"] for head in report["heads"])  # It is random.
    assert all(abs(head["repeat_copying"]) < 0.3 for head in report["heads"])
    (tmp_path / "model.safetensors").write_bytes(b"broken")
    broken = run(str(tmp_path))
    assert (broken.exit_code, broken.output.count("Cannot read the weights")) == (2, 1)
    assert "Traceback" not in broken.output


def test_the_report_says_which_ids_were_drawn_and_a_text_can_rank_them(tmp_path):
    by_counts = run("python-2l", "--seeds", "2", "--rows", "4")
    assert "Probe tokens: ranks 10–75 % of" in by_counts.output
    assert "tokens that must match: L1H0 2 (long-prefix), L1H3 1 (short-prefix)" in by_counts.output
    text = tmp_path / "names.txt"
    text.write_text("\n".join(sorted(dir(str) + dir(list) + dir(json) + dir(pytest))) * 2)
    ranked = run("python-2l", "--seeds", "2", "--rows", "4", "--json", "--ranks", str(text))
    assert json.loads(ranked.stdout)["tokens"].endswith("counts in names.txt")
    toy = run("toy-2l", "--json", "--ranks", str(text))
    assert (toy.exit_code, "has no tokenizer" in toy.output) == (2, True)


def test_json_fits_the_schema_that_the_command_prints(tmp_path):
    schema = json.loads(run("--schema").stdout)
    assert schema == json.loads(SCHEMA.read_text())
    text = tmp_path / "text.txt"
    text.write_text("import os, sys\nimport os.path\nfor name in os.listdir(sys.path[0]):\n" * 9)
    fast = ("--seeds", "2", "--rows", "2", "--json")
    for arguments in (["toy-2l"], ["toy-2l@100", "toy-2l"], ["python-2l", "--text", str(text)]):
        result = run(*arguments, *fast)
        assert result.exit_code == 0, result.output
        report = json.loads(result.stdout)
        jsonschema.validate(report, schema)
        assert report["format"] == 1
    for change in ({"format": 2}, {"new": 1}, {"heads": [{}]}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(report | change, schema)


def test_only_the_requested_layers_are_reported_with_the_same_numbers():
    fast = ("--seeds", "2", "--rows", "2", "--json")
    whole = json.loads(run("pythia-4l", *fast).stdout)
    some = json.loads(run("pythia-4l", *fast, "--layers", "0,2").stdout)
    assert {head["layer"] for head in some["heads"]} == {0, 2}
    assert some["n_layers"] == whole["n_layers"] == 4
    by_place = {(head["layer"], head["head"]): head for head in whole["heads"]}
    for head in some["heads"]:
        expected = by_place[head["layer"], head["head"]]
        assert head["kinds"] == expected["kinds"]
        assert head["score"] == pytest.approx(expected["score"], abs=1e-6)
        assert head["repeat_logits"] == pytest.approx(expected["repeat_logits"], abs=1e-5)


@pytest.mark.parametrize(
    ("layers", "says"),
    [("1-", "is not a list of layers"), ("2-1", "is not a list"), ("5", "those from 0 to 1")],
)
def test_layers_that_are_not_there_are_refused(layers: str, says: str):
    result = run("toy-2l", "--layers", layers)
    assert (result.exit_code, says in result.output) == (2, True), result.output


def test_figures_are_drawn_for_some_layers_too(tmp_path):
    result = run(
        "pythia-4l", "--seeds", "2", "--rows", "2", "--layers", "2-3", "--out", str(tmp_path)
    )
    assert result.exit_code == 0, result.output
    assert (tmp_path / "scores.png").is_file()


@pytest.mark.parametrize("device", ["cuda:99", "tpu", "cuda:x", "mps:0"])
def test_a_device_that_is_not_there_is_one_sentence(device: str):
    result = run("toy-2l", "--device", device)
    assert result.exit_code == 2
    assert "is not known. Use cpu" in result.output or "It can use: cpu" in result.output
    assert "Traceback" not in result.output


def test_mps_comes_with_a_warning(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    result = run("./gone", "--device", "mps")
    assert "some versions of PyTorch compute wrong numbers" in result.stderr


def test_a_text_of_ones_own_is_measured_and_its_rows_are_said(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("import os, sys\nimport os.path\nfor name in os.listdir(sys.path[0]):\n" * 9)
    result = run("python-2l", "--seeds", "2", "--rows", "2", "--text", str(text))
    assert "python-2l on text.txt:" in result.output
    assert "controls" in result.output
    out = run("toy-2l", "--text", str(text))
    assert (out.exit_code, "has no tokenizer" in out.output) == (2, True)
    text.write_text("two words")
    short = run("python-2l", "--text", str(text))
    assert (short.exit_code, "Pass one of at least 16" in short.output) == (2, True)


class Killed(BaseException):
    """Stops a run as a signal would."""


def test_a_killed_run_goes_on_where_it_ended_with_the_same_numbers(monkeypatch, tmp_path):
    fast = ("pythia-4l", "--seeds", "3", "--rows", "2", "--json")
    expected = json.loads(run(*fast).stdout)
    seeds_run = []
    plain = probe_rows.run_repeats

    def counted(*arguments, seed):
        seeds_run.append(seed)
        plain(*arguments, seed=seed)

    def killed(*arguments, seed):
        if seed == 2:
            raise Killed
        plain(*arguments, seed=seed)

    monkeypatch.setattr(probe_rows, "run_repeats", killed)
    with pytest.raises(Killed):
        CliRunner().invoke(analyze, [*fast, "--out", str(tmp_path)], catch_exceptions=False)
    (unfinished,) = tmp_path.glob("unfinished-*")
    (unfinished / f"{TEMPORARY}half").write_bytes(b"half")
    (unfinished / "copying.safetensors").write_bytes(b"damaged")
    monkeypatch.setattr(probe_rows, "run_repeats", counted)
    other = run(*fast, "--out", str(tmp_path), "--rows", "3")  # Other settings begin anew.
    assert other.exit_code == 0
    assert seeds_run == [0, 1, 2]
    result = run(*fast, "--out", str(tmp_path))
    assert "goes on with the parts of an earlier run" in result.stderr
    assert seeds_run == [0, 1, 2, 2]
    assert json.loads(result.stdout) == expected
    assert not list(tmp_path.glob("unfinished-*"))


def test_the_table_fits_the_terminal(monkeypatch):
    from rich.console import Console

    for width in (190, 120, 80, 50):
        monkeypatch.setattr(
            analyze_output, "_console", lambda file, width=width: Console(file=file, width=width)
        )
        output = run("toy-2l", "--seeds", "2", "--rows", "2").output
        table = [line for line in output.splitlines() if line[:1] in "┏┃┡│└"]
        assert max(map(len, table)) <= width
        assert "L1H0" in output
        assert ("Not shown at this width: weights copying" in output) == (width < 190)
        cells = re.findall(r"\d\.\d\d ± \d\.\d\d", output)
        assert len(cells) >= 4  # No score is broken in two.


def test_long_work_writes_lines_to_a_log(monkeypatch, capsys):
    clock = iter(range(0, 1000, 7))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    with progress_bar.progress_bar(4, "probes of m", lines=True) as step:
        for _ in range(4):
            step()
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["2 of 4 probes of m, 14 s, about 14 s left", "4 of 4 probes of m, 28 s"]
    with progress_bar.progress_bar(4, "probes of m") as step:
        step()
    assert capsys.readouterr().err == ""


def test_each_column_of_the_table_is_explained_below_it():
    done = run("toy-2l", "--seeds", "2")
    assert done.exit_code == 0, done.output
    below = " ".join(done.output.split("Scores: ")[1].split())
    for column in ("kinds", "induction, lowest", "match of 1", "copies repeats", "logits"):
        assert column in below, column
