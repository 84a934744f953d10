"""Claims about a model's copying heads, and what they predict about interventions.

A claim is plain data that says which heads copy, through which arrows, and by which rule. It
predicts the loss of an intervention without the model; the model then gives the loss itself.
Both are dicts of numbers and lists, so that they can be written down before the measurement.
"""

import math
from collections.abc import Sequence
from typing import Any, TypedDict

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.data.tokens import prefix_match_rows
from induction_heads.interp.ablation import attention_hook, head_hooks
from induction_heads.interp.interventions import logits_without_path, pattern_without_path
from induction_heads.models.interface import Model, model_config
from induction_heads.models.loading import as_hooked

LONGEST = 3
"""The longest match of the rows."""

GAP = 12
"""Tokens between the token after the first match and the second match."""


class Claim(TypedDict):
    """What somebody claims about the copying heads of a model.

    `copiers` are `[layer, head, gain]`: the head raises the logit of one token by `gain` nats.
    `arrows` are `[sender, receiver, side]`, with heads as `[layer, head]` and the side "Q" or "K":
    a copier writes nothing if one of the arrows into it is missing. `match` is how many tokens have
    to match, `lag` how far behind the match the copied token is, and `shift` what is added to its
    id, modulo d_vocab.
    """

    copiers: list[list[Any]]
    arrows: list[list[Any]]
    match: int
    lag: int
    shift: int


class Intervention(TypedDict):
    """A change to a model, the rows it is measured on, and the token whose loss is measured.

    The heads of `silent` write nothing, and the arrows of `cut` are removed: one arrow at most, and
    none if a head is silent. The last `match` tokens of the rows occur before. The target is the
    token `lag` positions after the earlier copy, with `shift` added to its id.
    """

    silent: list[list[int]]
    cut: list[list[Any]]
    match: int
    lag: int
    shift: int


def predicted_loss(claim: Claim, intervention: Intervention, d_vocab: int) -> float:
    """The loss in nats that a claim predicts for an intervention, without the model.

    The logit of the copied token is raised by the gains of the copiers that still work, and all
    other logits are equal. A copier works if the match is long enough, it is not silent, and every
    arrow into it has a sender that is not silent and is not cut. The target is the copied token if
    its lag and its shift are those of the claim.

    >>> arrow = [[0, 1], [1, 0], "K"]
    >>> claim = Claim(copiers=[[1, 0, 6.0]], arrows=[arrow], match=1, lag=1, shift=0)
    >>> clean = Intervention(silent=[], cut=[], match=1, lag=1, shift=0)
    >>> round(predicted_loss(claim, clean, 64), 2)
    0.15
    >>> round(predicted_loss(claim, {**clean, "silent": [[0, 1]]}, 64), 2)  # log 64
    4.16
    """
    raised = _raised(claim, intervention)
    same = all(intervention[name] == claim[name] for name in ("lag", "shift"))
    total = math.log(d_vocab - 1 + math.exp(raised))
    return total - raised if same else total


def _raised(claim: Claim, intervention: Intervention) -> float:
    """The sum of the gains of the copiers that still work."""
    silent, cut = intervention["silent"], intervention["cut"]
    if intervention["match"] < claim["match"]:
        return 0.0
    total = 0.0
    for layer, head, gain in claim["copiers"]:
        arrows = [arrow for arrow in claim["arrows"] if arrow[1] == [layer, head]]
        fed = all(arrow[0] not in silent and arrow not in cut for arrow in arrows)
        total += gain * (fed and [layer, head] not in silent)
    return total


def claim_rows(
    d_vocab: int, match: int, *, gap: int = GAP, batch: int = 64, seed: int = 0
) -> Int[Tensor, "batch pos"]:
    """Rows in which only the last `match` tokens occur before: see `prefix_match_rows`.

    `gap` is the number of tokens between the two matches, without the one that follows the first.
    """
    return prefix_match_rows(d_vocab, match, longest=LONGEST, gap=gap, batch=batch, seed=seed)


def claim_targets(
    rows: Int[Tensor, "batch pos"], lag: int, shift: int, d_vocab: int
) -> Int[Tensor, " batch"]:
    """The token of each row `lag` positions after the first match, with `shift` added to its id.

    >>> rows = claim_rows(64, 1, batch=1)
    >>> rows[0, 2:5].tolist()  # A, and the tokens after it.
    [43, 27, 2]
    >>> claim_targets(rows, lag=2, shift=10, d_vocab=64).tolist()
    [12]
    """
    return (rows[:, LONGEST - 1 + lag] + shift) % d_vocab


def measured_loss(
    model: Model, intervention: Intervention, *, gap: int = GAP, batch: int = 64, seed: int = 0
) -> float:
    """The mean loss in nats of the target after the last token, under an intervention.

    Heads are silenced by zero ablation, and an arrow is cut as in `logits_without_path`. Raises
    ValueError for more than one arrow, or for an arrow and silent heads together.
    """
    bridge, d_vocab = as_hooked(model), model_config(model).d_vocab
    silent, cut = intervention["silent"], intervention["cut"]
    if len(cut) > 1 or (cut and silent):
        raise ValueError(
            f"Got {len(cut)} arrows to cut and {len(silent)} silent heads. Cut one arrow, or "
            "silence heads, in one intervention."
        )
    rows = claim_rows(d_vocab, intervention["match"], gap=gap, batch=batch, seed=seed)
    target = claim_targets(rows, intervention["lag"], intervention["shift"], d_vocab)
    if cut:
        sender, receiver, side = cut[0]
        logits = logits_without_path(bridge, rows, tuple(sender), tuple(receiver), side)
    else:
        hooks = head_hooks([(layer, head) for layer, head in silent])
        with torch.inference_mode():
            logits = bridge.run_with_hooks(rows, fwd_hooks=hooks)
    log_probs = logits[:, -1].float().log_softmax(dim=-1)
    return -log_probs.gather(-1, target[:, None]).mean().item()


def copying_gains(
    model: Model, lag: int, shift: int, *, seed: int = 0
) -> Float[Tensor, "layer head"]:
    """What each head adds to the logit of the target, minus its mean addition to the others.

    In nats, after the last token of rows with a match of 3, for a model without a final layer norm.
    """
    config = model_config(model)
    written = _Written(model, lag, shift, seed)
    places = [(layer, head) for layer in range(config.n_layers) for head in range(config.n_heads)]
    gains = [written.gain(*place, written.pattern(*place)) for place in places]
    return torch.tensor(gains).reshape(config.n_layers, config.n_heads)


def gain_without_arrow(
    model: Model,
    lag: int,
    shift: int,
    sender: tuple[int, int],
    receiver: tuple[int, int],
    side: str,
    *,
    seed: int = 0,
) -> float:
    """The gain of the receiver when its pattern is computed without what the sender wrote.

    `side` is "Q" or "K". The values, and all other heads, are as they were. Raises ValueError as
    `pattern_without_path` does.
    """
    written = _Written(model, lag, shift, seed)
    pattern = pattern_without_path(written.bridge, written.rows, sender, receiver, side)
    return written.gain(*receiver, pattern)


class _Written:
    """One run on rows with a match of 3, and what heads write about the target."""

    def __init__(self, model: Model, lag: int, shift: int, seed: int):
        self.bridge, d_vocab = as_hooked(model), model_config(model).d_vocab
        self.rows = claim_rows(d_vocab, LONGEST, seed=seed)
        self.target = claim_targets(self.rows, lag, shift, d_vocab)[:, None]
        with torch.inference_mode():
            _, self.cache = self.bridge.run_with_cache(self.rows)

    def pattern(self, layer: int, head: int) -> Tensor:
        return self.cache[attention_hook(layer, "pattern")][:, head]

    def gain(self, layer: int, head: int, pattern: Tensor) -> float:
        """The gain of a head that attends like this."""
        values = self.cache[attention_hook(layer, "v")][:, :, head]
        z = (pattern[:, -1:] @ values)[:, 0]
        added = z @ self.bridge.blocks[layer].attn.W_O[head] @ self.bridge.W_U
        of_target = added.gather(1, self.target)
        others = (added.sum(dim=1, keepdim=True) - of_target) / (added.shape[1] - 1)
        return (of_target - others).mean().item()


def draw_interventions(
    claim: Claim, n: int, *, n_layers: int, n_heads: int, d_vocab: int, seed: int
) -> list[Intervention]:
    """`n` interventions on a model of these sizes, most of them about the heads of a claim.

    One in three cuts an arrow, and the others silence one to three heads. Each head is one that the
    claim names with probability 2/3, and otherwise any. The match is 3 in half of them, and 0, 1 or
    2 in the rest. A quarter have a random lag and shift, and the rest those of the claim.
    """
    generator = torch.Generator().manual_seed(seed)
    senders = [arrow[0] for arrow in claim["arrows"]]
    named = [*senders, *(copier[:2] for copier in claim["copiers"])]

    def below(high: int) -> int:
        return int(torch.randint(high, (), generator=generator))

    def head() -> list[int]:
        if named and below(3):
            return list(named[below(len(named))])
        return [below(n_layers), below(n_heads)]

    def arrow() -> list[Any]:
        while True:
            sender, receiver = sorted([head(), head()])
            if sender[0] < receiver[0]:
                return [sender, receiver, "QKV"[below(3)]]

    drawn: list[Intervention] = []
    for _ in range(n):
        cut = [] if below(3) else [arrow()]
        heads = [] if cut else [head() for _ in range(1 + below(3))]
        silent = [each for number, each in enumerate(heads) if each not in heads[:number]]
        match = (0, 1, 2, 3, 3, 3)[below(6)]
        lag, shift = claim["lag"], claim["shift"]
        if not below(4):
            lag, shift = 1 + below(2), below(d_vocab)
        drawn.append(Intervention(silent=silent, cut=cut, match=match, lag=lag, shift=shift))
    return drawn


def decisive_intervention(
    claim: Claim, rival: Claim, interventions: Sequence[Intervention], d_vocab: int
) -> int:
    """The index of the intervention about which two claims differ most, the first of several.

    Differences are in nats of the predicted loss. An intervention about which both predict the same
    can refute neither in favor of the other.
    """
    differences = [
        abs(predicted_loss(claim, each, d_vocab) - predicted_loss(rival, each, d_vocab))
        for each in interventions
    ]
    return differences.index(max(differences))


def prediction_skill(predicted: Sequence[float], measured: Sequence[float], clean: float) -> float:
    """The share of the error of the better baseline that the predictions remove.

    Errors are mean absolute differences from the measured losses. The first baseline predicts the
    clean loss every time, the second the mean of the measured losses. 1 is perfect, 0 is as good as
    the baseline, and below 0 is worse. Raises ValueError if the two lists differ in length.

    >>> prediction_skill([1.0, 2.0, 4.0], [1.0, 2.0, 5.0], clean=2.0)
    0.75
    """
    average = math.fsum(measured) / len(measured)

    def error(guesses: Sequence[float]) -> float:
        return math.fsum(abs(a - b) for a, b in zip(guesses, measured, strict=True))

    n = len(measured)
    return 1 - error(predicted) / min(error([clean] * n), error([average] * n))
