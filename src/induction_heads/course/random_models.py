"""Models with random weights, in which every part of an answer decides something.

Hand-built models have two layers, and heads that write nothing but what they are known for. In
these, every head reads and writes everything, heads and tokens have unequal norms, and a known head
may be in layer 2.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from induction_heads.models.attention_only import AttentionLayer, AttentionOnly, AttentionOnlyConfig
from induction_heads.models.hand_built import hand_built, hand_built_heads

Draw = Callable[..., Tensor]


def random_model(
    *,
    n_layers: int = 3,
    n_heads: int = 2,
    d_model: int = 18,
    d_head: int = 5,
    d_vocab: int = 17,
    n_ctx: int = 14,
    bos_token: int | None = None,
    sharpness: float = 1.5,
    loudness: float = 0.5,
    seed: int = 0,
) -> AttentionOnly:
    """Gaussian weights without layer norm, with scores of about `sharpness`.

    A head writes about `loudness` times what it reads. Heads differ in how much they write, and
    tokens in the length of their embedding, by a factor of up to four.
    """
    draw, unequal = _draws(seed)
    model = AttentionOnly(
        AttentionOnlyConfig(n_layers, n_heads, d_model, d_head, d_vocab, n_ctx, None, bos_token)
    )
    with torch.no_grad():
        model.W_E.copy_(draw(d_vocab, d_model) * unequal(d_vocab, 1))
        model.W_pos.copy_(draw(n_ctx, d_model))
        model.W_U.copy_(draw(d_model, d_vocab))
        for layer in model.layers:
            _randomize(layer, draw, sharpness)
            assert isinstance(layer, AttentionLayer)
            layer.W_O.mul_(loudness * unequal(n_heads, 1, 1))
    return model.requires_grad_(False)


def loud_neighbors(
    *,
    n_layers: int = 3,
    n_heads: int = 3,
    d_vocab: int = 20,
    n_ctx: int = 32,
    bos_token: int | None = None,
    normalization: str | None = None,
    seed: int = 0,
) -> AttentionOnly:
    """A model of random weights in which layers, heads, positions and tokens all matter.

    Tokens have unequal norms, positions about the same as tokens, and one head in each layer
    writes three times as much as its neighbors. Patterns are uneven, and logits moderate.
    """
    config = AttentionOnlyConfig(
        n_layers, n_heads, 24, 8, d_vocab, n_ctx, normalization=normalization, bos_token=bos_token
    )
    model, generator = AttentionOnly(config), torch.Generator().manual_seed(seed)

    def draw(like: Tensor, size: float) -> Tensor:
        return size * torch.randn(like.shape, generator=generator)

    with torch.no_grad():
        model.W_E.copy_(draw(model.W_E, 1.0) * torch.linspace(0.6, 1.4, d_vocab)[:, None])
        model.W_pos.copy_(draw(model.W_pos, 0.8))
        model.W_U.copy_(draw(model.W_U, 0.2))
        for layer in model.layers:
            assert isinstance(layer, AttentionLayer)
            loudness = torch.full((n_heads, 1, 1), 0.5)
            loudness[torch.randint(n_heads, (), generator=generator)] = 1.5
            layer.W_Q.copy_(draw(layer.W_Q, 0.3))
            layer.W_K.copy_(draw(layer.W_K, 0.3))
            layer.W_V.copy_(draw(layer.W_V, 0.2))
            layer.W_O.copy_(draw(layer.W_O, 0.2) * loudness)
    return model.requires_grad_(False)


def one_layer_deeper(kind: str, *, seed: int = 0, **options: Any) -> AttentionOnly:
    """A hand-built model behind a layer of random heads, which attend unevenly and write nothing.

    Its known heads are those of `hand_built_heads`, each one layer deeper.
    """
    two = hand_built(kind, seed=seed, **options)
    model = AttentionOnly(AttentionOnlyConfig(**{**vars(two.config), "n_layers": 3}))
    draw, _ = _draws(seed)
    with torch.no_grad():
        for name, weight in two.named_parameters():
            part, *rest = name.split(".")
            if part == "layers":
                name = ".".join([part, str(int(rest[0]) + 1), *rest[1:]])
            model.get_parameter(name).copy_(weight)
        first = model.layers[0]
        _randomize(first, draw, sharpness=2.0)
        assert isinstance(first, AttentionLayer)
        first.W_O.zero_()
    return model.requires_grad_(False)


def loud_positions(*, loudness: float = 6.0, seed: int = 0, **options: Any) -> AttentionOnly:
    """A previous-token model whose head moves everything, and whose positions are far from 0.

    What the head writes depends on the position `loudness` times as much as on the token, and the
    tokens' embeddings have unequal norms.
    """
    model = hand_built("previous_token", seed=seed, **options)
    draw, unequal = _draws(seed)
    layer, head = hand_built_heads("previous_token", n_heads=model.config.n_heads, seed=seed)[
        "previous_token"
    ]
    weights = model.layers[layer]
    assert isinstance(weights, AttentionLayer)
    with torch.no_grad():
        model.W_E.mul_(unequal(model.config.d_vocab, 1))
        model.W_pos.mul_(loudness)
        weights.W_Q[head] /= loudness**2
        weights.W_V[head] = draw(*weights.W_V[head].shape)
        weights.W_O[head] = draw(*weights.W_O[head].shape)
    return model


def loud_and_quiet_tokens(
    *,
    n_loud: int = 32,
    sharpness: float = 1.0,
    loud_by_head: bool = False,
    seed: int = 0,
    **options: Any,
) -> AttentionOnly:
    """A weak previous-token model in which `n_loud` tokens have embeddings three times as long.

    With `loud_by_head` the embeddings are equally long, and the head writes three times as much of
    these tokens. Behind the first few positions, what a loud token leaves is nearer to what an
    absent quiet token would leave. What a quiet token leaves is nearest to its own, but points the
    way of a loud token that the head sees too. The largest weight of the pattern is one back
    everywhere.
    """
    model = hand_built("previous_token", seed=seed, sharpness=sharpness, **options)
    generator = torch.Generator().manual_seed(seed)
    loud = torch.randperm(model.config.d_vocab, generator=generator)[:n_loud]
    with torch.no_grad():
        if loud_by_head:
            layer, head = hand_built_heads(
                "previous_token", n_heads=model.config.n_heads, seed=seed
            )["previous_token"]
            weights = model.layers[layer]
            assert isinstance(weights, AttentionLayer)
            weights.W_O[head, loud] *= 3  # Row t is what is written of token t.
        else:
            model.W_E[loud] *= 3
    return model.requires_grad_(False)


def one_back_at_first(*, seed: int = 0, **options: Any) -> AttentionOnly:
    """A previous-token model whose head looks one back at position 1 and two back at later ones."""
    model = hand_built("previous_token", seed=seed, **options)
    n_heads, n_ctx = model.config.n_heads, model.config.n_ctx
    layer, head = hand_built_heads("previous_token", n_heads=n_heads, seed=seed)["previous_token"]
    weights = model.layers[layer]
    assert isinstance(weights, AttentionLayer)
    back = torch.ones(n_ctx - 2).diag(-2)
    back[1, 0] = 1
    with torch.no_grad():  # 30 is a sharp score, as in the model that this one was made from.
        weights.W_Q[head, :, :n_ctx] = 30 * math.sqrt(model.config.d_head) * model.W_pos.T @ back
    return model.requires_grad_(False)


def ranked_previous_tokens(*, d_vocab: int = 16, n_ctx: int = 20, seed: int = 0) -> AttentionOnly:
    """Six heads that look one back, each with another weight, most of them through layer 0.

    Two heads of layer 0 look at their own position more than at others, and each writes half of
    where it looked. Heads of layers 1 and 2 compare the position before theirs with that. L0H1
    avoids position 0 for what tokens have in common, and L2H0 looks at an earlier copy of its token
    if there is one. From the sharpest to the weakest, the heads are L2H0, L1H0, L1H2, L2H1, L0H1
    and L1H1.
    """
    d_model, d_head = d_vocab + 2 * n_ctx, d_vocab + 2 * n_ctx
    model = AttentionOnly(AttentionOnlyConfig(3, 3, d_model, d_head, d_vocab, n_ctx))
    token, position, slot = torch.eye(d_model).split([d_vocab, n_ctx, n_ctx], dim=1)
    generator = torch.Generator().manual_seed(seed)
    strengths = torch.tensor([1.9, 5.0, 1.3, 4.0, 3.2])
    strengths *= 1 + 0.1 * torch.rand(5, generator=generator)

    def look(layer: int, head: int, back: int, strength: float, keys: Tensor) -> AttentionLayer:
        weights = model.layers[layer]
        assert isinstance(weights, AttentionLayer)
        there = position @ torch.ones(n_ctx - back).diag(-back)
        weights.W_Q[head, :, :n_ctx] = strength * math.sqrt(d_head) * there
        weights.W_K[head, :, :n_ctx] = keys
        return weights

    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        model.W_E.copy_(token.T)
        model.W_pos.copy_(position.T)
        for head in (0, 2):
            weights = look(0, head, 0, 4.0, position)
            weights.W_V[head, :, :n_ctx] = 2 * position
            weights.W_O[head, :n_ctx] = slot.T / 4
        first = look(0, 1, 1, float(strengths[0]), position)
        first.W_Q[1, :, n_ctx] = math.sqrt(d_head) * token.sum(dim=1)
        first.W_K[1, :, n_ctx] = -2 * position[:, 0]
        copies = look(2, 0, 1, 20.0, position)
        # A token also matches itself, so the current position is made unattractive.
        copies.W_Q[0, :, n_ctx:] = 40 * math.sqrt(d_head) * torch.cat([token, -2 * position], 1)
        copies.W_K[0, :, n_ctx:] = torch.cat([token, position], 1)
        for number, (layer, head) in enumerate([(1, 0), (1, 1), (1, 2), (2, 1)], 1):
            look(layer, head, 1, float(strengths[number]), slot)
    return model.requires_grad_(False)


RANDOM_KINDS: dict[str, Callable[..., AttentionOnly]] = {
    "random": random_model,
    "loud_neighbors": loud_neighbors,
    "loud_positions": loud_positions,
    "loud_and_quiet_tokens": loud_and_quiet_tokens,
    "one_back_at_first": one_back_at_first,
    "ranked_previous_tokens": ranked_previous_tokens,
    "deeper_induction": lambda **options: one_layer_deeper("induction", **options),
    "deeper_long_prefix": lambda **options: one_layer_deeper("long_prefix", **options),
    "deeper_previous_token": lambda **options: one_layer_deeper("previous_token", **options),
}
"""Kind of a `ModelInput` → how it is made from the options."""


def _draws(seed: int) -> tuple[Draw, Draw]:
    """Gaussian weights of a size that keeps norms, and factors between one half and two."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator) / math.sqrt(shape[-1])

    def unequal(*shape: int) -> Tensor:
        return 2.0 ** (2 * torch.rand(*shape, generator=generator) - 1)

    return draw, unequal


def _randomize(layer: Any, draw: Draw, sharpness: float) -> None:
    """Random heads, whose scores are about `sharpness` for a residual stream of norm 1."""
    assert isinstance(layer, AttentionLayer)
    d_head = layer.W_Q.shape[-1]
    with torch.no_grad():
        for weight in (layer.W_Q, layer.W_K, layer.W_V, layer.W_O):
            weight.copy_(draw(*weight.shape))
        layer.W_Q.mul_(sharpness * math.sqrt(d_head))
