"""Function vectors and task vectors: the effect of examples at the last position.

All functions take rows whose last position is the query to answer.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.data.tokens import seeded
from induction_heads.interp.ablation import Head
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
    means = last_mixed(model, prompts).mean(dim=1, keepdim=True)
    return effects_of_values(model, means, corrupted, answers)


def effects_of_values(
    model: HookedModel,
    values: Float[Tensor, "layer source head d_head"],
    corrupted: Int[Tensor, "corrupted pos"],
    answers: Int[Tensor, " corrupted"],
) -> LayerHead:
    """The rise of the right answer's probability with a value for each head in turn.

    The value replaces the head's `hook_z` at the last position. `values` has one source for all
    rows or one for each. Raises ValueError unless there is one answer for each corrupted row.
    """
    if answers.shape != corrupted.shape[:1]:
        raise ValueError(f"{len(answers)} answers for {len(corrupted)} rows: pass one for each.")
    before = _right(model(corrupted), answers)
    effects = torch.zeros(values.shape[0], values.shape[2])
    for layer in range(model.cfg.n_layers):
        for head in range(model.cfg.n_heads):
            hook = (_z(layer), _put_last((slice(None), head), values[layer, :, head]))
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
    vector: Float[Tensor, "*batch d_model"] | None = None,
) -> float:
    """The share of rows answered rightly with a vector added at the last position of a hook point.

    It is one vector for all rows or one for each. Without a vector nothing is added.
    """
    hooks = [] if vector is None else [(name, _add_last(vector))]
    with torch.inference_mode():
        logits = model.run_with_hooks(rows, fwd_hooks=hooks)
    return (logits[:, -1].argmax(dim=-1) == answers).float().mean().item()


def patched_logits(
    model: HookedModel,
    rows: Int[Tensor, "batch pos"],
    source: Int[Tensor, "batch source_pos"],
    name: str,
) -> Float[Tensor, "batch d_vocab"]:
    """The logits at the last position with the state of other rows in its place.

    At the hook point `name`, a place in the residual stream, the state at the last position of row
    i is replaced by that at the last position of row i of `source` (Hendel et al. 2023). The rows
    may differ in length. Raises ValueError unless there is one source row for each row.
    """
    if len(rows) != len(source):
        raise ValueError(f"Got {len(rows)} rows and {len(source)} source rows: pass one for each.")
    hook = (name, _put_last((), residual_at(model, source, name)[:, -1]))
    with torch.inference_mode():
        logits = model.run_with_hooks(rows, fwd_hooks=[hook])[:, -1]
    return in_float32(logits).clone()


def exclusive_heads(scores: LayerHead, others: LayerHead, n_heads: int) -> list[Head]:
    """The `n_heads` heads with the largest scores that are not among the first of another kind.

    As (layer, head), the largest score first. Left out are the `n_heads` heads with the largest
    values of `others`. Yin & Steinhardt (2025) ablate one kind of head in this way without heads of
    the other. Raises ValueError unless the shapes agree and both sets fit into the model.

    >>> scores = torch.tensor([[0.9, 0.8], [0.1, 0.7]])
    >>> others = torch.tensor([[0.0, 0.9], [0.2, 0.1]])
    >>> exclusive_heads(scores, others, 1), exclusive_heads(scores, others, 2)
    ([(0, 0)], [(0, 0), (1, 1)])
    """
    if scores.shape != others.shape:
        raise ValueError(
            f"Got scores of shape {list(scores.shape)} and {list(others.shape)}. Pass one number "
            "of each kind for every head."
        )
    if not 1 <= 2 * n_heads <= scores.numel():
        raise ValueError(f"n_heads={n_heads}: choose between 1 and {scores.numel() // 2}.")
    left_out = others.flatten().topk(n_heads).indices
    allowed = scores.flatten().index_fill(0, left_out, -torch.inf)
    order = allowed.topk(n_heads).indices.tolist()
    return [divmod(index, scores.shape[1]) for index in order]


def same_layer_heads(
    heads: Sequence[Head], n_heads: int, *, seed: int | torch.Generator = 0
) -> list[Head]:
    """As many random heads of each layer as there are in `heads`, none of them in `heads`.

    A control for "these heads matter": it keeps the layers. `n_heads` is the number of heads in a
    layer. If a layer does not have enough others, all the others of this layer are taken, so the
    control may be smaller.

    >>> same_layer_heads([(0, 1), (2, 0), (2, 3)], n_heads=4, seed=1)
    [(0, 2), (2, 1), (2, 2)]
    """
    generator, chosen = seeded(seed), []
    for layer in sorted({layer for layer, _ in heads}):
        own = [head for at, head in heads if at == layer]
        others = [head for head in range(n_heads) if head not in own]
        order = torch.randperm(len(others), generator=generator).tolist()
        chosen += [(layer, head) for head in sorted(others[i] for i in order[: len(own)])]
    return chosen


def _z(layer: int) -> str:
    return f"blocks.{layer}.attn.hook_z"


def _right(logits: Tensor, answers: Tensor) -> float:
    """The mean probability of the right answer at the last position."""
    chances = in_float32(logits)[:, -1].softmax(dim=-1)
    return chances.gather(-1, answers[:, None]).mean().item()


def _put_last(index: tuple, value: Tensor) -> Any:
    """A hook that writes a value at the last position. An empty index stands for all of it."""

    def hook(activation: Tensor, hook: Any) -> Tensor:
        changed = activation.clone()
        changed[:, -1][index or ...] = value
        return changed

    return hook


def _add_last(vector: Tensor) -> Any:
    """A hook that adds a vector at the last position."""

    def hook(activation: Tensor, hook: Any) -> Tensor:
        changed = activation.clone()
        changed[:, -1] += vector
        return changed

    return hook
