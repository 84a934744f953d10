"""Exercises of chapter 8, the phase change: what changes in training, when, and what with it.

Replace each `raise NotImplementedError` by your code. Check all of them with
`induction-heads check ch08`, or one with `induction-heads check phase_change_step`.

Losses are in nats. A snapshot is a dictionary of what was measured of a model at one step.
"""

import math  # noqa: F401
from typing import Any

import torch  # noqa: F401
from jaxtyping import Float
from torch import Tensor

from induction_heads.attention_only import (
    AttentionOnly,
    AttentionOnlyConfig,  # noqa: F401
    initialize,  # noqa: F401
)
from induction_heads.training import Settings, train  # noqa: F401


def in_context_learning_score(losses: Float[Tensor, "batch pos"]) -> float:
    """The mean loss of the last quarter of the tokens minus that of the first quarter.

    ★ easy · 4 minutes. Why: it is the number that the phase change moves most.

    `losses` are per-token losses, the tokens in order. A quarter is `pos // 4` tokens. More
    negative is better.
    """
    raise NotImplementedError


def phase_change_step(curve: list[tuple[int, float]]) -> float:
    """The step at which the loss falls fastest, by the logarithm of the step.

    ★★ medium · 10 minutes. Why: "when did it change?" has no answer before you say by what.

    `curve` holds (step, loss) in order of the steps. Between two neighboring points the slope is
    the change of the loss over the change of ln(step). Return the geometric mean √(a · b) of the
    steps a and b between which the slope is lowest. A point at step 0 has no logarithm: leave it
    out.
    """
    raise NotImplementedError


def uniform_copying_loss_formula() -> str:
    """The loss of a model that knows which tokens are in the context, and not their order.

    ★★ medium · 10 minutes, with pen and paper. Why: a plateau means little without what it could
    be.

    The next token is in the context with probability r, and is then any one of P tokens alike.
    Otherwise it is any one of the V − P others alike. The model knows V, P and r and says just
    these probabilities. Return its mean loss in nats as a Python expression in `V`, `P` and `r` as
    text, such as "r * log(V)" (which is wrong). It may use + - * / **, sqrt, log, exp, log2, min,
    max and pi. Any equivalent form passes.
    """
    raise NotImplementedError


def smeared_keys(
    keys: Float[Tensor, "batch head pos d_head"], alpha: Float[Tensor, " head"]
) -> Float[Tensor, "batch head pos d_head"]:
    """Each key mixed with the key before it: σ(α) k_j + (1 − σ(α)) k_{j−1}.

    ★★ medium · 8 minutes. Why: one line lets a single layer form induction heads.

    Each head has its own α. The first key has none before it and stays as it is. `keys` stays as it
    is, too.
    """
    raise NotImplementedError


def induction_formation_correlates(snapshots: list[dict[str, Any]]) -> dict[str, float]:
    """Do the induction score and the in-context-learning score move together? With a control.

    ★★★ hard · 20 minutes. Why: two curves that both go somewhere correlate, whatever they are.

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

    ★★★ hard · 30 minutes. Why: what you can make happen, you have understood a part of.

    `AttentionOnlyConfig(n_layers, n_heads, d_model, d_head, d_vocab, n_ctx)` with d_vocab 64 and
    n_ctx 32; layers, heads and widths are yours, at most four layers. The seed decides the weights
    at the start and the data, so another seed gives another model. The check looks at what it does,
    on tokens that it draws itself, with two copies of 8, 11 and 16 distinct random tokens:
    - the loss on the second copy, from its second token on, is below 1 nat at each length;
    - some head has an induction score of at least 0.4 at each length;
    - that head scores less than half of that where the second block is another one.

    Seconds of training are enough; the check waits ten minutes. Start here: what must the rows be
    like, so that copying pays, at a distance that changes? Write `sample(generator)`, which returns
    a batch of rows, and

        model = initialize(AttentionOnly(config), std=0.1, seed=seed)
        train(model, sample, Settings(steps=300), seed=seed, progress=False)
    """
    raise NotImplementedError
