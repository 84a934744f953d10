"""What a model of exemplars and labels answers from its context, and what by heart.

The rows are those of `data/exemplar_rows`: the pairs of an exemplar and a label, an exemplar, and
its label, the last token. Models are asked for the last token.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.data.exemplar_rows import N_LABELS
from induction_heads.interp.ablation import Head
from induction_heads.interp.activations import attention_patterns
from induction_heads.models.attention_only import AttentionOnly
from induction_heads.models.with_mlp import WithMLP, last_residual

Rows = Int[Tensor, "batch pos"]


def label_logits(
    model: AttentionOnly, rows: Rows, *, without: Sequence[Head] = ()
) -> Float[Tensor, "batch label"]:
    """The logits of the labels after the last exemplar of each row. The last token is not read.

    `without` are heads, as (layer, head), whose output is set to zero. Raises ValueError for a head
    that the model does not have.
    """
    residual = last_residual(model, rows[:, :-1], without)
    if isinstance(model, WithMLP):
        residual = residual + model.mlp(residual)
    return model.norm(residual) @ model.W_U[:, :N_LABELS]


def label_accuracy(model: AttentionOnly, rows: Rows, *, without: Sequence[Head] = ()) -> float:
    """How often the label with the highest logit is the last token of the row."""
    with torch.inference_mode():
        answers = label_logits(model, rows, without=without).argmax(dim=-1)
    return (answers == rows[:, -1]).float().mean().item()


def context_votes(pairs: Int[Tensor, "batch pos"], n_labels: int) -> Float[Tensor, "batch label"]:
    """What the context alone says about the label of the last exemplar of each row.

    `pairs` are rows of exemplar, label, exemplar, label, …, exemplar. Entry [row, l] is the share
    of label l among the pairs that have the last exemplar, or 1 / `n_labels` if no pair has it.

    >>> context_votes(torch.tensor([[9, 1, 8, 0, 9, 1, 9], [9, 1, 8, 0, 9, 1, 7]]), n_labels=2)
    tensor([[0.0000, 1.0000],
            [0.5000, 0.5000]])
    """
    exemplars, labels = pairs[:, 0:-1:2], pairs[:, 1::2]
    same = (exemplars == pairs[:, -1:]).float()
    votes = torch.zeros(len(pairs), n_labels).scatter_add(1, labels, same)
    total = votes.sum(dim=1, keepdim=True)
    return torch.where(total > 0, votes / total.clamp_min(1), 1 / n_labels)


def answer_shares(
    logits: Float[Tensor, "batch label"],
    from_context: Int[Tensor, " batch"],
    from_weights: Int[Tensor, " batch"],
) -> Float[Tensor, " source"]:
    """How often a model follows the context, its weights, or neither, where the two disagree.

    Rows in which both say the same label are left out. Raises ValueError if no row is left.

    >>> logits = torch.eye(4)  # The answers are 0, 1, 2, 3.
    >>> answer_shares(logits, torch.tensor([0, 1, 0, 3]), torch.tensor([1, 0, 2, 3]))
    tensor([0.6667, 0.3333, 0.0000])
    """
    disagree = from_context != from_weights
    if not disagree.any():
        raise ValueError("In no row do the context and the weights disagree, so nothing is shown.")
    answers = logits.argmax(dim=-1)[disagree]
    context, weights = answers == from_context[disagree], answers == from_weights[disagree]
    return torch.stack([context, weights, ~context & ~weights]).float().mean(dim=1)


def largest_fall(values: Float[Tensor, "run snapshot"]) -> Float[Tensor, " run"]:
    """How far each curve falls from one snapshot to a later one, at most; 0 if it never falls.

    >>> largest_fall(torch.tensor([[0.5, 0.75, 0.25, 1.0], [0.0, 0.25, 0.5, 0.5]]))
    tensor([0.5000, 0.0000])
    """
    return (values.cummax(dim=1).values - values).max(dim=1).values


def circuit_scores(model: AttentionOnly, rows: Rows) -> dict[str, Float[Tensor, "layer head"]]:
    """Three scores of every head on rows whose last exemplar is among the pairs.

    - `previous`: the attention of labels to the exemplar before them, a mean over all pairs;
    - `right`: the attention of the last exemplar to the labels of its own class, summed over them;
    - `wrong`: its attention to all other labels, the control.

    A head that attends evenly gives 2 / 9 to each of two classes that occur twice.
    """
    pairs = rows[:, :-1]
    patterns = attention_patterns(model, pairs)
    label_places = torch.arange(1, pairs.shape[1], 2)
    previous = patterns[..., label_places, label_places - 1].mean(dim=(1, 3))
    to_labels = patterns[..., -1, 1::2]  # [layer batch head pair]
    same = (pairs[:, 0:-1:2] == pairs[:, -1:])[:, None].float()
    right = (to_labels * same).sum(dim=-1).mean(dim=1)
    wrong = (to_labels * (1 - same)).sum(dim=-1).mean(dim=1)
    return {"previous": previous, "right": right, "wrong": wrong}


def accuracy_without_each(model: AttentionOnly, rows: Rows) -> Float[Tensor, "layer head"]:
    """The accuracy on these rows without each head in turn."""
    config = model.config
    return torch.tensor(
        [
            [label_accuracy(model, rows, without=[(layer, head)]) for head in range(config.n_heads)]
            for layer in range(config.n_layers)
        ]
    )
