"""Exercises of chapter 9: what must go right for an induction head to form.

Replace each `raise NotImplementedError` with your code. Check all of them with
`induction-heads check ch09`, or one with `induction-heads check repeat_statistics`.
"""

from collections.abc import Sequence
from dataclasses import replace  # noqa: F401
from typing import TYPE_CHECKING

import torch  # noqa: F401
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.interp.losses import per_token_loss  # noqa: F401
from induction_heads.training.recipes import RECIPES, new_model  # noqa: F401
from induction_heads.training.run import train  # noqa: F401

if TYPE_CHECKING:  # Importing TransformerLens takes seconds, and these functions only name it.
    from transformer_lens import TransformerBridge


def repeat_statistics(tokens: Int[Tensor, "batch pos"]) -> dict[str, float]:
    """Four shares, each from 0 to 1, that say what repeats in these rows.

    ★★ · 20 minutes. Why: the data are the first thing to look at, and four numbers say more
    than one.

    - "repeated": of all tokens, those that occurred earlier in their row.
    - "usable": of all next tokens (positions 1, 2, … of every row), those that the rule of an
      induction head gets right: find the latest earlier copy of the token before, and take the
      token that followed it.
    - "one_distance": of the usable ones, those at the commonest distance between the two copies; 0
      if none is usable.
    - "by_heart": of all next tokens, those that are the commonest successor of the token before,
      counted over all rows together. Where two successors are equally common, take one of them.

    Start here: plain loops over rows and positions are fine.
    """
    raise NotImplementedError


def chance_repeats_formula() -> str:
    """The expected share of tokens in random rows that occurred earlier in their row, as a formula.

    ★★ · 8 minutes, with pen and paper. Why: what repeats by chance is the baseline.

    A row has n independent tokens, each of V ids equally likely. Return a Python expression in `n`
    and `V` as text, such as "n / V" (which is wrong). It may use + - * / **, sqrt, log, exp, log2,
    min, max and pi. Any equivalent form passes, but a sum must be written out as a closed formula.
    """
    raise NotImplementedError


def intact_repeats_formula() -> str:
    """The chance that noise leaves a repeat usable, as a formula.

    ★ · 4 minutes, with pen and paper. Why: a little noise spoils more repeats than tokens.

    An induction head reads A B … A and predicts B. Each token of the row is lost with chance q,
    independently. What is the chance that this pair and its copy both stay intact? Ignore luck: a
    lost token is never right by chance. Return a Python expression in `q` as text.
    """
    raise NotImplementedError


def emergence_time_formula() -> str:
    """The time until a previous-token head has formed in the minimal task, as a formula.

    ★★ · 12 minutes, with pen and paper. Why: a law is worth more if you can say where its exponent
    is from.

    The copying has settled at g, early. Then the match β grows at the constant rate c g / N², and
    the mark α at the rate c g β / N². Both start at 0. When does α reach 1? Return a Python
    expression in `N`, `c` and `g` as text, such as "N / (c * g)" (which is wrong).
    """
    raise NotImplementedError


def clamp_patterns_during_training(
    patterns: dict[tuple[int, int], Float[Tensor, "query key"]], seed: int = 0, steps: int = 30
) -> Float[Tensor, " step"]:
    """The loss at each of the first steps of training with the patterns of some heads clamped.

    ★★★ · 20 minutes. Why: to learn what one part waits for, give it the other part for free.

    `patterns` maps each clamped head, as (layer, head), to the pattern [query key] that it has in
    every row, at every step. Train `new_model(RECIPES["toy-2l"], seed)` with `train(…, seed=seed,
    progress=False)` on the recipe's `sample`, with its settings but for `steps=steps` and
    `decay=0.0`. Return the losses of the run as a tensor.

    Start here: `model.layers[0].pattern(x)` returns [batch head query key], and it is called in
    every forward pass. What if `model.layers[0].pattern` were your own function?
    """
    raise NotImplementedError


def joint_ablation_gap(
    model: "TransformerBridge", tokens: Int[Tensor, "batch pos"], heads: Sequence[tuple[int, int]]
) -> float:
    """The rise of the loss without all these heads, minus the sum of the rises without each.

    ★★ · 10 minutes. Why: heads that cover for each other look useless one at a time.

    The loss is the mean of `per_token_loss(logits, tokens)` over all tokens, in nats. "Without a
    head" is zero ablation, as in chapter 7: `z` of the head is 0, at
    `blocks.{layer}.attn.hook_z` [batch pos head d_head]. `heads` contains (layer, head) pairs.
    """
    raise NotImplementedError


def will_form(tokens: Int[Tensor, "batch pos"]) -> bool:
    """Whether a two-layer toy trained on rows like these forms an induction head: your prediction.

    ★★★ · 25 minutes. Why: if you understand what makes a head form, you can predict it.

    `tokens` are 256 rows of 32 tokens, of one kind of training data. The check asks about ten kinds
    and knows what most of the stored runs of each did within 400 steps. Nine of them are not on the
    page. Nothing is trained: decide from the rows. The stored runs are part of the package, and the
    check cannot see whether an answer was looked up there. Such an answer predicts nothing.

    Start here: which simpler way to predict the next token could the rows allow? Your four shares
    tell two of them apart from induction.
    """
    raise NotImplementedError
