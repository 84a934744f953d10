"""Exercises of chapter 6, composition: how one head reads what another one wrote.

Replace each `raise NotImplementedError` with your code. Check all of them with
`induction-heads check ch06`, or one with `induction-heads check virtual_head`.

`model` is a TransformerBridge without layer norm. `model.W_E` is [d_vocab d_model], `model.W_pos`
[pos d_model], `model.W_Q`, `W_K`, `W_V` are [layer head d_model d_head] and `model.W_O` is
[layer head d_head d_model]. Heads are pairs (layer, head), so `model.W_Q[head]` is one head's W_Q.
"""

from typing import TYPE_CHECKING

import torch  # noqa: F401
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens import FactoredMatrix

from induction_heads.models.attention_only import AttentionOnly, AttentionOnlyConfig  # noqa: F401

if TYPE_CHECKING:
    from transformer_lens import TransformerBridge


def composition_score(
    W_A: Float[Tensor, "d_model middle"], W_B: Float[Tensor, "middle d_out"]
) -> float:
    """‖W_A W_B‖ / (‖W_A‖ ‖W_B‖): how much of what A writes is read by B, from 0 to 1.

    ★ · 5 minutes. Why: it is one number for an arrow between two heads.

    ‖·‖ is the Frobenius norm, the root of the sum of all squared entries. Neither matrix is zero.

    Start here: what is the score of two identity matrices of size 4? (1/2.)
    """
    raise NotImplementedError


def random_composition_baseline(
    d_model: int, d_head: int, *, samples: int = 100, seed: int = 0
) -> float:
    """The mean composition score of `samples` pairs of random heads: what unrelated weights score.

    ★★ · 12 minutes. Why: a score means nothing without the score of heads that never met.

    Both matrices are products of a Gaussian d_model × d_head factor and a Gaussian
    d_head × d_model factor, as W_V W_O is. The same seed gives the same number and another seed
    another one, whatever was drawn elsewhere.

    Start here: `torch.Generator().manual_seed(seed)` and `torch.randn(..., generator=...)`.
    """
    raise NotImplementedError


def k_composed_qk_circuit(
    model: "TransformerBridge", previous_head: tuple[int, int], induction_head: tuple[int, int]
) -> FactoredMatrix:
    """How well a token as query matches a token that an earlier head moved to the key.

    ★★ · 12 minutes. Why: in this table, an induction head does look for its own token.

    W_E W_Q W_Kᵀ (W_E W_V W_O)ᵀ with W_V W_O of `previous_head` and W_Q W_Kᵀ of `induction_head`:
    query token down, moved token across, [d_vocab, d_vocab], without the scale 1/√d_head. A dense
    tensor of that shape passes as well.

    Start here: what is at a key after `previous_head` has moved token b there? In which rows?
    """
    raise NotImplementedError


def decompose_attention_scores(
    model: "TransformerBridge", tokens: Int[Tensor, "batch pos"], layer: int, head: int
) -> Float[Tensor, "batch query_component key_component query key"]:
    """A head's attention scores as a sum over pairs: who wrote the query, who wrote the key.

    ★★★ · 25 minutes. Why: it shows which arrow makes a score, on real input.

    The components of both axes: token embedding, position embedding, then every head of the earlier
    layers, L0H0 first. Scores are scaled by 1/√d_head, and neither masked nor sent through a
    softmax. Summed over both component axes they are the scores behind the head's pattern.

    Start here: `model.run_with_cache(tokens)` and `blocks.0.attn.hook_z` [batch pos head d_head].
    For layer 0 there are two components.
    """
    raise NotImplementedError


def virtual_head(
    model: "TransformerBridge", first: tuple[int, int], second: tuple[int, int]
) -> FactoredMatrix:
    """What two heads in a row write: a vector x at the start comes out as x times this matrix.

    ★ · 6 minutes. Why: two heads in a row move information as a third one would.

    [d_model, d_model]. `first` is in an earlier layer. A dense tensor passes as well.

    Start here: x is a row. What does `first` make of it, and what does `second` make of that?
    """
    raise NotImplementedError


def build_induction_circuit(d_vocab: int, n_ctx: int) -> AttentionOnly:
    """A model whose weights you write, which continues every repeated block of distinct tokens.

    ★★★ · 60 minutes. Why: what you can build, you understand.

    From the second token of the second copy on, and in every later copy, the next token of the
    block gets a probability above ½. This holds for blocks of any length from 2, with or without
    other tokens before or between the copies, anywhere in the context. The model has `d_vocab`
    tokens, `n_ctx` positions, and sizes and heads of your choice; the config's other fields stay as
    they are by default. Any construction that works passes.

    Start here: make the weights zero under `torch.no_grad()`, and give the token, the position, the
    token before this one, and the prediction their own coordinates. `model.layers[0].W_Q` is [head
    d_model d_head]. Scores are divided by √d_head.
    """
    raise NotImplementedError
