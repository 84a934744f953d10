"""What the rest of the package expects of a model, whichever of the two kinds it is."""

from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from induction_heads.models.attention_only import AttentionOnly


@runtime_checkable
class HookedModel(Protocol):
    """A model with TransformerLens hooks: a `TransformerBridge` of any architecture.

    Its parts (`blocks`, `ln_final`, `unembed`) and its weights (`W_E`, `W_pos`, `W_U`) have the
    names that TransformerLens gives them.
    """

    cfg: Any

    def run_with_hooks(self, *args: Any, **kwargs: Any) -> Any:
        """The output of a forward pass with `fwd_hooks` set."""
        ...

    def run_with_cache(self, *args: Any, **kwargs: Any) -> Any:
        """The output of a forward pass and its activations by name."""
        ...

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The logits of a forward pass."""
        ...

    def __getattr__(self, name: str) -> Any: ...


Model = AttentionOnly | HookedModel
"""Either kind of model that scores, circuits and ablations take."""


def model_config(model: Model) -> Any:
    """The sizes of a model: `n_layers`, `n_heads`, `d_model`, `d_head`, `d_vocab`, `n_ctx`."""
    return model.config if isinstance(model, AttentionOnly) else model.cfg


def require_head(model: Model, layer: int, head: int) -> None:
    """Raise ValueError unless the model has this head. Layers and heads are counted from 0."""
    n_layers, n_heads = model_config(model).n_layers, model_config(model).n_heads
    if not (0 <= layer < n_layers and 0 <= head < n_heads):
        raise ValueError(
            f"There is no L{layer}H{head}: this model has {n_layers} layer{'s' * (n_layers != 1)} "
            f"of {n_heads} head{'s' * (n_heads != 1)}."
        )


def require_tokens(model: Model, tokens: Tensor) -> None:
    """Raise ValueError unless `tokens` are ids [batch, pos] of the model's vocabulary that fit."""
    config = model_config(model)
    if tokens.ndim != 2 or tokens.is_floating_point() or tokens.dtype == torch.bool:
        raise ValueError(
            f"Got tokens of shape {list(tokens.shape)} and type {tokens.dtype}, but expected "
            "token ids of shape [batch, pos]. Use tokens[None] for a single sequence."
        )
    if not tokens.numel():
        raise ValueError(
            f"Got tokens of shape {list(tokens.shape)}: there are none. Pass at least one token."
        )
    if tokens.shape[1] > config.n_ctx:
        raise ValueError(f"{tokens.shape[1]} tokens do not fit in a context of {config.n_ctx}.")
    lowest, highest = int(tokens.min()), int(tokens.max())
    if lowest < 0 or highest >= config.d_vocab:
        wrong = lowest if lowest < 0 else highest
        raise ValueError(
            f"Got the token id {wrong}, but this model has {config.d_vocab} ids: use 0 to "
            f"{config.d_vocab - 1}."
        )


def embedding(model: Model) -> Float[Tensor, "d_vocab d_model"]:
    """W_E in float32, whatever the weights are stored in."""
    return model.W_E.detach().float()


def unembedding(model: Model) -> Float[Tensor, "d_model d_vocab"]:
    """W_U in float32, whatever the weights are stored in."""
    return model.W_U.detach().float()


def parameter_count(model: Any) -> int:
    """The number of parameters of a model; tied ones count once.

    >>> parameter_count(torch.nn.Linear(3, 2))
    8
    """
    return sum(parameter.numel() for parameter in model.parameters())
