"""The tokenizer in the folder of a model, and the token in front of every text."""

import json
from pathlib import Path
from typing import Any

from induction_heads.data.token_ranks import TokenRanks, ranks_in_folder
from induction_heads.models.checkpoint_files import UnknownModel, reason
from induction_heads.models.library_messages import without_progress_bars

TOKENIZER_FILES = ("tokenizer_config.json", "tokenizer.json", "tokenizer.model", "vocab.json")


def load_tokenizer(folder: Path) -> Any | None:
    """The tokenizer in `folder` as TransformerLens expects it, or None if the model has none.

    A `tokenizer.json` alone that knows `<bos>` is one of this course, which puts it in front of
    every text. Where the config names a class with code of its own, that code is never run: the
    `tokenizer.json` beside it is read. Raises UnknownModel if the files cannot be read.
    """
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        return None
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    try:
        if _is_of_this_course(folder):
            return _tokenizer_of_this_course(folder)
        kind = PreTrainedTokenizerFast if _has_own_code(folder) else AutoTokenizer
        with without_progress_bars():
            loaded = kind.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        # TransformerLens loads it again with these settings, and must not ask for its code either.
        loaded.init_kwargs |= {"trust_remote_code": False, "local_files_only": True}
        return loaded
    except UnknownModel:
        raise
    except ImportError as error:
        raise UnknownModel(needs_package(folder, error)) from error
    except Exception as error:
        raise UnknownModel(f"Cannot read the tokenizer in {folder}: {reason(error)}") from error


def _has_own_code(folder: Path) -> bool:
    """Whether the tokenizer names a class of its own. Raises UnknownModel if there is only that."""
    named = [_settings(folder / name) for name in ("tokenizer_config.json", "config.json")]
    maps = [settings.get("auto_map") or {} for settings in named]
    if not any(isinstance(one, list) or "AutoTokenizer" in one for one in maps):
        return False
    if (folder / "tokenizer.json").is_file():
        return True
    raise UnknownModel(
        f"The tokenizer in {folder} is code of its own (auto_map), which is never run here. Save "
        "it as a tokenizer.json, or remove its files to load the model without a tokenizer."
    )


def _settings(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _is_of_this_course(folder: Path) -> bool:
    if (folder / "tokenizer_config.json").is_file() or not (folder / "tokenizer.json").is_file():
        return False
    tokens = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["added_tokens"]
    return any(token["content"] == "<bos>" for token in tokens)


def _tokenizer_of_this_course(folder: Path) -> Any:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"),
        bos_token="<bos>",
        eos_token="<bos>",
        pad_token="<bos>",
        add_bos_token=True,
        name_or_path=str(folder),
        clean_up_tokenization_spaces=False,
    )


def tokenizer_data(tokenizer: Any | None) -> dict[str, Any] | None:
    """The content of the `tokenizer.json` of a tokenizer, or None if it has none."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    return None if backend is None else json.loads(backend.to_str())


def known_ranks(folder: Path, d_vocab: int, tokenizer: Any | None = None) -> TokenRanks | None:
    """`ranks_in_folder` for this tokenizer. Raises UnknownModel for counts that are none."""
    try:
        return ranks_in_folder(folder, d_vocab, tokenizer_data(tokenizer))
    except ValueError as error:
        raise UnknownModel(str(error)) from error


def leading_token(folder: Path, tokenizer: Any | None, architecture: str) -> int | None:
    """The id in front of every text, or None.

    It is there if the tokenizer puts it there. That of GPT-2 does not; but `<|endoftext|>` ends
    every text the model was trained on, so the next one begins after it. Without a tokenizer
    nothing is known: the config's `bos_token_id` is often just the default of the class.
    """
    if tokenizer is None or tokenizer.bos_token_id is None:
        return None
    try:
        puts_it_there = tokenizer.encode("a")[:1] == [tokenizer.bos_token_id]
    except Exception as error:  # Its own code or its tables: each raises its own.
        raise UnknownModel(f"The tokenizer in {folder} fails on a text: {reason(error)}") from error
    follows_an_end = architecture == "GPT2LMHeadModel"
    return tokenizer.bos_token_id if puts_it_there or follows_an_end else None


def needs_package(folder: Path, error: ImportError) -> str:
    """The sentence for a package that a model needs and that is not installed."""
    return f"{folder} needs a package that is not installed: {reason(error)}"
