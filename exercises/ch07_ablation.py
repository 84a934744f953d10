"""Exercises of chapter 7, ablation: take a part away, and see what is lost.

Replace each `raise NotImplementedError` by your code. Check all of them with
`induction-heads check ch07`, or one with `induction-heads check stripe_knockout`.

`model` is a TransformerBridge. `model.run_with_hooks(tokens, fwd_hooks=[(name, function)])` returns
logits; each function is called as `function(value, hook)` and returns what stands in for the value.
The names used here: `blocks.{layer}.attn.hook_z` [batch pos head d_head], `….hook_pattern`
[batch head query key], `….hook_q`, `….hook_k`, `….hook_v` [batch pos head d_head] and
`blocks.{layer}.hook_resid_pre` [batch pos d_model]. `partial(f, head=1)` fills in an argument.
"""

from functools import partial  # noqa: F401
from typing import TYPE_CHECKING, Any

import torch  # noqa: F401
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.losses import per_token_loss  # noqa: F401
from induction_heads.scores import induction_score  # noqa: F401
from induction_heads.tokens import make_repeated_tokens  # noqa: F401

if TYPE_CHECKING:  # Importing TransformerLens takes seconds, and these functions only name it.
    from transformer_lens import TransformerBridge


def zero_ablation_hook(
    z: Float[Tensor, "batch pos head d_head"], hook: Any, head: int
) -> Float[Tensor, "batch pos head d_head"]:
    """A copy of `z` in which one head is zero everywhere.

    ★ easy · 4 minutes. Why: it is the shortest experiment there is.

    Leave `z` itself as it is: the same tensor may be kept in a cache. `hook` is what
    TransformerLens passes to every hook (it has `hook.name` and `hook.layer()`); you need not
    use it.
    """
    raise NotImplementedError


def mean_ablation_hook(
    z: Float[Tensor, "batch pos head d_head"], hook: Any, head: int
) -> Float[Tensor, "batch pos head d_head"]:
    """A copy of `z` in which one head has its mean over the batch, at each position.

    ★ easy · 5 minutes. Why: it removes what a head says about one row, and keeps what it says about
    all of them.

    Position 3 gets the mean of the head at position 3, and so on. `z` stays as it is.
    """
    raise NotImplementedError


def ablation_scores(
    model: "TransformerBridge", tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "layer head"]:
    """How much the loss rises, in nats, when a head is set to zero: one number per head.

    ★★ medium · 12 minutes. Why: a single ablation means nothing beside no other.

    The loss is the mean of `per_token_loss(logits, tokens)` over all tokens. Positive: the model is
    worse without the head.

    Start here: the clean loss, then a loop over layers and heads with `zero_ablation_hook`.
    """
    raise NotImplementedError


def pattern_preserving_ablation(
    model: "TransformerBridge", tokens: Int[Tensor, "batch pos"], layer: int, head: int
) -> Float[Tensor, "batch pos d_vocab"]:
    """Logits with one head at zero and all patterns of later layers kept as they were.

    ★★ medium · 15 minutes. Why: it separates what a head says from where it makes others look.

    The kept patterns are those of a clean pass on the same tokens. What later heads find at those
    places may change.

    Start here: `_, cache = model.run_with_cache(tokens)`, and one hook per later layer.
    """
    raise NotImplementedError


def stripe_knockout(
    pattern: Float[Tensor, "*batch query key"], period: int
) -> Float[Tensor, "*batch query key"]:
    """The pattern without the induction stripe of the last copy; every row sums to 1 again.

    ★★ medium · 12 minutes. Why: it removes one behavior and leaves the rest of the head.

    Set the entries key = query − period + 1 of the last `period` queries to zero, then divide those
    rows by what is left. Where nothing is left (the whole row was on the stripe), spread the row
    evenly over the other keys that the query can see. Axes in front of query and key stay.
    """
    raise NotImplementedError


def knockout_gain_formula() -> str:
    """By what factor the other weights of a row grow when the stripe is knocked out, as a formula.

    ★★ medium · 5 minutes, with pen and paper. Why: what the head whispered, it may now say aloud.

    The row has weight s on the stripe, 0 < s < 1. Return a Python expression in `s` as text, such
    as "1 + s" (which is wrong). It may use + - * / **, sqrt, log, exp, log2, min, max and pi. Any
    equivalent form passes.
    """
    raise NotImplementedError


def path_ablation(
    model: "TransformerBridge", sender: tuple[int, int], receiver: tuple[int, int], side: str
) -> float:
    """The rise of the second-copy loss, in nats, when the receiver cannot read the sender.

    ★★★ hard · 20 minutes. Why: it tests the arrow between two heads, not the heads.

    `sender` and `receiver` are (layer, head), the sender in an earlier layer. `side` is "Q", "K" or
    "V": only the receiver's query, key or value is computed as if the sender had written nothing.
    Everything else still reads the sender. The models have no layer norm. Use
    `make_repeated_tokens(model, period=12, batch=32)`; the second-copy loss is the mean over the
    last 11 tokens.

    Start here: which vector did the sender add to the residual stream? `z @ W_O`. And what does
    `W_K` of the receiver make of the residual stream without it?
    """
    raise NotImplementedError


def verify_induction_behavior(
    model: "TransformerBridge", layer: int, head: int
) -> dict[str, float | bool]:
    """Does this head look like an induction head, and is it needed where tokens repeat?

    ★★★ hard · 25 minutes. Why: this is the claim of the book for one head, with its controls.

    Use the periods 8, 12 and 16, with 32 rows each. Return
    - "induction_attention": the head's induction score, the lowest of the three;
    - "loss_increase": the rise of the second-copy loss (the last period − 1 tokens) when the head
      is set to zero, the lowest of the three;
    - "control_loss_increase": the rise at the same positions when the second block is not a copy
      but another random block, the highest of the three;
    - "is_induction": True if the attention is at least 0.4, the rise at least 0.1 nats, and the
      rise more than twice the control's.

    Random tokens differ, so numbers are compared roughly and the verdict exactly. A control's
    second block can come from `make_repeated_tokens(model, period, batch=32, seed=1)`.
    """
    raise NotImplementedError
