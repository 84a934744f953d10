"""Exercises of chapter 11: induction heads in models that read text.

Replace each `raise NotImplementedError` with your code. Check all of them with
`induction-heads check ch11`, or one with `induction-heads check natural_repeats`.
"""

import torch  # noqa: F401
from jaxtyping import Bool, Float, Int
from torch import Tensor


def expand_kv_heads(
    weights: Float[Tensor, "kv_head ..."], n_heads: int
) -> Float[Tensor, "head ..."]:
    """One entry for every query head: that of the key-value head it reads.

    ★ · 6 minutes. Why: without it, a score of L3H5 would use the values of another head.

    In grouped-query attention, neighboring query heads share one key-value head. With 8 query heads
    and 4 key-value heads, heads 0 and 1 read key-value head 0, heads 2 and 3 read head 1, and so
    on. `n_heads` is a multiple of the number of key-value heads; it may be the same number.

    >>> expand_kv_heads(torch.tensor([7.0, 9.0]), 4)
    tensor([7., 7., 9., 9.])
    """
    raise NotImplementedError


def attention_parameters_formula() -> str:
    """How many weights one layer's attention has, as a formula.

    ★ · 4 minutes, with pen and paper. Why: it says what sharing keys and values saves.

    The layer has H query heads and G key-value heads, each of d dimensions; the residual stream has
    D. Count W_Q, W_K, W_V and W_O, without biases. Return a Python expression in `D`, `d`, `H` and
    `G` as text, such as "D * d" (which is wrong).
    """
    raise NotImplementedError


def natural_repeats(
    tokens: Int[Tensor, "batch pos"],
) -> tuple[Bool[Tensor, "batch next_pos"], Bool[Tensor, "batch next_pos"]]:
    """Two masks: the queries whose repeat is right, and those whose repeat is wrong.

    ★★ · 15 minutes. Why: on text a match can help or mislead.

    Query i asks for token i + 1, so the last position has no entry: both masks have one column less
    than `tokens`. Look at the earlier copies of token i in its row, at positions j < i.

    - Right: at least one of the copies was followed by token i + 1.
    - Wrong: there are copies, and none of them was.

    A token that did not occur earlier is neither.

    Start here: compare tokens[:, :, None] with tokens[:, None, :]. Loops are fine too.
    """
    raise NotImplementedError


def chance_matching_formula() -> str:
    """The attention that a head gives to matches by chance, as a formula.

    ★★ · 12 minutes, with pen and paper. Why: on text, the level to beat is not zero.

    The row has independent tokens, each of V ids equally likely. Query i (counted from 0, so i
    tokens come before it) attends evenly to its i + 1 keys: those before it, and its own. The keys
    that count are those right after an earlier copy of the query's token. Given that there is at
    least one such copy, how much attention do these keys get on average? Return a Python expression
    in `i` and `V` as text.

    The key after a copy may be the query's own position: that one counts too.
    """
    raise NotImplementedError


def natural_prefix_matching_score(
    pattern: Float[Tensor, "batch *head query key"], tokens: Int[Tensor, "batch query"]
) -> dict[str, Float[Tensor, "*head"]]:
    """The attention to tokens that followed earlier copies, at right repeats and at wrong ones.

    ★★ · 15 minutes. Why: a head may match where it pays and hold back where it misleads.

    Return {"right": …, "wrong": …}. Each is the mean, over all queries of that kind in all rows
    together, of the attention summed over the keys that come right after an earlier copy of the
    query's token. Right and wrong are those of `natural_repeats`. There may be any number of axes
    between `batch` and `query`, and they stay: patterns [batch layer head query key] give scores
    [layer head].

    Start here: for one head and one row, write the mask [query key] of the keys that count. In it,
    key j is marked if token j − 1 is the query's token.
    """
    raise NotImplementedError


def matched_control_head(
    scores: Float[Tensor, "layer head"],
    sizes: Float[Tensor, "layer head"],
    head: tuple[int, int],
    below: float = 0.1,
) -> tuple[int, int] | None:
    """The head to ablate beside the one you suspect, as (layer, head).

    ★★ · 12 minutes. Why: silencing any head costs something; the question is whether this
    one costs more.

    `head` is (layer, head). The control is another head of the same layer, with a score below
    `below`. Of those, take the one whose size is nearest to that of `head` in ratio: twice the size
    is as far away as half of it. On a tie take the lower number. If no other head of the layer
    scores below `below`, return None. `sizes` are positive.
    """
    raise NotImplementedError


def effective_embedding(
    W_E: Float[Tensor, "d_vocab d_model"],
    gain: Float[Tensor, " d_model"],
    bias: Float[Tensor, " d_model"],
    W_in: Float[Tensor, "d_model d_mlp"],
    b_in: Float[Tensor, " d_mlp"],
    W_out: Float[Tensor, "d_mlp d_model"],
    b_out: Float[Tensor, " d_model"],
) -> Float[Tensor, "d_vocab d_model"]:
    """What the residual stream holds after layer 0 for each token, if no head writes anything.

    ★★ · 10 minutes. Why: this, and not W_E, is what a head of layer 1 reads from a token.

    The token's embedding, plus what the MLP of layer 0 writes when it reads that embedding: layer
    norm (`gain` and `bias`, with 1e-5 added to the variance), then W_in and b_in, GELU, W_out and
    b_out. Each row is one token; there are no positions and no attention.

    Start here: `torch.nn.functional` has `layer_norm` and `gelu`. What is added to what at the end?
    """
    raise NotImplementedError


def copying_gain(
    clean: Float[Tensor, "batch pos d_vocab"],
    silenced: Float[Tensor, "batch pos d_vocab"],
    tokens: Int[Tensor, "batch pos"],
) -> float:
    """How many nats a head adds to the token that followed the latest copy, where that is wrong.

    ★★ · 15 minutes. Why: it measures copying on real text, with everything that comes after the
    head.

    `clean` and `silenced` are the logits of the model as it is and without the head. At each wrong
    repeat (`natural_repeats`), take the token that came after the *latest* earlier copy of the
    query's token. Its log-probability with the head, minus that without the head; return the mean
    over all wrong repeats.

    At a wrong repeat that token is not what comes next. A head that raises it copies from the
    context, or has learned that pair of tokens: compare with a control head.
    """
    raise NotImplementedError
