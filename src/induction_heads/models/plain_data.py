"""Models, matrices and answers as plain data, which can be sent, compared and checked.

Plain data is None, bool, int, float, str, tensor, list, tuple, dict, `ModelData`, `FactoredData`,
or `HookData`. `returned_model` builds a model again from data that is not trusted: none of it is
run, and sizes are limited before anything is allocated.
"""

from collections.abc import Hashable
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from induction_heads.models.attention_only import AttentionOnly, AttentionOnlyConfig

MAX_BYTES = 64 * 2**20
MAX_KEYS = 4096
MAX_DEPTH = 40
MAX_BITS = 4096
MAX_LAYERS = 8
MAX_SIZE = 4096
MAX_HEADS = 128
MAX_WEIGHTS = 20_000_000

_SIZES = ("n_layers", "n_heads", "d_model", "d_head", "d_vocab", "n_ctx")


class Unsendable(ValueError):
    """A value that no message can carry. The message names it."""


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
            raise RuntimeError("factors that are not matrices")
        # The product of two narrow factors of a few megabytes can have terabytes.
        rows = self.A.numel() // max(self.A.shape[-1], 1)
        columns = self.B.numel() // max(self.B.shape[-2], 1)
        if rows * columns * 8 > MAX_BYTES:
            raise RuntimeError(f"a product of {rows:,} × {columns:,} numbers")
        return self.A @ self.B


@dataclass(frozen=True)
class HookData:
    """A hook point of TransformerLens as data: its name and layer."""

    name: str

    def layer(self) -> int:
        """The number after `blocks.`. Raises ValueError if the name has none."""
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
    if type(value) is AttentionOnly:
        return _plain_model(value, depth)
    if factors := _factors(value):
        return FactoredData(*(plain(factor, depth + 1) for factor in factors))
    raise Unsendable(named(value))


def count_values(value: Any) -> int:
    """The number of single values in plain data. A model counts as one.

    >>> count_values([1, (torch.zeros(2, 3), {"a": "b"})])
    8
    """
    count, left = 0, [value]
    while left:
        each = left.pop()
        if isinstance(each, (list, tuple)):
            left.extend(each)
        elif isinstance(each, dict):
            left.extend(each.values())
        elif isinstance(each, Tensor):
            count += each.numel()
        elif isinstance(each, FactoredData):
            count += each.A.numel() + each.B.numel()
        else:
            count += 1
    return count


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


def returned_model(value: Any) -> AttentionOnly:
    """The `AttentionOnly` that `value` describes. Raises ValueError with the reason."""
    if not isinstance(value, ModelData):
        raise ValueError("an AttentionOnly model was expected")
    config = _config(value.config)
    model = AttentionOnly(config)
    shapes = {name: list(weight.shape) for name, weight in model.named_parameters()}
    weights = value.weights if isinstance(value.weights, dict) else {}
    if set(weights) != set(shapes):
        raise ValueError("the weights do not have the names of an AttentionOnly")
    for name, weight in weights.items():
        if not isinstance(weight, Tensor) or not weight.is_floating_point():
            raise ValueError(f"{name} is not a tensor of floats")
        if list(weight.shape) != shapes[name]:
            raise ValueError(f"{name} is {list(weight.shape)}, {shapes[name]} was expected")
        if not bool(weight.isfinite().all()):
            raise ValueError(f"{name} holds values that are not finite")
    own = {name: weight.detach().float().clone() for name, weight in weights.items()}
    model.load_state_dict(own)
    return model.requires_grad_(False).eval()


def _config(config: Any) -> AttentionOnlyConfig:
    names = {field.name for field in fields(AttentionOnlyConfig)}
    if not isinstance(config, dict) or set(config) != names:
        raise ValueError("its config is not that of an AttentionOnly")
    for name in _SIZES:
        if type(config[name]) is not int or not 1 <= config[name] <= MAX_SIZE:
            raise ValueError(f"its {name} is not an int from 1 to {MAX_SIZE}")
    if config["n_layers"] > MAX_LAYERS:
        raise ValueError(f"it has more than {MAX_LAYERS} layers")
    if config["normalization"] not in (None, "LN"):
        raise ValueError('its normalization is neither None nor "LN"')
    bos = config["bos_token"]
    if bos is not None and (type(bos) is not int or not 0 <= bos < config["d_vocab"]):
        raise ValueError("its bos_token is not a token")
    if config["n_layers"] * config["n_heads"] > MAX_HEADS:
        raise ValueError(f"it has more than {MAX_HEADS} heads")
    heads = config["n_layers"] * config["n_heads"] * config["d_head"]
    ends = 2 * config["d_vocab"] + config["n_ctx"]
    if (4 * heads + ends) * config["d_model"] > MAX_WEIGHTS:
        raise ValueError(f"it has more than {MAX_WEIGHTS:,} weights")
    return AttentionOnlyConfig(**config)
