"""The model with MLPs that is kept in the zoo, in Hugging Face format."""

import json
from dataclasses import replace

import pytest
import torch
from click.testing import CliRunner

from induction_heads.activations import head_scores
from induction_heads.cli import main
from induction_heads.models import UnknownModel, load_attention_only, load_model, zoo_folder
from induction_heads.scores import induction_score, previous_token_score
from induction_heads.text_family import KEPT
from induction_heads.tokens import make_repeated_tokens


@pytest.fixture(scope="module")
def shipped() -> dict:
    return json.loads((zoo_folder("gpt2-2l") / "training.json").read_text())


def test_the_shipped_model_has_the_heads_of_its_record(shipped):
    model = load_model("gpt2-2l")
    tokens = make_repeated_tokens(model, period=24, batch=16)
    assert (tokens[:, 0] == 0).all()
    scorers = {
        "induction": lambda pattern: induction_score(pattern, 24),
        "previous_token": previous_token_score,
    }
    for kind, scores in head_scores(model, tokens, scorers).items():
        stored = torch.tensor(shipped["snapshots"][-1][kind])
        torch.testing.assert_close(scores, stored, atol=0.1, rtol=0)
    assert shipped["found"]["induction"]


def test_the_shipped_model_is_that_of_the_sweep_and_says_how_to_make_it(shipped):
    assert shipped["matches"]
    assert shipped["command"] == "induction-heads train gpt2-2l"
    card = (zoo_folder("gpt2-2l") / "card.md").read_text()
    for part in ("Data.", "License of the data.", "Recipe.", "Command.", "Known heads.",
                 "Curve.", "Limits."):  # fmt: skip
        assert f"**{part}**" in card
    assert "induction-heads train gpt2-2l" in card


def test_real_prompts_can_be_typed_into_it():
    model = load_model("gpt2-2l")
    tokens = model.to_tokens("def area(width, height):")
    assert tokens[0, 0] == 0
    assert (tokens[0, 1:] != 0).all()
    with pytest.raises(UnknownModel, match="not attention-only"):
        load_attention_only("gpt2-2l")


@pytest.mark.slow
def test_the_command_trains_it_saves_it_and_says_what_differs(tmp_path, monkeypatch):
    monkeypatch.setitem(KEPT, "gpt2-2l", replace(KEPT["gpt2-2l"], steps=2, snapshots=2))
    out = tmp_path / "out"
    arguments = ["train", "gpt2-2l", "--out", str(out), "--json"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1, done.output
    record = json.loads(done.stdout)
    assert any("did not form" in said for said in record["differences"])
    assert load_model(str(out)).cfg.n_layers == 2
    assert (out / "tokenizer.json").is_file()
    again = CliRunner().invoke(main, arguments)
    assert again.exit_code == 2
    assert "is not empty" in again.output


def test_more_seeds_are_asked_for_elsewhere():
    done = CliRunner().invoke(main, ["train", "gpt2-2l", "--spread", "3"])
    assert done.exit_code == 2
    assert "so --spread does not apply" in done.output
