"""Models with a planted rule whose heads are hidden among decoys, and the same for a trained model.

A model here has a few working heads. Around them are decoys, which attend like working heads or
unlike any, and write only where nothing reads. Then the heads of each layer are shuffled, and every
basis is turned at random. All models with the same vocabulary have the same sizes, so that sizes
tell nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from induction_heads.models.attention_only import AttentionLayer, AttentionOnly, AttentionOnlyConfig
from induction_heads.models.hand_built import hand_built, hand_built_heads

UNREAD = 24
"""The dimensions that decoys write into, and that nothing reads."""


def hidden_sizes(d_vocab: int) -> AttentionOnlyConfig:
    """The sizes of every hidden model with this vocabulary: wide enough for each rule."""
    n_ctx = 20
    d_model, d_head = 4 * d_vocab + n_ctx + UNREAD, 2 * d_vocab + n_ctx + 1
    return AttentionOnlyConfig(3, 4, d_model, d_head, d_vocab, n_ctx)


SIZES = hidden_sizes(32)
"""The sizes of the hidden models that are made by name."""

DISTANCE = 15
"""How far back the head of the rule "distance" looks."""

RULES = ("K", "Q", "two tokens", "distance")
"""How the copying heads find their key: see `planted`."""


@dataclass(frozen=True)
class PlantedKey:
    """What was planted: the working heads and their decoys, as `[layer, head]`.

    `copiers` are `[layer, head, gain]` and `arrows` `[sender, receiver, side]`, as in a claim.
    `doubles` attend as working heads do, and `idle` heads attend at random; neither writes anything
    that is read.
    """

    copiers: list[list[Any]]
    arrows: list[list[Any]]
    match: int
    lag: int
    shift: int
    doubles: list[list[int]]
    idle: list[list[int]]


@dataclass(frozen=True)
class _Part:
    """One head: the layer it is put in, and its weights. A decoy writes into more than it reads."""

    layer: int
    W_Q: Float[Tensor, "d_model d_head"]
    W_K: Float[Tensor, "d_model d_head"]
    W_V: Float[Tensor, "d_model d_head"]
    W_O: Float[Tensor, "d_head d_write"]


def planted(
    rule: str,
    *,
    gains: tuple[float, ...] = (6.0,),
    lag: int = 1,
    shift: int = 0,
    sharpness: float = 14.0,
    d_vocab: int = SIZES.d_vocab,
    seed: int = 0,
) -> AttentionOnly:
    """A hidden model with one copying head for each of `gains`, written by hand.

    A copying head looks at the token `lag` positions after an earlier copy of the current one, and
    raises the token whose id is `shift` larger than what it finds there, modulo d_vocab. `gains`
    are how many nats it adds to that logit; a negative one lowers it. The `rule` says how it finds
    its key:

    - "K": a head of an earlier layer tells the keys which token was `lag` positions before them;
    - "Q": a head of an earlier layer tells the query where the earlier copy is;
    - "two tokens": as "K", but the token before the current one has to match as well;
    - "distance": it looks `DISTANCE` positions back, whatever the tokens are.

    `sharpness` is the attention score of a match. Raises ValueError for an unknown rule, for more
    than two gains, and for a lag other than 1 with the last two rules.

    >>> model = planted("K", lag=2, shift=3)
    >>> model(torch.tensor([[5, 9, 20, 7, 5]]))[0, -1].argmax().item()  # 20 + 3
    23
    """
    return planted_with_key(
        rule,
        gains=gains,
        lag=lag,
        shift=shift,
        sharpness=sharpness,
        d_vocab=d_vocab,
        seed=seed,
    )[0]


def planted_with_key(
    rule: str,
    *,
    gains: tuple[float, ...] = (6.0,),
    lag: int = 1,
    shift: int = 0,
    sharpness: float = 14.0,
    d_vocab: int = SIZES.d_vocab,
    seed: int = 0,
) -> tuple[AttentionOnly, PlantedKey]:
    """The model of `planted`, and what was planted where."""
    if rule not in RULES:
        raise ValueError(f"Got rule={rule!r}. Use one of {', '.join(map(repr, RULES))}.")
    if not 1 <= len(gains) <= 2:
        raise ValueError(f"Got {len(gains)} gains. Pass one or two: one for each copying head.")
    if lag != 1 and rule in ("two tokens", "distance"):
        raise ValueError(f"Got lag={lag} with the rule {rule!r}. It has only lag=1.")
    generator, sizes = torch.Generator().manual_seed(seed), hidden_sizes(d_vocab)
    core, feeders, copier = _core(rule, lag, sharpness, seed, sizes)
    depth = int(torch.randint(2, (), generator=generator)) if feeders else 0
    parts = [replace(feeder, layer=depth) for feeder in feeders]
    for gain in gains:
        above = int(torch.randint(depth + bool(feeders), 3, (), generator=generator))
        written = gain / 10 * copier.W_O[:d_vocab].roll(-shift, dims=0)
        parts.append(replace(copier, layer=above, W_O=_padded(written, copier.W_O.shape)))
    model, working, doubles, idle = hidden(core, parts, sizes, seed=seed + 1)
    senders, receivers = working[: len(feeders)], working[len(feeders) :]
    sides = {"K": ("K",), "Q": ("Q",), "two tokens": ("KQ", "K"), "distance": ()}[rule]
    key = PlantedKey(
        copiers=[[*place, gain] for place, gain in zip(receivers, gains, strict=True)],
        arrows=[
            [sender, receiver, side]
            for receiver in receivers
            for sender, its_sides in zip(senders, sides, strict=True)
            for side in its_sides
        ],
        match={"distance": 0, "two tokens": 2}.get(rule, 1),
        lag=lag,
        shift=shift,
        doubles=doubles,
        idle=idle,
    )
    return model, key


def hidden_toy(model: AttentionOnly, *, seed: int = 0) -> AttentionOnly:
    """A trained toy with two layers of two heads as a hidden model.

    Its two layers become two of three, and its heads keep what they do. Of its vocabulary and its
    positions the first are kept, as many as `SIZES` has. Raises ValueError for a model of other
    sizes, with a layer norm, or with a BOS token.
    """
    small, expected = model.config, AttentionOnlyConfig(2, 2, 64, 32, 64, 32)
    if small != expected:
        raise ValueError(f"Got a model with {small}, but only {expected} can be hidden.")
    generator = torch.Generator().manual_seed(seed)
    layers = torch.randperm(3, generator=generator)[:2].sort().values.tolist()
    parts = [
        part
        for layer, weights in zip(layers, model.layers, strict=True)
        for part in _parts(weights, layer, range(2))
    ]
    return hidden(model, parts, SIZES, seed=seed + 1)[0]


Heads = list[list[int]]
"""Heads as [layer, head]."""


def hidden(
    core: AttentionOnly, parts: Sequence[_Part], sizes: AttentionOnlyConfig, *, seed: int
) -> tuple[AttentionOnly, Heads, Heads, Heads]:
    """A model of these sizes with these heads and the embeddings of `core`, among decoys.

    Each decoy of the first kind has the queries and keys of a working head of its layer; those of
    the second kind have random ones. Both write only into dimensions that nothing reads. Also
    returned are the places of the parts, in their order, and of the decoys of both kinds.
    """
    generator, d_vocab = torch.Generator().manual_seed(seed), sizes.d_vocab
    model, read = AttentionOnly(sizes), core.config.d_model
    working: dict[int, list[int]] = {}
    copies: Heads = []
    idle: Heads = []
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        model.W_E[:, :read], model.W_U[:read] = core.W_E[:d_vocab], core.W_U[:, :d_vocab]
        model.W_pos[:, :read] = core.W_pos[: sizes.n_ctx]
        for number, layer in enumerate(model.layers):
            of_layer = [index for index, part in enumerate(parts) if part.layer == number]
            here = [parts[index] for index in of_layer]
            free = sizes.n_heads - len(here)
            n_doubles = min(len(here), free)
            doubles = [_double(part, sizes.d_model, generator) for part in here[:n_doubles]]
            size = math.sqrt(core.W_E.norm(dim=1).mean().item())
            n_random = free - n_doubles
            others = [_random(read, number, size, sizes, generator) for _ in range(n_random)]
            slots = _fill(layer, [*here, *doubles, *others], sizes, generator)
            places = [[number, slot] for slot in slots]
            working |= dict(zip(of_layer, places, strict=False))
            copies += places[len(here) : len(here) + n_doubles]
            idle += places[len(here) + n_doubles :]
        _turn(model, generator)
    model.requires_grad_(False)
    return model, [working[index] for index in range(len(parts))], copies, idle


def _core(rule: str, lag: int, sharpness: float, seed: int, sizes: AttentionOnlyConfig) -> tuple:
    """The hand-built model of a rule, its heads of layer 0, and its copying head."""
    kinds = {"K": "induction", "Q": "q_composition", "two tokens": "long_prefix"}
    kind = kinds.get(rule, "fixed_offset")
    options = {"d_vocab": sizes.d_vocab, "n_ctx": sizes.n_ctx, "offset": DISTANCE}
    core = hand_built(kind, sharpness=sharpness, seed=seed, **options)
    heads = hand_built_heads(kind, seed=seed)
    layer, head = heads.pop(kind)
    (copier,) = _parts(core.layers[layer], layer, [head])
    feeders = _parts(core.layers[0], 0, [head for _, head in heads.values()])
    back = torch.ones(sizes.n_ctx - lag).diag(-lag)
    scale = sharpness * math.sqrt(core.config.d_head)
    if rule == "K":
        query = scale * core.W_pos.T @ back
        feeders = [replace(feeders[0], W_Q=_padded(query, feeders[0].W_Q.shape))]
    if rule == "Q":  # The pointer writes the position of the copy; the query adds the lag.
        slot = feeders[0].W_O[: sizes.n_ctx].T
        copier = replace(copier, W_Q=_padded(scale * slot @ back.T, copier.W_Q.shape))
    return core, feeders, copier


def _parts(layer: object, number: int, heads: Sequence[int]) -> list[_Part]:
    assert isinstance(layer, AttentionLayer)
    weights = (layer.W_Q, layer.W_K, layer.W_V, layer.W_O)
    return [_Part(number, *(weight.detach()[head].clone() for weight in weights)) for head in heads]


def _padded(weight: Tensor, shape: Sequence[int]) -> Tensor:
    """The matrix with zeros below and to the right."""
    full = torch.zeros(*shape)
    full[: weight.shape[0], : weight.shape[1]] = weight
    return full


def _unread(W_O: Tensor, d_model: int, generator: torch.Generator) -> Tensor:
    """As large as `W_O`, but only in the last dimensions of the model, which nothing reads."""
    write = torch.zeros(W_O.shape[0], d_model)
    last = torch.randn(W_O.shape[0], UNREAD, generator=generator)
    write[:, -UNREAD:] = last * W_O.norm() / last.norm()
    return write


def _double(part: _Part, d_model: int, generator: torch.Generator) -> _Part:
    """A decoy that attends as a working head does."""
    return replace(part, W_O=_unread(part.W_O, d_model, generator))


def _random(
    d_read: int, layer: int, size: float, sizes: AttentionOnlyConfig, generator: torch.Generator
) -> _Part:
    """A decoy with random queries, keys and values, whose scores are of moderate size."""
    shape = (d_read, sizes.d_head)
    query, key, value = (
        torch.randn(*shape, generator=generator) / math.sqrt(sizes.d_head) for _ in "QKV"
    )
    return _Part(layer, 8 * query / size, key, value, _unread(value.T, sizes.d_model, generator))


def _fill(
    layer: object, parts: list[_Part], sizes: AttentionOnlyConfig, generator: torch.Generator
) -> list[int]:
    """Put the heads into a layer in random order, each in a random basis of its own.

    Returns the slot of each part.
    """
    assert isinstance(layer, AttentionLayer)
    order = torch.randperm(sizes.n_heads, generator=generator).tolist()
    for slot, part in zip(order, parts, strict=True):
        d_head = part.W_Q.shape[1]
        keys, values = (_orthogonal(sizes.d_head, generator) for _ in range(2))
        scale = 2 ** (2 * torch.rand(2, generator=generator) - 1)  # Both products stay as they are.
        wide = (sizes.d_model, sizes.d_head)
        # The scores are divided by the root of the larger d_head.
        stretch = math.sqrt(sizes.d_head / d_head) * scale[0]
        layer.W_Q[slot] = stretch * _padded(part.W_Q, wide) @ keys
        layer.W_K[slot] = _padded(part.W_K, wide) @ keys / scale[0]
        layer.W_V[slot] = scale[1] * _padded(part.W_V, wide) @ values
        layer.W_O[slot] = values.T @ _padded(part.W_O, wide[::-1]) / scale[1]
    return order


def _turn(model: AttentionOnly, generator: torch.Generator) -> None:
    """Turn the residual stream by a random orthogonal matrix. The logits stay the same."""
    rotation = _orthogonal(model.config.d_model, generator)
    for name, weight in model.named_parameters():
        reads = name.endswith(("Q", "K", "V", "U"))
        weight.copy_(rotation.T @ weight if reads else weight @ rotation)


def _orthogonal(size: int, generator: torch.Generator) -> Tensor:
    return torch.linalg.qr(torch.randn(size, size, generator=generator)).Q
