"""Forward passes of a TransformerLens bridge that start at a layer, for any architecture.

The blocks before that layer return what enters them, and the layer reads a residual stream of an
earlier pass. Masks, rotary positions and what follows the last block are the model's own code.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.models.interface import HookedModel

Hooks = list[tuple[str, Any]]

LARGEST = 2**25
"""The largest tensor of a pass has about as many numbers, unless one copy of the batch has more."""


class Replay:
    """One clean pass, and passes that repeat its end.

    `logits` are those of the clean pass at the last `last` positions that predict a token.
    """

    def __init__(self, bridge: HookedModel, tokens: Int[Tensor, "batch pos"], last: int):
        self.bridge, self.tokens, self.last = bridge, tokens.to(bridge.cfg.device), last
        self._entered: list[Tensor] = []
        self._n_outputs: list[int] = []
        hooks: Hooks = [
            (f"blocks.{layer}.hook_in", self._keep_entered) for layer in range(bridge.cfg.n_layers)
        ]
        watches = [block.register_forward_hook(self._keep_kind) for block in bridge.blocks]
        try:
            self.logits = self._counted(self.tokens, hooks)
        finally:
            for watch in watches:
                watch.remove()

    def copies_at_once(self) -> int:
        """How many copies of the batch fit in one pass."""
        config, (batch, n_pos) = self.bridge.cfg, self.tokens.shape
        widest = max(4 * config.d_model, config.n_heads * n_pos)
        return max(1, LARGEST // (batch * max(self.last * config.d_vocab, n_pos * widest)))

    def logits_from(
        self, layer: int, copies: int, hooks: Hooks
    ) -> Float[Tensor, "row counted d_vocab"]:
        """The logits of `copies` copies of the batch, one after the other, from this layer on."""
        stream = self._entered[layer].repeat(copies, 1, 1)
        start = (f"blocks.{layer}.hook_in", lambda residual, hook: stream)
        with self._without_blocks_before(layer):
            return self._counted(self.tokens.repeat(copies, 1), [start, *hooks])

    def is_faithful(self) -> bool:
        """Whether a pass from the last layer on ends as the clean pass did."""
        again = self.logits_from(len(self._entered) - 1, 1, [])
        apart = (again.float() - self.logits.float()).abs().max()
        return bool(apart <= 1e-3 * self.logits.float().abs().max())

    def _counted(self, tokens: Tensor, hooks: Hooks) -> Tensor:
        cut = ("unembed.hook_in", lambda x, hook: x[:, -self.last - 1 : -1].contiguous())
        return self.bridge.run_with_hooks(tokens, fwd_hooks=[*hooks, cut], use_cache=False)

    def _keep_entered(self, residual: Tensor, hook: Any) -> None:
        self._entered.append(residual)

    def _keep_kind(self, block: Any, inputs: Any, output: Any) -> None:
        self._n_outputs.append(len(output) if isinstance(output, tuple) else 0)

    @contextmanager
    def _without_blocks_before(self, layer: int) -> Iterator[None]:
        skipped = list(self.bridge.blocks)[:layer]
        for block, n_outputs in zip(skipped, self._n_outputs, strict=False):
            # On the object, not through its `__setattr__`, which sets it on the library's module.
            block.__dict__["forward"] = partial(_what_enters, n_outputs)
        try:
            yield
        finally:
            for block in skipped:
                del block.__dict__["forward"]


def _what_enters(n_outputs: int, *args: Any, **kwargs: Any) -> Any:
    """What a block without effect returns: its input, as a tuple if the block returns one."""
    residual = args[0] if args else kwargs["hidden_states"]
    return (residual, *[None] * (n_outputs - 1)) if n_outputs else residual


def counted_logits_with_gradient(
    bridge: HookedModel, tokens: Int[Tensor, "batch pos"], last: int, hooks: Hooks
) -> Float[Tensor, "batch counted d_vocab"]:
    """The logits at the last `last` positions that predict a token, with a graph for gradients."""
    cut = ("unembed.hook_in", lambda x, hook: x[:, -last - 1 : -1].contiguous())
    with torch.enable_grad():
        return bridge.run_with_hooks(
            tokens.to(bridge.cfg.device), fwd_hooks=[*hooks, cut], use_cache=False
        )
