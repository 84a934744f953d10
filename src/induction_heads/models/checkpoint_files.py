"""What the files of a checkpoint say before and after they are read, and why some cannot be loaded.

Every refusal is one sentence with a name in it: of a file, a setting or a weight.
"""

import json
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

_POINTER = b"version https://git-lfs"
_READ = {".safetensors", ".bin", ".pth", ".json", ".model", ".txt"}

_BUFFERS = re.compile(
    r"(^|\.)(attn|attention|self_attn|self_attention)\.(attention\.)?(bias|masked_bias)$"
    r"|(^|\.)rotary_emb\.(\w*inv_freq|cos_cached|sin_cached)$"
    r"|(^|\.)(position_ids|embed_positions)$"
)
"""Masks and tables of angles that older versions of the library stored beside the weights."""

_WRAPPERS = {
    "_orig_mod.": "torch.compile",
    "module.": "DistributedDataParallel",
    "base_model.model.": "PEFT",
}
"""What the names of weights begin with when a wrapped model was saved."""

RUN_TIME = frozenset(
    {
        "_attn_implementation",
        "_attn_implementation_autoset",
        "_attn_implementation_internal",
        "_experts_implementation",
        "attn_implementation",
        "auto_map",
        "device_map",
        "low_cpu_mem_usage",
        "output_attentions",
        "output_hidden_states",
        "return_dict",
        "torchscript",
        "trust_remote_code",
        "use_cache",
        "use_flash_attention",
        "use_flash_attention_2",
        "use_flash_attn",
        "use_return_dict",
    }
)
"""Settings of a config that say how a library should run the model. The course sets its own."""

_REFUSED = {
    "quantization_config": "its weights are quantized",
    "compression_config": "its weights are compressed",
    "load_in_8bit": "its weights are quantized",
    "load_in_4bit": "its weights are quantized",
    "pruned_heads": "some of its heads were cut out",
}
"""Settings with which a checkpoint is not the plain model of its architecture."""


class UnknownModel(ValueError):
    """No model of that name can be loaded here. The message says why, and what would work."""


def reason(error: Exception) -> str:
    """The first line of an exception's message, as the end of a sentence.

    A line that ends in a colon says nothing without the next one.
    """
    if isinstance(error, KeyError):
        return f"there is no {error.args[0]!r}." if error.args else "a name is missing."
    if isinstance(error, ZeroDivisionError):
        return "one of the sizes is 0."
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].endswith(":"):
        lines[0] += f" {lines[1]}"
    message = (lines[0] if lines else type(error).__name__)[:200].rstrip(".:")
    return f"{message}."


def read_config(folder: Path) -> dict[str, Any]:
    """The settings in the folder's `config.json`, with or without a byte-order mark.

    Raises UnknownModel if the file is not a JSON object.
    """
    path = folder / "config.json"
    try:
        settings = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise UnknownModel(f"{path} cannot be read as JSON: {reason(error)}") from error
    if not isinstance(settings, dict):
        raise UnknownModel(
            f"{path} holds {_json_kind(settings)}, but expected an object with settings such as "
            '{"model_type": "gpt2", …}.'
        )
    return settings


def _json_kind(value: object) -> str:
    kinds = {list: "a list", str: "a text", bool: "a truth value", type(None): "null"}
    return kinds.get(type(value), "a number")


_NUMBERS = {"F64", "F32", "F16", "BF16"}
"""The types of numbers that weights may be stored in, as safetensors writes them."""


def require_plain_numbers(folder: Path) -> None:
    """Raise UnknownModel, naming a weight, if one is stored in a type that needs a scale.

    Whole numbers and floating-point numbers of 8 bits are what quantized weights are stored in.
    Read as they are, they give another model. Masks and other buffers may be of any type.
    """
    for name, kind, _ in _stored(folder):
        if kind in _NUMBERS or not name.endswith(("weight", "bias")) or _BUFFERS.search(name):
            continue
        raise UnknownModel(
            f"{name} in {folder} is stored as {kind}, as in a quantized checkpoint, and not as "
            "floating-point numbers of 16 or more bits. Load the full checkpoint."
        )


def _stored(folder: Path) -> Iterator[tuple[str, str, int]]:
    """Name, number type and number of values of every tensor in the files that would be loaded."""
    whole = folder / "model.safetensors"
    stored = [whole] if whole.is_file() else sorted(folder.glob("model-*.safetensors"))
    for path in stored:
        with suppress(OSError, SafetensorError), safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118
                tensor = file.get_slice(name)
                yield name, str(tensor.get_dtype()), math.prod(tensor.get_shape())
    for path in () if stored else sorted(folder.glob("pytorch_model*.bin")):
        with suppress(Exception):  # A file that cannot be read is refused where it is loaded.
            tensors = torch.load(path, map_location="meta", weights_only=True)
            for name, tensor in tensors.items():
                kind = _SHORT.get(tensor.dtype, str(tensor.dtype).removeprefix("torch."))
                yield name, kind, tensor.numel()


_SHORT = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
}


_LAYERS = ("n_layers", "n_layer", "num_layers", "num_hidden_layers", "decoder_layers")
_WIDTHS = (
    *("d_model", "d_head", "d_vocab", "n_embd", "hidden_size", "vocab_size"),
    *("n_heads", "n_head", "num_heads", "num_attention_heads"),
    *("n_inner", "ffn_dim", "intermediate_size"),
)
"""Settings of which every value is a row, a column or a head of some weight."""


def require_possible_sizes(folder: Path, config: Mapping[str, Any]) -> None:
    """Raise UnknownModel, naming a setting, if the files are too small for the config's sizes.

    The library builds the model of a config before it looks at the weights, and one with ten
    million layers would take hours.
    """
    stored = [size for _, _, size in _stored(folder)]
    held = {"layers": len(stored), "values": sum(stored)}
    for names, kind in ((_LAYERS, "layers"), (_WIDTHS, "values")):
        for name in names:
            size = config.get(name)
            if isinstance(size, int) and stored and size > held[kind]:
                raise UnknownModel(
                    f'The config in {folder} has "{name}": {size:,}, but its files hold '
                    f"{len(stored):,} weights with {held['values']:,} values in all. The config "
                    "belongs to another model, or files are missing."
                )


def require_files_inside(folder: Path) -> None:
    """Raise UnknownModel if an index of shards names a file outside the folder."""
    for path in sorted(folder.glob("*.index.json")):
        try:
            index = json.loads(path.read_text(encoding="utf-8-sig"))
            names = {*index["weight_map"].values()}
        except (OSError, ValueError, RecursionError, LookupError, TypeError, AttributeError):
            continue  # Refused, with the reason, where the shards are loaded.
        for name in names:
            shard = PurePosixPath(str(name).replace("\\", "/"))
            if shard.is_absolute() or ".." in shard.parts or ":" in str(name):
                raise UnknownModel(
                    f"{path} names the file {name!r}, which is outside {folder}. The files of a "
                    "checkpoint lie beside its index."
                )


def require_whole_files(folder: Path) -> None:
    """Raise UnknownModel if a file is a Git LFS pointer, or if the folder is one of an adapter."""
    for path in sorted(folder.iterdir()):
        if path.suffix not in _READ or not path.is_file():
            continue
        with path.open("rb") as file:
            if file.read(len(_POINTER)) == _POINTER:
                raise UnknownModel(
                    f"{path} is a Git LFS pointer, not the file itself. Run `git lfs pull` there."
                )
    if (folder / "adapter_config.json").is_file():
        raise UnknownModel(adapter_sentence(folder))


def adapter_sentence(folder: Path) -> str:
    """Why the folder of an adapter, such as LoRA, is not loaded."""
    merged = (
        " If that was done already, remove adapter_config.json."
        if (folder / "config.json").is_file()
        else ""
    )
    return (
        f"{folder} holds an adapter (adapter_config.json), which changes another model. Merge it "
        f"into that model (`merge_and_unload` of PEFT), save the result and load that.{merged}"
    )


def require_plain_settings(folder: Path, config: Mapping[str, Any]) -> None:
    """Raise UnknownModel if the config says that the weights are quantized or were cut."""
    for name, meaning in _REFUSED.items():
        if config.get(name):
            raise UnknownModel(
                f'The config in {folder} has "{name}": {meaning}. Load the full checkpoint.'
            )


def require_matching_weights(
    folder: Path,
    missing: Collection[str],
    unused: Collection[str],
    misshapen: Sequence[tuple[str, Any, Any]] = (),
) -> None:
    """Raise UnknownModel, naming a weight, unless the file and the model hold the same weights.

    `misshapen` holds (name, shape in the file, shape in the model). Buffers that older versions
    of the library stored do not count as unused.
    """
    unused = sorted(name for name in unused if not _BUFFERS.search(name))
    prefix = _common_prefix(missing, unused)
    if prefix:
        wrapper = f", as {_WRAPPERS[prefix]} saves them" if prefix in _WRAPPERS else ""
        raise UnknownModel(
            f"The names of the weights in {folder} begin with {prefix!r}{wrapper}. Remove that "
            "from every name, and save the file again."
        )
    if misshapen:
        name, stored, expected = misshapen[0]
        raise UnknownModel(
            f"The weights in {folder} do not fit its config: {name} has the shape {list(stored)}, "
            f"but the config asks for {list(expected)}{_others(misshapen)}"
        )
    if missing:
        first = sorted(missing)[0]
        raise UnknownModel(
            f"The weights in {folder} are not complete: {first} is missing{_others(missing)}"
            + (f" The file holds {unused[0]} instead{_others(unused)}" if unused else "")
        )
    if unused:
        raise UnknownModel(
            f"The file in {folder} holds weights that a model of this config does not use: "
            f"{unused[0]}{_others(unused)} Check the settings of its config.json."
        )


def _common_prefix(missing: Iterable[str], unused: Sequence[str]) -> str | None:
    """What comes before every unused name that is otherwise the name of a missing weight."""
    for expected in missing:
        for name in unused:
            if name.endswith(f".{expected}"):
                return name.removesuffix(expected)
    return None


def _others(names: Collection[Any]) -> str:
    return f", and {len(names) - 1} more." if len(names) > 1 else "."


def require_finite_weights(folder: Path, weights: Iterable[tuple[str, Tensor]]) -> None:
    """Raise UnknownModel, naming a weight, if one holds a value that is not finite."""
    for name, weight in weights:
        # The largest magnitude is NaN if any value is. It needs no copy of the weight.
        if weight.is_floating_point() and weight.numel():
            largest = torch.linalg.vector_norm(weight.detach(), torch.inf)
            if not largest.isfinite():
                short = weight.dtype == torch.float16
                raise UnknownModel(
                    f"{name} in {folder} holds values that are not finite (NaN or infinite)"
                    + (", at least in float16. Try dtype float32." if short else ".")
                )


def require_token(token: int | None, d_vocab: int, origin: object) -> None:
    """Raise UnknownModel if the BOS token in a file is not one of the `d_vocab` of the model."""
    if token is not None and not 0 <= token < d_vocab:
        raise UnknownModel(
            f"The BOS token {token} of {origin} is outside the model's vocabulary of {d_vocab}. "
            "The file belongs to another model, or the embedding was not resized."
        )
