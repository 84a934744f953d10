"""Exercises of chapter 13: induction heads in models that read text.

Replace each `raise NotImplementedError` with your code. Check all of them with
`induction-heads check ch13`, or one with `induction-heads check natural_repeats`.
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


def match_lengths(tokens: Int[Tensor, "batch pos"]) -> Int[Tensor, "batch query key"]:
    """How many tokens up to the query equal those before the key.

    ★★ · 12 minutes. Why: it says how much a head could go by at each key.

    Entry [query, key] is the largest k for which the k tokens up to the query, its own token last,
    are the k tokens just before the key. It is 0 where the token before the key is not the query's,
    at key 0, and at keys after the query. The query's own position can be a key.

    In the row 7 8 9 7 8 5 the last 8 has a match of two tokens at key 2:

    >>> match_lengths(torch.tensor([[7, 8, 9, 7, 8, 5]]))[0, 4]
    tensor([0, 0, 2, 0, 0, 0])
    """
    raise NotImplementedError


def scores_by_match_length(
    pattern: Float[Tensor, "batch query key"], tokens: Int[Tensor, "batch query"], longest: int = 4
) -> dict[str, Float[Tensor, " length"]]:
    """The attention to tokens after earlier copies, for queries of equal longest match.

    ★★★ · 20 minutes. Why: a head that prefers right repeats may only prefer long matches.

    The longest match of a query is the largest entry of its row in `match_lengths`. Return four
    tensors with `longest` entries each. Entry k − 1 is about the queries whose longest match has k
    tokens; the last entry is about those with `longest` tokens or more.

    - "right", "wrong": the mean, over the right or the wrong repeats (`natural_repeats`) of that
      length in all rows together, of the attention to all keys with a match, short ones too.
    - "share_right": how many of the queries of that length are right repeats, as a share.
    - "queries": the number of queries of that length, as a float.

    The last position is left out, since nothing follows it. A mean or share of nothing is NaN.
    """
    raise NotImplementedError


def ratio_within_tokens(
    pattern: Float[Tensor, "batch query key"], tokens: Int[Tensor, "batch query"]
) -> float:
    """The attention to matches at right repeats over that at wrong ones, token by token.

    ★★★ · 20 minutes. Why: some tokens are worth copying after, and a head may only know which.

    Keep the queries whose longest match (`match_lengths`) has exactly one token, without the last
    position. The attention to all their matches is what counts. Of the ids at these queries keep
    those that repeat both rightly and wrongly (`natural_repeats`), in any rows. Each right repeat
    is compared with the mean over the wrong repeats of the same id: return the sum of the attention
    at right repeats, divided by the sum of these means. So an id counts as often as it repeats
    rightly. NaN if there is no such id.
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
