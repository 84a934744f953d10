"""Exercises of chapter 4, induction heads: make the tokens, score the stripe, find the heads.

Replace each `raise NotImplementedError` with your code. Check all of them with
`induction-heads check ch04`, or one with `induction-heads check induction_score`.

`model` is a TransformerBridge. Its sizes are in `model.cfg`: `n_layers`, `n_heads`, `n_ctx` (the
longest sequence), `d_vocab`, and `bos_token` (the id at the start of every sequence, or None).
"""

from typing import TYPE_CHECKING

import torch  # noqa: F401
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.interp.activations import attention_patterns  # noqa: F401

if TYPE_CHECKING:  # Importing TransformerLens takes seconds, and these functions only name it.
    from transformer_lens import TransformerBridge


def make_repeated_tokens(
    model: "TransformerBridge", period: int = 16, batch: int = 8, seed: int = 0
) -> Int[Tensor, "batch pos"]:
    """`[BOS] + block + block` for this model, or `block + block` if it has no BOS token.

    ★★ · 12 minutes. Why: every measurement of this chapter uses these tokens.

    A block is `period` random token ids, all different, drawn from the whole vocabulary without the
    BOS token. (The models of the check see all ids alike. For a model of text the package also
    leaves out the most and the least common ids, where it is known which they are.) Each row of the
    batch has its own block. The same seed gives the same tokens, another seed gives others. (With
    `torch.Generator().manual_seed(seed)` you have a generator of your own, and no other draw of
    your program changes.) The BOS id can be any, also 0.

    With `model.cfg.bos_token` None, period 3 and batch 2, an answer may be
    [[7, 2, 5, 7, 2, 5], [1, 7, 4, 1, 7, 4]].

    Start here: `torch.randperm(n, generator=...)` shuffles the numbers 0 … n − 1.
    """
    raise NotImplementedError


def induction_score(
    pattern: Float[Tensor, "*batch query key"], period: int
) -> Float[Tensor, "*batch"]:
    """Mean attention from each token of the last copy to the token after its earlier copy.

    ★★ · 10 minutes. Why: it turns the stripe into a number.

    The mean runs over the last `period` queries. The key of each is query − period + 1. Whether
    there is a BOS token, and how many copies came before, makes no difference. Axes in front of
    query and key stay: a pattern [batch head query key] gives scores [batch head].

    Start here: `pattern.diagonal(offset, dim1=-2, dim2=-1)`, or two tensors of indices.
    """
    raise NotImplementedError


def uniform_induction_score(period: int) -> float:
    """The induction score of a head that attends evenly, on `block + block` without a BOS token.

    ★★ · 8 minutes, with pen and paper. Why: a score means something only next to the score of a
    head that does nothing.

    Evenly: query i gives the same weight to each of the keys 0 … i. Derive the mean over the last
    `period` queries as a sum, then write it down. For period 1 it is 0.5.

    Start here: which weight is on the stripe in row i?
    """
    raise NotImplementedError


def stray_stripe_entries(period: int, has_bos: bool) -> list[tuple[int, int]]:
    """The (query, key) pairs on the diagonal query − key = period − 1 that are not induction.

    ★★ · 8 minutes. Why: the wrong stripe is in code that people copy.

    The sequence is `block + block`, or `[BOS] + block + block` with `has_bos`; `period` is at least
    2. A pair is induction if the key follows an earlier copy of the query's token. List the pairs
    of the diagonal that are not, in order of the query.

    Start here: write down `A B C A B C`, and draw the diagonal for period 3.
    """
    raise NotImplementedError


def find_induction_heads(
    model: "TransformerBridge", threshold: float = 0.4
) -> list[tuple[int, int, float]]:
    """The heads that look like induction heads at every period, as (layer, head, score).

    ★★★ · 20 minutes. Why: a detector is only as good as what it rejects.

    Use the periods 8, 12 and 16, which fit in all models of the check; you may add others between
    them. At each period average `induction_score` over a batch of 8 rows or more. The score of a
    head is the LOWEST of its averages. Return the heads whose score is at least `threshold`,
    highest score first. Scores are compared within 0.05, since everyone's tokens are different.

    `attention_patterns(model, tokens)` gives [layer batch head query key].
    """
    raise NotImplementedError


def prefix_length_curve(
    model: "TransformerBridge", layer: int, head: int
) -> Float[Tensor, " length"]:
    """Attention from the last token to B when only the last 0, 1, 2, 3, 4 tokens match.

    ★★★ · 20 minutes. Why: in a repeated block two tokens or more match almost everywhere, so a head
    that needs two passes every test for one.

    The tokens are `[BOS] p4 p3 p2 A B` + 20 others + `q4 q3 q2 A`, without BOS where
    `model.cfg.bos_token` is None, and the row ends there. Entry k of the answer is for rows in
    which the last k tokens equal the k tokens up to the first A, and in which all other tokens are
    distinct. So in entry 1 only A repeats, in entry 2 also q2 = p2, and in entry 0, the control,
    nothing does. Average over 32 rows or more. Curves are compared within 0.05, since everyone's
    tokens are different.

    An induction head that needs one token gives about [0, 1, 1, 1, 1].

    Start here: draw 29 distinct ids for a row, then overwrite its last k. At which position is B?
    """
    raise NotImplementedError


def per_token_loss(
    logits: Float[Tensor, "batch pos d_vocab"], tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "batch pos-1"]:
    """The loss of every token after the first, in nats: entry i is the loss of token i + 1.

    ★★ · 10 minutes. Why: the pattern says where a head looks; the loss says what the model
    gains.

    The loss of a token is minus the natural logarithm of the probability that the model gave it,
    from the logits at the position before. Nothing is averaged. Logits can be in the hundreds.

    For equal logits over 64 tokens every entry is ln 64 = 4.16.
    """
    raise NotImplementedError
