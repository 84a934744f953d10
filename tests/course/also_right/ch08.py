"""Other correct implementations of the exercises of chapter 8."""

import math

import numpy as np
import torch
from torch import Tensor

from induction_heads.course.ch08_phase_change.chain_mistakes import followers, posterior
from induction_heads.course.ch08_phase_change.mistakes import (
    Curve,
    correlates,
    smeared,
    steepest,
)
from induction_heads.models.attention_only import AttentionOnly
from induction_heads.models.hand_built import hand_built
from induction_heads.training.recipes import RECIPES, new_model
from induction_heads.training.run import Settings, train


def _by_chunks(losses):
    quarters = losses[:, : losses.shape[1] // 4], losses.flip(1)[:, : losses.shape[1] // 4]
    early, late = (part.mean(dim=0).mean() for part in quarters)
    return late - early


def _by_numpy(losses):
    n = losses.shape[1] // 4
    mean = losses.numpy().mean(axis=0)
    return float(mean[len(mean) - n :].mean() - mean[:n].mean())


LEARNING_ALSO_RIGHT = (_by_chunks, _by_numpy)


def _by_arrays(curve: Curve) -> float:
    steps, losses = (np.array(side, dtype=float) for side in zip(*curve, strict=True))
    kept = steps > 0
    logs, losses = np.log(steps[kept]), losses[kept]
    lowest = int(np.argmin(np.diff(losses) / np.diff(logs)))
    return float(np.exp((logs[lowest] + logs[lowest + 1]) / 2))


STEP_ALSO_RIGHT = (_by_arrays, steepest(place=lambda a, b: a * math.sqrt(b / a)))


FORMULA_ALSO_RIGHT = (
    lambda: "-r*log(r/P) - (1-r)*log((1-r)/(V-P))",
    lambda: "-r*log(r) - (1-r)*log(1-r) + r*log(P) + (1-r)*log(V-P)",
)


def _by_a_matrix(keys, alpha):
    kept, n = alpha.sigmoid()[:, None, None], keys.shape[2]
    mix = kept * torch.eye(n) + (1 - kept) * torch.eye(n).roll(1, dims=0).tril()
    mix[:, 0, 0] = 1
    return mix @ keys


SMEARED_ALSO_RIGHT = (smeared(), _by_a_matrix)


def _by_scores(snapshots):
    """The mean of products of standard scores."""

    def standard(values):
        values = torch.tensor(values, dtype=torch.float64)
        return (values - values.mean()) / values.std(correction=0)

    def together(x, y):
        return (standard(x) * standard(y)).mean().item()

    return correlates(together=together)(snapshots)


CORRELATES_ALSO_RIGHT = (correlates(), _by_scores)


def _other_recipe(seed: int) -> AttentionOnly:
    """Larger blocks only, one more layer, and a shorter start."""
    from induction_heads.data.tokens import distinct_tokens, tiled_blocks

    def rows(generator: torch.Generator) -> Tensor:
        source = distinct_tokens(64, 32, 48, generator)
        return tiled_blocks(source, 32, generator, periods=(5, 16), copies=4)

    model = new_model(RECIPES["toy-2l"], seed + 1000)
    settings = Settings(steps=330, warmup=30)
    train(model, rows, settings, seed=seed, progress=False)
    return model.requires_grad_(False)


TRAIN_ALSO_RIGHT = (
    _other_recipe,
    lambda seed: hand_built("induction", d_vocab=64, n_ctx=32, seed=seed),
)


def _by_counted_pairs(tokens, n_states):
    """Which earlier positions hold the present state, and what stands after them."""
    same = (tokens[:, :, None] == tokens[:, None, :]).tril(-1)
    after = same.roll(1, dims=2).tril().float()  # [batch query key]
    after[:, :, 0] = 0
    counts = after @ torch.eye(n_states)[tokens] + 1
    return counts / counts.sum(dim=-1, keepdim=True)


BIGRAM_ALSO_RIGHT = (_by_counted_pairs, posterior(followers))

POSTERIOR_ALSO_RIGHT = (
    lambda: "1 / (1 + (k + K - 1) / (m + 1))",
    lambda: "m / (m + k + K) + 1 / (m + k + K)",
)


ALSO_RIGHT = {
    "in_context_learning_score": LEARNING_ALSO_RIGHT,
    "phase_change_step": STEP_ALSO_RIGHT,
    "uniform_copying_loss_formula": FORMULA_ALSO_RIGHT,
    "bigram_posterior_formula": POSTERIOR_ALSO_RIGHT,
    "bayes_bigram": BIGRAM_ALSO_RIGHT,
    "smeared_keys": SMEARED_ALSO_RIGHT,
    "induction_formation_correlates": CORRELATES_ALSO_RIGHT,
    "train_induction_heads": TRAIN_ALSO_RIGHT,
}
"""Exercise → other answers that its check must accept."""
