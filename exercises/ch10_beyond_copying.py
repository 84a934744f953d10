"""Exercises of chapter 10: heads that match and copy in other ways, and heads that do not copy.

Replace each `raise NotImplementedError` with your code. Check all of them with
`induction-heads check ch10`, or one with `induction-heads check fuzzy_induction_score`.
"""

from functools import partial  # noqa: F401
from typing import TYPE_CHECKING, Any  # noqa: F401

import torch  # noqa: F401
from jaxtyping import Bool, Float, Int
from torch import Tensor

if TYPE_CHECKING:  # Importing TransformerLens takes seconds, and these functions only name it.
    from transformer_lens import TransformerBridge


def fuzzy_induction_score(
    pattern: Float[Tensor, "*batch query key"],
    tokens: Int[Tensor, "row query"],
    similar: Bool[Tensor, "id id"],
) -> Float[Tensor, "*batch"]:
    """Mean attention to the tokens that followed earlier tokens similar to the query's, not equal.

    ★★ · 15 minutes. Why: a head may match what tokens mean, and the plain score misses it.

    `similar[a, b]` says whether id b counts as similar to id a, where a is the query's. Copies of
    the query's own token are left out, whatever `similar` says about them. For each query, sum the
    attention to all keys right after such a token. Then take the mean over the queries that have
    such a key, row by row. The pattern is [row query key] or [row head query key].

    Start here: which pairs of query and key count? Make a mask of them before you touch the
    pattern.
    """
    raise NotImplementedError


def ngram_prefix_score(
    pattern: Float[Tensor, "*batch query key"], tokens: Int[Tensor, "row query"], n: int
) -> Float[Tensor, "*batch"]:
    """Mean attention to the tokens that followed earlier copies of the last `n` tokens.

    ★★ · 12 minutes. Why: where tokens occur in several places, one token does not say which
    is meant.

    The last n tokens are the query's and the n − 1 before it, in this order. For each query, sum
    the attention to the keys right after earlier copies of them. Then take the mean over the
    queries that have such a key, row by row. The pattern is [row query key] or
    [row head query key].
    """
    raise NotImplementedError


def ngram_induction_layer(
    tokens: Int[Tensor, "batch pos"], n: int
) -> Float[Tensor, "batch query key"]:
    """The pattern of a perfect n-gram induction head, made from the tokens alone.

    ★★ · 12 minutes. Why: what a head would have to learn can be put into a model by hand.

    A query shares its attention evenly among the keys right after earlier copies of the last n
    tokens. A query without such a copy looks nowhere: its row is zero.
    """
    raise NotImplementedError


def plateau_loss_formula() -> str:
    """The mean loss of a row when single tokens are matched and pairs are not, as a formula.

    ★★ · 8 minutes, with pen and paper. Why: a plateau is explained when its height is
    predicted.

    A row is c copies of a block. The block holds each of V ids r times, each time before another
    id. Count a token of the first copy as one of V equally likely ids. In the later copies the
    model knows which ids followed the last token, and cannot tell these r apart. Return the mean
    loss over the row, in nats, as a Python expression in `V`, `r` and `c`. It may use + - * / **,
    log (natural) and sqrt.
    """
    raise NotImplementedError


def lag_posterior(
    tokens: Int[Tensor, "batch pos"],
    table: Float[Tensor, "token successor"],
    lags: tuple[int, ...] = (1, 2),
) -> Float[Tensor, "batch pos lag"]:
    """How probable each lag is, given the tokens up to and including each position.

    ★★★ · 20 minutes. Why: a model that chooses between rules can do no better than this.

    With lag k a token is drawn from the row of `table` that belongs to the token k before it. All
    lags are equally probable beforehand. The first max(lags) tokens do not depend on the lag and
    carry no information. Entry [row, i, place] is the probability of `lags[place]` after the tokens
    0 to i have been seen.
    """
    raise NotImplementedError


def match_and_copy_score(
    pattern: Float[Tensor, "*batch query key"],
    tokens: Int[Tensor, "row query"],
    back: int,
    ahead: int,
) -> Float[Tensor, "*batch"]:
    """Mean attention `ahead` of earlier copies of the token `back` before the query.

    ★★ · 12 minutes. Why: matching and looking are two steps, and a head may shift either.

    The query at position i matches the token at i − back. For each earlier copy of that token, at
    a position j before i − back, the key j + ahead counts, unless it comes after the query. For
    each query, sum the attention to such keys. Then take the mean over the queries that have one,
    row by row. The pattern is [row query key] or [row head query key].

    With back 0 and ahead 1 this is the score of chapter 4.
    """
    raise NotImplementedError


def translated_induction_score(
    pattern: Float[Tensor, "*batch query key"],
    tokens: Int[Tensor, "row query"],
    dictionary: Int[Tensor, " word"],
) -> Float[Tensor, "*batch"]:
    """Mean attention to the tokens that followed the word of which the query's is the translation.

    ★★ · 12 minutes. Why: "translate like this" can be induction, through a learned mapping.

    `dictionary[x]` is the translation of id x; ids beyond its length have none. A query holds the
    translation of x, and an earlier key holds x: the key right after that one counts. For each
    query, sum the attention to such keys. Then take the mean over the queries that have one, row by
    row. The pattern is [row query key] or [row head query key].
    """
    raise NotImplementedError


def copy_suppression_score(
    before: Float[Tensor, "batch pos d_vocab"],
    effect: Float[Tensor, "batch pos d_vocab"],
    tokens: Int[Tensor, "batch pos"],
) -> float:
    """How much a head raises what earlier layers predict, where that token is in the context.

    ★★ · 15 minutes. Why: a head can be important because it lowers a prediction.

    `before` is the logits from the layers before the head, `effect` what the head adds to them.
    Look at each position whose likeliest token by `before` occurs in the row at this position or
    earlier. There, take the effect on that token, minus the mean effect on the other tokens in the
    row so far, each counted once. Return the mean of these differences over the positions of all
    rows. Leave out positions without any other token.

    Start here: a loop over rows and positions, with `set(row[: position + 1])`, is fine.
    """
    raise NotImplementedError


def compensation(
    direct: Float[Tensor, "batch pos d_vocab"],
    clean: Float[Tensor, "batch pos d_vocab"],
    ablated: Float[Tensor, "batch pos d_vocab"],
    tokens: Int[Tensor, "batch pos"],
) -> Float[Tensor, "batch pos-1"]:
    """How much of a head's direct effect on the next token's logit is restored when it is silenced.

    ★★ · 8 minutes. Why: an ablation that costs little may mean that other heads compensated.

    `direct` is what the head adds to the logits, `clean` and `ablated` are the logits with and
    without it. For the logit of the token that comes next: the direct effect, minus the fall from
    clean to ablated. Entry i is about the token at i + 1.
    """
    raise NotImplementedError


def repair_by_norm_formula() -> str:
    """The share of a head's direct effect that the final norm restores, as a formula.

    ★★ · 10 minutes, with pen and paper. Why: self-repair does not need another head to
    react.

    Two heads each write a vector of length a in the direction of the right token. Everything else
    in the residual stream is orthogonal to it and has length r. The final norm divides by the
    length of the sum. Silence one head. The direct effect is what its vector gave with the division
    unchanged; the fall is how much the right token's logit falls. Return the direct effect minus
    the fall, divided by the direct effect, as a Python expression in `a` and `r`. It may use + - *
    / ** and sqrt.
    """
    raise NotImplementedError


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
