"""The data that judge and worker exchange: JSON for structure, safetensors for tensors, no pickle.

A message is one value: None, bool, int, float, str, tensor, list, tuple, dict, `ModelData`,
`FactoredData`, or `HookData`.
On the wire it is a header, a JSON tree and a block of safetensors bytes.
"""

import json
import math
import struct
from collections.abc import Hashable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, BinaryIO

import torch
from safetensors.torch import load, save
from torch import Tensor

HEADER = struct.Struct(">4sIQ")
MAGIC = b"IHW1"
MAX_BYTES = 64 * 2**20
MAX_TREE = 8 * 2**20
MAX_KEYS = 4096
MAX_DEPTH = 40
MAX_BITS = 4096
STARTED = b"\0started\0"
"""Written among the printed text when a call starts: what comes before is not the learner's."""


class Unsendable(ValueError):
    """A value that no message can carry. The message says what it is."""


class Malformed(ValueError):
    """Bytes that are not a message."""


class Closed(EOFError):
    """The other side closed the stream."""


@dataclass(frozen=True)
class ModelData:
    """A model as data: the fields of its `AttentionOnlyConfig`, weights, name of its tokenizer."""

    config: dict[str, Any]
    weights: dict[str, Tensor]
    tokenizer: str | None = None


@dataclass(frozen=True)
class FactoredData:
    """A TransformerLens `FactoredMatrix` as data: the factors A and B of the matrix A B."""

    A: Tensor
    B: Tensor

    def dense(self) -> Tensor:
        """The matrix itself. Raises RuntimeError if there is none, or if it is too large."""
        if min(self.A.dim(), self.B.dim()) < 2:
            raise RuntimeError("factors that are no matrices")
        # Two narrow factors of a few megabytes can stand for terabytes.
        rows = self.A.numel() // max(self.A.shape[-1], 1)
        columns = self.B.numel() // max(self.B.shape[-2], 1)
        if rows * columns * 8 > MAX_BYTES:
            raise RuntimeError(f"a product of {rows:,} × {columns:,} numbers")
        return self.A @ self.B


@dataclass(frozen=True)
class HookData:
    """What a hook function of TransformerLens may ask of its hook point: its name and layer."""

    name: str

    def layer(self) -> int:
        """The number after `blocks.`. Raises ValueError where the name holds none."""
        return int(self.name.split(".")[1])


def plain(value: Any, depth: int = 0) -> Any:
    """A copy of `value` made of plain data: tensors detached and on the CPU, numpy converted.

    Raises Unsendable for anything else: a generator, an object, a structure deeper than 40 levels.
    """
    if depth > MAX_DEPTH:
        raise Unsendable(f"something nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, Tensor):
        return _plain_tensor(value)
    if type(value) is int and value.bit_length() > MAX_BITS:
        raise Unsendable(f"an int of {value.bit_length():,} bits")
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, (bool, int, float, str)) and not _from_numpy(value):
        base = next(kind for kind in (bool, int, float, str) if isinstance(value, kind))
        return base(value)
    if _from_numpy(value):
        return _plain_numpy(value)
    if type(value) is Fraction:
        return _plain_fraction(value)
    if isinstance(value, tuple):
        return tuple(plain(item, depth + 1) for item in value)
    if isinstance(value, list):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, dict):
        items = [(plain(key, depth + 1), plain(item, depth + 1)) for key, item in value.items()]
        if len(items) > MAX_KEYS:
            raise Unsendable(f"a dict of {len(items):,} keys (at most {MAX_KEYS:,} can be)")
        if any(not _is_key(key) for key, _ in items):
            raise Unsendable("a dict with tensors as keys")
        return dict(items)
    if isinstance(value, (ModelData, HookData)):
        return value
    if _is_model(value):
        return _plain_model(value, depth)
    if factors := _factors(value):
        return FactoredData(*(plain(factor, depth + 1) for factor in factors))
    raise Unsendable(named(value))


def count_values(value: Any) -> int:
    """How many numbers, words and other single values plain data holds. A model counts as one."""
    if isinstance(value, Tensor):
        return value.numel()
    if isinstance(value, (list, tuple)):
        return sum(map(count_values, value))
    if isinstance(value, dict):
        return sum(map(count_values, value.values()))
    if isinstance(value, FactoredData):
        return value.A.numel() + value.B.numel()
    return 1


def named(value: Any) -> str:
    """A value by its type: "a list", "an int"."""
    kind = type(value).__name__
    return f"{'an' if kind[:1].lower() in 'aeiou' else 'a'} {kind}"


def _factors(value: Any) -> tuple[Any, Any] | None:
    """The factors of a FactoredMatrix, known by name: importing TransformerLens takes seconds."""
    kind = type(value)
    if kind.__name__ == "FactoredMatrix" and kind.__module__.startswith("transformer_lens."):
        return value.A, value.B
    return (value.A, value.B) if isinstance(value, FactoredData) else None


def _is_model(value: Any) -> bool:
    """Whether this is an `AttentionOnly`, known by name."""
    kind = type(value)
    return (kind.__module__, kind.__name__) == ("induction_heads.attention_only", "AttentionOnly")


def _plain_model(value: Any, depth: int) -> ModelData:
    """The sizes and weights of an `AttentionOnly`. Its code stays behind."""
    fields = {name: getattr(value.config, name) for name in value.config.__dataclass_fields__}
    weights = {name: plain(weight, depth + 1) for name, weight in value.named_parameters()}
    return ModelData(plain(fields, depth + 1), weights)


def _is_key(key: Any) -> bool:
    return isinstance(key, Hashable) and not isinstance(key, Tensor)


def _from_numpy(value: Any) -> bool:
    return type(value).__module__.split(".")[0] == "numpy"


def _plain_numpy(value: Any) -> Any:
    kind = type(value).__name__
    if kind != "ndarray":
        item = value.item() if hasattr(value, "item") else value
        if type(item) in (bool, int, float, str):
            return item
        raise Unsendable(f"a numpy {kind}")
    try:
        return torch.from_numpy(value.copy())
    except TypeError:
        raise Unsendable(f"a numpy array of {value.dtype}") from None


def _plain_fraction(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        raise Unsendable("a Fraction beyond the floats") from None


def _plain_tensor(value: Tensor) -> Tensor:
    if value.is_meta or value.is_quantized:
        raise Unsendable("a tensor without ordinary values")
    n_bytes = value.numel() * value.element_size()
    if n_bytes > MAX_BYTES:
        raise Unsendable(
            f"a tensor of shape {list(value.shape)}, {n_bytes / 2**20:,.0f} MB "
            f"(at most {MAX_BYTES // 2**20} MB can be)"
        )
    value = value.detach()
    dense = value if value.layout == torch.strided else value.to_dense()
    exact = dense.resolve_conj().resolve_neg().cpu()
    return exact.contiguous().clone().as_subclass(Tensor)


def pack(value: Any) -> bytes:
    """The bytes of one message. Raises Unsendable for what is not plain data or is too large."""
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


def _decode(node: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(node, list):
        if isinstance(node, dict):
            raise Malformed("an unexpected JSON object")
        return node
    kind, content = node
    if kind in ("list", "tuple"):
        items = [_decode(item, tensors) for item in content]
        return tuple(items) if kind == "tuple" else items
    if kind == "dict":
        if len(content) > MAX_KEYS:  # Keys can be made to collide: a dict of them takes minutes.
            raise Malformed(f"a dict of {len(content):,} keys")
        return {_decode(key, tensors): _decode(item, tensors) for key, item in content}
    if kind == "tensor":
        return tensors[content]
    if kind == "complex":
        return torch.view_as_complex(tensors[content])
    if kind == "float":
        return float(content)
    if kind == "model":
        return ModelData(**_decode(content, tensors))
    if kind == "hook":
        return HookData(str(content))
    if kind == "factored":
        return FactoredData(*(_decode(factor, tensors) for factor in content))
    raise Malformed(f"an unknown kind {kind!r}")


def _read_exactly(stream: BinaryIO, n_bytes: int) -> bytes:
    data = bytearray()
    while len(data) < n_bytes:
        chunk = stream.read(min(n_bytes - len(data), 2**20))
        if not chunk:
            raise Closed
        data += chunk
    return bytes(data)


def read_message(stream: BinaryIO, limit: int = MAX_BYTES + MAX_TREE) -> Any:
    """The next message of `stream`. Raises Closed at its end, Malformed for anything else."""
    magic, n_tree, n_block = HEADER.unpack(_read_exactly(stream, HEADER.size))
    if magic != MAGIC or n_tree > MAX_TREE or n_tree + n_block > limit:
        raise Malformed("no valid header")
    tree, block = _read_exactly(stream, n_tree), _read_exactly(stream, n_block)
    try:
        return _decode(json.loads(tree), load(block) if block else {})
    except Exception as error:  # The other side may send anything: no bytes may stop the judge.
        raise Malformed(f"{type(error).__name__}: {error}"[:200]) from error


def write_message(stream: BinaryIO, value: Any) -> None:
    """Send one message. Raises Unsendable before a byte is written."""
    data = pack(value)
    stream.write(data)
    stream.flush()
