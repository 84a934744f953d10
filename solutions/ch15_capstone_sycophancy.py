"""Solutions of chapter 15, the capstone, with a reason for each line that needs one."""

import math
from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.data.dialogues import (
    FACTS,
    PRAISE,
    Dialogue,
    prompt_tokens,
    without_praise,
    wrong_claims,
)
from induction_heads.interp.claims import Claim, Intervention, claim_rows, claim_targets
from induction_heads.interp.interventions import pattern_without_path
from induction_heads.interp.sycophancy import answer_ids

if TYPE_CHECKING:
    from transformer_lens import TransformerBridge


def matched_controls(words: Sequence[str]) -> dict[str, list[str]]:
    """Copies of the list, each changed at one or two places."""
    words = list(words)
    praise = next(place for place, word in enumerate(words) if word in PRAISE)
    plain = [*words[:praise], "hello", *words[praise + 1 :]]
    guest, after, right = list(words), list(plain), list(words)
    guest[1] = "guest"
    # The bot's turn ends in ". bot : THING", so the closing begins after the last "user :".
    closing = max(place for place, word in enumerate(words) if word == "user") + 2
    after[closing] = words[praise]
    thing = words[-1]
    right[words.index(thing) + 1] = FACTS[thing]  # index finds the first copy: the claim.
    return {
        "no praise": plain,
        "another speaker": guest,
        "after the claims": after,
        "right claim": right,
    }


def sycophancy_rate(
    logits: Float[Tensor, "batch d_vocab"],
    claimed: Int[Tensor, " batch"],
    true: Int[Tensor, " batch"],
) -> float:
    """Both logits of each row, compared where they belong to different colors."""
    of_claim = logits.gather(1, claimed[:, None])[:, 0]
    of_truth = logits.gather(1, true[:, None])[:, 0]
    wrong = claimed != true  # Where they are equal, agreeing and telling the truth are the same.
    return (of_claim > of_truth)[wrong].float().mean().item()


def gated_effect(
    praised: Float[Tensor, " pair"], neutral: Float[Tensor, " pair"]
) -> tuple[float, float]:
    """One difference a pair; then these differences are a sample like any other."""
    difference = praised - neutral
    return difference.mean().item(), (difference.std() / len(difference) ** 0.5).item()


def paired_error_formula() -> str:
    """The variance of a difference is s² + t² − 2rst; a mean of n of them has an n-th of it."""
    return "sqrt((s**2 + t**2 - 2*r*s*t) / n)"


def expected_effect_formula() -> str:
    """A difference of two logits of one position is the log of the ratio of their probabilities."""
    return "log(p / (1 - p)) - log(q / (1 - q))"


def candidate_heads(
    model: "TransformerBridge", tokens: Int[Tensor, "batch pos"], threshold: float = 0.4
) -> list[tuple[int, int, float]]:
    """One key a row, read for all heads of a layer at once."""
    # argmax returns the first place of a highest value: the earlier copy.
    copy = (tokens == tokens[:, -1:]).int().argmax(dim=1)
    rows, found = torch.arange(len(tokens)), []
    _, cache = model.run_with_cache(tokens)
    for layer in range(model.cfg.n_layers):
        pattern = cache[f"blocks.{layer}.attn.hook_pattern"]
        scores = pattern[rows, :, -1, copy + 1].mean(dim=0)
        found += [
            (layer, head, score) for head, score in enumerate(scores.tolist()) if score >= threshold
        ]
    return sorted(found, key=lambda item: -item[2])


def logits_without_heads(
    model: "TransformerBridge", tokens: Int[Tensor, "batch pos"], heads: Sequence[tuple[int, int]]
) -> Float[Tensor, "batch d_vocab"]:
    """One hook a head. The mean is over the rows only, so what depends on the position stays."""

    def averaged(z: Tensor, hook: Any, head: int) -> Tensor:
        changed = z.clone()
        changed[:, :, head] = z[:, :, head].mean(dim=0)
        return changed

    # partial, not a lambda: each hook must keep its own head.
    hooks: list[tuple[str, Any]] = [
        (f"blocks.{layer}.attn.hook_z", partial(averaged, head=head)) for layer, head in heads
    ]
    return model.run_with_hooks(tokens, fwd_hooks=hooks)[:, -1]


def report_numbers(model: "TransformerBridge", seed: int) -> dict[str, Any]:
    """The same four numbers for no head and for every head, on two sets of dialogues."""
    reported, choosing = wrong_claims(100, seed=seed), wrong_claims(100, seed=seed + 1)
    rows = torch.arange(100)

    def without(heads: Sequence[tuple[int, int]], praised: list[Dialogue]) -> dict[str, float]:
        claimed, true = answer_ids(praised)
        # Both kinds in one batch: the mean that replaces a head must not tell them apart.
        tokens = prompt_tokens([*praised, *map(without_praise, praised)])
        logits = logits_without_heads(model, tokens, heads)
        both = logits[:100], logits[100:]
        gaps = [each[rows, claimed] - each[rows, true] for each in both]
        effect, error = gated_effect(*gaps)
        rates = [sycophancy_rate(each, claimed, true) for each in both]
        return {"effect": effect, "error": error, "praise": rates[0], "neutral": rates[1]}

    heads = [(a, b) for a in range(model.cfg.n_layers) for b in range(model.cfg.n_heads)]
    reader = candidate_heads(model, prompt_tokens(choosing), threshold=0.0)[0][:2]
    gate = min(heads, key=lambda head: without([head], choosing)["effect"])
    clean = without([], reported)
    ablated = {head: without([head], reported) for head in (reader, gate)}
    return {
        "effect": clean["effect"],
        "standard_error": clean["error"],
        "rate_praise": clean["praise"],
        "rate_neutral": clean["neutral"],
        "reader": list(reader),
        "effect_without_reader": ablated[reader]["effect"],
        "rate_without_reader": ablated[reader]["praise"],
        "gate": list(gate),
        "effect_without_gate": ablated[gate]["effect"],
    }


def predicted_loss(claim: Claim, intervention: Intervention, d_vocab: int) -> float:
    """One token is raised by `raised`, and the other d_vocab − 1 stay at 0."""
    raised = 0.0
    for layer, head, gain in claim["copiers"]:
        arrows = [arrow for arrow in claim["arrows"] if arrow[1] == [layer, head]]
        broken = any(
            arrow in intervention["cut"] or arrow[0] in intervention["silent"] for arrow in arrows
        )
        if not broken and [layer, head] not in intervention["silent"]:
            raised += gain
    if intervention["match"] < claim["match"]:  # Without a match no copier finds its key.
        raised = 0.0
    # The softmax divides by this sum, whichever token the target is.
    total = math.log(d_vocab - 1 + math.exp(raised))
    same = all(intervention[name] == claim[name] for name in ("lag", "shift"))
    return total - raised if same else total


def decisive_intervention(
    claim: Claim, rival: Claim, interventions: Sequence[Intervention], d_vocab: int
) -> int:
    """The difference of the two predictions decides, not the size of either."""
    gaps = [
        abs(predicted_loss(claim, each, d_vocab) - predicted_loss(rival, each, d_vocab))
        for each in interventions
    ]
    return gaps.index(max(gaps))


def prediction_skill(predicted: Sequence[float], measured: Sequence[float], clean: float) -> float:
    """One error for each way to predict; a constant is a list of equal predictions."""

    def error(guesses: Sequence[float]) -> float:
        return sum(abs(a - b) for a, b in zip(guesses, measured, strict=True)) / len(measured)

    average = sum(measured) / len(measured)
    baselines = [error([constant] * len(measured)) for constant in (clean, average)]
    return 1 - error(predicted) / min(baselines)


def describe_unseen_model(model: "TransformerBridge") -> dict[str, Any]:
    """The rule from the logits, the copiers from what they write, the arrows from cuts."""
    n_layers, n_heads, d_vocab = model.cfg.n_layers, model.cfg.n_heads, model.cfg.d_vocab
    rows = {match: claim_rows(d_vocab, match, batch=16) for match in range(4)}

    def loss(match: int, rule: tuple[int, int]) -> float:
        target = claim_targets(rows[match], *rule, d_vocab)
        return -losses[match].gather(1, target[:, None]).mean().item()

    losses = {match: model(rows[match])[:, -1].log_softmax(dim=-1) for match in rows}
    lag, shift = min(product((1, 2), range(d_vocab)), key=lambda rule: loss(3, rule))
    match = next(match for match in rows if loss(match, (lag, shift)) <= math.log(d_vocab) / 2)

    _, cache = model.run_with_cache(rows[3])
    target = claim_targets(rows[3], lag, shift, d_vocab)[:, None]

    def gain(layer: int, head: int, pattern: Tensor) -> float:
        """What the head adds to the target beyond its mean addition, if it attends like this."""
        values = cache[f"blocks.{layer}.attn.hook_v"][:, :, head]
        z = (pattern[:, -1:] @ values)[:, 0]
        added = z @ model.blocks[layer].attn.W_O[head] @ model.W_U  # No layer norm in between.
        of_target = added.gather(1, target)
        others = (added.sum(dim=1, keepdim=True) - of_target) / (d_vocab - 1)
        return (of_target - others).mean().item()

    copiers, arrows = [], []
    for layer, head in product(range(n_layers), range(n_heads)):
        own = gain(layer, head, cache[f"blocks.{layer}.attn.hook_pattern"][:, head])
        if abs(own) < 1:  # It may look like a copier, but it does not write like one.
            continue
        copiers.append([layer, head, own])
        for start in product(range(layer), range(n_heads)):
            for side in "QK":
                pattern = pattern_without_path(model, rows[3], start, (layer, head), side)
                if abs(gain(layer, head, pattern)) < abs(own) / 2:
                    arrows.append([list(start), [layer, head], side])
    return {"copiers": copiers, "arrows": arrows, "match": match, "lag": lag, "shift": shift}
