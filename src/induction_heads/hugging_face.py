"""Models saved in Hugging Face format, in a folder on this machine: no connection is opened."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


def is_hugging_face(folder: Path) -> bool:
    """Whether the folder's `config.json` is one of Hugging Face: it names a `model_type`."""
    try:
        return "model_type" in json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


@contextmanager
def without_progress_bars() -> Iterator[None]:
    """Inside, the library draws no bars: these models take no time to read or write."""
    from transformers.utils import logging

    bars_before = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if bars_before:
            logging.enable_progress_bar()


def load_hugging_face(folder: Path, tokenizer: Any | None = None) -> "TransformerBridge":
    """The model in the folder as a TransformerLens `TransformerBridge`, in float32, on the CPU.

    Raises OSError or ValueError if the weights or the config cannot be read.
    """
    from transformer_lens.model_bridge.sources import build_bridge_from_module
    from transformers import AutoModelForCausalLM

    with without_progress_bars():
        model = AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, dtype="float32", attn_implementation="eager"
        )
    architecture = type(model).__name__
    bridge = build_bridge_from_module(
        model, architecture, hf_config=model.config, tokenizer=tokenizer
    )
    return bridge.requires_grad_(False).eval()
