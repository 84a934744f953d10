"""The messages between judge and worker: JSON for structure, safetensors for tensors, no pickle.

A message is one value: None, bool, int, float, str, tensor, list, tuple, dict, `ModelData`,
`FactoredData`, or `HookData`. Its bytes are a header, a JSON tree and a block of safetensors.
"""

import json
import math
import struct
from typing import Any, Protocol

import torch
from safetensors.torch import load, save
from torch import Tensor

from induction_heads.models.plain_data import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_KEYS,
    FactoredData,
    HookData,
    ModelData,
    Unsendable,
    plain,
)

HEADER = struct.Struct(">4sIQ")
MAGIC = b"IHW1"
MAX_TREE = 8 * 2**20
MAX_NAME = 200
DEEPEST = MAX_DEPTH + 5
"""Levels of a message: an answer and what it is wrapped in."""
STARTED = b"\0started\0"
"""Marks the start of a call in the printed output: what precedes it is not the learner's."""
ENDED = b"\0ended\0"
"""Written among the printed text when a call ends: all that it printed has been read by then."""


class Readable(Protocol):
    """Where messages come from. `read(n)` returns up to n bytes, and none at the end."""

    def read(self, n_bytes: int, /) -> bytes:
        """The next bytes."""
        ...


class Writable(Protocol):
    """Where messages go."""

    def write(self, data: bytes, /) -> int:
        """Write the bytes."""
        ...

    def flush(self) -> None:
        """Pass on what has been written."""
        ...


class Malformed(ValueError):
    """Bytes that are not a message."""


class Closed(EOFError):
    """The other side closed the stream."""


def pack(value: Any) -> bytes:
    """The bytes of one message. Raises Unsendable if it is not plain data or is too large."""
    tensors: dict[str, Tensor] = {}
    try:
        tree = json.dumps(_encode(plain(value), tensors)).encode()
    except (ValueError, RecursionError) as error:
        raise error if isinstance(error, Unsendable) else Unsendable("a value too large") from error
    n_bytes = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if len(tree) > MAX_TREE:
        raise Unsendable(f"{len(tree) / 2**20:,.0f} MB of lists and text (use tensors)")
    if n_bytes + len(tree) > MAX_BYTES:
        n_megabytes = (n_bytes + len(tree)) / 2**20
        raise Unsendable(f"{n_megabytes:,.0f} MB of data (at most {MAX_BYTES // 2**20} MB can be)")
    block = save(tensors) if tensors else b""
    return HEADER.pack(MAGIC, len(tree), len(block)) + tree + block


def _encode(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        key = str(len(tensors))
        if value.is_complex():
            tensors[key] = torch.view_as_real(value).contiguous()
            return ["complex", key]
        tensors[key] = value
        return ["tensor", key]
    if isinstance(value, float):
        return value if math.isfinite(value) else ["float", repr(value)]
    if isinstance(value, (list, tuple)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return [kind, [_encode(item, tensors) for item in value]]
    if isinstance(value, dict):
        items = [[_encode(k, tensors), _encode(v, tensors)] for k, v in value.items()]
        return ["dict", items]
    if isinstance(value, ModelData):
        fields = {"config": value.config, "weights": value.weights, "tokenizer": value.tokenizer}
        return ["model", _encode(plain(fields), tensors)]
    if isinstance(value, HookData):
        return ["hook", value.name]
    if isinstance(value, FactoredData):
        return ["factored", [_encode(value.A, tensors), _encode(value.B, tensors)]]
    return value


def _decode(node: Any, tensors: dict[str, Tensor], depth: int = 0) -> Any:
    if depth > DEEPEST:
        raise Malformed(f"more than {DEEPEST} levels")
    if not isinstance(node, list):
        if isinstance(node, dict):
            raise Malformed("an unexpected JSON object")
        return node
    if len(node) != 2 or not isinstance(node[0], str):
        raise Malformed("a list without its kind")
    kind, content = node
    if kind in ("list", "tuple"):
        items = [_decode(item, tensors, depth + 1) for item in content]
        return tuple(items) if kind == "tuple" else items
    if kind == "dict":
        if len(content) > MAX_KEYS:  # Colliding keys make a dict take minutes.
            raise Malformed(f"a dict of {len(content):,} keys")
        return {
            _decode(key, tensors, depth + 1): _decode(item, tensors, depth + 1)
            for key, item in content
        }
    if kind == "tensor":
        return tensors[content]
    if kind == "complex":
        return torch.view_as_complex(tensors[content])
    if kind == "float":
        return float(content)
    if kind == "model":
        return _model(_decode(content, tensors, depth + 1))
    if kind == "hook":
        return _hook(content)
    if kind == "factored":
        return _factored([_decode(factor, tensors, depth + 1) for factor in content])
    raise Malformed(f"an unknown kind {kind!r}")


def _factored(factors: list[Any]) -> FactoredData:
    if len(factors) != 2 or not all(isinstance(factor, Tensor) for factor in factors):
        raise Malformed("factors that are not two tensors")
    return FactoredData(*factors)


def _hook(name: Any) -> HookData:
    if not isinstance(name, str) or len(name) > MAX_NAME:
        raise Malformed("a hook without a name")
    return HookData(name)


def _model(members: Any) -> ModelData:
    """A model of the right kinds of members. `returned_model` checks that they fit together."""
    if not isinstance(members, dict) or set(members) != {"config", "weights", "tokenizer"}:
        raise Malformed("a model with other members")
    config, weights, tokenizer = (members[key] for key in ("config", "weights", "tokenizer"))
    if not isinstance(config, dict) or not all(isinstance(name, str) for name in config):
        raise Malformed("a model without a config")
    if not isinstance(weights, dict) or not all(
        isinstance(name, str) and isinstance(weight, Tensor) for name, weight in weights.items()
    ):
        raise Malformed("a model without weights")
    if tokenizer is not None and (not isinstance(tokenizer, str) or len(tokenizer) > MAX_NAME):
        raise Malformed("a model whose tokenizer is not a name")
    return ModelData(config, weights, tokenizer)


def _read_exactly(stream: Readable, n_bytes: int) -> bytes:
    data = bytearray()
    while len(data) < n_bytes:
        chunk = stream.read(min(n_bytes - len(data), 2**20))
        if not chunk:
            raise Closed
        data += chunk
    return bytes(data)


def read_message(stream: Readable, limit: int = MAX_BYTES + MAX_TREE) -> Any:
    """The next message of `stream`. Raises Closed at its end and Malformed for invalid bytes."""
    magic, n_tree, n_block = HEADER.unpack(_read_exactly(stream, HEADER.size))
    if magic != MAGIC or n_tree > MAX_TREE or n_tree + n_block > limit:
        raise Malformed("no valid header")
    tree, block = _read_exactly(stream, n_tree), _read_exactly(stream, n_block)
    try:
        return _decode(json.loads(tree), load(block) if block else {})
    except Exception as error:  # A submission may forge a message: no bytes may stop the judge.
        raise Malformed(f"{type(error).__name__}: {error}"[:200]) from error


def write_message(stream: Writable, value: Any) -> None:
    """Send one message. Raises Unsendable before any byte is written."""
    data = pack(value)
    stream.write(data)
    stream.flush()
