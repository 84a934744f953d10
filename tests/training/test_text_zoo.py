"""The zoo models with MLPs, in Hugging Face format: three architectures."""

import json
from dataclasses import asdict, replace

import pytest
import torch
from click.testing import CliRunner

from induction_heads.cli.main import main
from induction_heads.data.python_text import python_token_counts
from induction_heads.data.token_ranks import ranks_from_counts, token_ranks
from induction_heads.data.tokens import repeated_tokens
from induction_heads.interp.activations import attention_patterns, head_scores
from induction_heads.interp.analysis import THRESHOLD, make_probes, probe_scores
from induction_heads.interp.scores import induction_score, previous_token_score
from induction_heads.models.checkpoint_files import UnknownModel
from induction_heads.models.loading import load_attention_only, load_model, zoo_folder
from induction_heads.models.small_hugging_face import SmallHuggingFace, new_small_model
from induction_heads.training import text_models, text_zoo
from induction_heads.training.differences import differences_from_seeds
from induction_heads.training.run import train
from induction_heads.training.text_models import TEXT_ZOO
from induction_heads.training.text_record import silenced
from induction_heads.training.text_zoo import save_text_model, stored_seeds

pytestmark = pytest.mark.xdist_group("python text")  # Its tokens take 10 s in each process.


STORED_IN = {"gpt2-2l": torch.float16, "llama-4l": torch.bfloat16, "pythia-4l": torch.float16}

FOUR_LAYERS = ("llama-4l", "pythia-4l")


def record_of(name: str) -> dict:
    return json.loads((zoo_folder(name) / "training.json").read_text())


def config_of(name: str) -> dict:
    return json.loads((zoo_folder(name) / "config.json").read_text())


@pytest.fixture(scope="module", params=TEXT_ZOO)
def shipped(request):
    """The name of a text model of the zoo and its bridge, loaded once."""
    return request.param, load_model(request.param)


def test_a_shipped_model_has_the_heads_of_its_record(shipped):
    name, model = shipped
    record, bos = record_of(name), TEXT_ZOO[name].bos_token
    tokens = repeated_tokens(1024, 24, batch=16, bos_token=bos, seed=1)
    scorers = {
        "induction": lambda pattern: induction_score(pattern, 24),
        "previous_token": previous_token_score,
    }
    for kind, scores in head_scores(model, tokens, scorers).items():
        stored = torch.tensor(record["snapshots"][-1][kind])
        torch.testing.assert_close(scores, stored, atol=0.1, rtol=0)
    assert record["found"]["induction"]


@pytest.mark.parametrize("name", FOUR_LAYERS)
def test_the_induction_heads_of_the_card_hold_at_every_period_and_gap(name):
    model = load_model(name)
    probes = make_probes(model, seeds=1, batch=8)
    assert len({(probe.period, probe.gap) for probe in probes}) == 5
    lowest = torch.stack([probe_scores(model, probe)["induction"] for probe in probes]).amin(dim=0)
    found = (lowest >= THRESHOLD).nonzero().tolist()
    assert found
    assert found == record_of(name)["found"]["induction"]


def test_the_repeat_is_easier_than_the_first_copy_and_than_fresh_tokens():
    for name in TEXT_ZOO:
        last = record_of(name)["snapshots"][-1]
        assert last["second_copy_loss"] < last["first_copy_loss"] - 3
        assert last["second_copy_loss"] < last["control_loss"] - 3


def test_a_shipped_model_says_how_to_make_it_and_matches_what_is_stored(shipped):
    name, _ = shipped
    record = record_of(name)
    assert record["matches"]
    assert record["command"] == f"induction-heads train {name}"
    assert not differences_from_seeds(record, stored_seeds(name))
    text = (zoo_folder(name) / "card.md").read_text()
    for part in (
        "Data.",
        "License of the data.",
        "Recipe.",
        "Command.",
        "Known heads.",
        "Curve.",
        "Limits.",
    ):
        assert f"**{part}**" in text
    assert f"`induction-heads train {name}`" in text


def test_the_weights_are_stored_in_the_precision_that_the_config_names(shipped):
    from safetensors.torch import load_file

    name, model = shipped
    weights = load_file(zoo_folder(name) / "model.safetensors")
    assert {weight.dtype for weight in weights.values()} == {STORED_IN[name]}
    assert config_of(name)["dtype"] == str(STORED_IN[name]).removeprefix("torch.")
    assert model.W_E.dtype == torch.float32


def test_llama_has_rotary_positions_and_shares_its_keys_and_values():
    config, model = config_of("llama-4l"), load_model("llama-4l")
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert (config["num_attention_heads"], config["num_key_value_heads"]) == (4, 2)
    assert model.W_K.shape[1] == 2
    assert model.cfg.positional_embedding_type == "rotary"
    assert model.cfg.final_rms
    assert not torch.equal(model.W_E.T, model.W_U)


def test_pythia_turns_a_quarter_of_each_head_and_runs_attention_beside_the_mlp():
    config = config_of("pythia-4l")
    assert config["architectures"] == ["GPTNeoXForCausalLM"]
    assert config["rope_parameters"]["partial_rotary_factor"] == 0.25
    assert config["use_parallel_residual"]
    assert not config["tie_word_embeddings"]


def test_only_the_tokenizer_of_pythia_puts_no_bos_in_front():
    from transformers import AutoTokenizer

    first = {}
    for name in FOUR_LAYERS:
        tokenizer = AutoTokenizer.from_pretrained(zoo_folder(name), local_files_only=True)
        ids = tokenizer("def area(width):")["input_ids"]
        assert tokenizer.decode(ids, skip_special_tokens=True) == "def area(width):"
        first[name] = ids[0]
    assert first["llama-4l"] == 0
    assert first["pythia-4l"] != 0


@pytest.mark.parametrize("name", FOUR_LAYERS)
def test_hooks_see_the_patterns_of_the_hugging_face_model_itself(name):
    from transformers import AutoModelForCausalLM

    source = AutoModelForCausalLM.from_pretrained(
        zoo_folder(name), dtype="float32", attn_implementation="eager", local_files_only=True
    )
    tokens = torch.randint(1024, (2, 30))
    with torch.inference_mode():
        expected = torch.stack(source(input_ids=tokens, output_attentions=True).attentions)
    patterns = attention_patterns(load_model(name), tokens)
    torch.testing.assert_close(patterns, expected, atol=1e-5, rtol=0)


def test_real_prompts_can_be_typed_into_it():
    model = load_model("gpt2-2l")
    tokens = model.to_tokens("def area(width, height):")
    assert tokens[0, 0] == 0
    assert (tokens[0, 1:] != 0).all()
    with pytest.raises(UnknownModel, match="not attention-only"):
        load_attention_only("gpt2-2l")


@pytest.fixture
def random_text(monkeypatch) -> None:
    """The recipes read random tokens, the same on every machine: Python versions differ in text."""
    stream = torch.randint(1, 1024, (20_000,), generator=torch.Generator().manual_seed(7))
    monkeypatch.setattr(text_models, "python_streams", lambda d_vocab: (stream, stream, None))


FIRST_LOSSES = {
    "gpt2-2l": [7.5625, 7.5674, 7.5771],
    "llama-4l": [7.2698, 7.2194, 7.2596],
    "pythia-4l": [7.2522, 7.2545, 7.2718],
}
"""The first three losses of each recipe on `random_text`, in nats."""


@pytest.mark.parametrize("name", TEXT_ZOO)
def test_the_recipe_starts_as_it_did_when_the_weights_were_made(name, random_text):
    variant = TEXT_ZOO[name]
    short = replace(variant.settings(), steps=3)
    run = train(variant.new_model(), variant.sampler(), short, seed=variant.seed, progress=False)
    assert run.losses == pytest.approx(FIRST_LOSSES[name], abs=0.01)
    assert record_of(name)["settings"] == json.loads(json.dumps(asdict(variant.settings())))


@pytest.mark.parametrize("name", TEXT_ZOO)
def test_saving_leaves_the_model_as_it_was(name, tmp_path, monkeypatch):
    monkeypatch.setattr(text_zoo, "_save_tokenizer", lambda name, folder: None)
    model = TEXT_ZOO[name].new_model()
    assert isinstance(model, SmallHuggingFace)
    tokens = torch.randint(1024, (2, 100))
    with torch.inference_mode():
        before = model(tokens)
        save_text_model(model, record_of(name), tmp_path)
        assert torch.equal(model(tokens), before)
        apart = (load_model(str(tmp_path))(tokens) - before).abs().max().item()
    assert 0 < apart < 0.1


def test_a_run_that_did_not_form_differs_from_what_is_stored():
    record = record_of("llama-4l")
    early = record | {"snapshots": record["snapshots"][:2]}
    said = differences_from_seeds(early, stored_seeds("llama-4l"))
    assert any("did not form" in sentence for sentence in said)


@pytest.mark.slow
def test_the_command_trains_it_saves_it_and_says_what_differs(tmp_path, monkeypatch):
    monkeypatch.setitem(TEXT_ZOO, "gpt2-2l", replace(TEXT_ZOO["gpt2-2l"], steps=2, snapshots=2))
    out = tmp_path / "out"
    arguments = ["train", "gpt2-2l", "--out", str(out), "--json"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1, done.output
    record = json.loads(done.stdout)
    assert any("did not form" in said for said in record["differences"])
    assert load_model(str(out)).cfg.n_layers == 2
    assert (out / "tokenizer.json").is_file()
    counts = ranks_from_counts(python_token_counts(), "counts in its training text")
    assert token_ranks(load_model(str(out))) == counts
    again = CliRunner().invoke(main, arguments)
    assert again.exit_code == 2
    assert "is not empty" in again.output


@pytest.mark.slow
def test_the_command_trains_further_seeds_of_a_model_outside_the_sweep(tmp_path, monkeypatch):
    brief = replace(TEXT_ZOO["pythia-4l"], n_layers=2, n_heads=2, steps=1, snapshots=2)
    monkeypatch.setitem(TEXT_ZOO, "pythia-4l", brief)
    out = tmp_path / "out"
    arguments = ["train", "pythia-4l", "--out", str(out), "--json", "--spread", "2"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1, done.output
    record = json.loads((out / "training.json").read_text())
    assert [other["seed"] for other in record["other_seeds"]] == [1]
    assert "seeds trained: 2" in (out / "card.md").read_text()


def test_more_seeds_of_a_swept_model_are_asked_for_elsewhere():
    done = CliRunner().invoke(main, ["train", "gpt2-2l", "--spread", "3"])
    assert done.exit_code == 2
    assert "so --spread does not apply" in done.output


def test_a_wrong_name_is_answered_with_the_closest_or_with_all_recipes():
    near, far = (CliRunner().invoke(main, ["train", name]) for name in ("llama", "zzz"))
    assert (near.exit_code, far.exit_code) == (2, 2)
    assert "Did you mean llama-4l?" in near.output
    told = CliRunner().invoke(main, ["train", "--help"]).output
    for name in TEXT_ZOO:
        assert name in far.output
        assert name in told


def test_without_a_bos_token_every_place_of_a_row_is_text(random_text):
    rows = {
        name: TEXT_ZOO[name].sampler()(torch.Generator().manual_seed(0)) for name in FOUR_LAYERS
    }
    assert (rows["llama-4l"][:, 0] == 0).all()
    assert (rows["pythia-4l"] != 0).all()
    tiled = rows["pythia-4l"][0]
    assert any(torch.equal(tiled[:p], tiled[p : 2 * p]) for p in range(8, 65))


def test_settings_of_an_architecture_that_is_not_there_are_refused():
    with pytest.raises(ValueError, match="Architectures: gpt2, llama, neox"):
        replace(text_models.PLAIN, architecture="mamba").new_model()


def test_silencing_a_head_of_each_architecture_equals_a_hook_on_what_it_mixes():
    mixers = {
        "gpt2": lambda hf: hf.transformer.h[1].attn.c_proj,
        "llama": lambda hf: hf.model.layers[1].self_attn.o_proj,
        "neox": lambda hf: hf.gpt_neox.layers[1].attention.dense,
    }
    tokens = torch.randint(40, (3, 20))

    def without_head_3(module, arguments):
        mixed = arguments[0].clone()
        mixed[..., 24:32] = 0
        return (mixed,)

    for architecture, mixer in mixers.items():
        model = new_small_model(architecture, 2, 4, 32, 40, 32, seed=0)
        with torch.inference_mode():
            with silenced(model, 1, 3):
                ours = model(tokens)
            hook = mixer(model.hf).register_forward_pre_hook(without_head_3)
            expected = model(tokens)
            hook.remove()
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)
