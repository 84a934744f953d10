"""Causal language models in Hugging Face format, in a folder on this machine: nothing is fetched.

All architectures load the same way: transformers builds the model, TransformerLens gives it the
names of activations and weights that this course uses, and both are compared on a few tokens. No
code in the folder is run.
"""

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from induction_heads.models.agreement import disagreement, library_answer
from induction_heads.models.architectures import ARCHITECTURES, why_not
from induction_heads.models.checkpoint_files import (
    RUN_TIME,
    UnknownModel,
    read_config,
    reason,
    require_files_inside,
    require_finite_weights,
    require_matching_weights,
    require_plain_numbers,
    require_plain_settings,
    require_possible_sizes,
    require_token,
    require_whole_files,
)
from induction_heads.models.library_messages import without_progress_bars
from induction_heads.models.tokenizers import (
    known_ranks,
    leading_token,
    load_tokenizer,
    needs_package,
)

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

DTYPES = ("float32", "bfloat16", "float16", "auto")
"""The number types a model can be loaded in. "auto" is the one it was saved in."""

WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
"""One of these files must be in the folder."""

LONG_LOAD = 100e6
"""Folders with more bytes of weights than this show a progress bar by default."""


def is_hugging_face(folder: Path) -> bool:
    """Whether the folder's `config.json` is one of Hugging Face: it names a `model_type`."""
    try:
        return "model_type" in read_config(folder)
    except UnknownModel:
        return False


def load_hugging_face(
    folder: Path, *, device: str = "cpu", dtype: str | None = None, progress: bool | None = None
) -> "TransformerBridge":
    """The model in the folder as a TransformerLens `TransformerBridge`, without gradients.

    `dtype` is one of `DTYPES`; None is float32, in which bfloat16 checkpoints keep every digit they
    have. `bridge.cfg.bos_token` is the id that `bos_token` of this course returns,
    `bridge.cfg.without_text` holds the ids that the tokenizer does not have,
    `bridge.cfg.attention_window` is the number of tokens that a query sees where that is limited,
    and `bridge.cfg.token_ranks` says how common each id is, or is None where that is not known.
    `progress` shows a bar; None shows one for more than 100 MB of weights. Raises UnknownModel,
    with the reason in one sentence, if the folder has no model that can be loaded here, or if
    TransformerLens computes something else than transformers does.
    """
    require_whole_files(folder)
    config = read_config(folder)
    architecture = _checked_architecture(folder, config)
    require_plain_settings(folder, config)
    require_files_inside(folder)
    require_plain_numbers(folder)
    require_possible_sizes(folder, config)
    tokenizer = load_tokenizer(folder)
    bos = leading_token(folder, tokenizer, architecture)
    # TransformerLens may add tokens of its own to the tokenizer.
    known = None if tokenizer is None else {*tokenizer.get_vocab().values()}
    model = _with_weights(folder, config, architecture, dtype, _shows_bar(folder, progress))
    bridge = _checked_bridge(folder, model.to(device), architecture, tokenizer)
    require_token(bos, bridge.cfg.d_vocab, f"the tokenizer in {folder}")
    bridge.cfg.bos_token = bos
    bridge.cfg.default_prepend_bos = bos is not None
    bridge.cfg.without_text = tuple({*range(bridge.cfg.d_vocab)} - known) if known else ()
    bridge.cfg.attention_window = _attention_window(model.config)
    bridge.cfg.token_ranks = known_ranks(folder, bridge.cfg.d_vocab, tokenizer)
    return bridge.requires_grad_(False).eval()


def _checked_architecture(folder: Path, config: dict[str, Any]) -> str:
    """The class that the config names. Raises UnknownModel unless it loads and has weights."""
    if not isinstance(config["model_type"], str):
        raise UnknownModel(
            f'{folder / "config.json"} has "model_type": {json.dumps(config["model_type"])}, but '
            'expected a name such as "gpt2".'
        )
    named = config.get("architectures", ())
    if named == () or not isinstance(named, (list, type(None))):
        raise UnknownModel(
            f"{folder / 'config.json'} does not name an architecture: expected a config with "
            f'"architectures", such as ["GPT2LMHeadModel"].'
        )
    for architecture in named or ():
        if architecture in ARCHITECTURES:
            break
    else:
        names = ", ".join(map(str, named or ["(none)"]))
        raise UnknownModel(f"The architecture {names} of {folder} is not supported{why_not(named)}")
    if not any((folder / name).is_file() for name in WEIGHTS):
        raise UnknownModel(f"{folder} has a config but no weights: none of {', '.join(WEIGHTS)}.")
    return architecture


def _shows_bar(folder: Path, progress: bool | None) -> bool:
    if progress is not None:
        return progress
    files = [*folder.glob("*.safetensors"), *folder.glob("*.bin")]
    return sum(path.stat().st_size for path in files) > LONG_LOAD


def _with_weights(
    folder: Path, config: dict[str, Any], architecture: str, dtype: str | None, bars: bool
) -> Any:
    """The Hugging Face module. Raises UnknownModel if the files do not hold exactly its weights."""
    if dtype is not None and dtype not in DTYPES:
        raise UnknownModel(f"dtype={dtype!r} is not known. Choose one of: {', '.join(DTYPES)}.")
    try:
        library_config = _library_config(config)
    except Exception as error:  # Each architecture checks its settings in its own way.
        raise UnknownModel(
            f"The settings in {folder / 'config.json'} are not those of a model that transformers "
            f"knows: {reason(error)}"
        ) from error
    try:
        from transformers import AutoModelForCausalLM

        with without_progress_bars(bars):
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                config=library_config,
                local_files_only=True,
                trust_remote_code=False,
                dtype=dtype or "float32",
                attn_implementation="eager",
                ignore_mismatched_sizes=True,  # They are refused below, by name.
                output_loading_info=True,
            )
    except ImportError as error:
        raise UnknownModel(needs_package(folder, error)) from error
    except Exception as error:  # Unpickling, safetensors, JSON and shapes each raise their own.
        raise UnknownModel(f"Cannot read the weights in {folder}: {reason(error)}") from error
    model, info = loaded
    if type(model).__name__ != architecture:
        raise UnknownModel(
            f"The config in {folder} names the architecture {architecture}, but its model_type "
            f"{config['model_type']!r} is that of {type(model).__name__}."
        )
    misshapen = sorted(info["mismatched_keys"])
    require_matching_weights(folder, info["missing_keys"], info["unexpected_keys"], misshapen)
    require_finite_weights(folder, model.named_parameters())
    return model


def _library_config(config: dict[str, Any]) -> Any:
    """The config as an object of transformers, without the settings that say how to run it."""
    from transformers import AutoConfig

    with tempfile.TemporaryDirectory() as place:
        plain = {name: value for name, value in config.items() if name not in RUN_TIME}
        (Path(place) / "config.json").write_text(json.dumps(plain), encoding="utf-8")
        return AutoConfig.from_pretrained(place, local_files_only=True, trust_remote_code=False)


def _checked_bridge(folder: Path, model: Any, architecture: str, tokenizer: Any) -> Any:
    """The bridge around a module. Raises UnknownModel if it does not compute the same."""
    from transformer_lens.model_bridge.sources import build_bridge_from_module

    settings = model.config
    n_ctx = getattr(settings, "max_position_embeddings", None) or 2048
    answer = library_answer(model, model.get_input_embeddings().num_embeddings, n_ctx)
    if isinstance(answer, str):
        raise UnknownModel(f"The model in {folder} is not supported: {answer}")
    _add_missing_biases(model)
    try:
        with without_progress_bars():
            bridge = build_bridge_from_module(
                model, architecture, hf_config=settings, tokenizer=tokenizer
            )
    except Exception as error:
        raise UnknownModel(
            f"TransformerLens cannot take the model in {folder}: {reason(error)}"
        ) from error
    difference = disagreement(bridge, answer)
    if difference:
        raise UnknownModel(
            f"The model in {folder} is not supported: {difference}{_unusual(settings)}"
        )
    return bridge


def _add_missing_biases(model: Any) -> None:
    """Zeros for the biases that a GPT-NeoX lacks: TransformerLens splits them by head."""
    if type(model).__name__ != "GPTNeoXForCausalLM" or model.config.attention_bias:
        return
    from torch import nn

    for layer in model.gpt_neox.layers:
        for projection in (layer.attention.query_key_value, layer.attention.dense):
            projection.bias = nn.Parameter(projection.weight.new_zeros(projection.out_features))


def _unusual(config: Any) -> str:
    """The switches of a config that are not as its class sets them, as a sentence."""
    usual = type(config)().to_dict()
    switches = [
        f"{name}={value}"
        for name, value in config.to_dict().items()
        if isinstance(value, bool) and name in usual and usual[name] != value
    ]
    switches = [switch for switch in switches if not switch.startswith(("use_cache", "tie_word"))]
    return f" Switches in its config that may be the cause: {', '.join(switches)}." * bool(switches)


def _attention_window(config: Any) -> int | None:
    """The number of tokens that a query sees in the layer that sees the fewest; None for all."""
    layers = getattr(config, "layer_types", None) or getattr(config, "attention_layers", None) or ()
    limits = {
        "sliding": getattr(config, "sliding_window", None),
        "local": getattr(config, "window_size", None),
        "chunked": getattr(config, "attention_chunk_size", None),
    }
    if not layers:
        return limits["sliding"]
    used = [
        limit for kind, limit in limits.items() if limit and any(kind in name for name in layers)
    ]
    return min(used, default=None)
