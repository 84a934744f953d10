"""Causal language models in Hugging Face format, in a folder on this machine: nothing is fetched.

Whatever the architecture, one way leads in: the library of Hugging Face builds the model, and
TransformerLens gives it the names of activations and weights that this course uses.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

ARCHITECTURES = (
    "GPT2LMHeadModel", "GPTNeoXForCausalLM", "LlamaForCausalLM", "MistralForCausalLM",
    "Qwen2ForCausalLM",
)  # fmt: skip
"""The classes that load here and are tested: GPT-2, Pythia, Llama, Mistral, Qwen2."""

DTYPES = ("float32", "bfloat16", "float16", "auto")
"""The number types a model can be loaded in. "auto" is the one it was saved in."""

WEIGHTS = ("model.safetensors", "model.safetensors.index.json",
           "pytorch_model.bin", "pytorch_model.bin.index.json")  # fmt: skip
"""The files of which one must be in the folder."""

TOKENIZER_FILES = ("tokenizer_config.json", "tokenizer.json", "tokenizer.model", "vocab.json")

LONG_LOAD = 100e6
"""Folders with more bytes of weights than this show a progress bar unless told otherwise."""


class UnknownModel(ValueError):
    """No model of that name can be loaded here. The message says why, and what would work."""


def is_hugging_face(folder: Path) -> bool:
    """Whether the folder's `config.json` is one of Hugging Face: it names a `model_type`."""
    try:
        return "model_type" in json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


@contextmanager
def without_progress_bars(bars: bool = False) -> Iterator[None]:
    """Inside, the library draws no bars and gives no advice. With `bars`, it does draw bars."""
    from transformers.utils import logging

    bars_before, verbosity_before = logging.is_progress_bar_enabled(), logging.get_verbosity()
    (logging.enable_progress_bar if bars else logging.disable_progress_bar)()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        (logging.enable_progress_bar if bars_before else logging.disable_progress_bar)()
        logging.set_verbosity(verbosity_before)


def load_hugging_face(
    folder: Path, *, device: str = "cpu", dtype: str | None = None, progress: bool | None = None
) -> "TransformerBridge":
    """The model in the folder as a TransformerLens `TransformerBridge`, without gradients.

    `dtype` is one of `DTYPES`; None is float32, in which bfloat16 checkpoints keep every digit they
    have. `bridge.cfg.bos_token` says what `bos_token` of this course answers. `progress` shows a
    bar; None shows one for more than 100 MB of weights. Raises UnknownModel, with one sentence on
    why, if the folder holds no model that can be loaded here.
    """
    architecture = _checked_architecture(folder)
    from transformer_lens.model_bridge.sources import build_bridge_from_module

    tokenizer = load_tokenizer(folder)
    bos = _bos_token(tokenizer, architecture)
    model = _with_weights(folder, dtype, _shows_bar(folder, progress)).to(device)
    with without_progress_bars():
        bridge = build_bridge_from_module(
            model, architecture, hf_config=model.config, tokenizer=tokenizer
        )
    bridge.cfg.bos_token = bos
    bridge.cfg.default_prepend_bos = bos is not None
    return bridge.requires_grad_(False).eval()


def _checked_architecture(folder: Path) -> str:
    """The class that the config names. Raises UnknownModel unless it loads and has weights."""
    try:
        named = json.loads((folder / "config.json").read_text(encoding="utf-8"))["architectures"]
    except (OSError, ValueError, KeyError) as error:
        raise UnknownModel(
            f"{folder / 'config.json'} does not name an architecture: expected a config with "
            f'"architectures", such as ["GPT2LMHeadModel"].'
        ) from error
    for architecture in named or ():
        if architecture in ARCHITECTURES:
            break
    else:
        raise UnknownModel(
            f"The architecture {', '.join(named or ['(none)'])} of {folder} is not supported. "
            f"Supported: {', '.join(ARCHITECTURES)}."
        )
    if not any((folder / name).is_file() for name in WEIGHTS):
        raise UnknownModel(f"{folder} has a config but no weights: none of {', '.join(WEIGHTS)}.")
    return architecture


def _shows_bar(folder: Path, progress: bool | None) -> bool:
    if progress is not None:
        return progress
    files = [*folder.glob("*.safetensors"), *folder.glob("*.bin")]
    return sum(path.stat().st_size for path in files) > LONG_LOAD


def _with_weights(folder: Path, dtype: str | None, bars: bool) -> Any:
    """The Hugging Face module. Raises UnknownModel if a weight is missing or cannot be read."""
    if dtype is not None and dtype not in DTYPES:
        raise UnknownModel(f"dtype={dtype!r} is not known. Choose one of: {', '.join(DTYPES)}.")
    try:
        from transformers import AutoModelForCausalLM

        with without_progress_bars(bars):
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                folder, local_files_only=True, dtype=dtype or "float32",
                attn_implementation="eager", output_loading_info=True,
            )  # fmt: skip
    except ImportError as error:
        raise UnknownModel(_needs(folder, error)) from error
    except Exception as error:  # Unpickling, safetensors, JSON and shapes each raise their own.
        raise UnknownModel(f"Cannot read the weights in {folder}: {reason(error)}") from error
    model, info = loaded
    if info["missing_keys"]:
        missing = sorted(info["missing_keys"])
        raise UnknownModel(
            f"The weights in {folder} are not complete: {missing[0]} is missing"
            + (f", and {len(missing) - 1} more." if missing[1:] else ".")
        )
    return model


def load_tokenizer(folder: Path) -> Any | None:
    """The tokenizer in `folder` as TransformerLens expects it, or None if the model has none.

    A `tokenizer.json` alone that knows `<bos>` is one of this course, which puts it in front of
    every text. Raises UnknownModel if the files are there and cannot be read.
    """
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        return None
    from transformers import AutoTokenizer

    try:
        if _is_of_this_course(folder):
            return _tokenizer_of_this_course(folder)
        with without_progress_bars():
            return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except ImportError as error:
        raise UnknownModel(_needs(folder, error)) from error
    except Exception as error:
        raise UnknownModel(f"Cannot read the tokenizer in {folder}: {reason(error)}") from error


def _is_of_this_course(folder: Path) -> bool:
    if (folder / "tokenizer_config.json").is_file() or not (folder / "tokenizer.json").is_file():
        return False
    tokens = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["added_tokens"]
    return any(token["content"] == "<bos>" for token in tokens)


def _tokenizer_of_this_course(folder: Path) -> Any:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), bos_token="<bos>", eos_token="<bos>",
        pad_token="<bos>", add_bos_token=True, name_or_path=str(folder),
        clean_up_tokenization_spaces=False,
    )  # fmt: skip


def _bos_token(tokenizer: Any | None, architecture: str) -> int | None:
    """The id that stands in front of every text, or None.

    It is there if the tokenizer puts it there. That of GPT-2 does not; but `<|endoftext|>` ends
    every text the model was trained on, so the next one begins after it. Without a tokenizer
    nothing is known: the config's `bos_token_id` is often just the default of the class.
    """
    if tokenizer is None or tokenizer.bos_token_id is None:
        return None
    puts_it_there = tokenizer.encode("a")[:1] == [tokenizer.bos_token_id]
    follows_an_end = architecture == "GPT2LMHeadModel"
    return tokenizer.bos_token_id if puts_it_there or follows_an_end else None


def _needs(folder: Path, error: ImportError) -> str:
    return f"{folder} needs a package that is not installed: {reason(error)}"


def reason(error: Exception) -> str:
    """The first line of what an exception says, as the end of a sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = (lines[0] if lines else type(error).__name__)[:200].rstrip(".:")
    return f"{said}."
