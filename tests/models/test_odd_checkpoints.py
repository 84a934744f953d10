"""Checkpoints as people have them: each loads with the library's logits or is refused by name."""

import json
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_hugging_face_models import D_VOCAB, save_tokenizer, small_model

from induction_heads.data.tokens import bos_token, not_drawn
from induction_heads.interp.activations import attention_patterns
from induction_heads.interp.analysis import make_probes
from induction_heads.models.checkpoint_files import UnknownModel
from induction_heads.models.loading import load_attention_only, load_model, save_model

TOKENS = torch.randint(D_VOCAB, (2, 40), generator=torch.Generator().manual_seed(0))
TOKENS[:, 0], TOKENS[0, 1], TOKENS[1, -1] = 1, 4, 4  # BOS and "c", which some tokenizers pad with.
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 99\n"
Change = Callable[[Path], object]


def config(**changes: object) -> Change:
    """Other settings in config.json. None removes one."""

    def change(folder: Path) -> None:
        path = folder / "config.json"
        settings = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({k: v for k, v in settings.items() if v is not None}))

    return change


def weights(change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Change:
    """Other weights in model.safetensors."""

    def write(folder: Path) -> None:
        path = folder / "model.safetensors"
        changed = {name: w.contiguous() for name, w in change(load_file(path)).items()}
        save_file(changed, path, {"format": "pt"})

    return write


def file(name: str, text: str | bytes) -> Change:
    """A file with this content."""

    def write(folder: Path) -> None:
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())

    return write


def shard(name: str) -> Change:
    """An index that puts a weight in the file `name`."""
    return file("model.safetensors.index.json", json.dumps({"weight_map": {"a": name}}))


def renamed(prefix: str) -> Change:
    return weights(lambda w: {prefix + name: weight for name, weight in w.items()})


def with_value(name: str, value: float) -> Change:
    """One value of a weight, of its last row."""

    def change(w: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        w[name][-1] = value
        return w

    return weights(change)


def tokenizer(*, bos: int = 1, **settings: object) -> Change:
    def write(folder: Path) -> None:
        save_tokenizer(folder, puts_bos=True)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            path = folder / name
            text = json.loads(path.read_text())
            if name == "tokenizer_config.json":
                text |= settings
            else:
                text["model"]["vocab"]["<s>"] = text["added_tokens"][0]["id"] = bos
                text["post_processor"]["special_tokens"]["<s>"]["ids"] = [bos]
            path.write_text(json.dumps(text))

    return write


def both(*changes: Change) -> Change:
    return lambda folder: [change(folder) for change in changes]


def mine(folder: Path) -> None:
    """Code in the folder that leaves a trace when it is run."""
    code = f"open({str(folder / 'RAN')!r}, 'w').close()\nclass Mine:\n    pass\n"
    (folder / "mine.py").write_text(code)


class Runs:
    """A pickle that leaves a trace when it is read."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return open, (str(self.mark), "w")


def pickled_code(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Runs(folder / "RAN")))


def other_unembedding(folder: Path) -> None:
    """A file with an unembedding of its own under a config that says it is the embedding."""
    weights(lambda w: w | {"lm_head.weight": w["lm_head.weight"] + 1})(folder)
    config(tie_word_embeddings=True)(folder)


def stored_as(dtype: torch.dtype, *names: str) -> Change:
    """Weights (all, or those named) cast to another type of number."""
    return weights(lambda w: {n: v.to(dtype) if n in (names or w) else v for n, v in w.items()})


def pickled(change: Callable[[dict[str, torch.Tensor]], object], **settings: object) -> Change:
    """What `change` makes of the weights, in pytorch_model.bin instead."""

    def write(folder: Path) -> None:
        stored = load_file(folder / "model.safetensors")
        (folder / "model.safetensors").unlink()
        torch.save(change(stored), folder / "pytorch_model.bin", **settings)

    return write


def with_mark(folder: Path) -> None:
    """A config with a byte-order mark, as Windows editors write it."""
    path = folder / "config.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())


def padding(token: str, side: str) -> Change:
    """A tokenizer that pads with one of the ids that a text can hold."""
    return tokenizer(pad_token=token, padding_side=side)


MASK = torch.ones(1, 1, 64, 64)
BYTE_MASK = {"transformer.h.0.attn.bias": torch.ones(1, 1, 64, 64, dtype=torch.uint8)}
ROPE = {"rope_theta": 10000.0, "original_max_position_embeddings": 8, "factor": 4.0}
LONG = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [2.0, 3.0, 4.0, 5.0]}
ROTARY = "model.layers.0.self_attn.rotary_emb"
ADAPTER = file("adapter_config.json", '{"peft_type": "LORA"}')
OWN_CODE = {"tokenizer_class": "Mine", "auto_map": {"AutoTokenizer": ["mine.Mine", None]}}

REFUSED: list[tuple[str, str, dict, Change, str]] = [
    # What is odd, architecture, settings of the module, change of the folder, refusal.
    (
        "unused biases",
        "llama",
        {"attention_bias": True},
        config(attention_bias=None),
        "k_proj.bias",
    ),
    (
        "a value head",
        "llama",
        {},
        weights(lambda w: w | {"v_head.weight": torch.ones(2)}),
        "v_head",
    ),
    ("a layer too many", "llama", {}, config(num_hidden_layers=1), "layers.1.input_layernorm"),
    ("compiled", "llama", {}, renamed("_orig_mod."), "begin with '_orig_mod.'"),
    ("parallel", "gpt2", {}, renamed("module."), "begin with 'module.'"),
    ("in an adapter", "llama", {}, renamed("base_model.model."), "begin with 'base_model.model.'"),
    ("in a trainer", "gpt_neox", {}, renamed("net."), "begin with 'net.'"),
    ("NaN", "llama", {}, with_value("lm_head.weight", torch.nan), "lm_head.weight"),
    (
        "infinite",
        "gpt2",
        {},
        with_value("transformer.ln_f.bias", torch.inf),
        "transformer.ln_f.bias",
    ),
    ("other shapes", "llama", {}, config(vocab_size=99), r"has the shape \[60, 32\].*\[99, 32\]"),
    ("another family", "llama", {}, config(model_type="qwen2"), "Qwen2ForCausalLM"),
    ("an unknown family", "llama", {}, config(model_type="lama"), "lama"),
    ("quantized", "llama", {}, config(quantization_config={"bits": 4}), "quantization_config"),
    ("unscaled", "gpt2", {"scale_attn_weights": False}, both(), "scale_attn_weights=False"),
    ("a pointer", "llama", {}, file("model.safetensors", POINTER), "Git LFS"),
    (
        "a pointer to text",
        "gpt2",
        {},
        file("tokenizer.json", POINTER),
        "tokenizer.json is a Git LFS",
    ),
    ("an adapter beside it", "llama", {}, ADAPTER, "adapter"),
    ("pickled code", "llama", {}, pickled_code, "Cannot read the weights"),
    ("cut off", "llama", {}, file("model.safetensors", b"\x10\0\0\0\0\0\0\0{"), "Cannot read"),
    ("BOS too high", "llama", {}, tokenizer(bos=60), "BOS token 60 .* vocabulary of 60"),
    ("rotation of no kind", "llama", {}, config(rope_parameters={"rope_type": "odd"}), "odd"),
    ("whole numbers", "llama", {}, stored_as(torch.int8), "lm_head.weight .* stored as I8"),
    ("eight bits", "llama", {}, stored_as(torch.float8_e4m3fn), "stored as F8_E4M3"),
    ("one weight rounded", "gpt2", {}, stored_as(torch.int64, "transformer.ln_f.bias"), "as I64"),
    (
        "whole numbers, pickled",
        "llama",
        {},
        pickled(lambda w: {n: v.to(torch.int8) for n, v in w.items()}),
        "stored as int8",
    ),
    (
        "a training checkpoint",
        "llama",
        {},
        pickled(lambda w: {"state_dict": w, "epoch": 3}),
        "lm_head.weight is missing, .* holds epoch instead",
    ),
    ("a list", "llama", {}, file("config.json", "[]"), "holds a list, but expected an object"),
    ("a number", "llama", {}, file("config.json", "3"), "holds a number"),
    ("half a config", "llama", {}, file("config.json", '{"a":'), r"config.json cannot be read"),
    ("UTF-16", "llama", {}, file("config.json", "{}".encode("utf-16")), "cannot be read as JSON"),
    ("an empty config", "llama", {}, file("config.json", "{}"), "n_layers is missing"),
    (
        "no model_type",
        "llama",
        {},
        config(model_type=None),
        'names an architecture but no "model_t',
    ),
    ("a number as model_type", "llama", {}, config(model_type=3), '"model_type": 3'),
    ("sizes as text", "llama", {}, config(vocab_size="60"), "expected int, got str"),
    ("no heads", "llama", {}, config(num_attention_heads=0), "one of the sizes is 0"),
    (
        "five heads",
        "llama",
        {},
        config(num_attention_heads=5),
        "not a multiple of the number of at",
    ),
    ("an unknown activation", "llama", {}, config(hidden_act="nope"), "there is no 'nope'"),
    ("counts below 0", "llama", {}, file("token_counts.json", "[-1]"), "whole numbers from 0"),
    ("counts of nothing", "llama", {}, file("token_counts.json", "[0]"), "not all of them 0"),
    ("counts of others", "llama", {}, file("token_counts.json", "[1]"), "counts of 1 ids"),
    ("a tokenizer cut off", "llama", {}, file("tokenizer.json", "{"), "Cannot read the tokenizer"),
    ("an id without a row", "llama", {}, config(pad_token_id=99), "Padding_idx must be within"),
    (
        "a shard outside",
        "llama",
        {},
        shard("../secret.safetensors"),
        "'../secret.safetensors', which",
    ),
    (
        "a shard by its whole path",
        "llama",
        {},
        shard("/etc/passwd"),
        "'/etc/passwd', which is outsi",
    ),
    ("a shard with a backslash", "gpt2", {}, shard("a\\..\\..\\b"), "lie beside its index"),
    ("layers for hours", "llama", {}, config(num_hidden_layers=10**7), "10,000,000, but its files"),
    ("layers for hours, too", "gpt2", {}, config(n_layer=10**7), '"n_layer": 10,000,000'),
    ("far too wide", "llama", {}, config(hidden_size=10**9), '"hidden_size": 1,000,000,000'),
]

RIGHT: list[tuple[str, str, dict, Change]] = [
    ("return_dict", "llama", {}, config(return_dict=False)),
    ("flash attention", "llama", {}, config(_attn_implementation="flash_attention_2")),
    ("everything returned", "gpt2", {}, config(output_hidden_states=True, torchscript=True)),
    ("code of its own", "llama", {}, config(auto_map={"AutoModelForCausalLM": "mine.Mine"})),
    ("no attention bias", "gpt_neox", {"attention_bias": False}, both()),
    ("two names", "llama", {}, config(architectures=["LlamaModelX", "LlamaForCausalLM"])),
    ("masks", "gpt_neox", {}, weights(lambda w: w | {"gpt_neox.layers.0.attention.bias": MASK})),
    ("angles", "llama", {}, weights(lambda w: w | {f"{ROTARY}.inv_freq": torch.rand(4)})),
    ("a tokenizer of its own", "llama", {}, both(mine, tokenizer(**OWN_CODE))),
    (
        "a tokenizer of its own, by the config",
        "llama",
        {},
        both(mine, tokenizer(), config(auto_map={"AutoTokenizer": ["mine.Mine", None]})),
    ),
    ("a byte-order mark", "llama", {}, with_mark),
    ("64 bits", "llama", {}, stored_as(torch.float64)),
    ("masks of bytes", "gpt2", {}, weights(lambda w: w | BYTE_MASK)),
    ("pickled in the old way", "llama", {}, pickled(dict, _use_new_zipfile_serialization=False)),
    ("weights of another model beside them", "llama", {}, file("pytorch_model.bin", b"stale")),
    ("an index beside them", "llama", {}, file("model.safetensors.index.json", "{}")),
    ("padding on the left", "llama", {}, padding("c", "left")),
    ("padding that is BOS", "gpt2", {}, padding("<s>", "left")),
    ("padding in the config", "gpt2", {}, config(pad_token_id=4)),
    ("several ends", "llama", {}, config(eos_token_id=[1, 2])),
    ("dropout", "gpt2", {}, config(attn_pdrop=0.5, resid_pdrop=0.5, embd_pdrop=0.5)),
    ("a tokenizer with a short limit", "llama", {}, tokenizer(model_max_length=8)),
    ("layers scaled", "gpt2", {"scale_attn_by_inverse_layer_idx": True}, both()),
    ("YaRN", "llama", {"rope_parameters": ROPE | {"rope_type": "yarn"}}, both()),
    ("dynamic angles", "llama", {"rope_parameters": ROPE | {"rope_type": "dynamic"}}, both()),
    ("angles by length", "llama", {"rope_parameters": ROPE | LONG}, both()),
    ("wide heads", "llama", {"head_dim": 16, "num_key_value_heads": 1}, both()),
    ("one after the other", "gpt_neox", {"use_parallel_residual": False, "rotary_pct": 1}, both()),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Callable[[str, dict], tuple[object, Path]]:
    """The module of an architecture and its folder, made once."""
    stored = {}

    def get(kind: str, settings: dict) -> tuple[object, Path]:
        key = kind, str(settings)
        if key not in stored:
            module = small_model(kind, **settings)
            stored[key] = module, tmp_path_factory.mktemp(kind)
            module.save_pretrained(stored[key][1])
        return stored[key]

    return get


def refusal(name: object) -> str:
    """The one sentence that refuses a model, or that it loads."""
    try:
        load_model(str(name))
    except UnknownModel as error:
        return str(error)
    return "It loads."


def test_what_cannot_be_loaded_is_refused_in_a_sentence_that_names_it(made, tmp_path):
    offenders = []
    for number, (what, kind, settings, change, says) in enumerate(REFUSED):
        folder = shutil.copytree(made(kind, settings)[1], tmp_path / str(number))
        change(folder)
        message = refusal(folder)
        fits = "\n" not in message and len(message) < 400 + len(str(folder))
        if not (fits and re.search(says, message)) or (folder / "RAN").exists():
            offenders.append(f"{what}: {message}")
    assert not offenders, "\n".join(offenders)


def test_what_says_nothing_about_the_model_changes_no_logit(made, tmp_path):
    offenders = []
    for number, (what, kind, settings, change) in enumerate(RIGHT):
        module, source = made(kind, settings)
        folder = shutil.copytree(source, tmp_path / str(number))
        change(folder)
        with torch.inference_mode():
            try:
                apart = (load_model(str(folder))(TOKENS) - module(TOKENS).logits).abs().max().item()
            except UnknownModel as error:
                apart = str(error)
        if isinstance(apart, str) or not apart < 1e-4 or (folder / "RAN").exists():
            offenders.append(f"{what}: {apart}")
    assert not offenders, "\n".join(offenders)


def test_an_unembedding_in_the_file_counts_more_than_a_config_that_ties_it(made, tmp_path):
    module, source = made("llama", {})
    folder = shutil.copytree(source, tmp_path / "untied")
    other_unembedding(folder)
    expected = module.lm_head.weight.detach().T + 1
    torch.testing.assert_close(load_model(str(folder)).W_U, expected)


def test_weights_too_large_for_half_precision_are_refused_there(made, tmp_path):
    folder = shutil.copytree(made("llama", {})[1], tmp_path / "large")
    with_value("lm_head.weight", 1e6)(folder)
    assert load_model(str(folder)).W_U.max() == 1e6
    with pytest.raises(UnknownModel, match=r"lm_head.weight .* Try dtype float32"):
        load_model(str(folder), dtype="float16")


def test_probes_hold_only_ids_that_the_tokenizer_has(made, tmp_path):
    folder = shutil.copytree(made("llama", {})[1], tmp_path / "padded")
    tokenizer()(folder)  # 28 ids for a vocabulary of 60; <s> is 1.
    model = load_model(str(folder))
    assert not_drawn(model) == (1, *range(28, 60))
    for probe in make_probes(model, seeds=1):
        assert {*probe.repeated.flatten().tolist(), *probe.control.flatten().tolist()} <= {
            *range(28)
        }


def test_probes_are_no_longer_than_the_attention_window(made):
    for kind, settings, window in (
        ("mistral", {"sliding_window": 24}, 24),
        ("qwen2", {"use_sliding_window": True, "sliding_window": 24, "max_window_layers": 1}, 24),
        ("qwen2", {"use_sliding_window": False, "sliding_window": 24}, 64),
    ):
        model = load_model(str(made(kind, settings)[1]))
        longest = max(probe.repeated.shape[1] for probe in make_probes(model, seeds=1))
        assert window - 8 < longest <= window, (kind, settings, longest)
        tokens = torch.randint(D_VOCAB, (1, longest))
        assert (attention_patterns(model, tokens)[..., -1, 0] > 0).all(), kind
    with pytest.raises(ValueError, match="a query sees 7, and 60 ids can be drawn"):
        make_probes(load_model(str(made("mistral", {"sliding_window": 7})[1])))


def test_a_stopped_run_is_loaded_by_step_and_lists_its_checkpoints(made, tmp_path):
    for step in (500, 1000):
        shutil.copytree(made("gpt2", {})[1], tmp_path / "run" / f"checkpoint-{step}")
    assert bos_token(load_model(f"{tmp_path}/run@520")) is None
    message = refusal(tmp_path / "run")
    assert "It holds checkpoints" in message
    assert "run@500" in message


def test_an_adapter_alone_and_a_file_are_refused(made, tmp_path):
    ADAPTER(tmp_path)
    assert "merge_and_unload" in refusal(tmp_path)
    assert "is a file. Pass the folder" in refusal(made("llama", {})[1] / "model.safetensors")


def test_folders_of_this_course_are_checked_like_those_of_others(tmp_path):
    save_model(load_attention_only("toy-1l"), tmp_path / "toy")
    cases = [
        (with_value("W_U", torch.nan), "W_U .* not finite"),
        (weights(lambda w: w | {"W_X": torch.ones(2)}), "W_X"),
        (weights(lambda w: {name: w[name] for name in w if name != "W_E"}), "W_E is missing"),
        (config(d_vocab=65), r"has the shape \[64, \d+\].*\[65, \d+\]"),
        (config(bos_token=64), "BOS token 64 .* vocabulary of 64"),
        (file("model.safetensors", POINTER), "Git LFS"),
    ]
    for number, (change, says) in enumerate(cases):
        folder = shutil.copytree(tmp_path / "toy", tmp_path / str(number))
        change(folder)
        assert re.search(says, refusal(folder)), refusal(folder)
