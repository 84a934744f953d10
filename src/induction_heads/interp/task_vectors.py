"""Function vectors and task vectors: the effect of examples at the last position.

All functions take rows whose last position is the query to answer.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.interp.circuits import head_weights
from induction_heads.interp.losses import in_float32
from induction_heads.models.interface import HookedModel

LayerHead = Float[Tensor, "layer head"]


def last_mixed(
    model: HookedModel, rows: Int[Tensor, "batch pos"]
) -> Float[Tensor, "layer batch head d_head"]:
    """What each head mixed at the last position (`hook_z`), before W_O."""
    names = [_z(layer) for layer in range(model.cfg.n_layers)]
    with torch.inference_mode():
        _, cache = model.run_with_cache(rows, names_filter=lambda name: name in names)
    return torch.stack([cache[name][:, -1] for name in names]).clone()


def mean_outputs(
    model: HookedModel, rows: Int[Tensor, "batch pos"]
) -> Float[Tensor, "layer head d_model"]:
    """What each head writes at the last position, as a mean over the rows."""
    mixed = last_mixed(model, rows).mean(dim=1)
    return torch.einsum("lhd,lhdm->lhm", mixed.float(), head_weights(model)[3])


def indirect_effects(
    model: HookedModel,
    prompts: Int[Tensor, "batch pos"],
    corrupted: Int[Tensor, "corrupted pos"],
    answers: Int[Tensor, " corrupted"],
) -> LayerHead:
    """How much each head's mean over the prompts helps the corrupted ones, in probability.

    For each head, its `hook_z` at the last position of the corrupted rows is replaced by its mean
    over the last position of the prompts. The effect is the rise of the probability of the right
    answer there, as a mean over the rows (Todd et al. 2024). Raises ValueError unless there is one
    answer for each corrupted row.
    """
    if answers.shape != corrupted.shape[:1]:
        raise ValueError(f"{len(answers)} answers for {len(corrupted)} rows: pass one for each.")
    means = last_mixed(model, prompts).mean(dim=1)
    before = _right(model(corrupted), answers)
    effects = torch.zeros(means.shape[:2])
    for layer in range(model.cfg.n_layers):
        for head in range(model.cfg.n_heads):
            hook = (_z(layer), _put_last((slice(None), head), means[layer, head]))
            with torch.inference_mode():
                logits = model.run_with_hooks(corrupted, fwd_hooks=[hook])
            effects[layer, head] = _right(logits, answers) - before
    return effects


def function_vector(
    mean_outputs: Float[Tensor, "layer head d_model"], effects: LayerHead, n_heads: int
) -> Float[Tensor, " d_model"]:
    """The sum of the mean outputs of the `n_heads` heads with the largest effects.

    The largest, not the largest in size: a head that lowers the right answer is not a candidate.
    After Todd et al. (2024). Raises ValueError unless 1 ≤ n_heads ≤ the number of heads.
    """
    if not 1 <= n_heads <= effects.numel():
        raise ValueError(f"n_heads={n_heads}: choose between 1 and {effects.numel()}.")
    return mean_outputs.flatten(0, 1)[effects.flatten().topk(n_heads).indices].sum(dim=0)


def task_vector(
    with_examples: Float[Tensor, "batch pos d_model"], bare: Float[Tensor, "batch2 pos2 d_model"]
) -> Float[Tensor, " d_model"]:
    """What the examples add to the residual stream at the last position, as a mean over rows.

    The mean at the last position of rows with examples, minus that of rows without any, at the same
    hook point. The query's change of position is part of it.
    """
    return with_examples[:, -1].mean(dim=0) - bare[:, -1].mean(dim=0)


def residual_at(
    model: HookedModel, rows: Int[Tensor, "batch pos"], name: str
) -> Float[Tensor, "batch pos d_model"]:
    """The residual stream at a hook point, such as `blocks.1.hook_resid_pre`."""
    with torch.inference_mode():
        _, cache = model.run_with_cache(rows, names_filter=name)
    return cache[name].clone()


def accuracy_with(
    model: HookedModel,
    rows: Int[Tensor, "batch pos"],
    answers: Int[Tensor, " batch"],
    name: str = "",
    vector: Float[Tensor, " d_model"] | None = None,
) -> float:
    """The share of rows answered rightly with a vector added at the last position of a hook point.

    Without a vector nothing is added.
    """
    hooks = [] if vector is None else [(name, _add_last(vector))]
    with torch.inference_mode():
        logits = model.run_with_hooks(rows, fwd_hooks=hooks)
    return (logits[:, -1].argmax(dim=-1) == answers).float().mean().item()


def _z(layer: int) -> str:
    return f"blocks.{layer}.attn.hook_z"


def _right(logits: Tensor, answers: Tensor) -> float:
    """The mean probability of the right answer at the last position."""
    chances = in_float32(logits)[:, -1].softmax(dim=-1)
    return chances.gather(-1, answers[:, None]).mean().item()


def _put_last(index: tuple, value: Tensor) -> Any:
    """A hook that writes a value at the last position."""

    def hook(activation: Tensor, hook: Any) -> Tensor:
        changed = activation.clone()
        changed[:, -1][index] = value
        return changed

    return hook


def _add_last(vector: Tensor) -> Any:
    """A hook that adds a vector at the last position."""

    def hook(activation: Tensor, hook: Any) -> Tensor:
        changed = activation.clone()
        changed[:, -1] += vector
        return changed

    return hook
