"""The arguments of a call, made from plain data: values are copied, models are built once.

Building a `TransformerBridge` takes longer than most calls. A model is therefore used again for the
next call that gets the same one, as long as nothing about it has changed.
"""

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from induction_heads.models.plain_data import FactoredData, ModelData

MAX_IDLE = 32
"""Models that are kept for later calls: more than the cases of any exercise have."""


KEPT_BY_TRANSFORMER_LENS = ("_block_alias_cache", "_captured_pre_ln_residual")
"""What a run leaves on a model and the next run replaces: names of hooks, and an activation."""


@dataclass(frozen=True)
class _Built:
    """A model, the data it was built from, and what it was like before anyone used it."""

    data: ModelData
    model: Any
    weights: dict[str, Tensor]
    buffers: dict[str, Tensor]
    state: dict[tuple[str, str], tuple]

    def has_own_weights(self) -> bool:
        """Whether every weight has the value that it was built with."""
        try:
            return _same_tensors(self.weights, dict(self.model.named_parameters()))
        except Exception:  # The learner may have made anything of it.
            return False

    def is_intact(self) -> bool:
        """Whether weights, hooks, settings and attributes are as they were built."""
        try:
            _forget_the_last_run(self.model)
            buffers = dict(self.model.named_buffers())
            return (
                self.has_own_weights()
                and _same_tensors(self.buffers, buffers)
                and _same_state(self.state, _state(self.model))
            )
        except Exception:
            return False


class LiveModels:
    """Models built from `ModelData`, each lent to one call at a time.

    The oracle never shares them with a submission, which may spoil a model in a way not seen here.
    """

    def __init__(self) -> None:
        self._idle: list[_Built] = []
        self._lent: list[_Built] = []

    @contextmanager
    def live(self, value: Any) -> Iterator[Any]:
        """A fresh copy of plain data, with `ModelData` as a `TransformerBridge`, for one call."""
        before = len(self._lent)
        try:
            yield self._copy(value)
        finally:
            returned, self._lent = self._lent[before:], self._lent[:before]
            intact = [built for built in returned if built.is_intact()]
            self._idle = [*intact, *self._idle][:MAX_IDLE]

    def has_own_weights(self, model: Any) -> bool:
        """Whether a model that is lent now has the weights it was built with."""
        return any(built.model is model and built.has_own_weights() for built in self._lent)

    def forget_changed(self) -> None:
        """Drop the models that were changed after the call that they were lent to."""
        self._idle = [built for built in self._idle if built.is_intact()]

    def _copy(self, value: Any) -> Any:
        if isinstance(value, ModelData):
            return self._borrowed(value)
        if isinstance(value, FactoredData):
            from transformer_lens import FactoredMatrix

            return FactoredMatrix(value.A.clone(), value.B.clone())
        if isinstance(value, (list, tuple)):
            return type(value)(self._copy(item) for item in value)
        if isinstance(value, dict):
            return {key: self._copy(item) for key, item in value.items()}
        return value.clone() if isinstance(value, Tensor) else value

    def _borrowed(self, data: ModelData) -> Any:
        index = next((i for i, b in enumerate(self._idle) if _same_data(b.data, data)), None)
        built = _build(data) if index is None else self._idle.pop(index)
        self._lent.append(built)
        return built.model


def _build(data: ModelData) -> _Built:
    from induction_heads.models import loading

    # Layers draw their first weights at random: the caller's random numbers must not depend on it.
    with torch.random.fork_rng(devices=[]):
        plain = loading.AttentionOnly(loading.AttentionOnlyConfig(**data.config))
        plain.load_state_dict(data.weights)
        tokenizer = loading.load_tokenizer(loading.ZOO / data.tokenizer) if data.tokenizer else None
        model = loading.to_transformer_lens(plain, tokenizer)
    # TransformerLens adds its own hooks, and lists of their names, when it first runs.
    model.run_with_cache(torch.zeros(1, 1, dtype=torch.long))
    _forget_the_last_run(model)
    weights = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    return _Built(data, model, weights, buffers, _state(model))


def _forget_the_last_run(model: torch.nn.Module) -> None:
    for module in model.modules():
        for name in KEPT_BY_TRANSFORMER_LENS:
            if name in vars(module):
                setattr(module, name, None)


def _same_data(left: ModelData, right: ModelData) -> bool:
    return left is right or (
        (left.config, left.tokenizer) == (right.config, right.tokenizer)
        and _same_tensors(left.weights, right.weights)
    )


def _same_tensors(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(
        _same_tensor(tensor, right[name]) for name, tensor in left.items()
    )


def _same_tensor(left: Tensor, right: Tensor) -> bool:
    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    return torch.equal(left, right) or torch.equal(left.nan_to_num(), right.nan_to_num())


def _state(model: torch.nn.Module) -> dict[tuple[str, str], tuple]:
    """Every attribute of a module, its parts and its config, as the objects that it holds."""
    state = {
        (name, key): _objects(value)
        for name, module in model.named_modules()
        for key, value in vars(module).items()
    }
    for key, value in vars(model.cfg).items():
        state["cfg", key] = _objects(value)
    for name, weight in model.named_parameters():
        state["weights", name] = weight.requires_grad, weight.grad
    return state


def _objects(value: Any) -> tuple:
    if isinstance(value, dict):
        return (*value, *value.values())
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)


def _same_state(left: dict[tuple[str, str], tuple], right: dict[tuple[str, str], tuple]) -> bool:
    """Whether both hold the same objects. Equal ones will not do: they may differ inside."""
    return left.keys() == right.keys() and all(
        len(values) == len(right[key]) and all(map(operator.is_, values, right[key]))
        for key, values in left.items()
    )
