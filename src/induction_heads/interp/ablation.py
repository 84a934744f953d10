"""Ablate heads and measure the rise of the loss: one head, every head in turn, several together.

The plain way is a hook on a TransformerLens model; `ablation_scores` gives the same numbers for
every head at once, in less time. `interventions` changes other things than whole heads.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.interp.forward_steps import Mixed, Steps, forward_steps
from induction_heads.interp.losses import in_float32, per_token_loss
from induction_heads.interp.replay import Replay, counted_logits_with_gradient
from induction_heads.models.attention_only import AttentionOnly
from induction_heads.models.interface import HookedModel, Model, require_head, require_tokens
from induction_heads.models.loading import as_hooked

Head = tuple[int, int]
"""(layer, head)."""

Hooks = list[tuple[str, Callable[..., Any]]]
"""What `run_with_hooks` takes as `fwd_hooks`: pairs of a hook point's name and a function."""


def zero_ablation_hook(z: Mixed, hook: Any, head: int) -> Mixed:
    """Zeros in place of one head, for `blocks.{layer}.attn.hook_z`.

    Returns a changed copy; the input is left as it is. See `head_hooks`.

    >>> z = torch.ones(2, 3, 4, 8)  # [batch pos head d_head]
    >>> zero_ablation_hook(z, None, head=1)[0, 0].sum(dim=-1)
    tensor([8., 0., 8., 8.])
    >>> z.sum().item()
    192.0
    """
    return with_head_replaced(z, head, torch.zeros_like(z[:, :, head]))


def mean_ablation_hook(z: Mixed, hook: Any, head: int) -> Mixed:
    """The mean over the rows of the batch, at each position, in place of one head.

    What the head writes in every row stays; what it writes in one row only is lost.
    """
    return with_head_replaced(z, head, z[:, :, head].mean(dim=0, keepdim=True))


def resample_ablation_hook(z: Mixed, hook: Any, head: int) -> Mixed:
    """The head's value from the previous row of the batch in place of its own."""
    return with_head_replaced(z, head, z[:, :, head].roll(1, dims=0))


def with_head_replaced(z: Mixed, head: int, value: Tensor) -> Mixed:
    """A copy of `z` with another value for one head; `value` may have one row for all."""
    changed = z.clone()
    changed[:, :, head] = value
    return changed


ABLATION_HOOKS = {
    "zero": zero_ablation_hook,
    "mean": mean_ablation_hook,
    "resample": resample_ablation_hook,
}
"""Method → its hook: zeros, the mean over the batch, or another row's value replaces the head."""

METHODS = tuple(ABLATION_HOOKS)
"""The methods of ablation."""


def head_hooks(heads: Sequence[Head], hook: Callable[..., Mixed] = zero_ablation_hook) -> Hooks:
    """The `fwd_hooks` that ablate all these heads, given as (layer, head).

    >>> [name for name, _ in head_hooks([(0, 1), (1, 0)])]
    ['blocks.0.attn.hook_z', 'blocks.1.attn.hook_z']
    """
    return [(attention_hook(layer, "z"), partial(hook, head=head)) for layer, head in heads]


def attention_hook(layer: int, name: str, part: str = "") -> str:
    """The name of a hook point of a layer's attention: "q", "k", "v", "pattern", "z" …

    `part` is "o." for those of the projection by which the heads write: "in", "out".
    """
    return f"blocks.{layer}.attn.{part}hook_{name}"


def second_copy_loss(
    logits: Float[Tensor, "batch pos d_vocab"], tokens: Int[Tensor, "batch pos"], period: int
) -> float:
    """Mean loss in nats of the last `period` − 1 tokens: the second copy from its second token.

    Nothing in the context announces the first token of the second copy, so it does not count. In
    float32, whatever the logits are in. Raises ValueError if two copies of `period` do not fit.

    >>> block = torch.arange(4)[None]
    >>> tokens = torch.cat([block, block], dim=1)
    >>> round(second_copy_loss(torch.zeros(1, 8, 10), tokens, period=4), 3)  # log 10
    2.303
    >>> right = 100 * torch.nn.functional.one_hot(tokens.roll(-1), 10).float()
    >>> second_copy_loss(right, tokens, period=4)
    0.0
    """
    if not 2 <= period <= tokens.shape[1] // 2:
        raise ValueError(
            f"period={period} of {tokens.shape[1]} tokens: choose from 2 to {tokens.shape[1] // 2}."
        )
    return per_token_loss(logits, tokens)[:, 1 - period :].mean().item()


def ablation_scores(
    model: Model,
    tokens: Int[Tensor, "batch pos"],
    *,
    method: str = "zero",
    last: int | None = None,
) -> Float[Tensor, "layer head"]:
    """The rise of the mean loss, in nats, when one head is ablated: for every head in turn.

    The loss is that of the last `last` tokens of each row, or of all but the first token. If the
    steps of the model are known (see `forward_steps`), each layer restarts from one clean pass,
    with all its heads ablated side by side in the batch, so nothing before the ablated layer is
    computed again. For any other model the blocks from the ablated layer on are run again, with as
    many heads at once as fit. Only the logits of the tokens that count are computed.
    Raises ValueError for an unknown method or a `last` that does not fit.
    """
    last = _checked_last(model, tokens, method, last)
    steps = forward_steps(model)
    if steps is None:
        assert not isinstance(model, AttentionOnly)
        return replayed_ablation_scores(model, tokens, method, last)
    with torch.inference_mode():
        rises = _restarted_ablation_scores(steps, tokens, method, last)
    return rises.clone()  # Outside, so that a caller may change it in place.


def _checked_last(model: Model, tokens: Tensor, method: str, last: int | None) -> int:
    """The number of tokens that count. Raises ValueError for arguments that do not fit."""
    if method not in METHODS:
        raise ValueError(f"method={method!r}: choose one of {', '.join(METHODS)}.")
    require_tokens(model, tokens)
    last = tokens.shape[1] - 1 if last is None else last
    require_last(tokens, last)
    return last


def require_last(tokens: Int[Tensor, "batch pos"], last: int) -> None:
    """Raise ValueError unless each row has `last` tokens after its first one."""
    if tokens.shape[1] < 2:
        raise ValueError(f"Rows of {tokens.shape[1]} token have no token after the first.")
    if not 1 <= last < tokens.shape[1]:
        raise ValueError(
            f"last={last} of {tokens.shape[1]} tokens: choose from 1 to {tokens.shape[1] - 1}."
        )


def _restarted_ablation_scores(steps: Steps, tokens: Tensor, method: str, last: int) -> Tensor:
    residual = steps.embed(tokens)
    before, mixed = [], []
    for layer in range(steps.n_layers):
        before.append(residual)
        z = steps.mix(layer, residual)
        mixed.append(z)
        residual = steps.finish(layer, residual + steps.write(layer, z))
    clean = _loss(steps, residual, tokens, last)
    rows = []
    for layer in range(steps.n_layers):
        changed = before[layer] + steps.write(layer, mixed[layer])
        delta = _replacement(mixed[layer], method) - mixed[layer]
        per_head = torch.einsum("bphd,hdm->hbpm", delta, steps.W_O(layer))
        residual = (changed + per_head).flatten(0, 1)
        residual = steps.finish(layer, residual)
        for later in range(layer + 1, steps.n_layers):
            z = steps.mix(later, residual)
            residual = steps.finish(later, residual + steps.write(later, z))
        by_head = residual.unflatten(0, (-1, len(tokens)))
        rows.append(torch.stack([_loss(steps, one, tokens, last) for one in by_head]))
    return torch.stack(rows) - clean


def _replacement(z: Mixed, method: str) -> Tensor:
    if method == "zero":
        return torch.zeros_like(z)
    return z.mean(dim=0, keepdim=True) if method == "mean" else z.roll(1, dims=0)


def _loss(steps: Steps, residual: Tensor, tokens: Tensor, last: int) -> Tensor:
    """Mean loss of the last tokens: only their logits are computed."""
    logits = in_float32(steps.unembed(residual[:, -last - 1 : -1]))
    return F.cross_entropy(logits.flatten(0, 1), tokens[:, -last:].flatten())


def replayed_ablation_scores(
    bridge: HookedModel, tokens: Int[Tensor, "batch pos"], method: str, last: int
) -> Float[Tensor, "layer head"]:
    """`hooked_ablation_scores` with the blocks before the ablated layer left out: see `Replay`.

    A model whose last block does not repeat its clean pass takes `hooked_ablation_scores`.
    """
    n_layers, n_heads = bridge.cfg.n_layers, bridge.cfg.n_heads
    with torch.inference_mode():
        replay = Replay(bridge, tokens, last)
        if not replay.is_faithful():
            return hooked_ablation_scores(bridge, tokens, ABLATION_HOOKS[method], last)
        clean = _losses(replay.logits, tokens, last)
        rows = [
            _losses(
                replay.logits_from(layer, len(heads), [_side_by_side(layer, heads, method)]),
                tokens,
                last,
            )
            for layer in range(n_layers)
            for heads in torch.arange(n_heads).split(replay.copies_at_once())
        ]
        rises = torch.cat(rows).view(n_layers, n_heads) - clean
    return rises.clone()  # Outside, so that a caller may change it in place.


def _side_by_side(
    layer: int, heads: Int[Tensor, " copy"], method: str
) -> tuple[str, Callable[..., Mixed]]:
    """The hook that ablates one of these heads in each copy of the batch."""

    def ablate(z: Mixed, hook: Any) -> Mixed:
        copies = z.clone().unflatten(0, (len(heads), -1))
        for copy, head in zip(copies, heads.tolist(), strict=True):
            own = slice(head, head + 1)
            copy[:, :, own] = _replacement(copy[:, :, own], method)
        return copies.flatten(0, 1)

    return attention_hook(layer, "z"), ablate


def _losses(logits: Tensor, tokens: Tensor, last: int) -> Float[Tensor, " copy"]:
    """The mean loss of each copy of the batch."""
    targets = tokens[:, -last:].to(logits.device)
    by_copy = logits.unflatten(0, (-1, len(tokens)))
    return torch.stack(
        [F.cross_entropy(in_float32(one).flatten(0, 1), targets.flatten()) for one in by_copy]
    ).to(tokens.device)


def ablation_attribution(
    model: Model,
    tokens: Int[Tensor, "batch pos"],
    *,
    method: str = "zero",
    last: int | None = None,
) -> Float[Tensor, "layer head"]:
    """`ablation_scores` to first order, for all heads from one forward and one backward pass.

    The change of a head's output by the ablation, times the gradient of the loss with respect to
    that output: attribution patching (Nanda 2023), with ablation as the patch. In float32. It is
    exact where the loss is linear in the output, and can have the wrong sign where a softmax
    saturates: measure the heads that matter with `ablation_scores`. Raises as that function.
    """
    last = _checked_last(model, tokens, method, last)
    bridge = as_hooked(model)
    outputs: list[Tensor] = []
    zeros: list[Tensor] = []

    def keep(z: Mixed, hook: Any) -> Mixed:
        # Added to the output, so that the gradient ends here and no weight needs one.
        zeros.append(torch.zeros_like(z, requires_grad=True))
        outputs.append(z.detach())
        return z + zeros[-1]

    hooks = [(attention_hook(layer, "z"), keep) for layer in range(bridge.cfg.n_layers)]
    with torch.enable_grad():
        logits = in_float32(counted_logits_with_gradient(bridge, tokens, last, hooks))
        targets = tokens[:, -last:].to(logits.device).flatten()
        loss = F.cross_entropy(logits.flatten(0, 1), targets)
        gradients = torch.autograd.grad(loss, zeros)
    rows = [
        ((_replacement(z, method) - z).float() * gradient.float()).sum(dim=(0, 1, 3))
        for z, gradient in zip(outputs, gradients, strict=True)
    ]
    return torch.stack(rows).to(tokens.device)


def hooked_ablation_scores(
    bridge: HookedModel, tokens: Int[Tensor, "batch pos"], hook: Callable[..., Mixed], last: int
) -> Float[Tensor, "layer head"]:
    """The rise of the mean loss of the last `last` tokens, in nats, with each head ablated.

    `hook` is one of `ABLATION_HOOKS`. One whole forward pass for every head: the plain definition
    of `ablation_scores`.
    """

    def loss(hooks: Hooks) -> Tensor:
        logits = bridge.run_with_hooks(tokens, fwd_hooks=hooks)[:, -last - 1 : -1]
        logits = in_float32(logits)
        return F.cross_entropy(logits.flatten(0, 1), tokens[:, -last:].flatten())

    layers, heads = range(bridge.cfg.n_layers), range(bridge.cfg.n_heads)
    with torch.inference_mode():
        clean = loss([])
        rows = [
            torch.stack([loss(head_hooks([(layer, head)], hook)) for head in heads])
            for layer in layers
        ]
    return torch.stack(rows) - clean


def joint_ablation_gap(
    model: HookedModel, tokens: Int[Tensor, "batch pos"], heads: Sequence[Head]
) -> float:
    """The rise of the loss without all these heads, minus the sum of the rises without each.

    In nats, as a mean over all tokens, with zero ablation. Above 0 the heads back each other up:
    each alone looks less needed than it is. Raises ValueError for fewer than two heads, or if a
    head is named twice.
    """
    if len(set(heads)) < max(2, len(heads)):
        raise ValueError(f"Got {list(heads)}. Name at least two heads, each of them once.")
    for layer, head in heads:
        require_head(model, layer, head)
    require_tokens(model, tokens)
    clean = _loss_without(model, tokens, [])
    alone = sum(_loss_without(model, tokens, [head]) - clean for head in heads)
    return _loss_without(model, tokens, heads) - clean - alone


def _loss_without(model: HookedModel, tokens: Tensor, heads: Sequence[Head]) -> float:
    with torch.inference_mode():
        logits = model.run_with_hooks(tokens, fwd_hooks=head_hooks(heads))
        return per_token_loss(logits, tokens).mean().item()


def matched_control_head(
    scores: Float[Tensor, "layer head"],
    sizes: Float[Tensor, "layer head"],
    head: Head,
    below: float = 0.1,
) -> Head | None:
    """The head of the same layer that writes about as much, and does not do the same thing.

    Of the other heads of that layer whose score is below `below`, the one whose size is nearest in
    ratio: 2 and ½ times the size are equally far. On a tie, the lower number. None if every other
    head of the layer scores too high. `sizes` are positive, such as the mean length of what a head
    writes. Raises ValueError if the shapes differ.

    >>> scores = torch.tensor([[0.9, 0.0, 0.0, 0.6]])
    >>> sizes = torch.tensor([[4.0, 1.0, 5.0, 4.0]])
    >>> matched_control_head(scores, sizes, head=(0, 0))
    (0, 2)
    """
    if scores.shape != sizes.shape:
        raise ValueError(
            f"Got scores of shape {list(scores.shape)} and sizes of shape {list(sizes.shape)}. "
            "Pass one number of each for every head."
        )
    layer, number = head
    others = scores[layer] < below
    others[number] = False
    if not others.any():
        return None
    distance = (sizes[layer] / sizes[layer, number]).log().abs()
    return layer, int(distance.masked_fill(~others, torch.inf).argmin())
