"""Copying scores of all heads in the shape of GPT-2 small, compared with one head at a time."""

import torch
from torch import Tensor
from transformer_lens import FactoredMatrix

from benchmarks.head_scores import gpt2_small_shape, n_layers_for, only_of_all
from benchmarks.ratios import Ratio, compare, times_in_turn
from induction_heads.interp.circuits import copying_scores


def one_head_at_a_time(model) -> Tensor:
    """The same scores from the eigenvalues of each head's own W_E W_V W_O W_U.

    Layer norm is left out here. Ours also centers what it scales, so the two agree exactly only on
    models without it.
    """
    config = model.cfg
    scores = torch.zeros(config.n_layers, config.n_heads)
    for layer in range(config.n_layers):
        for head in range(config.n_heads):
            OV = FactoredMatrix(model.W_V[layer, head], model.W_O[layer, head])
            eigenvalues = (model.W_E @ OV @ model.W_U).eigenvalues
            scores[layer, head] = eigenvalues.real.sum() / eigenvalues.abs().sum()
    return scores


def ratios(rounds: int) -> list[Ratio]:
    """Ours against `FactoredMatrix.eigenvalues`, one head at a time."""
    n_layers = n_layers_for(rounds)
    model = gpt2_small_shape(n_layers)
    times = times_in_turn(
        {"ours": lambda: copying_scores(model), "peer": lambda: one_head_at_a_time(model)}, rounds
    )
    work = f"OV copying scores of {12 * n_layers} heads"
    peer = "FactoredMatrix eigenvalues, head by head"
    return [compare(work, times["ours"], peer, times["peer"], only_of_all(0.05, n_layers))]
