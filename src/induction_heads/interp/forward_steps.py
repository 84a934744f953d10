"""The steps of a forward pass, one by one, so that it can be restarted at any layer.

They are known for an `AttentionOnly` model and for a native `TransformerBridge` (`boot_native`, the
toys of `load_model`). Other bridges only run from the first layer to the last.
"""

from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.models.attention import causal_softmax
from induction_heads.models.attention_only import AttentionLayer, AttentionOnly
from induction_heads.models.interface import HookedModel, Model

Stream = Float[Tensor, "batch pos d_model"]
Mixed = Float[Tensor, "batch pos head d_head"]
"""`hook_z` of a layer: the values that each head mixed by its pattern, before W_O."""


@runtime_checkable
class Steps(Protocol):
    """The forward pass of one model in parts."""

    n_layers: int

    def embed(self, tokens: Int[Tensor, "batch pos"]) -> Stream:
        """The residual stream before layer 0."""
        ...

    def mix(self, layer: int, residual: Stream) -> Mixed:
        """The values that the heads of a layer mix when they read this stream."""
        ...

    def W_O(self, layer: int) -> Float[Tensor, "head d_head d_model"]:
        """The output weights of the heads of a layer."""
        ...

    def write(self, layer: int, z: Mixed) -> Stream:
        """What a layer of heads adds to the stream."""
        ...

    def finish(self, layer: int, residual: Stream) -> Stream:
        """The stream after the MLP of a layer, if it has one."""
        ...

    def unembed(self, residual: Stream) -> Float[Tensor, "batch pos d_vocab"]:
        """The logits of the last stream."""
        ...


def forward_steps(model: Model) -> Steps | None:
    """The steps of this model's forward pass, or None if they are not known."""
    if isinstance(model, AttentionOnly):
        return _OwnSteps(model)
    native = hasattr(model.original_model, "tok_embed")
    has_positions = getattr(model.original_model, "pos", None) is not None
    return _NativeSteps(model) if native and has_positions else None


class _OwnSteps:
    def __init__(self, model: AttentionOnly):
        self.model, self.n_layers = model, len(model.layers)

    def _layer(self, index: int) -> AttentionLayer:
        layer = self.model.layers[index]
        assert isinstance(layer, AttentionLayer)
        return layer

    def embed(self, tokens: Tensor) -> Tensor:
        return self.model.embed(tokens)

    def mix(self, layer: int, residual: Tensor) -> Tensor:
        attention = self._layer(layer)
        x = attention.norm(residual)
        values = torch.einsum("bpm,hmd->bhpd", x, attention.W_V)
        return (attention.pattern(x) @ values).transpose(1, 2)

    def W_O(self, layer: int) -> Tensor:
        return self._layer(layer).W_O

    def write(self, layer: int, z: Tensor) -> Tensor:
        return z.flatten(2) @ self.W_O(layer).flatten(0, 1)

    def finish(self, layer: int, residual: Tensor) -> Tensor:
        return residual

    def unembed(self, residual: Tensor) -> Tensor:
        return self.model.norm(residual) @ self.model.W_U


class _NativeSteps:
    """The steps on the plain PyTorch modules of a bridge, which are faster than its own."""

    def __init__(self, bridge: HookedModel):
        self.bridge, self.n_layers = bridge, bridge.cfg.n_layers
        self.model = bridge.original_model
        self.blocks = [plain_module(block) for block in self.model.layers]

    def embed(self, tokens: Tensor) -> Tensor:
        residual = plain_module(self.model.tok_embed)(tokens)
        return residual + plain_module(self.model.pos)(
            torch.arange(tokens.shape[1], device=tokens.device)
        )

    def mix(self, layer: int, residual: Tensor) -> Tensor:
        attention = plain_module(self.blocks[layer].attn)
        x = plain_module(self.blocks[layer].ln1)(residual)
        shape = (*x.shape[:2], attention.n_heads, attention.d_head)
        q, k, v = (
            plain_module(getattr(attention, name))(x).view(shape).transpose(1, 2) for name in "qkv"
        )
        return (causal_softmax(q @ k.mT / attention.scale) @ v).transpose(1, 2)

    def W_O(self, layer: int) -> Tensor:
        return self.bridge.blocks[layer].attn.W_O

    def write(self, layer: int, z: Tensor) -> Tensor:
        return plain_module(plain_module(self.blocks[layer].attn).o)(z.flatten(2))

    def finish(self, layer: int, residual: Tensor) -> Tensor:
        if self.bridge.cfg.attn_only:
            return residual
        block = self.blocks[layer]
        x = plain_module(block.ln2)(residual)
        mlp = plain_module(block.mlp)
        return residual + plain_module(mlp.fc_out)(mlp.act(plain_module(mlp.fc_in)(x)))

    def unembed(self, residual: Tensor) -> Tensor:
        return plain_module(self.model.head)(plain_module(self.model.ln_out)(residual))


def plain_module(module: Any) -> Any:
    """The PyTorch module inside a component of a bridge."""
    return module.original_component if hasattr(module, "original_component") else module
