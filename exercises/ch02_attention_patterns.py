"""Exercises of chapter 2, attention patterns: from a model to named heads.

Replace each `raise NotImplementedError` with your code. Check all of them with
`induction-heads check ch02`, or one with `induction-heads check previous_token_score`.
"""

from typing import TYPE_CHECKING

import torch  # noqa: F401
from jaxtyping import Float, Int
from torch import Tensor

if TYPE_CHECKING:  # Importing TransformerLens takes seconds, and these functions only name it.
    from transformer_lens import TransformerBridge


def previous_token_score(pattern: Float[Tensor, "*batch query key"]) -> Float[Tensor, "*batch"]:
    """The mean attention from each token to the one right before it.

    ★ · 5 minutes. Why: it is the score of the heads in chapter 3.

    `pattern` ends in the axes query and key. The mean runs over queries 1, 2, … (query 0 has no
    token before it). Axes in front, such as layer, batch and head, are kept: a pattern of shape
    [2, 3, 8, 8] gives scores of shape [2, 3]. On the 4 × 4 pattern of the chapter it is 0.8.

    Hint: the entries (1, 0), (2, 1), (3, 2), … are one diagonal. See `Tensor.diagonal`, and say
    which two axes it runs over.
    """
    raise NotImplementedError


def first_token_score(pattern: Float[Tensor, "*batch query key"]) -> Float[Tensor, "*batch"]:
    """The mean attention from each token to position 0.

    ★ · 5 minutes. Why: half of this chapter asks what a high value of it means.

    The mean runs over queries 1, 2, … (query 0 can look nowhere else). Axes in front are kept. On
    the 4 × 4 pattern of the chapter it is 1/3.

    Hint: keys are columns, so the weights on position 0 are one column.
    """
    raise NotImplementedError


def current_token_score(pattern: Float[Tensor, "*batch query key"]) -> Float[Tensor, "*batch"]:
    """The mean attention from each token to itself.

    ★ · 5 minutes. Why: with it you can tell a head that looks back from one that stays put.

    The mean runs over queries 1, 2, … (query 0 always gives itself all of its attention, whatever
    the head is). Axes in front are kept. On the 4 × 4 pattern of the chapter it is 0.4 / 3.
    """
    raise NotImplementedError


def attention_patterns(
    model: "TransformerBridge", tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "layer batch head query key"]:
    """The attention pattern of every head of the model, in one tensor.

    ★★ · 10 minutes. Why: every other measurement of this course starts from this tensor.

    Entry [layer, batch, head, query, key] is how much `query` looks at `key`. For a model of 2
    layers with 4 heads and 3 rows of 10 tokens, the shape is [2, 3, 4, 10, 10].

    Hint: `model.run_with_cache` takes `names_filter`; `model.cfg.n_layers` counts the layers. Each
    layer's pattern is [batch, head, query, key].
    """
    raise NotImplementedError


def detect_head_types(
    scores: dict[str, Float[Tensor, "layer head"]], threshold: float = 0.4
) -> dict[tuple[int, int], str]:
    """The type of each head that has one.

    ★★ · 15 minutes. Why: a list of named heads is what a detector gives its user.

    `scores` maps the name of a type to one score per head. A head's type is the name of its highest
    score, if that score is at least `threshold`. A head that reaches it on no score is left out. If
    two names tie, the one that comes first in `scores` wins. Keys of the answer are pairs of ints.

    >>> first, previous = torch.tensor([[0.75, 0.1]]), torch.tensor([[0.5, 0.25]])
    >>> detect_head_types({"first": first, "previous": previous}, threshold=0.5)
    {(0, 0): 'first'}
    """
    raise NotImplementedError


def uniform_first_token_score(n_pos: int) -> float:
    """The first-token score of a head that attends evenly over all the keys it may see.

    ★★ · 15 minutes, with pen and paper. Why: it is the control of `first_token_score`.

    Derive it before you write it. What does query i give to each key it sees? Over which queries
    does the score take the mean? The harmonic number H_n = 1 + 1/2 + … + 1/n makes it short. For
    two positions it is 1/2, for three 5/12. `n_pos` is 2 or more.
    """
    raise NotImplementedError
