"""Causal models of five architectures, loaded from a folder without a connection."""

import json
import shutil

import pytest
import torch
from small_hugging_face_models import D_VOCAB, N_CTX, save_tokenizer, small_model

from induction_heads.data.tokens import bos_token
from induction_heads.interp.activations import attention_patterns, visit_values
from induction_heads.interp.circuits import copying_scores, head_weights
from induction_heads.models.checkpoint_files import UnknownModel
from induction_heads.models.hugging_face import is_hugging_face
from induction_heads.models.loading import (
    load_attention_only,
    load_lightest,
    load_model,
    save_model,
    zoo_folder,
    zoo_names,
)

KINDS = ("gpt2", "gpt_neox", "llama", "mistral", "qwen2")
TOKENS = torch.randint(D_VOCAB, (3, 20), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> dict:
    """Kind → the module and the folder it was saved to."""
    models = {kind: (small_model(kind), tmp_path_factory.mktemp(kind)) for kind in KINDS}
    for model, folder in models.values():
        model.save_pretrained(folder)
    return models


@pytest.fixture
def folder(saved, tmp_path):
    """A copy of the Llama's folder, to be broken."""
    shutil.copytree(saved["llama"][1], tmp_path / "llama")
    return tmp_path / "llama"


@pytest.mark.parametrize("kind", KINDS)
def test_logits_and_patterns_are_those_of_the_library(saved, kind: str):
    module, folder = saved[kind]
    bridge = load_model(str(folder))
    with torch.inference_mode():
        expected = module(input_ids=TOKENS, output_attentions=True)
        torch.testing.assert_close(bridge(TOKENS), expected.logits, atol=1e-4, rtol=1e-4)
    patterns = attention_patterns(bridge, TOKENS)
    assert patterns.shape == (2, 3, 4, 20, 20)  # A pattern for each query head.
    assert patterns.std() > 0.1
    torch.testing.assert_close(patterns, torch.stack(expected.attentions), atol=1e-5, rtol=0)
    assert not any(weight.requires_grad for weight in bridge.parameters())
    assert bridge.cfg.n_ctx == N_CTX


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_heads_write_sums_to_the_output_of_the_attention_layer(saved, kind: str):
    bridge = load_model(str(saved[kind][1]))
    values, mixed = {}, {}

    def visit(layer: int, v: torch.Tensor, z: torch.Tensor) -> None:
        values[layer], mixed[layer] = v.clone(), z.clone()

    residual = visit_values(bridge, TOKENS, visit)
    with torch.inference_mode():
        _, cache = bridge.run_with_cache(TOKENS)
    W_Q, W_K, W_V, W_O = head_weights(bridge)
    assert {len(weight[0]) for weight in (W_Q, W_K, W_V, W_O)} == {4}
    torch.testing.assert_close(residual, cache["ln_final.hook_in"])
    for layer in range(2):
        pattern = cache[f"blocks.{layer}.attn.hook_pattern"]
        weighted = torch.einsum("bhqk,bkhd->bqhd", pattern, values[layer])
        torch.testing.assert_close(mixed[layer], weighted, atol=1e-5, rtol=1e-4)
        entered = cache[f"blocks.{layer}.ln1.hook_out"]
        read = torch.einsum("bpm,hmd->bphd", entered, W_V[layer])
        bias = (values[layer] - read)[0, 0]  # Of the values: the same everywhere.
        torch.testing.assert_close(values[layer] - read, bias.expand_as(read), atol=1e-4, rtol=0)
        written = torch.einsum("bphd,hdm->bpm", mixed[layer], W_O[layer])
        apart = cache[f"blocks.{layer}.hook_attn_out"] - written
        torch.testing.assert_close(apart, apart[0, 0].expand_as(apart), atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_copying_folds_in_the_norms_of_the_architecture(saved, kind: str):
    module, folder = saved[kind]
    bridge = load_model(str(folder))
    _, _, W_V, W_O = head_weights(bridge)
    d_model = W_V.shape[2]
    named = dict(module.named_parameters())

    def gain(*names: str) -> torch.Tensor:
        (weight,) = (named[name] for name in names if name in named)
        center = torch.eye(d_model) - (1 / d_model if kind in ("gpt2", "gpt_neox") else 0)
        return center @ weight.detach().diag()

    before = gain(
        "transformer.h.1.ln_1.weight",
        "gpt_neox.layers.1.input_layernorm.weight",
        "model.layers.1.input_layernorm.weight",
    )
    after = gain("transformer.ln_f.weight", "gpt_neox.final_layer_norm.weight", "model.norm.weight")
    embed = module.get_input_embeddings().weight.detach()
    unembed = module.get_output_embeddings().weight.detach().T
    for head in range(4):
        circuit = embed @ before @ W_V[1, head] @ W_O[1, head] @ after @ unembed
        eigenvalues = torch.linalg.eigvals(circuit.double())
        expected = (eigenvalues.real.sum() / eigenvalues.abs().sum()).item()
        assert copying_scores(bridge)[1, head].item() == pytest.approx(expected, abs=0.01)


def test_a_checkpoint_in_bfloat16_is_computed_in_float32_unless_told_otherwise(saved, tmp_path):
    module = small_model("llama").to(torch.bfloat16)
    module.save_pretrained(tmp_path)
    bridge = load_model(str(tmp_path))
    assert bridge.W_E.dtype == torch.float32
    assert torch.equal(bridge.W_E, module.get_input_embeddings().weight.float())
    for dtype in ("bfloat16", "auto"):
        kept = load_model(str(tmp_path), dtype=dtype)
        assert kept.W_E.dtype == torch.bfloat16
        patterns = attention_patterns(kept, TOKENS)
        assert patterns.dtype == torch.float32
        assert 0 < (patterns - attention_patterns(bridge, TOKENS)).abs().max() < 0.3
        assert copying_scores(kept).dtype == torch.float32


def test_weights_in_several_files_and_in_the_old_format_load(saved, tmp_path):
    module, _ = saved["gpt_neox"]
    module.save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    assert len(list((tmp_path / "shards").glob("model-*.safetensors"))) > 2
    old = tmp_path / "old"
    old.mkdir()
    shutil.copy(tmp_path / "shards" / "config.json", old)
    torch.save(module.state_dict(), old / "pytorch_model.bin")
    with torch.inference_mode():
        for folder in (tmp_path / "shards", old):
            torch.testing.assert_close(load_model(str(folder))(TOKENS), module(TOKENS).logits)


@pytest.mark.parametrize(
    ("kind", "puts_bos", "expected"),
    [
        ("llama", True, 1),
        ("llama", False, None),
        ("qwen2", False, None),
        ("gpt_neox", True, 1),
        ("gpt_neox", False, None),
        ("gpt2", False, 1),  # Its tokenizer puts none there, its training texts did.
    ],
)
def test_the_tokenizer_says_whether_a_bos_token_stands_in_front(
    saved, tmp_path, kind: str, puts_bos: bool, expected: int | None
):
    shutil.copytree(saved[kind][1], tmp_path / "model")
    save_tokenizer(tmp_path / "model", puts_bos=puts_bos)
    bridge = load_model(str(tmp_path / "model"))
    assert bos_token(bridge) == expected
    front = [] if expected is None else [expected]
    assert bridge.to_tokens("a b").tolist() == [[*front, 2, 3]]


def test_without_a_tokenizer_no_bos_token_is_put_in_front(saved):
    assert all(bos_token(load_model(str(folder))) is None for _, folder in saved.values())


def test_a_tokenizer_of_this_course_has_its_bos_token(folder):
    shutil.copy(zoo_folder("python-2l") / "tokenizer.json", folder)
    assert bos_token(load_model(str(folder))) == 0


def test_a_tokenizer_without_its_config_is_read(folder):
    save_tokenizer(folder, puts_bos=True, config=False)
    assert load_model(str(folder)).to_tokens("a b")[0, -2:].tolist() == [2, 3]


def test_it_is_not_taken_for_an_attention_only_model(folder):
    with pytest.raises(UnknownModel, match="is not attention-only"):
        load_attention_only(str(folder))


def test_folders_of_the_course_and_broken_ones_are_told_apart(tmp_path):
    assert not any(is_hugging_face(zoo_folder(name)) for name in zoo_names())
    assert not is_hugging_face(tmp_path)
    (tmp_path / "config.json").write_text("{")
    assert not is_hugging_face(tmp_path)


def refusal(name: object, **options) -> str:
    """What is said when a model cannot be loaded: one sentence, and perhaps what to do."""
    with pytest.raises(UnknownModel) as caught:
        load_model(str(name), **options)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(name))
    return str(caught.value)


def test_a_folder_without_weights_says_which_files_were_looked_for(folder):
    (folder / "model.safetensors").unlink()
    assert "no weights: none of model.safetensors" in refusal(folder)


def test_an_unsupported_architecture_is_named_beside_those_that_work(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps(config | {"architectures": ["MambaForCausalLM"], "model_type": "mamba"})
    )
    said = refusal(folder)
    assert "architecture MambaForCausalLM" in said
    assert "no attention patterns" in said
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["Other"]}))
    assert "LlamaForCausalLM" in refusal(folder)
    (folder / "config.json").write_text(json.dumps(config | {"architectures": None}))
    assert "architecture (none)" in refusal(folder)
    del config["architectures"]
    (folder / "config.json").write_text(json.dumps(config))
    assert "does not name an architecture" in refusal(folder)


def test_corrupt_weights_are_refused(folder):
    weights = (folder / "model.safetensors").read_bytes()
    for broken in (weights[: len(weights) // 2], b"", b"\0" * 100, b"not weights"):
        (folder / "model.safetensors").write_bytes(broken)
        assert "Cannot read the weights" in refusal(folder)


def test_a_missing_weight_is_named(folder):
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    weights = load_file(path)
    del weights["model.layers.1.self_attn.o_proj.weight"]
    save_file(weights, path, {"format": "pt"})
    assert "not complete: model.layers.1.self_attn.o_proj.weight is missing" in refusal(folder)


def test_a_missing_shard_is_named(saved, tmp_path):
    saved["llama"][0].save_pretrained(tmp_path, max_shard_size="20KB")
    lost = sorted(tmp_path.glob("model-*.safetensors"))[1]
    lost.unlink()
    assert lost.name in refusal(tmp_path)


def test_weights_of_another_shape_are_refused(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": 99}))
    assert "lm_head.weight has the shape [60, 32], but the config asks for [99, 32]" in refusal(
        folder
    )


def test_a_broken_tokenizer_is_refused(folder):
    save_tokenizer(folder, puts_bos=True)
    (folder / "tokenizer.json").write_text("{")
    assert "Cannot read the tokenizer" in refusal(folder)


def test_an_unknown_number_type_is_refused_before_anything_is_read():
    assert "dtype='int3' is not known" in refusal("toy-2l", dtype="int3")


def test_a_missing_package_is_named(folder, monkeypatch):
    import transformers

    def fails(*_, **__):
        raise ImportError("This needs the `sentencepiece` package.")

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", fails)
    assert "not installed: This needs the `sentencepiece` package." in refusal(folder)


def test_broken_folders_of_this_course_are_refused(tmp_path):
    save_model(load_attention_only("toy-1l"), tmp_path)
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace("n_heads", "n_hats"))
    assert "is not a config of this course: n_heads is missing" in refusal(tmp_path)
    (tmp_path / "config.json").write_text(config.replace('"d_vocab": 64', '"d_vocab": 65'))
    assert "do not fit its config" in refusal(tmp_path)
    (tmp_path / "config.json").write_text(config)
    (tmp_path / "model.safetensors").write_bytes(b"broken")
    assert "Cannot read the model" in refusal(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    assert "no model.safetensors" in refusal(tmp_path)


def test_the_lightest_form_of_a_model_is_the_plain_module_where_there_is_one(saved):
    assert type(load_lightest("toy-2l")).__name__ == "AttentionOnly"
    assert type(load_lightest("hand-built:induction")).__name__ == "AttentionOnly"
    assert type(load_lightest(str(saved["gpt2"][1]))).__name__ == "TransformerBridge"
    assert load_model("hand-built:bos_sink").cfg.n_layers == 2


def test_loading_leaves_the_settings_of_the_library_as_they_were(folder):
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    load_model(str(folder))
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


def test_a_progress_bar_is_shown_when_asked_for(folder, capfd):
    load_model(str(folder))
    assert capfd.readouterr().err == ""
    load_model(str(folder), progress=True)
    assert "it/s" in capfd.readouterr().err
