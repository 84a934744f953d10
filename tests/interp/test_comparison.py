"""Two models side by side: what each has, what changed, and one color scale for both."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from induction_heads.cli.analyze import analyze as command
from induction_heads.figures.comparison_page import comparison_html, head_maps, pictures
from induction_heads.interp.analysis import analyze
from induction_heads.interp.comparison import (
    COLUMNS,
    comparison_data,
    difference_sentences,
    probe_tokens,
    same_model,
    table_rows,
)
from induction_heads.models.checkpoint_files import UnknownModel
from induction_heads.models.folders import checkpoint_name
from induction_heads.models.hand_built import hand_built, hand_built_heads
from induction_heads.models.loading import (
    load_attention_only,
    load_lightest,
    load_model,
    load_snapshots,
    save_model,
)


@pytest.fixture(scope="module")
def reports():
    """Before and after the circuit formed."""
    names = ("toy-2l@0", "toy-2l")
    return [analyze(load_lightest(name), name=checkpoint_name(name)) for name in names]


def test_the_ids_that_were_drawn_are_named_once_or_for_each_model(reports):
    first, second = reports
    assert probe_tokens(first, second) == f"Probe tokens: {first.tokens}."
    other = replace(second, model="other", tokens="ranks 10–75 %")
    assert probe_tokens(first, other).endswith("; other, ranks 10–75 %.")
    assert probe_tokens(first, other) in comparison_html(first, other, [])


def test_every_head_of_both_has_a_row_next_to_that_of_the_other(reports):
    rows = table_rows(*reports)
    assert all(len(row) == len(COLUMNS) for row in rows)
    assert [row[:2] for row in rows[:4]] == [
        ("L0H0", "toy-2l@0"),
        ("L0H0", "toy-2l"),
        ("L0H1", "toy-2l@0"),
        ("L0H1", "toy-2l"),
    ]
    assert len(rows) == 8
    kinds = {row[:2]: row[2] for row in rows}
    assert kinds["L1H0", "toy-2l@0"] == "–"
    assert kinds["L1H0", "toy-2l"] == "induction"


def test_what_formed_between_two_checkpoints_is_said(reports):
    sentences = difference_sentences(*reports)
    assert sentences[0] == "Both have 2 layers of 2 heads."
    assert any(s.startswith("induction: none in toy-2l@0; L1H") for s in sentences)
    assert "L1H0: no kind in toy-2l@0, induction in toy-2l." in sentences
    assert "L0H1" not in " ".join(sentences)  # It is nothing before and after.


def test_a_model_beside_itself_differs_in_nothing(reports):
    last = reports[1]
    assert "No head changed its kind." not in difference_sentences(last, last)
    again = analyze(load_lightest("toy-2l"), name="toy-2l@999")
    assert difference_sentences(last, again)[-1] == "No head changed its kind."


def test_heads_of_models_trained_apart_are_not_matched_by_place(reports):
    other = analyze(hand_built("bos_sink", n_heads=3, d_vocab=64), name="sink")
    _, head = hand_built_heads("bos_sink", n_heads=3)["bos_sink"]
    sentences = difference_sentences(other, reports[1])
    assert not same_model(other, reports[1])
    assert sentences[0] == "sink has 2 layers of 3 heads, toy-2l 2 layers of 2 heads."
    assert f"first-token: L1H{head} (1.00) in sink; none in toy-2l." in sentences
    assert not any(re.match(r"L\dH\d:", sentence) for sentence in sentences)
    assert len(table_rows(other, reports[1])) == 6 + 4


def test_two_models_without_finds_say_so(reports):
    first = reports[0]
    assert "No head of either has a kind at threshold 0.4." in difference_sentences(first, first)


def test_both_head_maps_share_one_color_scale(reports):
    images = [ax.images[0] for ax in head_maps(*reports).axes if ax.images]
    assert len(images) == 6
    assert {image.get_clim() for image in images} == {(0, 1)}
    values = [np.max(image.get_array()) for image in images]
    assert values[2] < 0.3 < 0.9 < values[5]  # Induction, before and after.


def test_the_page_stands_alone(reports):
    figures = pictures(*reports)
    text = comparison_html(reports[0], reports[1], figures)
    assert text.count("<img") == len(figures) == 1
    assert not re.search(r"(src|href)=['\"]?(http|//)", text)
    for sentence in difference_sentences(*reports):
        assert f"<li>{sentence}</li>" in text
    assert "What this does not show" in text


def test_the_data_hold_both_reports(reports):
    data = json.loads(json.dumps(comparison_data(*reports)))
    assert data["models"] == ["toy-2l@0", "toy-2l"]
    assert data["reports"] == [json.loads(json.dumps(report.as_dict())) for report in reports]
    assert data["differences"] == difference_sentences(*reports)


def test_the_command_compares_two_and_writes_the_report(tmp_path):
    arguments = [
        "toy-1l",
        "toy-2l",
        "--json",
        "--seeds",
        "2",
        "--rows",
        "4",
        "--out",
        str(tmp_path),
    ]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0
    assert json.loads(result.stdout)["models"] == ["toy-1l", "toy-2l"]
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["head_maps.png", "report.html", "report.json"]
    printed = CliRunner().invoke(command, ["toy-1l", "toy-2l", "--seeds", "2", "--rows", "4"])
    assert "toy-1l has 1 layer of 2 heads, toy-2l 2 layers of 2 heads." in printed.output
    assert "induction: none in toy-1l; L1H" in printed.output


def test_three_models_are_too_many():
    result = CliRunner().invoke(command, ["toy-1l", "toy-2l", "toy-1l"])
    assert result.exit_code == 2
    assert "Got 3 models, but analyze takes one or two." in result.output


def test_a_checkpoint_is_the_snapshot_nearest_to_its_step():
    steps = list(load_snapshots("toy-2l"))
    between = (steps[3] + steps[4]) // 2 - 1
    for asked, expected in ((steps[3], steps[3]), (between, steps[3]), (10**9, steps[-1])):
        assert checkpoint_name(f"toy-2l@{asked}") == f"toy-2l@{expected}"
        loaded = load_lightest(f"toy-2l@{asked}").state_dict()
        for name, weight in load_snapshots("toy-2l")[expected].state_dict().items():
            assert weight.equal(loaded[name])
    assert load_model(f"toy-2l@{steps[0]}").cfg.n_layers == 2
    assert checkpoint_name("toy-2l") == "toy-2l"


def test_checkpoints_in_subfolders_are_found_by_their_step(tmp_path):
    save_model(load_attention_only("toy-2l"), tmp_path)
    snapshots = list(load_snapshots("toy-2l").values())
    for step, model in ((50, snapshots[0]), (100, snapshots[-1])):
        save_model(model, tmp_path / f"checkpoint-{step}")
    assert checkpoint_name(f"{tmp_path}@90") == f"{tmp_path}@100"
    early, late = (load_lightest(f"{tmp_path}@{step}").W_E for step in (40, 90))
    assert not early.equal(late)


def test_a_step_that_cannot_be_loaded_is_explained(tmp_path):
    with pytest.raises(UnknownModel, match="after the @ comes a training step, such as toy-2l@100"):
        load_model("toy-2l@last")
    save_model(hand_built("induction"), tmp_path)
    with pytest.raises(UnknownModel, match="has no snapshots, so it cannot be loaded at step 7"):
        load_model(f"{tmp_path}@7")
