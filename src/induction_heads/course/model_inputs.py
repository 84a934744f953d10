"""Models by the names that checks give them: random, hand-built, or with one flaw."""

import math
from collections.abc import Callable
from typing import Any

import torch

from induction_heads.course.random_models import RANDOM_KINDS
from induction_heads.models.attention_only import AttentionLayer, AttentionOnly
from induction_heads.models.hand_built import (
    hand_built,
    hand_built_heads,
    hand_built_suppressor,
    suppressor_heads,
)
from induction_heads.models.loading import load_attention_only
from induction_heads.models.planted import hidden_toy, planted

Places = dict[str, tuple[int, int]]


def flawed_induction(
    *,
    match: float = 30.0,
    copying: float = 1.0,
    prevented: tuple[tuple[int, float], ...] = (),
    backup: int = 0,
    hole: int = 0,
    sink: float | None = None,
    sink_at: tuple[int, ...] = (),
    n_heads: int = 2,
    seed: int = 0,
    **options: Any,
) -> AttentionOnly:
    """The hand-built induction model with another induction head; the model has BOS id 0.

    `match` is the score of a match before the softmax, `copying` how strongly the head copies, as a
    share of the usual. `prevented` holds (position, height): there the model would predict BOS by
    so much, and the induction head prevents it, whether or not anything repeats. `backup` is the
    distance at which another head of layer 1 looks back and copies, whatever the tokens are. `hole`
    is a distance at which the head never looks, not even at a match. `sink` is the score before the
    softmax that every query gives to BOS, wherever it is, or only the queries at `sink_at`.
    """
    model = hand_built("induction", n_heads=n_heads, seed=seed, bos_token=0, **options)
    layer = model.layers[1]
    assert isinstance(layer, AttentionLayer)
    head = hand_built_heads("induction", n_heads=n_heads, seed=seed)["induction"][1]
    n_ctx, d_vocab = model.config.n_ctx, model.config.d_vocab
    position, bos = model.W_pos.clone(), model.W_U[:, 0] / 10
    with torch.no_grad():
        layer.W_Q[head] *= match / 30
        layer.W_O[head] *= copying
        if prevented:
            for place, height in prevented:
                model.W_pos[place] += height / 10 * bos
            # Positions are unit vectors: their sum, read at any position, gives 1.
            layer.W_V[head, :, d_vocab] = position.sum(dim=0)
            layer.W_O[head, d_vocab] = -max(height for _, height in prevented) / 10 * bos
        scale = math.sqrt(model.config.d_head)
        if hole:  # Columns that the hand-built head leaves empty.
            free = slice(d_vocab + 1, d_vocab + 1 + n_ctx)
            back = torch.ones(n_ctx - hole).diag(-hole)
            layer.W_Q[head, :, free] = -2 * match * scale * position.T @ back
            layer.W_K[head, :, free] = position.T
        if sink is not None:
            queries = position[list(sink_at)] if sink_at else position
            layer.W_Q[head, :, -1] = sink * scale * queries.sum(dim=0)
            layer.W_K[head, :, -1] = model.W_E[0]
        if backup:
            other = (head + 1) % n_heads
            back = torch.ones(n_ctx - backup).diag(-backup)
            layer.W_Q[other, :, :n_ctx] = 30 * scale * position.T @ back
            layer.W_K[other, :, :n_ctx] = position.T
            layer.W_V[other, :, :d_vocab] = model.W_E.T
            layer.W_O[other, :d_vocab] = model.W_U.T / 10
    return model.requires_grad_(False)


_KINDS: dict[str, Callable[..., AttentionOnly]] = {
    "flawed_induction": flawed_induction,
    "hidden_toy": lambda **options: hidden_toy(load_attention_only("toy-2l"), **options),
    "planted": planted,
    "suppressor": hand_built_suppressor,
    **RANDOM_KINDS,
}


def built_model(kind: str, options: dict[str, Any]) -> AttentionOnly:
    """The model of a `ModelInput`: of this file, of `random_models`, or of `hand_built`."""
    if kind in _KINDS:
        return _KINDS[kind](**options)
    return hand_built(kind, **options)


def built_heads(kind: str, *, n_heads: int = 2, seed: int = 0) -> Places:
    """The working heads of a hand-built kind or of one of this file, by name."""
    if kind == "suppressor":
        return suppressor_heads(seed=seed, n_heads=n_heads)
    known = "induction" if kind == "flawed_induction" else kind
    return hand_built_heads(known, n_heads=n_heads, seed=seed)
