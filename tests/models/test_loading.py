"""Models by name: equal to TransformerLens, equal after saving, clear when there is none."""

import json
import logging

import pytest
import torch

from induction_heads.data.tokens import not_drawn
from induction_heads.models import loading
from induction_heads.models.attention_only import AttentionOnly, AttentionOnlyConfig, initialize
from induction_heads.models.checkpoint_files import UnknownModel
from induction_heads.models.folders import ZOO
from induction_heads.models.hand_built import hand_built
from induction_heads.models.loading import (
    from_transformer_lens,
    load_attention_only,
    load_model,
    load_snapshots,
    save_model,
    save_snapshots,
    to_transformer_lens,
    zoo_names,
)
from induction_heads.training.recipes import RECIPES
from induction_heads.training.records import shipped_record, snapshot_rows
from induction_heads.training.run import TrainingRun


def model_of(seed: int, **changes) -> AttentionOnly:
    sizes = {"n_layers": 2, "n_heads": 3, "d_model": 24, "d_head": 7, "d_vocab": 19, "n_ctx": 11}
    model = initialize(AttentionOnly(AttentionOnlyConfig(**(sizes | changes))), std=0.25, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        if "norm" in name:  # A layer norm that does something.
            weight.data += 0.3 * torch.randn(weight.shape, generator=generator)
    return model.requires_grad_(False)


@pytest.mark.parametrize("changes", [{}, {"normalization": "LN"}, {"n_layers": 1}, {"n_heads": 1}])
@pytest.mark.parametrize("seed", [0, 1])
def test_logits_equal_those_of_transformer_lens(seed: int, changes: dict):
    model = model_of(seed, **changes)
    tokens = torch.randint(19, (4, 11), generator=torch.Generator().manual_seed(seed))
    ours, theirs = model(tokens), to_transformer_lens(model)(tokens)
    assert ours.std() > 0.1
    assert (ours - theirs).abs().max() < 1e-5


@pytest.mark.parametrize("name", zoo_names())
def test_zoo_models_have_equal_logits_in_both_forms(name: str):
    model, bridge = load_attention_only(name), load_model(name)
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(1, model.config.d_vocab, (4, model.config.n_ctx), generator=generator)
    ours, theirs = model(tokens), bridge(tokens)
    exact, their_exact = model.double()(tokens), bridge.double()(tokens)
    assert ours.std() > 0.5
    assert (exact - their_exact).abs().max() < 1e-9
    if name in ("python-2l", "natural-2l"):
        # Their attention is so sharp that float32 rounds both by some 1e-5 of the exact logits.
        assert (ours - theirs).abs().max() < 1e-5 * ours.abs().max()
    else:
        assert (ours - theirs).abs().max() < 1e-5


@pytest.mark.parametrize("changes", [{}, {"normalization": "LN", "bos_token": 3}])
def test_a_model_comes_back_from_transformer_lens(changes: dict):
    model = model_of(0, **changes)
    back = from_transformer_lens(to_transformer_lens(model))
    assert back.config == model.config
    assert all(map(torch.equal, back.parameters(), model.parameters()))


def test_what_transformer_lens_computes_beyond_the_weights_does_not_come_back():
    bridge = to_transformer_lens(model_of(0))
    biases = [p for name, p in bridge.original_model.named_parameters() if "q." in name]
    with torch.no_grad():
        biases[-1].add_(1)
    with pytest.raises(ValueError, match=r"differ by .* without biases"):
        from_transformer_lens(bridge)
    with pytest.raises(ValueError, match=r"around a GPT2LMHeadModel .*markov-2l"):
        from_transformer_lens(load_model("gpt2-2l"))


def test_weights_go_by_the_same_names_in_transformer_lens():
    model = model_of(0)
    bridge = to_transformer_lens(model)
    for name in ("W_Q", "W_K", "W_V", "W_O"):
        ours = torch.stack([getattr(layer, name) for layer in model.layers])
        torch.testing.assert_close(getattr(bridge, name), ours)
    for name in ("W_E", "W_U", "W_pos"):
        torch.testing.assert_close(getattr(bridge, name), getattr(model, name))


def test_a_saved_model_comes_back_in_half_precision(tmp_path):
    model = model_of(3, normalization="LN", bos_token=2)
    save_model(model, tmp_path / "mine")
    again = load_attention_only(str(tmp_path / "mine"))
    assert again.config == model.config
    for name, weight in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], weight.half().float())


def test_a_config_that_the_file_is_too_small_for_is_refused_before_anything_is_built(tmp_path):
    save_model(model_of(1), tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    for name in ("n_layers", "n_heads", "d_model", "d_vocab"):
        (tmp_path / "config.json").write_text(json.dumps(settings | {name: 10**9}))
        for load in (load_attention_only, load_model):
            with pytest.raises(UnknownModel, match=f'"{name}": 1,000,000,000, but its files hold'):
                load(str(tmp_path))


def test_what_is_saved_can_be_read_by_others(tmp_path):
    save_model(model_of(1), tmp_path)
    save_snapshots({0: model_of(1).state_dict()}, tmp_path)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("*.safetensors")} == {0o644}


def test_a_folder_loads_as_a_bridge_with_its_bos(tmp_path):
    save_model(hand_built("induction", bos_token=5), tmp_path)
    assert load_model(str(tmp_path)).cfg.bos_token == 5


def test_an_unknown_name_says_which_names_work():
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    with pytest.raises(UnknownModel, match="toy-2l") as caught:
        load_model("no-such-model-anywhere")
    assert "no-such-model-anywhere" in str(caught.value)
    assert str(caught.value).count(". ") == 1  # One sentence on what happened, one on what to do.


def test_snapshots_of_an_unsaved_run_are_refused(tmp_path):
    save_model(model_of(0), tmp_path)
    with pytest.raises(UnknownModel, match="has no snapshots"):
        load_snapshots(str(tmp_path))


@pytest.mark.parametrize("name", zoo_names())
def test_snapshots_end_in_the_model_itself(name: str):
    snapshots = load_snapshots(name)
    assert list(snapshots) == sorted(snapshots)
    assert len(snapshots) >= {"python-2l": 10, "natural-2l": 12, "sycophant-2l": 3}.get(name, 20)
    last = list(snapshots.values())[-1]
    for weight_name, weight in load_attention_only(name).state_dict().items():
        assert torch.equal(last.state_dict()[weight_name], weight)


def test_the_zoo_is_complete_and_small():
    own = ["markov-2l", "natural-2l", "python-2l", "sycophant-2l", "toy-1l", "toy-2l"]
    assert zoo_names() == own
    size = sum(path.stat().st_size for path in ZOO.rglob("*") if path.is_file())
    assert size < 40e6


@pytest.mark.parametrize("seed", ["natural-2l/seed-1", "natural-2l/seed-2"])
def test_other_seeds_of_a_text_model_read_text_and_know_its_tokens(seed: str):
    bridge, first = load_model(seed), load_model("natural-2l")
    text = "def same(self): return self"
    assert torch.equal(bridge.to_tokens(text), first.to_tokens(text))
    assert not_drawn(bridge) == not_drawn(first)
    assert not torch.equal(bridge(bridge.to_tokens(text)), first(first.to_tokens(text)))


@pytest.mark.parametrize("name", zoo_names())
def test_every_card_says_what_a_reader_needs(name: str):
    card = (loading.zoo_folder(name) / "card.md").read_text()
    for part in (
        "Data.",
        "License of the data.",
        "Recipe.",
        "Command.",
        "Known heads.",
        "Curve.",
        "Limits.",
    ):
        assert f"**{part}**" in card
    assert f"induction-heads train {name}" in card


def test_real_prompts_can_be_typed_into_the_text_model():
    model = load_model("python-2l")
    tokens = model.to_tokens("def area(width, height):")
    assert tokens[0, 0] == model.cfg.bos_token == 0
    assert (tokens[0, 1:] != 0).all()
    assert model.tokenizer.decode(tokens[0, 1:]) == "def area(width, height):"
    assert model.to_str_tokens("def area")[0] == "<bos>"


def test_loaded_models_ask_for_no_gradient():
    for model in (load_attention_only("toy-2l"), load_model("toy-2l")):
        assert not any(weight.requires_grad for weight in model.parameters())


@pytest.mark.parametrize("name", zoo_names())
def test_snapshots_score_what_the_record_says_of_their_step(name: str):
    recipe, record = RECIPES[name], shipped_record(name)
    snapshots = {step: model.state_dict() for step, model in load_snapshots(name).items()}
    rows = snapshot_rows(TrainingRun(load_attention_only(name), snapshots=snapshots), recipe)
    for mine, stored in zip(rows, record["snapshots"], strict=True):
        assert mine["step"] == stored["step"]
        near = pytest.approx(stored["second_copy_loss"], abs=0.02, rel=0.005)
        assert mine["second_copy_loss"] == near
        for kind in ("previous_token", "induction"):
            torch.testing.assert_close(
                torch.tensor(mine[kind]), torch.tensor(stored[kind]), atol=0.01, rtol=0
            )
    # The steps differ by far more than the tolerance.
    assert abs(rows[0]["second_copy_loss"] - rows[-1]["second_copy_loss"]) > 0.1
