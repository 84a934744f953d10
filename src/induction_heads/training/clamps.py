"""Training with some heads' patterns held still: which part of a circuit is the slow one?

Singh et al. 2024 clamp activations during training, to see which subcircuit waits for which. Here
the pattern of a head is replaced at every step, so that the head need not, and cannot, learn where
to look. What it writes is still learned.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.attention_only import AttentionOnly
from induction_heads.recipes import RECIPES, new_model
from induction_heads.tokens import follows_earlier_copy
from induction_heads.training import train

Head = tuple[int, int]
Clamp = Tensor | Callable[[Tensor], Tensor]
"""A pattern [query key] for all rows, or a function from tokens to patterns [batch query key]."""


@contextmanager
def clamped_patterns(
    model: AttentionOnly, patterns: Mapping[Head, Clamp]
) -> Iterator[AttentionOnly]:
    """While inside, these heads look where `patterns` say, and all others where they like.

    A pattern may be larger than the rows: its first queries and keys are used. The weights of the
    model stay the model's own. Raises IndexError for a head that the model does not have.
    """
    config, seen = model.config, {}
    for layer, head in patterns:
        if not (0 <= layer < config.n_layers and 0 <= head < config.n_heads):
            raise IndexError(
                f"L{layer}H{head} is not in this model: it has {config.n_layers} layers of "
                f"{config.n_heads} heads, counted from 0."
            )
    embed = model.embed

    def remember(tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_model"]:
        seen["tokens"] = tokens
        return embed(tokens)

    model.embed = remember
    for number, layer in enumerate(model.layers):
        held = {head: clamp for (at, head), clamp in patterns.items() if at == number}
        layer.pattern = _held(layer.pattern, held, seen)  # pyright: ignore[reportArgumentType]
    try:
        yield model
    finally:
        for module, name in [(model, "embed"), *((layer, "pattern") for layer in model.layers)]:
            del module.__dict__[name]  # The method of the class shows again.


def _held(
    free: Callable[[Tensor], Tensor], held: Mapping[int, Clamp], seen: Mapping[str, Tensor]
) -> Callable[[Tensor], Tensor]:
    """A layer's `pattern` in which the heads of `held` do not follow their weights."""

    def pattern(x: Tensor) -> Tensor:
        heads = list(free(x).unbind(dim=1))
        n_pos = x.shape[1]
        for head, clamp in held.items():
            wanted = clamp if isinstance(clamp, Tensor) else clamp(seen["tokens"])
            heads[head] = wanted[..., :n_pos, :n_pos].expand_as(heads[head])
        return torch.stack(heads, dim=1)

    return pattern


def clamp_patterns_during_training(
    patterns: Mapping[Head, Clamp], seed: int = 0, steps: int = 30
) -> Float[Tensor, " step"]:
    """The loss at each of the first steps of a training of `toy-2l` with these patterns held.

    `patterns` names heads as (layer, head). The recipe is that of the zoo, before its learning rate
    falls, with the weights and the data of `seed`. Loss i is measured before update i + 1. Neither
    the data nor the weights at the start depend on what is held: two runs differ in nothing else.
    """
    recipe = RECIPES["toy-2l"]
    settings = replace(recipe.settings, steps=steps, decay=0.0)
    with clamped_patterns(new_model(recipe, seed), patterns) as model:
        run = train(model, recipe.sample, settings, seed=seed, progress=False)
    return torch.tensor(run.losses)


def previous_token_pattern(n_pos: int) -> Float[Tensor, "query key"]:
    """The pattern of a perfect previous-token head; the first query looks at itself."""
    pattern = torch.diag(torch.ones(n_pos - 1), diagonal=-1)
    pattern[0, 0] = 1
    return pattern


def uniform_pattern(n_pos: int) -> Float[Tensor, "query key"]:
    """The pattern of a head that looks at all it can see alike, and so tells nothing apart."""
    visible = torch.ones(n_pos, n_pos).tril()
    return visible / visible.sum(dim=-1, keepdim=True)


def induction_pattern(tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch query key"]:
    """The pattern of a perfect induction head: the token after each earlier copy, shared alike.

    A query without an earlier copy looks at position 0.
    """
    wanted = follows_earlier_copy(tokens).float()
    wanted[..., 0] += wanted.sum(dim=-1) == 0
    return wanted / wanted.sum(dim=-1, keepdim=True)
