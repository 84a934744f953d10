"""`induction-heads analyze`: finds heads, rejects decoys, writes a report, explains errors."""

import json

import pytest
from click.testing import CliRunner
from small_hugging_face_models import save_tokenizer, small_model

from induction_heads.cli.analyze import analyze
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
    ranked = run("python-2l", "--seeds", "2", "--rows", "4", "--json", "--text", str(text))
    assert json.loads(ranked.stdout)["tokens"].endswith("counts in names.txt")
    toy = run("toy-2l", "--json", "--text", str(text))
    assert (toy.exit_code, "has no tokenizer" in toy.output) == (2, True)
