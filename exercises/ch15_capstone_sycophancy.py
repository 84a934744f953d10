"""Exercises of chapter 15: the capstone, a bot that agrees when it is praised.

Replace each `raise NotImplementedError` with your code. Check all of them with
`induction-heads check ch15`, or one with `induction-heads check matched_controls`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch  # noqa: F401
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.data.dialogues import (  # noqa: F401
    FACTS,
    PRAISE,
    prompt_tokens,
    without_praise,
    wrong_claims,
)
from induction_heads.interp.claims import (  # noqa: F401
    Claim,
    Intervention,
    claim_rows,
    claim_targets,
)
from induction_heads.interp.interventions import (  # noqa: F401
    logits_without_path,
    pattern_without_path,
)
from induction_heads.interp.sycophancy import answer_ids  # noqa: F401

if TYPE_CHECKING:  # Importing TransformerLens takes seconds, and these functions only name it.
    from transformer_lens import TransformerBridge


def matched_controls(words: Sequence[str]) -> dict[str, list[str]]:
    """Four controls of a prompt, each with the same number of words.

    ★★ · 15 minutes. Why: a control that differs from the prompt in only one thing can say
    whether it matters.

    `words` are `<bos> SPEAKER : … . user : … . user : … . bot : THING`: an opening, three claims, a
    closing, and the thing asked about. The opening contains one word of `PRAISE`.

    - "no praise": "hello" replaces the word of praise.
    - "another speaker": the speaker of the opening is "guest".
    - "after the claims": "hello" replaces the word of praise, and the word of praise replaces the
    first word of the closing.
    - "right claim": the claimed color of the thing asked about is its true one, from `FACTS`.

    Start here: in the claims, the color comes right after its thing.
    """
    raise NotImplementedError


def sycophancy_rate(
    logits: Float[Tensor, "batch d_vocab"],
    claimed: Int[Tensor, " batch"],
    true: Int[Tensor, " batch"],
) -> float:
    """Share of the prompts with a wrong claim where the claim's logit is above the true color's.

    ★ · 6 minutes. Why: an answer that is both claimed and true says nothing about agreement.

    `claimed` and `true` are token ids. A claim is wrong if they differ.
    """
    raise NotImplementedError


def gated_effect(
    praised: Float[Tensor, " pair"], neutral: Float[Tensor, " pair"]
) -> tuple[float, float]:
    """The mean difference between matched prompts, and its standard error.

    ★★ · 8 minutes. Why: prompts differ a lot from each other, and pairing removes that.

    `praised[i]` and `neutral[i]` are the gap between two logits on the same dialogue, with and
    without praise. The standard error is that of the mean over the pairs, with n − 1 in the
    standard deviation.
    """
    raise NotImplementedError


def paired_error_formula() -> str:
    """The standard error of the mean difference of n pairs, as a formula.

    ★★ · 8 minutes, with pen and paper. Why: it says what pairing gains, and when it gains
    nothing.

    In each of n independent pairs, the first value has standard deviation `s`, the second `t`, and
    their correlation is `r`. Return a Python expression in `s`, `t`, `r` and `n` as text.
    """
    raise NotImplementedError


def expected_effect_formula() -> str:
    """The effect of praise on the gap of a model that has learned its data exactly, as a formula.

    ★★ · 8 minutes, with pen and paper. Why: a measured effect needs a number to be compared
    with.

    The gap is the logit of the claimed color minus that of the true one. After praise the data have
    the claimed color with probability `p` and otherwise the true one; without praise, with
    probability `q`. The model has learned these probabilities. What is its gap with praise minus
    that without? Return a Python expression in `p` and `q` as text.
    """
    raise NotImplementedError


def candidate_heads(
    model: "TransformerBridge", tokens: Int[Tensor, "batch pos"], threshold: float = 0.4
) -> list[tuple[int, int, float]]:
    """(layer, head, score) of the heads that look where an induction head would, highest first.

    ★★ · 12 minutes. Why: it is a list of suspects, before anybody is accused.

    The last token of every row occurs once before in the row. The score of a head is its attention
    from the last position to the token after that earlier copy, as a mean over the rows. A head is
    a candidate if its score is at least `threshold`.

    Start here: `model.run_with_cache(tokens)` returns logits and a cache;
    `cache[f"blocks.{layer}.attn.hook_pattern"]` is [batch head query key].
    """
    raise NotImplementedError


def logits_without_heads(
    model: "TransformerBridge", tokens: Int[Tensor, "batch pos"], heads: Sequence[tuple[int, int]]
) -> Float[Tensor, "batch d_vocab"]:
    """Logits at the last position when these heads write the same in every row.

    ★★ · 12 minutes. Why: what a head writes in all rows stays, and what it writes about one
    row goes.

    `heads` contains (layer, head) pairs and may be empty. At each position, `z` of each of them
    becomes its mean over the rows of the batch, in the same pass: `blocks.{layer}.attn.hook_z` is
    [batch pos head d_head]. The mean is per position: where the openings differ in length, it mixes
    positions with different roles.
    """
    raise NotImplementedError


def report_numbers(model: "TransformerBridge", seed: int) -> dict[str, Any]:
    """The numbers that a report on this model must state.

    ★★★ · 30 minutes. Why: a report whose numbers others can reproduce can be argued with.

    Take `wrong_claims(100, seed=seed)`, and `without_praise` of each; `prompt_tokens` gives tokens,
    `answer_ids` the claimed and the true colors. "Without a head" is your `logits_without_heads`
    on the 200 rows of both kinds together. All numbers are of these dialogues. The reader and the
    gate are chosen on others, `wrong_claims(100, seed=seed + 1)`: a head that wins on some prompts
    wins partly by luck, and its number on the same prompts would contain that luck. Return

    - "effect", "standard_error": of praise on the gap, as `gated_effect` gives them;
    - "rate_praise", "rate_neutral": `sycophancy_rate` with and without praise;
    - "reader": [layer, head] of the highest score of `candidate_heads` on the prompts with praise;
    - "effect_without_reader", "rate_without_reader": the effect and `rate_praise` without it;
    - "gate": [layer, head] of the head without which the effect is lowest;
    - "effect_without_gate".
    """
    raise NotImplementedError


def predicted_loss(claim: Claim, intervention: Intervention, d_vocab: int) -> float:
    """The loss in nats that a claim predicts for an intervention, without the model.

    ★★ · 15 minutes. Why: a claim that predicts no number cannot be wrong.

    Both are dicts; `Claim` and `Intervention` in `induction_heads.interp.claims` explain their
    keys. The claim says that all logits are equal, except that the copied token's is higher by the
    gains of the copiers that still work. A copier works if

    - the intervention's `match` is at least the claim's;
    - it is not in `silent`;
    - no arrow of the claim that ends in it is in `cut` or has its sender in `silent`.

    The target is the copied token if the lag and the shift of the intervention are the claim's.
    Otherwise it is one of the other tokens.

    Start here: if no copier works, every token has the loss log d_vocab.
    """
    raise NotImplementedError


def decisive_intervention(
    claim: Claim, rival: Claim, interventions: Sequence[Intervention], d_vocab: int
) -> int:
    """The index of the intervention about which two claims differ most.

    ★★ · 8 minutes. Why: an experiment about which two claims agree cannot choose between them.

    The difference is that of your `predicted_loss`, in nats, whichever claim is higher.
    """
    raise NotImplementedError


def prediction_skill(predicted: Sequence[float], measured: Sequence[float], clean: float) -> float:
    """The share of the error of the better baseline that the predictions remove.

    ★ · 6 minutes. Why: a small error means little where a constant has a small error too.

    The error is the mean absolute difference from the measured losses. One baseline predicts
    `clean`, the loss without any intervention, every time. The other predicts the mean of the
    measured losses every time; it has seen the answers, so it is hard to beat. Return 1 minus
    your error divided by the smaller of their errors.
    """
    raise NotImplementedError


def describe_unseen_model(model: "TransformerBridge") -> dict[str, Any]:
    """A claim about a model: its copying heads, what feeds them, and their rule.

    ★★★★ · 60 minutes. Why: nobody tells you the names of the heads in a model that nobody has
    looked at.

    Return a dict with the keys of `Claim`. `claim_rows(d_vocab, match)` gives rows in which the
    last `match` tokens occur before, and `claim_targets(rows, lag, shift, d_vocab)` the target of
    each row. All losses, logits and gains are those after the last token, as means over rows.

    - "lag", "shift": the lag, 1 or 2, and the shift, from 0 to d_vocab − 1, whose target has the
    lowest loss after a match of 3.
    - "match": the shortest match, from 0 to 3, at which the loss of that target is at most half of
    log d_vocab.
    - "copiers": a [layer, head, gain] for each head whose gain is at least 1 or at most −1. This is
    what the head's output adds to the logit of the target, minus the mean of what it adds to the
    other logits, after a match of 3.
    - "arrows": a [sender, receiver, side] for each head of an earlier layer, each copier and each
    side "Q" or "K" where cutting the arrow leaves less than half of the copier's gain, in size.
    Sender and receiver are [layer, head].
    `logits_without_path` and `pattern_without_path` cut one.

    Graded are the heads, the arrows and the rule, and how well the claim predicts held-out
    interventions, which are drawn after you have answered. The gains count only there.
    """
    raise NotImplementedError
