"""Exercises of chapter 8, the phase change: what changes in training, when, and what with it.

Replace each `raise NotImplementedError` with your code. Check all of them with
`induction-heads check ch08`, or one with `induction-heads check phase_change_step`.

Losses are in nats. A snapshot is a dictionary of what was measured of a model at one step.
"""

import math  # noqa: F401
from typing import Any

import torch  # noqa: F401
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.models.attention_only import (
    AttentionOnly,
    AttentionOnlyConfig,  # noqa: F401
    initialize,  # noqa: F401
)
from induction_heads.training.run import Settings, train  # noqa: F401


def in_context_learning_score(losses: Float[Tensor, "batch pos"]) -> float:
    """The mean loss of the last quarter of the tokens minus that of the first quarter.

    ★ · 4 minutes. Why: it is the number that the phase change moves most.

    `losses` are per-token losses, the tokens in order. A quarter is `pos // 4` tokens. More
    negative is better.
    """
    raise NotImplementedError


def phase_change_step(curve: list[tuple[int, float]]) -> float:
    """The step at which the loss falls fastest, by the logarithm of the step.

    ★★ · 10 minutes. Why: "when did it change?" has no answer before you say how change is
    measured.

    `curve` holds (step, loss) in order of the steps. Between two neighboring points the slope is
    the change of the loss over the change of ln(step). Return the geometric mean √(a · b) of the
    steps a and b between which the slope is lowest. A point at step 0 has no logarithm: leave it
    out.
    """
    raise NotImplementedError


def uniform_copying_loss_formula() -> str:
    """The loss of a model that knows which tokens are in the context, and not their order.

    ★★ · 10 minutes, with pen and paper. Why: a plateau means little without a number to
    compare it with.

    The next token is in the context with probability r, and is then equally likely to be any of P
    tokens. Otherwise it is equally likely to be any of the V − P others. The model knows V, P and r
    and predicts exactly these probabilities. Return its mean loss in nats as a Python expression in
    `V`, `P` and `r` as text, such as "r * log(V)" (which is wrong). It may use + - * / **, sqrt,
    log, exp, log2, min, max and pi. Any equivalent form passes.
    """
    raise NotImplementedError


def bigram_posterior_formula() -> str:
    """The best chance to give to a next state, after what a row has shown so far.

    ★★ · 12 minutes, with pen and paper. Why: a loss is good or bad only beside the best one that is
    possible.

    A chain has K states. What follows a state is drawn from a distribution that is itself unknown:
    before you see the row, all distributions over the K states are equally likely. So far the
    present state was followed m times by the state b and k times by other states. What chance
    should you give to b now? It is the mean of the unknown chance over its posterior. Two facts
    help: under this prior, the chance p of one state is distributed as (1 − p)^(K − 2), and the
    integral of p^a (1 − p)^b from 0 to 1 is a! b! / (a + b + 1)!. Return a Python expression in
    `m`, `k` and `K` as text, such as "m / K" (which is wrong).
    """
    raise NotImplementedError


def bayes_bigram(
    tokens: Int[Tensor, "batch pos"], n_states: int
) -> Float[Tensor, "batch pos state"]:
    """At each position, the best chances for the next state, given the row up to there.

    ★★ · 15 minutes. Why: no model can do better on these rows than this one function.

    Each row of `tokens` is a Markov chain with a transition matrix of its own, and the prior is
    that of `bigram_posterior_formula`: count what followed the present state earlier in the row.
    States are ids from 0 to `n_states` − 1. The transition into a position counts there; the one
    out of it is what is predicted.

    Start here: on the row 0 1 0 1 0 with two states, the last position gives 1/4 and 3/4.
    """
    raise NotImplementedError


def smeared_keys(
    keys: Float[Tensor, "batch head pos d_head"], alpha: Float[Tensor, " head"]
) -> Float[Tensor, "batch head pos d_head"]:
    """Each key mixed with the key before it: σ(α) k_j + (1 − σ(α)) k_{j−1}.

    ★★ · 8 minutes. Why: one line lets a single layer form induction heads.

    Each head has its own α. The first key has none before it and stays as it is. `keys` stays as it
    is, too.
    """
    raise NotImplementedError


def induction_formation_correlates(snapshots: list[dict[str, Any]]) -> dict[str, float]:
    """Do the induction score and the in-context-learning score move together? With a control.

    ★★★ · 20 minutes. Why: two curves that both go somewhere correlate, whatever they are.

    Each snapshot of a model, in order of the steps, has
    - "induction": the induction score of each head, a list of layers, each a list of heads;
    - "in_context_learning": the in-context-learning score;
    - "control_loss": the loss on tokens that do not repeat.

    Take the highest induction score of any head of a snapshot. Return three Pearson correlations:
    - "levels": of that score with the in-context-learning score, over snapshots;
    - "changes": of their changes from each snapshot to the next;
    - "control": of the changes of that score with the changes of the control loss.

    Start here: `torch.corrcoef(torch.tensor([xs, ys]))[0, 1]`.
    """
    raise NotImplementedError


def train_induction_heads(seed: int) -> AttentionOnly:
    """A model of your own in which induction heads have formed.

    ★★★ · 30 minutes. Why: what you can make happen, you understand in part.

    `AttentionOnlyConfig(n_layers, n_heads, d_model, d_head, d_vocab, n_ctx)` with d_vocab 64 and
    n_ctx 32; layers, heads and widths are yours, at most four layers. The seed decides the weights
    at the start and the data, so another seed gives another model. The check looks at what it does,
    on tokens that it draws itself, with two copies of 8, 11 and 16 distinct random tokens:
    - the loss on the second copy, from its second token on, is below 1 nat at each length;
    - some head has an induction score of at least 0.4 at each length;
    - that head scores less than half of that where the second block is another one.

    The check refuses the weights of the package's own models, and one model for two seeds. It
    cannot see how the weights came about: a model that was built by hand passes as well, and so
    would weights of the package whose token ids were exchanged. Neither shows how heads form.

    Seconds of training are enough; the check waits ten minutes. Start here: what must the rows be
    like, so that copying pays, at a distance that changes? Write `sample(generator)`, which returns
    a batch of rows, and

        model = initialize(AttentionOnly(config), std=0.1, seed=seed)
        train(model, sample, Settings(steps=300), seed=seed, progress=False)
    """
    raise NotImplementedError
