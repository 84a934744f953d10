"""Exercises of chapter 7, ablation: take a part away, and see what is lost.

Replace each `raise NotImplementedError` with your code. Check all of them with
`induction-heads check ch07`, or one with `induction-heads check stripe_knockout`.

`model` is a TransformerBridge. `model.run_with_hooks(tokens, fwd_hooks=[(name, function)])` returns
logits; each function is called as `function(value, hook)` and returns the value to use instead.
The names used here: `blocks.{layer}.attn.hook_z` [batch pos head d_head], `….hook_pattern`
[batch head query key], `….hook_q`, `….hook_k`, `….hook_v` [batch pos head d_head] and
`blocks.{layer}.hook_resid_pre` [batch pos d_model]. `partial(f, head=1)` fills in an argument.
"""

from functools import partial  # noqa: F401
from typing import TYPE_CHECKING, Any

import torch  # noqa: F401
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.data.tokens import make_repeated_tokens  # noqa: F401
from induction_heads.interp.losses import per_token_loss  # noqa: F401
from induction_heads.interp.scores import induction_score  # noqa: F401

if TYPE_CHECKING:  # Importing TransformerLens takes seconds, and these functions only name it.
    from transformer_lens import TransformerBridge


def zero_ablation_hook(
    z: Float[Tensor, "batch pos head d_head"], hook: Any, head: int
) -> Float[Tensor, "batch pos head d_head"]:
    """A copy of `z` in which one head is zero everywhere.

    ★ · 4 minutes. Why: it is the shortest experiment there is.

    Leave `z` itself as it is: the same tensor may be kept in a cache. `hook` is what
    TransformerLens passes to every hook (it has `hook.name` and `hook.layer()`); you need not
    use it.
    """
    raise NotImplementedError


def mean_ablation_hook(
    z: Float[Tensor, "batch pos head d_head"], hook: Any, head: int
) -> Float[Tensor, "batch pos head d_head"]:
    """A copy of `z` in which one head has its mean over the batch, at each position.

    ★ · 5 minutes. Why: it removes what a head writes about one row and keeps what it writes in
    all of them.

    Position 3 gets the mean of the head at position 3, and so on. `z` stays as it is.
    """
    raise NotImplementedError


def ablation_scores(
    model: "TransformerBridge", tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "layer head"]:
    """How much the loss rises, in nats, when a head is set to zero: one number per head.

    ★★ · 12 minutes. Why: a single ablation means nothing without others to compare it with.

    The loss is the mean of `per_token_loss(logits, tokens)` over all tokens. Positive: the model is
    worse without the head.

    Start here: the clean loss, then a loop over layers and heads with `zero_ablation_hook`.
    """
    raise NotImplementedError


def pattern_preserving_ablation(
    model: "TransformerBridge", tokens: Int[Tensor, "batch pos"], layer: int, head: int
) -> Float[Tensor, "batch pos d_vocab"]:
    """Logits with one head at zero and all patterns of later layers kept as they were.

    ★★ · 15 minutes. Why: it separates what a head writes from where it makes others look.

    The kept patterns are those of a clean pass on the same tokens. What later heads find at those
    places may change.

    Start here: `_, cache = model.run_with_cache(tokens)`, and one hook per later layer.
    """
    raise NotImplementedError


def stripe_knockout(
    pattern: Float[Tensor, "*batch query key"], period: int
) -> Float[Tensor, "*batch query key"]:
    """The pattern without the induction stripe of the last copy; every row sums to 1 again.

    ★★ · 12 minutes. Why: it removes one behavior and leaves the rest of the head.

    Set the entries key = query − period + 1 of the last `period` queries to zero, then divide those
    rows by what is left. Where nothing is left (the whole row was on the stripe), spread the row
    evenly over the other keys that the query can see. Axes in front of query and key stay.
    """
    raise NotImplementedError


def knockout_gain_formula() -> str:
    """By what factor the other weights of a row grow when the stripe is knocked out, as a formula.

    ★★ · 5 minutes, with pen and paper. Why: what was a small weight before the knockout may
    become a large one.

    The row has weight s on the stripe, 0 < s < 1. Return a Python expression in `s` as text, such
    as "1 + s" (which is wrong). It may use + - * / **, sqrt, log, exp, log2, min, max and pi. Any
    equivalent form passes.
    """
    raise NotImplementedError


def path_ablation(
    model: "TransformerBridge", sender: tuple[int, int], receiver: tuple[int, int], side: str
) -> float:
    """The rise of the second-copy loss, in nats, when the receiver cannot read the sender.

    ★★★ · 20 minutes. Why: it tests the arrow between two heads, not the heads themselves.

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

    ★★★ · 25 minutes. Why: this is the claim of the book for one head, with its controls.

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


def minimal_circuit_logits(
    model: "TransformerBridge",
    tokens: Int[Tensor, "batch pos"],
    previous: tuple[int, int],
    induction: list[tuple[int, int]],
) -> Float[Tensor, "batch pos d_vocab"]:
    """Logits of a previous-token head and the induction heads it feeds, and of nothing else.

    ★★★ · 20 minutes. Why: a story that predicts by itself can be compared with the model, and can
    fail.

    `previous` and each entry of `induction` are (layer, head). The story, with token embeddings x:
    - the mark at position j is W_E[x_{j−1}] W_V W_O of the previous-token head; at position 0 it is
      zero;
    - an induction head's queries read the token, its keys the mark, its values the token. Its
      scores are divided by √d_head, and its softmax runs over the keys up to the query;
    - the logits are what these heads write, summed, times W_U.
    No positions, no other heads, no direct path. The models have no layer norm.

    Start here: `x = model.W_E[tokens]`, and the marks from `x` moved by one position.
    """
    raise NotImplementedError


def activation_patching_effects(
    model: "TransformerBridge",
    clean: Int[Tensor, "batch pos"],
    corrupted: Int[Tensor, "batch pos"],
    right: Int[Tensor, " batch"],
    wrong: Int[Tensor, " batch"],
    direction: str,
) -> Float[Tensor, "layer head"]:
    """The share of the logit difference that each head carries between two runs.

    ★★★ · 20 minutes. Why: it is the standard experiment on what carries the difference between two
    prompts.

    The measure of a run is the logit of `right` minus the logit of `wrong` at the last position, as
    a mean over the rows. `direction` is
    - "denoise": run `corrupted`, with this head's `hook_z` at all positions from the clean run. The
      effect is (patched − corrupted) / (clean − corrupted);
    - "noise": run `clean`, with this head's `hook_z` from the corrupted run. The effect is
      (clean − patched) / (clean − corrupted).
    In both, 0 is nothing and 1 is all. Later heads react to the patch.

    Start here: two calls of `model.run_with_cache`, and a function for the measure.
    """
    raise NotImplementedError


def attribution_patching_effects(
    model: "TransformerBridge",
    clean: Int[Tensor, "batch pos"],
    corrupted: Int[Tensor, "batch pos"],
    right: Int[Tensor, " batch"],
    wrong: Int[Tensor, " batch"],
    direction: str,
) -> Float[Tensor, "layer head"]:
    """The effects of `activation_patching_effects` to first order, for all heads from one gradient.

    ★★★ · 20 minutes. Why: three passes score all heads, and where the scores fail can be foreseen.

    For each head: the change of its `hook_z` by the patch, times the gradient of the measure with
    respect to its `hook_z` in the run that is patched, summed over rows, positions and d_head.
    Signs and the division by (clean − corrupted) are as in `activation_patching_effects`.

    The weights of `model` need no gradient, so nothing before your hook has one. Start here: a hook
    that returns `z + zeros`, with `zeros = torch.zeros_like(z, requires_grad=True)` kept in a list,
    and `torch.autograd.grad(measure, zeros_of_all_layers)`.
    """
    raise NotImplementedError


def attribution_ratio_formula() -> str:
    """What attribution patching finds of the exact effect of one score, as a formula.

    ★★ · 8 minutes, with pen and paper. Why: how large is it for s = 5, a head that is sure of its
    key?

    A later head has two keys. Its weight on the first is 1 / (1 + exp(−u)), where u is how far the
    score of the first lies above that of the second. In the clean run u = s, in the corrupted run
    u = −s, with s > 0. The patch changes u, and the measure is the weight.
    Return the effect of noising to first order, divided by the exact effect, as a Python expression
    in `s`, such as "1 - s" (which is wrong). It may use + - * / **, sqrt, log, exp, log2, min, max
    and pi. Any equivalent form passes.
    """
    raise NotImplementedError
