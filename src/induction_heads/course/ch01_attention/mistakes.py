"""Known mistakes of chapter 1, each with its hint."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool
from torch import Tensor

from induction_heads.course.exercise import Mistake

# causal_mask


def _ones(n_pos: int) -> Bool[Tensor, "query key"]:
    return torch.ones(n_pos, n_pos, dtype=torch.bool)


def _mask_by_comparison(n_pos: int) -> Bool[Tensor, "query key"]:
    position = torch.arange(n_pos)
    return position[:, None] >= position


MASK_MISTAKES = (
    Mistake(
        "the mask is transposed",
        lambda n_pos: _ones(n_pos).triu(),
        "Row 0 of your mask belongs to query 0. Which keys did it have time to see?",
    ),
    Mistake(
        "True marks the hidden keys",
        lambda n_pos: _ones(n_pos).triu(1),
        "Read one entry aloud. What does True mean here, and what does the docstring ask for?",
    ),
    Mistake(
        "a query may not look at itself",
        lambda n_pos: _ones(n_pos).tril(-1),
        "What is left for query 0 to look at?",
    ),
    Mistake(
        "a query sees one key too many",
        lambda n_pos: _ones(n_pos).tril(1),
        "The entry at (0, 1) is True. Is key 1 in the past of query 0?",
    ),
    Mistake(
        "every query sees everything",
        _ones,
        "What could query 0 read off key 1, in a model that has to predict token 1 there?",
    ),
    Mistake(
        "the mask holds 0 and 1 instead of False and True",
        lambda n_pos: torch.ones(n_pos, n_pos).tril(),
        "The places are right. What dtype does the signature name?",
    ),
    Mistake(
        "the mask holds 0 and −∞",
        lambda n_pos: torch.full((n_pos, n_pos), -math.inf).triu(1),
        "Such a matrix is made from a mask. What does the mask itself say about a pair?",
    ),
)


# attention_pattern


def _variant(
    scale: Callable[[Tensor], float] = lambda queries: queries.shape[-1] ** 0.5,
    visible: Callable[[int], Tensor] = _mask_by_comparison,
    hidden: float = -math.inf,
    axis: int = -1,
) -> Callable[[Tensor, Tensor], Tensor]:
    """`attention_pattern` with one step changed."""

    def pattern(queries: Tensor, keys: Tensor) -> Tensor:
        scores = queries @ keys.mT / scale(queries)
        return scores.masked_fill(~visible(queries.shape[-2]), hidden).softmax(dim=axis)

    return pattern


def _hidden_keys(n_pos: int) -> Bool[Tensor, "query key"]:
    return ~_mask_by_comparison(n_pos)


def _by_division(queries: Tensor, keys: Tensor) -> Tensor:
    weights = torch.exp(queries @ keys.mT / queries.shape[-1] ** 0.5).tril()
    return weights / weights.sum(dim=-1, keepdim=True)


_right_pattern = _variant()
_unscaled = _variant(scale=lambda queries: 1.0)
_unmasked = _variant(visible=_ones)


PATTERN_MISTAKES = (
    Mistake(
        "the scores are not divided by sqrt(d_head)",
        _unscaled,
        "How does q·k grow with d_head, and which part of the definition answers that?",
    ),
    Mistake(
        "the scores are divided by d_head instead of its square root",
        _variant(scale=lambda queries: queries.shape[-1]),
        "A sum of d_head products of variance 1: what is its standard deviation?",
    ),
    Mistake(
        "the scale is taken from the number of positions",
        _variant(scale=lambda queries: queries.shape[-2] ** 0.5),
        "Which axis does one dot product q·k sum over? The scale depends on its length.",
    ),
    Mistake(
        "the softmax runs over the queries",
        _variant(axis=-2),
        "Sum your rows, then your columns. Which has to give 1, and which axis is that?",
    ),
    Mistake("no key is hidden", _unmasked, "What weight should query 0 give to keys 1, 2 and 3?"),
    Mistake(
        "the future is removed after the softmax",
        lambda queries, keys: _unmasked(queries, keys).tril(),
        "Sum your rows. What did the removed weights leave behind in the denominator?",
    ),
    Mistake(
        "hidden scores are set to 0",
        _variant(hidden=0.0),
        "The softmax takes e to the power of each score. What is e to the power of 0?",
    ),
    Mistake(
        "queries and keys are swapped",
        lambda queries, keys: _right_pattern(keys, queries),
        "Look at the entry (1, 0). Whose query and whose key went into it?",
    ),
    Mistake(
        "the mask is transposed",
        _variant(visible=lambda n_pos: _mask_by_comparison(n_pos).T),
        "The last query of your pattern sees only one key. How many should it see?",
    ),
    Mistake(
        "a query may not look at itself",
        _variant(visible=lambda n_pos: _ones(n_pos).tril(-1)),
        "Row 0 is NaN: there is no key to receive its weight. Which key should there be?",
    ),
    Mistake(
        "the mask is inverted: the keys that may be seen are hidden",
        _variant(visible=_hidden_keys),
        "The last query sees nothing in your pattern. Does True in your mask mean hide or keep?",
    ),
    Mistake(
        "large scores overflow",
        _by_division,
        "The exponential of 100 does not fit in a float, and that of −110 is rounded to 0. What "
        "can you subtract from all scores of a row without changing its softmax?",
    ),
    Mistake(
        "hidden scores are set to −100",
        _variant(hidden=-100.0),
        "Scores that may be seen can be lower than −100. Which score always gives a weight of 0?",
    ),
    Mistake(
        "the mask is inverted, with a large negative number for −∞",
        _variant(visible=_hidden_keys, hidden=-1e9),
        "Only the last row of your pattern looks at the past, and at all of it alike. Does True "
        "in your mask mean hide or keep?",
    ),
)


# attention_head


def _wrong_masks(made_of: Callable[..., Callable[..., Tensor]]) -> tuple[Mistake, ...]:
    """The mistakes in which other keys are hidden; `made_of` takes the options of `_variant`."""
    return (
        Mistake(
            "the mask is inverted: the keys that may be seen are hidden",
            made_of(visible=_hidden_keys),
            "The last position has nothing left to look at. Does True mean hide or keep?",
        ),
        Mistake(
            "the mask is inverted, with a large negative number for −∞",
            made_of(visible=_hidden_keys, hidden=-1e9),
            "Which positions does query 0 look at in your version? Does True mean hide or keep?",
        ),
        Mistake(
            "the mask is transposed",
            made_of(visible=lambda n_pos: _mask_by_comparison(n_pos).T),
            "The last position sees only itself here. Which axis of the mask is the query?",
        ),
        Mistake(
            "a query may not look at itself",
            made_of(visible=lambda n_pos: _ones(n_pos).tril(-1)),
            "Position 0 of your answer is NaN. Which key is there for query 0?",
        ),
    )


def _head_with(pattern: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """`attention_head` with another way to compute the pattern."""

    def head(residual: Tensor, W_Q: Tensor, W_K: Tensor, W_V: Tensor, W_O: Tensor) -> Tensor:
        return pattern(residual @ W_Q, residual @ W_K) @ (residual @ W_V) @ W_O

    return head


_right_head = _head_with(_right_pattern)


HEAD_MISTAKES = (
    Mistake(
        "the residual stream is added to the head's output",
        lambda residual, *weights: residual + _right_head(residual, *weights),
        "Who adds up the terms when a layer has several heads? Read again what to return.",
    ),
    Mistake(
        "W_O is left out",
        lambda residual, W_Q, W_K, W_V, W_O: (
            _right_pattern(residual @ W_Q, residual @ W_K) @ (residual @ W_V)
        ),
        "How many numbers does a position have in the residual stream, and how many in your "
        "answer?",
    ),
    Mistake(
        "keys are moved instead of values",
        lambda residual, W_Q, W_K, W_V, W_O: _right_head(residual, W_Q, W_K, W_K, W_O),
        "Does your answer change when W_V changes? What does a position's key decide?",
    ),
    Mistake(
        "the pattern is not used",
        lambda residual, W_Q, W_K, W_V, W_O: residual @ W_V @ W_O,
        "Change the first token: does your output at the last position change?",
    ),
    Mistake(
        "the pattern is transposed before it mixes the values",
        _head_with(lambda queries, keys: _right_pattern(queries, keys).mT),
        "The last position may look everywhere. How many values reach it in your answer?",
    ),
    Mistake(
        "W_Q and W_K are swapped",
        lambda residual, W_Q, W_K, W_V, W_O: _right_head(residual, W_K, W_Q, W_V, W_O),
        "Which of the two matrices makes the vector of the position doing the looking?",
    ),
    Mistake(
        "the scale is sqrt(d_model)",
        lambda residual, *weights: _head_with(_variant(scale=lambda _: residual.shape[-1] ** 0.5))(
            residual, *weights
        ),
        "The dot product is between a query and a key. How many numbers does each have?",
    ),
    Mistake(
        "the scores are not scaled",
        _head_with(_unscaled),
        "Compare with your pattern from the previous exercise: which step is missing?",
    ),
    Mistake(
        "no key is hidden",
        _head_with(_unmasked),
        "Change only the last token. Which positions of your output change, and which should?",
    ),
    Mistake(
        "the softmax runs over the queries",
        _head_with(_variant(axis=-2)),
        "Do the weights with which one position mixes the values add up to 1 in your version?",
    ),
    *_wrong_masks(lambda **options: _head_with(_variant(**options))),
)


# attention_from_circuits


def _matrices_with(
    scale: Callable[[int, int], float] = lambda d_head, d_model: d_head**0.5,
    visible: Callable[[int], Tensor] = _mask_by_comparison,
    hidden: float = -math.inf,
) -> Callable[..., Tensor]:
    """`attention_from_circuits` with one step changed."""

    def head(residual: Tensor, W_QK: Tensor, W_OV: Tensor, d_head: int) -> Tensor:
        pattern = _variant(lambda _: scale(d_head, residual.shape[-1]), visible, hidden)
        return pattern(residual @ W_QK, residual) @ residual @ W_OV

    return head


_right_matrices = _matrices_with()


MATRICES_MISTAKES = (
    Mistake(
        "the scale is sqrt(d_model)",
        _matrices_with(scale=lambda d_head, d_model: d_model**0.5),
        "Should the head's scores change when its matrices are multiplied together?",
    ),
    Mistake(
        "the scores are not scaled",
        _matrices_with(scale=lambda d_head, d_model: 1.0),
        "One argument is not used in your answer. What does the definition need it for?",
    ),
    Mistake(
        "W_QK is transposed",
        lambda residual, W_QK, *rest: _right_matrices(residual, W_QK.T, *rest),
        "On which side of W_QK is the position doing the looking?",
    ),
    Mistake(
        "W_OV is transposed",
        lambda residual, W_QK, W_OV, d_head: _right_matrices(residual, W_QK, W_OV.T, d_head),
        "Are vectors rows or columns here? Papers that multiply from the left differ.",
    ),
    Mistake(
        "no key is hidden",
        _matrices_with(visible=_ones),
        "Change only the last token. Which positions of your output change, and which should?",
    ),
    Mistake(
        "the pattern is not used",
        lambda residual, W_QK, W_OV, d_head: residual @ W_OV,
        "W_OV says what a key contributes. What chooses the key in your answer?",
    ),
    Mistake(
        "the residual stream is added to the head's output",
        lambda residual, *rest: residual + _right_matrices(residual, *rest),
        "`attention_head` gives the head's own term. What should this function equal?",
    ),
    Mistake(
        "the scores are divided by d_head instead of its square root",
        _matrices_with(scale=lambda d_head, d_model: d_head),
        "The scores are those of `attention_head`. What were they divided by there?",
    ),
    Mistake(
        "W_QK and W_OV are swapped",
        lambda residual, W_QK, W_OV, d_head: _right_matrices(residual, W_OV, W_QK, d_head),
        "Which of the two matrices says where to look, and which says what is moved from there?",
    ),
    *_wrong_masks(_matrices_with),
)
