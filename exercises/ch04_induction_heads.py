"""Exercises of chapter 4, induction heads: make the tokens, score the stripe, find the heads.

Replace each `raise NotImplementedError` by your code. Check all of them with
`induction-heads check ch04`, or one with `induction-heads check induction_score`.

`model` is a TransformerBridge. Its sizes are in `model.cfg`: `n_layers`, `n_heads`, `n_ctx` (the
longest sequence), `d_vocab`, and `bos_token` (the id that stands before every sequence, or None).
"""

from typing import TYPE_CHECKING

import torch  # noqa: F401
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.activations import attention_patterns  # noqa: F401

if TYPE_CHECKING:  # Importing TransformerLens takes seconds, and these functions only name it.
    from transformer_lens import TransformerBridge


def make_repeated_tokens(
    model: "TransformerBridge", period: int = 16, batch: int = 8, seed: int = 0
) -> Int[Tensor, "batch pos"]:
    """`[BOS] + block + block` for this model, or `block + block` if it has no BOS token.

    ★★ · 12 minutes. Why: every measurement of this chapter stands on these tokens.

    A block is `period` random token ids, all different, drawn from the whole vocabulary without the
    BOS token. Each row of the batch has a block of its own. The same seed gives the same tokens,
    another seed gives others. Draw from a `torch.Generator().manual_seed(seed)` of your own, which
    leaves PyTorch's global seed alone.

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

    ★★ · 8 minutes, with pen and paper. Why: a score means something only beside that of a
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
    """The heads that pass for induction heads at every period, as (layer, head, score).

    ★★★ · 20 minutes. Why: a detector is worth what it refuses.

    Use the periods 8, 12 and 16, which fit in all models that this is tried on; you may add others
    between them. At each period average `induction_score` over a batch of 8 rows or more. The score
    of a head is the LOWEST of its averages. Return the heads whose score is at least `threshold`,
    highest score first. Scores are compared within 0.05, since everyone's tokens are different.

    `attention_patterns(model, tokens)` gives [layer batch head query key].
    """
    raise NotImplementedError


def per_token_loss(
    logits: Float[Tensor, "batch pos d_vocab"], tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "batch pos-1"]:
    """The loss of every token after the first, in nats: entry i is the loss of token i + 1.

    ★★ · 10 minutes. Why: the pattern says where a head looks; the loss says what the model
    gains.

    The loss of a token is minus the natural logarithm of the probability that the model gave to it,
    from the logits at the position before. Nothing is averaged. Logits can be in the hundreds.

    For equal logits over 64 tokens every entry is ln 64 = 4.16.
    """
    raise NotImplementedError
