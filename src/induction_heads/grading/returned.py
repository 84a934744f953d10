"""A model that a submission returned, built into the judge's own class after a look at every field.

The data comes from a process that is not trusted: nothing of it is run, and sizes are limited
before anything is allocated.
"""

from dataclasses import fields
from typing import Any

from torch import Tensor

from induction_heads.attention_only import AttentionOnly, AttentionOnlyConfig
from induction_heads.grading.wire import ModelData

MAX_LAYERS = 8
MAX_SIZE = 4096
MAX_WEIGHTS = 20_000_000

_SIZES = ("n_layers", "n_heads", "d_model", "d_head", "d_vocab", "n_ctx")


def returned_model(value: Any) -> AttentionOnly:
    """The `AttentionOnly` that `value` describes. Raises ValueError that says what is wrong."""
    if not isinstance(value, ModelData):
        raise ValueError("an AttentionOnly model was expected")
    config = _config(value.config)
    model = AttentionOnly(config)
    wanted = {name: list(weight.shape) for name, weight in model.named_parameters()}
    weights = value.weights if isinstance(value.weights, dict) else {}
    if set(weights) != set(wanted):
        raise ValueError("the weights do not have the names of an AttentionOnly")
    for name, weight in weights.items():
        if not isinstance(weight, Tensor) or not weight.is_floating_point():
            raise ValueError(f"{name} is not a tensor of floats")
        if list(weight.shape) != wanted[name]:
            raise ValueError(f"{name} is {list(weight.shape)}, {wanted[name]} was expected")
        if not bool(weight.isfinite().all()):
            raise ValueError(f"{name} holds values that are not finite")
    own = {name: weight.detach().float().clone() for name, weight in weights.items()}
    model.load_state_dict(own)
    return model.requires_grad_(False).eval()


def _config(given: Any) -> AttentionOnlyConfig:
    names = {field.name for field in fields(AttentionOnlyConfig)}
    if not isinstance(given, dict) or set(given) != names:
        raise ValueError("its config is not that of an AttentionOnly")
    for name in _SIZES:
        if type(given[name]) is not int or not 1 <= given[name] <= MAX_SIZE:
            raise ValueError(f"its {name} is not an int from 1 to {MAX_SIZE}")
    if given["n_layers"] > MAX_LAYERS:
        raise ValueError(f"it has more than {MAX_LAYERS} layers")
    if given["normalization"] not in (None, "LN"):
        raise ValueError('its normalization is neither None nor "LN"')
    bos = given["bos_token"]
    if bos is not None and (type(bos) is not int or not 0 <= bos < given["d_vocab"]):
        raise ValueError("its bos_token is no token")
    heads = given["n_layers"] * given["n_heads"] * given["d_head"]
    ends = 2 * given["d_vocab"] + given["n_ctx"]
    if (4 * heads + ends) * given["d_model"] > MAX_WEIGHTS:
        raise ValueError(f"it has more than {MAX_WEIGHTS:,} weights")
    return AttentionOnlyConfig(**given)
