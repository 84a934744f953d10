"""A forward pass with one thing changed, and what that costs in loss.

The plain way is a hook on a TransformerLens model; `ablation_scores` gives the same numbers for
every head at once, in less time. Modules of one topic, such as `task_vectors`, set their own hooks.
Second-copy loss here is the mean loss from the second token of the second copy on: nothing in the
context says that the first one is about to come.
"""

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.attention_only import AttentionLayer, AttentionOnly
from induction_heads.hooked_ablation import hooked_ablation_scores
from induction_heads.losses import per_token_loss
from induction_heads.scores import induction_score
from induction_heads.tokens import make_repeated_tokens

METHODS = ("zero", "mean", "resample")
"""What can stand in for a head: nothing, its mean over the batch, or another row's value."""

Mixed = Float[Tensor, "batch pos head d_head"]
"""`hook_z` of a layer: what each head mixed by its pattern, before W_O."""


def zero_ablation_hook(z: Mixed, hook: Any, head: int) -> Mixed:
    """Silence one head. For `blocks.{layer}.attn.hook_z`, as `partial(zero_ablation_hook, head=3)`.

    Returns a changed copy; the input is left as it is.
    """
    return _replaced(z, head, torch.zeros_like(z[:, :, head]))


def mean_ablation_hook(z: Mixed, hook: Any, head: int) -> Mixed:
    """Replace a head's value at each position by its mean over the rows of the batch.

    What the head says about all rows stays; what it says about one row is lost.
    """
    return _replaced(z, head, z[:, :, head].mean(dim=0, keepdim=True))


def resample_ablation_hook(z: Mixed, hook: Any, head: int) -> Mixed:
    """Give every row the head's value from the row before it in the batch."""
    return _replaced(z, head, z[:, :, head].roll(1, dims=0))


def _replaced(z: Mixed, head: int, value: Tensor) -> Mixed:
    changed = z.clone()
    changed[:, :, head] = value
    return changed


ABLATION_HOOKS = {
    "zero": zero_ablation_hook, "mean": mean_ablation_hook, "resample": resample_ablation_hook,
}  # fmt: skip
"""Method → its hook, for `run_with_hooks`."""


def stripe_knockout(
    pattern: Float[Tensor, "*batch query key"], period: int
) -> Float[Tensor, "*batch query key"]:
    """The pattern without the induction stripe of the last copy, each row scaled to sum to 1 again.

    A row whose whole weight lay on the stripe is spread evenly over the other keys it can see.
    Raises ValueError if two copies of `period` do not fit.
    """
    n_pos = pattern.shape[-1]
    if not 2 <= period <= n_pos // 2:
        raise ValueError(f"period={period} does not fit twice in {n_pos} positions.")
    queries = torch.arange(n_pos - period, n_pos)
    kept = pattern.clone()
    kept[..., queries, queries - period + 1] = 0
    elsewhere = torch.ones(n_pos, n_pos).tril()
    elsewhere[queries, queries - period + 1] = 0
    left = kept.sum(dim=-1, keepdim=True)
    evenly = elsewhere / elsewhere.sum(dim=-1, keepdim=True)
    return torch.where(left > 1e-6, kept / left.clamp_min(1e-6), evenly)


def knockout_gain_formula() -> str:
    """By what `stripe_knockout` multiplies the rest of a row with weight `s` on the stripe."""
    return "1 / (1 - s)"


def pattern_preserving_ablation(
    model: Any, tokens: Int[Tensor, "batch pos"], layer: int, head: int
) -> Float[Tensor, "batch pos d_vocab"]:
    """Logits with the head silenced and every later pattern kept as it was in the clean pass.

    Later heads look where they looked before; only what they find there has changed. What remains
    of the damage did not go through a later pattern (Olsson et al. 2022).
    Raises ValueError if the model has no such head.
    """
    bridge = _bridge(model)
    _must_exist(bridge, layer, head)
    later = [_hook(index, "pattern") for index in range(layer + 1, bridge.cfg.n_layers)]
    with torch.inference_mode():
        _, cache = bridge.run_with_cache(tokens, names_filter=lambda name: name in later)
        clean = {name: cache[name].clone() for name in later}
        hooks: list[tuple[str, Any]] = [(_hook(layer, "z"), partial(zero_ablation_hook, head=head))]
        hooks += [(name, lambda pattern, hook: clean[hook.name]) for name in later]
        logits = bridge.run_with_hooks(tokens, fwd_hooks=hooks)
    return logits.clone()


def logits_without_path(
    model: Any,
    tokens: Int[Tensor, "batch pos"],
    sender: tuple[int, int],
    receiver: tuple[int, int],
    side: str,
) -> Float[Tensor, "batch pos d_vocab"]:
    """Logits when the receiver's query, key or value is computed without the sender's output.

    `side` is "Q", "K" or "V". What the sender wrote is subtracted from the residual stream in front
    of the receiver's layer norm, for that one input of that one head. The other heads, the other
    two inputs, and detours through heads in between keep it. Raises ValueError for another side, a
    head that does not exist, or a sender that is not in an earlier layer.
    """
    bridge = _bridge(model)
    n_heads = bridge.cfg.n_heads
    if side not in ("Q", "K", "V"):
        raise ValueError(f"side={side!r}: choose Q, K or V.")
    for layer, head in (sender, receiver):
        _must_exist(bridge, layer, head)
    if sender[0] >= receiver[0]:
        raise ValueError(f"{sender=} must be in an earlier layer than {receiver=}.")
    if side != "Q" and (getattr(bridge.cfg, "n_key_value_heads", None) or n_heads) != n_heads:
        raise ValueError(f"{side} of {receiver=} is shared with other heads: only Q can be cut.")
    (layer, head), (to_layer, to_head) = sender, receiver
    names = [_hook(layer, "z"), f"blocks.{to_layer}.hook_resid_pre"]
    with torch.inference_mode():
        _, cache = bridge.run_with_cache(tokens, names_filter=lambda name: name in names)
        written = cache[names[0]][:, :, head] @ bridge.blocks[layer].attn.W_O[head]
        block = bridge.blocks[to_layer]
        x = _plain(block.ln1)(cache[names[1]] - written)
        without = x @ getattr(block.attn, f"W_{side}")[to_head]
        bias = getattr(block.attn, f"b_{side}", None)
        if bias is not None:
            without = without + bias[to_head]

        def replace(value: Tensor, hook: Any) -> Tensor:
            return _replaced(value, to_head, without)

        hooks = [(_hook(to_layer, side.lower()), replace)]
        return bridge.run_with_hooks(tokens, fwd_hooks=hooks).clone()


def path_ablation(
    model: Any, sender: tuple[int, int], receiver: tuple[int, int], side: str, *, period: int = 12
) -> float:
    """How much the second-copy loss rises, in nats, without the path from sender to receiver.

    Measured on `make_repeated_tokens(model, period, batch=32)`. The path is cut as in
    `logits_without_path`, which says what raises.
    """
    bridge = _bridge(model)
    tokens = make_repeated_tokens(bridge, period, batch=32)
    changed = logits_without_path(bridge, tokens, sender, receiver, side)
    with torch.inference_mode():
        clean = bridge(tokens)
    return second_copy_loss(changed, tokens, period) - second_copy_loss(clean, tokens, period)


def verify_induction_behavior(model: Any, layer: int, head: int) -> dict[str, float | bool]:
    """Whether a head looks like an induction head, and the model needs it where tokens repeat.

    At periods 8, 12 and 16, on 32 rows: `induction_attention` is the lowest induction score,
    `loss_increase` the lowest rise of the second-copy loss in nats when the head is silenced.
    `control_loss_increase` is the highest rise at the same positions on tokens that do not repeat:
    the second block is another one. The control is the same head on other tokens because a model
    may have no other head to compare with: in `toy-2l` all of layer 1 are induction heads.
    `is_induction` demands attention of at least 0.4, a rise of at least 0.1 nats, and a rise of
    more than twice the control's. Raises ValueError where a period does not fit.
    """
    bridge = _bridge(model)
    _must_exist(bridge, layer, head)
    attention, rises, controls = [], [], []
    for period in (8, 12, 16):
        tokens = make_repeated_tokens(bridge, period, batch=32)
        control = tokens.clone()
        control[:, -period:] = make_repeated_tokens(bridge, period, batch=32, seed=1)[:, -period:]
        name = _hook(layer, "pattern")
        with torch.inference_mode():
            _, cache = bridge.run_with_cache(tokens, names_filter=name)
        attention.append(induction_score(cache[name][:, head], period).mean().item())
        rises.append(_rise(bridge, tokens, layer, head, period))
        controls.append(_rise(bridge, control, layer, head, period))
    looks, rise, elsewhere = min(attention), min(rises), max(controls)
    return {
        "induction_attention": looks,
        "loss_increase": rise,
        "control_loss_increase": elsewhere,
        "is_induction": looks >= 0.4 and rise >= 0.1 and rise > 2 * elsewhere,
    }


def second_copy_loss(
    logits: Float[Tensor, "batch pos d_vocab"], tokens: Int[Tensor, "batch pos"], period: int
) -> float:
    """Mean loss in nats of the last `period` − 1 tokens: the second copy from its second token."""
    return per_token_loss(logits, tokens)[:, 1 - period :].mean().item()


def _rise(bridge: Any, tokens: Tensor, layer: int, head: int, period: int) -> float:
    """The rise of the loss of the last `period` − 1 tokens when one head is silenced."""
    hooks = [(_hook(layer, "z"), partial(zero_ablation_hook, head=head))]
    with torch.inference_mode():
        clean, changed = bridge(tokens), bridge.run_with_hooks(tokens, fwd_hooks=hooks)
    return second_copy_loss(changed, tokens, period) - second_copy_loss(clean, tokens, period)


def _hook(layer: int, name: str) -> str:
    return f"blocks.{layer}.attn.hook_{name}"


def _bridge(model: Any) -> Any:
    """The model as a TransformerBridge, on which hooks can be set."""
    if not isinstance(model, AttentionOnly):
        return model
    from induction_heads.models import to_transformer_lens  # Takes seconds to import.

    return to_transformer_lens(model)


def _must_exist(bridge: Any, layer: int, head: int) -> None:
    n_layers, n_heads = bridge.cfg.n_layers, bridge.cfg.n_heads
    if not (0 <= layer < n_layers and 0 <= head < n_heads):
        raise ValueError(f"There is no L{layer}H{head} in {n_layers} layers of {n_heads} heads.")


def ablation_scores(
    model: Any,
    tokens: Int[Tensor, "batch pos"],
    *,
    method: str = "zero",
    last: int | None = None,
) -> Float[Tensor, "layer head"]:
    """How much the mean loss rises, in nats, when one head is ablated: for every head in turn.

    The loss is that of the last `last` tokens of each row, or of all but the first token. For an
    `AttentionOnly` or a native `TransformerBridge` (`boot_native`, the toys of `load_model`) one
    clean pass is kept. Each layer is then restarted from it with all its heads ablated side by side
    in the batch, so nothing before the ablated layer is computed again. Other bridges take one
    forward pass for every head.
    Raises ValueError for an unknown method or a `last` that does not fit.
    """
    if method not in METHODS:
        raise ValueError(f"method={method!r}: choose one of {', '.join(METHODS)}.")
    last = tokens.shape[1] - 1 if last is None else last
    if not 1 <= last < tokens.shape[1]:
        raise ValueError(f"last={last} of {tokens.shape[1]} tokens: use 1 to one less than all.")
    if not _restarts(model):
        return hooked_ablation_scores(model, tokens, ABLATION_HOOKS[method], last)
    parts = _OwnParts(model) if isinstance(model, AttentionOnly) else _NativeParts(model)
    with torch.inference_mode():
        residual = parts.embed(tokens)
        before, mixed = [], []
        for layer in range(parts.n_layers):
            before.append(residual)
            z = parts.mix(layer, residual)
            mixed.append(z)
            residual = parts.finish(layer, residual + parts.write(layer, z))
        clean = _loss(parts, residual, tokens, last)
        rows = []
        for layer in range(parts.n_layers):
            changed = before[layer] + parts.write(layer, mixed[layer])
            delta = _stand_in(mixed[layer], method) - mixed[layer]
            per_head = torch.einsum("bphd,hdm->hbpm", delta, parts.W_O(layer))
            residual = (changed + per_head).flatten(0, 1)
            residual = parts.finish(layer, residual)
            for later in range(layer + 1, parts.n_layers):
                z = parts.mix(later, residual)
                residual = parts.finish(later, residual + parts.write(later, z))
            by_head = residual.unflatten(0, (-1, len(tokens)))
            rows.append(torch.stack([_loss(parts, one, tokens, last) for one in by_head]))
        return (torch.stack(rows) - clean).clone()


def _stand_in(z: Float[Tensor, "batch pos head d_head"], method: str) -> Tensor:
    if method == "zero":
        return torch.zeros_like(z)
    return z.mean(dim=0, keepdim=True) if method == "mean" else z.roll(1, dims=0)


def _loss(parts: Any, residual: Tensor, tokens: Tensor, last: int) -> Tensor:
    """Mean loss of the last tokens: only their logits are computed."""
    logits = parts.unembed(residual[:, -last - 1 : -1])
    return F.cross_entropy(logits.flatten(0, 1), tokens[:, -last:].flatten())


def _restarts(model: Any) -> bool:
    """Whether the steps of this model's forward pass are known: ours, or native with positions."""
    if isinstance(model, AttentionOnly):
        return True
    native = hasattr(model.original_model, "tok_embed")
    return native and getattr(model.original_model, "pos", None) is not None


class _OwnParts:
    """The steps of an `AttentionOnly` forward pass."""

    def __init__(self, model: AttentionOnly):
        self.model, self.n_layers = model, len(model.layers)

    def layer(self, index: int) -> AttentionLayer:
        layer = self.model.layers[index]
        assert isinstance(layer, AttentionLayer)
        return layer

    def embed(self, tokens: Tensor) -> Tensor:
        return self.model.embed(tokens)

    def mix(self, index: int, residual: Tensor) -> Tensor:
        layer = self.layer(index)
        x = layer.norm(residual)
        values = torch.einsum("bpm,hmd->bhpd", x, layer.W_V)
        return (layer.pattern(x) @ values).transpose(1, 2)

    def W_O(self, index: int) -> Tensor:
        return self.layer(index).W_O

    def write(self, index: int, z: Tensor) -> Tensor:
        return z.flatten(2) @ self.W_O(index).flatten(0, 1)

    def finish(self, index: int, residual: Tensor) -> Tensor:
        return residual

    def unembed(self, residual: Tensor) -> Tensor:
        return self.model.norm(residual) @ self.model.W_U


class _NativeParts:
    """The steps of a native bridge's forward pass, on its plain PyTorch modules."""

    def __init__(self, bridge: Any):
        self.bridge, self.n_layers = bridge, bridge.cfg.n_layers
        self.model = bridge.original_model
        self.blocks = [_plain(block) for block in self.model.layers]

    def embed(self, tokens: Tensor) -> Tensor:
        residual = _plain(self.model.tok_embed)(tokens)
        return residual + _plain(self.model.pos)(torch.arange(tokens.shape[1]))

    def mix(self, index: int, residual: Tensor) -> Tensor:
        attention = _plain(self.blocks[index].attn)
        x = _plain(self.blocks[index].ln1)(residual)
        shape = (*x.shape[:2], attention.n_heads, attention.d_head)
        q, k, v = (
            _plain(getattr(attention, name))(x).view(shape).transpose(1, 2) for name in "qkv"
        )
        n_pos = x.shape[1]
        scores = q @ k.mT / attention.scale
        hidden = attention.causal_mask[:n_pos, :n_pos]
        return (scores.masked_fill_(hidden, -torch.inf).softmax(dim=-1) @ v).transpose(1, 2)

    def W_O(self, index: int) -> Tensor:
        return self.bridge.blocks[index].attn.W_O

    def write(self, index: int, z: Tensor) -> Tensor:
        return _plain(_plain(self.blocks[index].attn).o)(z.flatten(2))

    def finish(self, index: int, residual: Tensor) -> Tensor:
        if self.bridge.cfg.attn_only:
            return residual
        block = self.blocks[index]
        x = _plain(block.ln2)(residual)
        mlp = _plain(block.mlp)
        return residual + _plain(mlp.fc_out)(mlp.act(_plain(mlp.fc_in)(x)))

    def unembed(self, residual: Tensor) -> Tensor:
        return _plain(self.model.head)(_plain(self.model.ln_out)(residual))


def _plain(module: Any) -> Any:
    """The PyTorch module under a bridge component."""
    return module.original_component if hasattr(module, "original_component") else module
