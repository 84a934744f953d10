"""Exercises of chapter 10: heads that match and copy in other ways.

Replace each `raise NotImplementedError` with your code. Check all of them with
`induction-heads check ch10`, or one with `induction-heads check fuzzy_induction_score`.
"""

import torch  # noqa: F401
from jaxtyping import Bool, Float, Int
from torch import Tensor


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


def attention_by_distance(
    pattern: Float[Tensor, "row *head query key"],
    tokens: Int[Tensor, "row query"],
    distance: Int[Tensor, "id id"],
) -> Float[Tensor, "*head distance"]:
    """Mean attention to the token after an earlier token, by its distance from the query's token.

    ★★ · 15 minutes. Why: whether a head matches by degrees shows only in a curve.

    `distance[a, b]` says how far id b is from id a, as a whole number from 0, where a is the
    query's. Take every pair of a query and an earlier token, and the attention of that query to the
    key right after that token. Entry d is the mean over all pairs at distance d, of all rows
    together, and NaN where there are none. There is one entry for each distance from 0 to the
    largest in `distance`. The pattern is [row query key] or [row head query key].

    Start here: in a row of four tokens, how many pairs are there, and which key belongs to each?
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


def longest_match_prediction(
    tokens: Int[Tensor, "batch pos"], d_vocab: int
) -> Float[Tensor, "batch pos d_vocab"]:
    """What followed the longest earlier match of the last tokens, as a distribution.

    ★★★ · 25 minutes. Why: what a model adds to looking back shows only beside a model that can do
    nothing else.

    At each position, find the largest number of last tokens, up to and including this one, that
    also occurred earlier, one after the other, ending at an earlier position. Take all the earlier
    places where that many match. The probability of an id is the share of these places after which
    it came. A position whose token has not occurred before gets zeros. An earlier copy may overlap
    the last tokens.

    Start here: in the row 0 1 0 1 0, how many last tokens match, and where do they end?
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


def ngram_code(
    tokens: Int[Tensor, "batch pos"], d_vocab: int, n: int, ratio: float = 1 / 3
) -> Float[Tensor, "batch pos id"]:
    """The last `n` tokens as one vector, each at a share `ratio` of the one after it.

    ★★ · 15 minutes. Why: one head can hand on several tokens at once, in order.

    At each position, the token itself has the largest weight, the one before it `ratio` times that,
    and so on for n tokens. The weights sum to 1, as in a pattern. Entry id of the code is the sum
    of the weights of the tokens with this id. The row is preceded by BOS tokens, as many as
    needed, with the id `d_vocab`, so a code has d_vocab + 1 entries and all positions have the same
    weights.

    Start here: with ratio 1/3, which two weights does n = 2 have?
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

    `dictionary[x]` is the translation of id x. Ids beyond its length have none, and no two ids have
    the same. A query holds the translation of x, and an earlier key holds x: the key right after
    that one counts. For each query, sum the attention to such keys. Then take the mean over the
    queries that have one, row by row. The pattern is [row query key] or [row head query key].
    """
    raise NotImplementedError


def relation_index(
    pattern: Float[Tensor, "row head query key"],
    raised: Float[Tensor, "head id id"],
    tokens: Int[Tensor, "row key"],
    subjects: Int[Tensor, "row query"],
    tail_of: Int[Tensor, " id"],
) -> Float[Tensor, " head"]:
    """How much each head attends to the subject of a fact and writes its tail, from 0 to 1.

    ★★★ · 20 minutes. Why: a score of attention alone cannot tell a head that copies a token from
    one that writes what is related to it.

    `raised[h, s, t]` is by how much head h raises the logit of id t when it attends to id s.
    `subjects[row, query]` is the position of the subject of the fact that this query asks for, and
    −1 where a query asks for none. `tail_of[s]` is the tail of subject s, and −1 for other ids.

    The share of a head at subject s: center what it raises there over all ids, drop what is below
    zero, and divide what is left at the tail by the sum. If nothing is left, the share is 0.
    For each query that asks, take the head's attention to the subject times its share at that
    subject. Return the mean over all queries that ask, of all rows together.

    Start here: a head gives all its attention to the subject and raises every id by the same
    amount. What is its index?
    """
    raise NotImplementedError


def k_hop_target(tokens: Int[Tensor, "batch pos"], k: int) -> Int[Tensor, "batch pos"]:
    """The token that is reached from each position by `k` look-ups, and −1 if one of them fails.

    ★★ · 15 minutes. Why: one induction head does one look-up, and a chain of them asks for more.

    One look-up goes from a position to the one right after the latest earlier copy of its token. It
    fails if there is no earlier copy. The next look-up begins at the position that was reached, and
    copies count only if they are before that position. `k` is at least 1.

    Start here: in the row b a e b c a b e b d e a, one look-up from the last position reaches a b.
    What do two reach?
    """
    raise NotImplementedError


def most_hops_formula() -> str:
    """The most look-ups that the circuit of this page can do with L layers, as a formula.

    ★★ · 10 minutes, with pen and paper. Why: it says what one layer more buys.

    The first layer marks each position with the token before it and does no look-up; the second
    does one. Behind every layer, each position knows where its first n look-ups lead, with the same
    n everywhere. One layer more can use what another position knows: it looks at the place that
    was reached, or one look-up beyond it, and takes over what is known there. Return the largest
    number of look-ups with L ≥ 2 layers, as a Python expression in `L`. It may use + - * / **, log
    (natural) and sqrt.
    """
    raise NotImplementedError


def share_equal_so_far(
    ours: Int[Tensor, "place ahead"], theirs: Int[Tensor, "place ahead"]
) -> Float[Tensor, " ahead"]:
    """Of all places, the share at which the first 1, 2, … tokens of both stretches are all equal.

    ★★ · 8 minutes. Why: a continuation that has left the copy once no longer follows it, even if a
    later token agrees by chance.

    `ours` and `theirs` hold the tokens after the same places, one row for each place. Entry a of
    the answer counts the places at which the tokens 0 to a agree, without a gap.

    Start here: ours is 1 2 3 at one place and 4 5 6 at another, theirs 1 9 3 and 4 5 7. What are
    the three shares?
    """
    raise NotImplementedError


def short_convolution(
    x: Float[Tensor, "batch pos d_model"], kernel: Float[Tensor, "back d_model"]
) -> Float[Tensor, "batch pos d_model"]:
    """The sum over `back` of kernel[back] · x[pos − back], for each dimension by itself.

    ★★ · 8 minutes. Why: layers that are meant to replace attention let a token know its neighbors
    in this way.

    kernel[0] belongs to the position itself, kernel[1] to the one before it, and so on. What lies
    before the first position counts as zero. With one dimension, x = 1, 10, 100 and the kernel 1, 2
    give 1, 12, 120.
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
