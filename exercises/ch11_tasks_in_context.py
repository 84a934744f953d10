"""Exercises of chapter 11: tasks that examples show, and the vectors that carry them.

Replace each `raise NotImplementedError` with your code. Check all of them with
`induction-heads check ch11`, or one with `induction-heads check indirect_effects`.
"""

from functools import partial  # noqa: F401
from typing import TYPE_CHECKING, Any  # noqa: F401

import torch  # noqa: F401
from jaxtyping import Bool, Float, Int
from torch import Tensor

if TYPE_CHECKING:  # Importing TransformerLens takes seconds, and these functions only name it.
    from transformer_lens import TransformerBridge


def indirect_effects(
    model: "TransformerBridge",
    prompts: Int[Tensor, "batch pos"],
    corrupted: Int[Tensor, "corrupted pos"],
    answers: Int[Tensor, " corrupted"],
) -> Float[Tensor, "layer head"]:
    """How much each head's mean over the prompts helps the corrupted ones, in probability.

    ★★★ · 25 minutes. Why: heads that carry a task are found by what they cause.

    For each head in turn: take its `z` (`blocks.{layer}.attn.hook_z`, [batch pos head d_head]) at
    the last position, as a mean over `prompts`. Run `corrupted` with this value in place of the
    head's own `z` at the last position. The effect is the probability of the right answer at the
    last position, minus that of the corrupted rows as they are, as a mean over the rows.
    """
    raise NotImplementedError


def function_vector(
    mean_outputs: Float[Tensor, "layer head d_model"],
    effects: Float[Tensor, "layer head"],
    n_heads: int,
) -> Float[Tensor, " d_model"]:
    """The sum of the mean outputs of the heads with the largest effects.

    ★ · 6 minutes. Why: a few heads together may hold what a prompt asks for.

    `n_heads` is how many heads of the whole model are taken. The largest effects count, not the
    largest absolute values: a head that lowers the right answer is not a candidate.
    """
    raise NotImplementedError


def task_vector(
    with_examples: Float[Tensor, "batch pos d_model"], bare: Float[Tensor, "batch2 pos2 d_model"]
) -> Float[Tensor, " d_model"]:
    """What the examples add to the residual stream at the last position, as a mean over rows.

    ★ · 5 minutes. Why: what a prompt leaves behind can be moved to another prompt.

    Both are the residual stream at the same place of a model, once for rows with examples and once
    for rows without. The rows may differ in number and length.
    """
    raise NotImplementedError


def identified_task_formula() -> str:
    """The chance to name the right one of T tasks after one example, as a formula.

    ★★ · 12 minutes, with pen and paper. Why: a model can only be judged against the best that its
    prompt allows.

    Each of T tasks sends each input to one of S outputs, drawn independently and uniformly. One of
    the tasks made the example. You choose at random among the tasks that fit it. Return the chance
    that you choose the one that made it, as a Python expression in `T` and `S`. It may use
    + - * / **, but no sum over cases.
    """
    raise NotImplementedError


def patched_logits(
    model: "TransformerBridge",
    rows: Int[Tensor, "batch pos"],
    source: Int[Tensor, "batch source_pos"],
    name: str,
) -> Float[Tensor, "batch d_vocab"]:
    """The logits at the last position with the state of other rows in its place.

    ★★ · 15 minutes. Why: one state is moved, and everything else of the prompt stays.

    `name` is a hook point of the residual stream, such as `blocks.2.hook_resid_pre`
    ([batch pos d_model]). Run `rows`, but at this point replace the state at the last position of
    row i by the state at the last position of row i of `source`. The two may differ in length.
    """
    raise NotImplementedError


def exclusive_heads(
    scores: Float[Tensor, "layer head"], others: Float[Tensor, "layer head"], n_heads: int
) -> list[tuple[int, int]]:
    """The heads with the largest scores that are not among the first of another kind.

    ★★ · 10 minutes. Why: a head of both kinds says nothing about which kind matters.

    Leave out the `n_heads` heads with the largest values of `others`. Of the remaining heads,
    return the `n_heads` with the largest `scores`, as (layer, head), the largest score first.
    """
    raise NotImplementedError


def copied_targets(tokens: Int[Tensor, "batch pos"]) -> Bool[Tensor, "batch pos"]:
    """Where the next token is what an induction head would predict.

    ★★ · 12 minutes. Why: the loss of HAPAX leaves these targets out.

    An induction head predicts the token after the latest earlier copy of the token here. Entry
    [row, i] is True if token i has an earlier copy in its row and the token after the latest one
    equals token i + 1. The last position has no next token, so it is False.
    """
    raise NotImplementedError


def context_votes(pairs: Int[Tensor, "batch pos"], n_labels: int) -> Float[Tensor, "batch label"]:
    """What the context alone says about the label of the last exemplar of each row.

    ★★ · 12 minutes. Why: this is all that a learner without memory can know.

    A row of `pairs` is exemplar, label, exemplar, label, …, and at the end an exemplar without a
    label. Entry [row, l] is the share of label l among the pairs of this row whose exemplar is the
    last one. If there is no such pair, every label gets 1 / `n_labels`. Labels are numbers from 0
    to `n_labels` − 1. Exemplars are other numbers.
    """
    raise NotImplementedError


def context_learner_formula() -> str:
    """The accuracy of a pure in-context learner, as a formula.

    ★★ · 10 minutes, with pen and paper. Why: where the weights must help, shows only beside what
    the context can do alone.

    A share `p` of the rows is bursty: there the class of the query is among the pairs. In the other
    rows each of the `N` pairs, and the query, has one of `K` classes, drawn independently and
    uniformly. The learner copies the label of the query's class if it is among the pairs, and
    otherwise guesses one of `L` labels at random. Return the chance that it is right, as a Python
    expression in `p`, `N`, `K` and `L`. It may use + - * / **, but no sum over cases.
    """
    raise NotImplementedError


def answer_shares(
    logits: Float[Tensor, "batch label"],
    from_context: Int[Tensor, " batch"],
    from_weights: Int[Tensor, " batch"],
) -> Float[Tensor, " source"]:
    """How often a model follows the context, its weights, or neither, where the two disagree.

    ★★ · 10 minutes. Why: two strategies can only be told apart where they answer differently.

    The answer of a row is the label with the highest logit. Leave out the rows in which
    `from_context` and `from_weights` are the same. Of the remaining rows, return three shares:
    answered from the context, from the weights, and otherwise. At least one row remains.
    """
    raise NotImplementedError


def largest_fall(values: Float[Tensor, "run snapshot"]) -> Float[Tensor, " run"]:
    """How far each curve falls from one snapshot to a later one, at most.

    ★★ · 8 minutes. Why: an ability that comes and goes must first be told from one that never came.

    For each row, the largest difference between a value and a value after it. A row that never
    falls gets 0.
    """
    raise NotImplementedError
