"""Exercises of chapter 3, previous-token heads: why they look one back, and what they leave behind.

Replace each `raise NotImplementedError` with your code. Check all of them with
`induction-heads check ch03`, or one with `induction-heads check positional_pattern`.

The models have no layer norm and no BOS token. `model` is a TransformerBridge: `model.W_E`
[d_vocab d_model], `model.W_pos` [pos d_model], `model.W_Q`, `W_K`, `W_V`
[layer head d_model d_head], `model.W_O` [layer head d_head d_model], and `model.cfg` with
`n_layers`, `n_heads`, `n_ctx`, `d_vocab` and `d_head`.
"""

import math  # noqa: F401
from typing import TYPE_CHECKING

import torch  # noqa: F401
from jaxtyping import Float
from torch import Tensor

from induction_heads.data.tokens import distinct_tokens  # noqa: F401
from induction_heads.interp.activations import attention_patterns  # noqa: F401
from induction_heads.interp.scores import previous_token_score  # noqa: F401
from induction_heads.models.attention import attention_pattern  # noqa: F401

if TYPE_CHECKING:  # Importing TransformerLens takes seconds, and these functions only name it.
    from transformer_lens import TransformerBridge


def score_gap_needed(weight: float, n_keys: int) -> float:
    """How far one score must lie above all the others to receive `weight` of the attention.

    ★★ · 10 minutes, with pen and paper. Why: it says how large a head's scores must be before the
    head counts as sharp.

    One of `n_keys` scores is g, the others are all 0. Derive g from the softmax, then write one
    line. `weight` is between 0 and 1 and `n_keys` at least 2. The answer is a Python float. It is 0
    for a weight of 1/2 among two keys, and may be negative.

    Start here: which weight does the softmax give to the score g?
    """
    raise NotImplementedError


def positional_pattern(
    model: "TransformerBridge", layer: int, head: int
) -> Float[Tensor, "query key"]:
    """The pattern a head would have if the residual stream held the position embeddings alone.

    ★★ · 10 minutes. Why: it separates what positions ask for from what tokens ask for.

    The answer is [n_ctx, n_ctx]: all positions that the model has, causal mask and scaling as in
    any head. Leave out tokens and whatever earlier layers write, also for a head of layer 1.

    Start here: which matrix takes the place of the residual stream?
    """
    raise NotImplementedError


def find_previous_token_heads(
    model: "TransformerBridge", threshold: float = 0.4
) -> list[tuple[int, int, float]]:
    """All heads whose previous-token score is at least `threshold`.

    ★★★ · 20 minutes. Why: a claim about a head starts with a list that other people can reproduce.

    Returns `(layer, head, score)` for each, ints and a float, highest score first; `[]` if there is
    none. The score is the previous-token score, averaged over rows of distinct random tokens that
    are as long as the model allows, `min(n_ctx, d_vocab)`. Eight rows are enough: the check accepts
    scores within 0.02, more than other rows change them.

    Start here: `distinct_tokens` draws the rows, `attention_patterns` gives [layer batch head query
    key], and `previous_token_score` keeps the axes in front.
    """
    raise NotImplementedError


def previous_token_readout(model: "TransformerBridge", layer: int, head: int) -> float:
    """How often what a head of layer 0 writes at position i identifies the token at i − 1.

    ★★★★ · 30 minutes. Why: a pattern says where a head looks. This says what later layers can learn
    from it.

    Take 8 or more rows of distinct random tokens, `min(n_ctx, d_vocab)` long. For each row and
    each position i ≥ 1, take what the head writes there (its own output, through W_O). The
    candidates are what it would write if it looked at i − 1 alone and token t was there, one for
    each t of the vocabulary: (W_E[t] + W_pos[i−1]) W_V W_O. The reading is the t whose candidate
    is nearest (Euclidean distance). Returns the share of readings, over rows and positions, that
    are the true token: a float between 0 and 1. The check accepts 0.05 more or less, because rows
    differ.

    `layer` is 0 in all calls: the input of a later layer is more than token plus position.
    Start here: write down the shapes of what is written [batch pos d_model] and of the candidates
    for one position [d_vocab d_model]. `torch.cdist` gives all distances between two sets of rows.
    """
    raise NotImplementedError
