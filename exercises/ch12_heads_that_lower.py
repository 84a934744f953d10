"""Exercises of chapter 12: heads that lower a prediction, and what returns when a head is silenced.

Replace each `raise NotImplementedError` with your code. Check all of them with
`induction-heads check ch12`, or one with `induction-heads check copy_suppression_score`.
"""

import torch  # noqa: F401
from jaxtyping import Float, Int
from torch import Tensor


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


def suppression_by_weights(
    ov: Float[Tensor, "attended changed"], qk: Float[Tensor, "predicted key"], n_lowest: int
) -> tuple[float, float]:
    """The shares of tokens that a head lowers where it attends to them, and finds when predicted.

    ★★ · 12 minutes. Why: what the weights say holds for every text.

    `ov[a, b]` is what attending to token a does to the logit of token b, `qk[a, b]` the score that
    a stream which predicts token a gives to the key of token b. Return two shares of the tokens.
    The first: those whose own logit is among the `n_lowest` logits that attending to them gives.
    The second: those whose own key gets a higher score than any other, where they are predicted.
    Ties do not count: a token whose own logit equals that of so many others that it is only one of
    more than `n_lowest` lowest is not lowered, and a token that shares the best score is not found.

    Start here: compare each row with its entry on the diagonal, and count.
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
