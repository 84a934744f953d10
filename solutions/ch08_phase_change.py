"""Solutions of chapter 8, the phase change, with a reason for each line that needs one."""

import math
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.models.attention_only import AttentionOnly, AttentionOnlyConfig, initialize
from induction_heads.training.run import Settings, train


def in_context_learning_score(losses: Float[Tensor, "batch pos"]) -> float:
    """Late minus early: where the context helps, late tokens cost less and the score is below 0."""
    quarter = losses.shape[1] // 4
    return (losses[:, -quarter:].mean() - losses[:, :quarter].mean()).item()


def phase_change_step(curve: list[tuple[int, float]]) -> float:
    """With the step itself, the first few steps would win in nearly every run."""
    points = [(step, loss) for step, loss in curve if step > 0]
    lowest, found = math.inf, math.nan
    for (a, before), (b, after) in pairwise(points):
        slope = (after - before) / math.log(b / a)  # ln(b) − ln(a)
        if slope < lowest:
            # The middle between ln(a) and ln(b) is ln √(a · b).
            lowest, found = slope, math.sqrt(a * b)
    return found


def uniform_copying_loss_formula() -> str:
    """Each token of the context has probability r / P, each other one (1 − r) / (V − P).

    So the loss is ln(P / r) on a share r of the tokens, and ln((V − P) / (1 − r)) on the rest. That
    is the entropy of "old or new?", plus r ln P, plus (1 − r) ln(V − P).
    """
    return "r * log(P / r) + (1 - r) * log((V - P) / (1 - r))"


def bigram_posterior_formula() -> str:
    """Posterior p^m (1 − p)^(k + K − 2); its mean is the integral with one more p, over that one.

    The ratio is (m + 1)! (k + K − 2)! / (m + k + K)! over m! (k + K − 2)! / (m + k + K − 1)!.
    """
    return "(m + 1) / (m + k + K)"


def bayes_bigram(
    tokens: Int[Tensor, "batch pos"], n_states: int
) -> Float[Tensor, "batch pos state"]:
    """A table of transitions for each row, which grows from position to position."""
    counts = torch.ones(len(tokens), n_states, n_states)  # The prior: one count for each.
    every, found = torch.arange(len(tokens)), []
    for position in range(tokens.shape[1]):
        here = tokens[:, position]
        if position > 0:  # This transition is complete now.
            counts[every, tokens[:, position - 1], here] += 1
        successors = counts[every, here]
        found.append(successors / successors.sum(dim=-1, keepdim=True))
    return torch.stack(found, dim=1)


def smeared_keys(
    keys: Float[Tensor, "batch head pos d_head"], alpha: Float[Tensor, " head"]
) -> Float[Tensor, "batch head pos d_head"]:
    """The first key is handled separately: a roll would mix in the last, which is in the future."""
    share = alpha.sigmoid()[:, None, None]  # [head 1 1], beside [batch head pos d_head]
    mixed = share * keys[:, :, 1:] + (1 - share) * keys[:, :, :-1]
    return torch.cat([keys[:, :, :1], mixed], dim=2)


def induction_formation_correlates(snapshots: list[dict[str, Any]]) -> dict[str, float]:
    """Changes, because levels also correlate in models where no head forms: both drift."""
    best = torch.tensor([max(max(layer) for layer in s["induction"]) for s in snapshots])
    learning = torch.tensor([s["in_context_learning"] for s in snapshots])
    control = torch.tensor([s["control_loss"] for s in snapshots])

    def correlation(x: Tensor, y: Tensor) -> float:
        return torch.corrcoef(torch.stack([x, y]).double())[0, 1].item()

    return {
        "levels": correlation(best, learning),
        "changes": correlation(best.diff(), learning.diff()),
        "control": correlation(best.diff(), control.diff()),
    }


def train_induction_heads(seed: int) -> AttentionOnly:
    """Two layers, and rows of blocks that repeat at a distance that changes from row to row.

    With one fixed period, "look 11 back" would suffice, without an induction head. The tokens of a
    block are distinct, so that the previous token determines the next one. There are several
    copies, because the more of a row repeats, the more there is to gain and the sooner the head
    forms.
    """
    config = AttentionOnlyConfig(2, n_heads=2, d_model=64, d_head=32, d_vocab=64, n_ctx=32)

    def sample(generator: torch.Generator) -> Tensor:
        order = torch.rand(32, 64, generator=generator).argsort(dim=1)  # Distinct tokens, 32 rows.
        period = torch.randint(4, 17, (32, 1), generator=generator)
        position = torch.arange(32)
        # Three copies of the first `period` tokens, then three copies of the next ones.
        place = position // (3 * period) * period + position % period
        return order.gather(1, place)

    model = initialize(AttentionOnly(config), std=0.1, seed=seed)
    train(model, sample, Settings(steps=350), seed=seed, progress=False)
    return model.requires_grad_(False)
