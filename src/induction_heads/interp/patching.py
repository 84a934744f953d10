"""Activation patching: a head's output from one run, put into another run.

Two batches of rows, clean and corrupted, differ in what a head may have to know. The measure is the
logit of the right token minus that of a wrong one, at the last position. Denoising starts from the
corrupted run and restores one head; noising starts from the clean run and corrupts one head
(Heimersheim and Nanda 2024). Noising is resample ablation with a partner chosen for each row.

Attribution patching is the first-order approximation of the same numbers, for all heads from two
forward passes and one backward pass (Nanda 2023; Syed et al. 2023).
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.interp.ablation import Hooks, attention_hook, with_head_replaced
from induction_heads.models.interface import HookedModel, Model, require_tokens
from induction_heads.models.loading import as_hooked

DIRECTIONS = ("denoise", "noise")
"""Restore one head in the corrupted run, or corrupt one head in the clean run."""

Mixed = Float[Tensor, "batch pos head d_head"]


def mean_logit_difference(
    logits: Float[Tensor, "batch pos d_vocab"], right: Int[Tensor, " batch"], wrong: Tensor
) -> Float[Tensor, ""]:
    """The logit of the right token minus that of the wrong one at the last position, on average.

    >>> logits = torch.tensor([[[0.0, 0.0, 0.0], [1.0, 4.0, 2.0]]])
    >>> mean_logit_difference(logits, torch.tensor([1]), torch.tensor([2]))
    tensor(2.)
    """
    last = logits[:, -1].float()
    chosen = [last.gather(1, ids[:, None]) for ids in (right, wrong)]
    return (chosen[0] - chosen[1]).mean()


def activation_patching_effects(
    model: Model,
    clean: Int[Tensor, "batch pos"],
    corrupted: Int[Tensor, "batch pos"],
    right: Int[Tensor, " batch"],
    wrong: Int[Tensor, " batch"],
    direction: str,
    *,
    by_position: bool = False,
) -> Float[Tensor, "layer head *pos"]:
    """The share of the logit difference that each head carries between the two runs.

    "denoise": how much of the clean difference returns when the corrupted run gets this head's
    output from the clean run. "noise": how much of it is lost when the clean run gets the head's
    output from the corrupted run. Both are divided by clean minus corrupted, so 0 is nothing and 1
    is all; a head may go below 0 or above 1. The output of a head is `hook_z` at all positions, or
    at one position at a time with `by_position`, which adds an axis of positions.

    Raises ValueError for another direction, for rows or ids that do not fit together, and if the
    two runs have nearly the same logit difference.
    """
    bridge = as_hooked(model)
    z, total = _both_runs(bridge, clean, corrupted, right, wrong, direction)
    base, other, tokens = _base(clean, corrupted, direction)
    n_pos = clean.shape[1]
    # With positions, one copy of the batch for each: copy p is patched at position p.
    where = torch.eye(n_pos).bool() if by_position else torch.ones(1, n_pos).bool()
    copies = len(where)
    patched_at = where.repeat_interleave(len(clean), dim=0)[..., None]  # [copy·batch pos 1]
    rows = []
    with torch.inference_mode():
        unpatched = mean_logit_difference(bridge(tokens), right, wrong)
        for layer, both in enumerate(z):
            for head in range(both[base].shape[2]):
                value = torch.where(
                    patched_at,
                    both[other][:, :, head].repeat(copies, 1, 1),
                    both[base][:, :, head].repeat(copies, 1, 1),
                )
                logits = bridge.run_with_hooks(
                    tokens.repeat(copies, 1), fwd_hooks=[_replacing(layer, head, value)]
                )[:, -1:]
                effects = [
                    mean_logit_difference(one, right, wrong) - unpatched
                    for one in logits.unflatten(0, (copies, -1))
                ]
                rows.append(torch.stack(effects))
    shares = torch.stack(rows).unflatten(0, (len(z), -1)) / total
    shares = -shares if direction == "noise" else shares
    return (shares if by_position else shares[..., 0]).clone()


def attribution_patching_effects(
    model: Model,
    clean: Int[Tensor, "batch pos"],
    corrupted: Int[Tensor, "batch pos"],
    right: Int[Tensor, " batch"],
    wrong: Int[Tensor, " batch"],
    direction: str,
    *,
    by_position: bool = False,
) -> Float[Tensor, "layer head *pos"]:
    """`activation_patching_effects` to first order: the change of a head's output times a gradient.

    The gradient is that of the logit difference with respect to `hook_z`, in the run that is
    patched: the corrupted run for "denoise", the clean run for "noise". Exact where the logit
    difference is linear in the head's output, as for the last layer of a model without layer norm.
    Effects at positions add up to that of the whole head. Raises as `activation_patching_effects`.
    """
    bridge = as_hooked(model)
    z, total = _both_runs(bridge, clean, corrupted, right, wrong, direction)
    base, other, tokens = _base(clean, corrupted, direction)
    # Zeros that are added to each head's output: the gradient with respect to them is wanted.
    zeros = [torch.zeros_like(both[base], requires_grad=True) for both in z]
    hooks: Hooks = [
        (attention_hook(layer, "z"), lambda value, hook, zero=zero: value + zero)
        for layer, zero in enumerate(zeros)
    ]
    with torch.enable_grad():
        logits = bridge.run_with_hooks(tokens, fwd_hooks=hooks)
        gradients = torch.autograd.grad(mean_logit_difference(logits, right, wrong), zeros)
    shares = torch.stack(
        [
            ((both[other] - both[base]) * gradient).sum(dim=(0, 3)).T
            for both, gradient in zip(z, gradients, strict=True)
        ]
    )  # [layer head pos]
    shares = (-shares if direction == "noise" else shares) / total
    return shares if by_position else shares.sum(dim=-1)


def _base(clean: Tensor, corrupted: Tensor, direction: str) -> tuple[int, int, Tensor]:
    """Which run is patched (0 is the clean one), from which run, and the rows that are run."""
    return (1, 0, corrupted) if direction == "denoise" else (0, 1, clean)


def _replacing(layer: int, head: int, value: Tensor) -> tuple[str, Any]:
    def replace(z: Mixed, hook: Any) -> Mixed:
        return with_head_replaced(z, head, value)

    return attention_hook(layer, "z"), replace


def _both_runs(
    bridge: HookedModel,
    clean: Tensor,
    corrupted: Tensor,
    right: Tensor,
    wrong: Tensor,
    direction: str,
) -> tuple[list[tuple[Tensor, Tensor]], Tensor]:
    """`hook_z` of both runs by layer, and the difference between their logit differences."""
    if direction not in DIRECTIONS:
        raise ValueError(f"direction={direction!r}: choose {' or '.join(DIRECTIONS)}.")
    for rows in (clean, corrupted):
        require_tokens(bridge, rows)
    if clean.shape != corrupted.shape:
        raise ValueError(
            f"Got clean rows of shape {list(clean.shape)} and corrupted rows of shape "
            f"{list(corrupted.shape)}. Pass pairs of rows of the same length."
        )
    if right.shape != clean.shape[:1] or wrong.shape != clean.shape[:1]:
        raise ValueError(
            f"Got {list(right.shape)} right and {list(wrong.shape)} wrong ids for {len(clean)} "
            "rows. Pass one of each for every row."
        )
    names = [attention_hook(layer, "z") for layer in range(bridge.cfg.n_layers)]
    runs = []
    with torch.no_grad():
        for rows in (clean, corrupted):
            logits, cache = bridge.run_with_cache(rows, names_filter=lambda name: name in names)
            runs.append((mean_logit_difference(logits, right, wrong), cache))
    (high, clean_cache), (low, corrupted_cache) = runs
    if (high - low).abs() < 1e-3:
        raise ValueError(
            f"The logit difference is {high:.4f} in the clean and {low:.4f} in the corrupted run: "
            "there is nothing to restore. Corrupt a token that the prediction depends on."
        )
    return [(clean_cache[name], corrupted_cache[name]) for name in names], high - low
