"""The norms of a model taken apart: what they divide by, and what is left without that.

Layer norm centers and RMS norm does not; the gain is the weight, 1 + the weight (Gemma), or nothing
(OLMo). Which one it is, is tried on random vectors instead of being read off the name of a class.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from induction_heads.models.attention_only import AttentionOnly
from induction_heads.models.interface import Model, model_config


@dataclass(frozen=True)
class Norm:
    """x ↦ (x, perhaps centered) / scale · gain + bias. Without `gain` it is the identity."""

    gain: Float[Tensor, " d_model"] | None = None
    bias: Float[Tensor, " d_model"] | None = None
    centers: bool = False
    eps: float = 0.0

    def __call__(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """What the norm makes of `x`, in float32."""
        if self.gain is None:
            return x
        scaled = self.without_scale(x) / self.scale(x)[..., None]
        return scaled if self.bias is None else scaled + self.bias

    def without_scale(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """`x` centered, where the norm does that, then multiplied by the learned gain.

        The learned bias is left out: it is the same for every input.
        """
        if self.gain is None:
            return x
        return self._centered(x) * self.gain.to(x.device)

    def scale(self, residual: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch"]:
        """What the norm divides each vector by; 1 for the identity."""
        if self.gain is None:
            return torch.ones_like(residual[..., 0])
        return (self._centered(residual).square().mean(dim=-1) + self.eps).sqrt()

    def folded(self, like: Tensor) -> Float[Tensor, "d_model d_model"]:
        """The norm without its division, as a matrix for row vectors, on the device of `like`."""
        return self.without_scale(torch.eye(len(like), device=like.device))

    def _centered(self, x: Tensor) -> Tensor:
        return x - x.mean(dim=-1, keepdim=True) if self.centers else x


def layer_norm_of(model: Model, layer: int) -> Norm:
    """The norm in front of the attention of a layer; an identity where there is none."""
    if isinstance(model, AttentionOnly):
        return _taken_apart(model.layers[layer].get_submodule("norm"), model.config.d_model)
    return _of_component(getattr(model.blocks[layer], "ln1", None), model)


def mlp_norm_of(model: Model, layer: int) -> Norm:
    """The norm in front of the MLP of a layer; an identity where there is none."""
    if isinstance(model, AttentionOnly):
        return Norm()
    return _of_component(getattr(model.blocks[layer], "ln2", None), model)


def final_norm(model: Model) -> Norm:
    """The norm in front of the unembedding; an identity where there is none."""
    if isinstance(model, AttentionOnly):
        return _taken_apart(model.norm, model.config.d_model)
    return _of_component(model.ln_final, model)


def post_norm_of(model: Model, layer: int) -> Norm:
    """The norm behind the attention of a layer (Gemma 2, OLMo 2); most models have none."""
    if isinstance(model, AttentionOnly):
        return Norm()
    return _of_component(getattr(model.blocks[layer], "ln1_post", None), model)


def _of_component(component: Any | None, model: Model) -> Norm:
    if component is None:
        return Norm()
    return _taken_apart(component.original_component, model_config(model).d_model)


def _taken_apart(norm: nn.Module, d_model: int) -> Norm:
    """The parts of a norm. Raises ValueError for one that is none of the known kinds."""
    if isinstance(norm, nn.Identity):
        return Norm()
    weight = next(norm.parameters(), torch.zeros(1))
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, d_model, generator=generator).to(weight.device, weight.dtype)
    with torch.no_grad():
        plus, minus = norm(x).float(), norm(-x).float()
    odd, x = (plus - minus) / 2, x.float()  # A bias cancels.
    if torch.equal(odd, x):
        return Norm()
    bias = getattr(norm, "bias", None)
    bias = bias.detach().float() if isinstance(bias, Tensor) else None
    eps = next((getattr(norm, name) for name in _EPS if hasattr(norm, name)), 1e-5)
    learned = getattr(norm, "weight", None)
    ones = torch.ones(d_model, device=x.device)
    gains = [ones] if learned is None else [learned.detach().float(), 1 + learned.detach().float()]
    kinds = [Norm(gain, bias, centers, eps) for centers in (True, False) for gain in gains]
    errors = [_error(kind, x, odd) for kind in kinds]
    best = min(range(len(kinds)), key=errors.__getitem__)
    if not errors[best] <= (1e-3 if weight.dtype == torch.float32 else 0.05):
        raise ValueError(
            f"The norm {type(norm).__name__} is neither a layer norm nor an RMS norm, so "
            "what a head writes cannot be followed through it."
        )
    return kinds[best]


_EPS = ("eps", "variance_epsilon", "norm_eps", "epsilon")


def _error(norm: Norm, x: Tensor, expected: Tensor) -> float:
    apart = norm.without_scale(x) / norm.scale(x)[:, None] - expected
    return (apart.abs().max() / expected.abs().max().clamp_min(1e-9)).item()
