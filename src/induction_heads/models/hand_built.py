"""Models written by hand: an exact induction circuit, and decoys that only resemble one.

The residual stream is cut into blocks of coordinates: the current token, the position, a slot for
the token before this one, a slot for the prediction and, for `long_prefix`, a slot for the token
before that. Every head reads some blocks and
writes one, so its weights show what it does. A random rotation then hides the blocks.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from induction_heads.models.attention_only import AttentionLayer, AttentionOnly, AttentionOnlyConfig
from induction_heads.near_names import suggestion

KINDS = {
    "induction": "a previous-token head in layer 0 that feeds an induction head in layer 1",
    "previous_token": "the previous-token head alone: layer 1 does nothing",
    "fixed_offset": "a layer-1 head that looks a fixed distance back, whatever the tokens are",
    "duplicate_token": "a layer-1 head that looks at the earlier copies of the current token",
    "bos_sink": "a layer-1 head that always looks at the first position",
    "anti_induction": "the induction pattern, with an OV circuit that lowers what it attends to",
    "no_copying": "the induction pattern, with an OV circuit that writes nothing",
    "long_prefix": "induction after a match of two tokens: the token and the one before it",
    "q_composition": "induction through the query: layer 0 writes the position of the earlier copy",
}
"""Kind of hand-built model → what it has."""

SUPPRESSOR = (2, 0)
"""(layer, head) of the suppressor of `hand_built_suppressor`."""

_INDUCTION_PATTERN = ("induction", "anti_induction", "no_copying")
_COPY_SIGN = {"anti_induction": -1.0, "no_copying": 0.0}


@dataclass(frozen=True)
class _Blocks:
    """The coordinates of the residual stream, as matrices that select one block of them."""

    token: Float[Tensor, "d_model d_vocab"]
    position: Float[Tensor, "d_model n_ctx"]
    previous: Float[Tensor, "d_model slot"]
    prediction: Float[Tensor, "d_model d_vocab"]
    two_back: Float[Tensor, "d_model two_back"]


def hand_built_heads(kind: str, *, n_heads: int = 2, seed: int = 0) -> dict[str, tuple[int, int]]:
    """The heads of `hand_built(kind, n_heads=…, seed=…)`: name → (layer, head).

    `previous_token`, `two_back` (the token before the previous one) and `pointer` are in layer 0.
    The layer-1 head has the name of its kind. `long_prefix` needs two heads in layer 0.
    Raises ValueError for an unknown kind.

    >>> sorted(hand_built_heads("induction"))
    ['induction', 'previous_token']
    >>> layer, head = hand_built_heads("bos_sink")["bos_sink"]
    >>> layer
    1
    """
    if kind not in KINDS:
        raise ValueError(
            f"kind={kind!r} is not known. {suggestion(kind, KINDS, known='The kinds are')}"
        )
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.randint(n_heads, (2,), generator=generator).tolist()
    heads = {}
    if kind in ("previous_token", "long_prefix", *_INDUCTION_PATTERN):
        heads["previous_token"] = (0, first)
    if kind == "long_prefix":
        if n_heads < 2:
            raise ValueError("long_prefix has two heads in layer 0: use n_heads of at least 2.")
        heads["two_back"] = (0, (first + 1) % n_heads)
    if kind == "q_composition":
        heads["pointer"] = (0, first)
    if kind != "previous_token":
        heads[kind] = (1, second)
    return heads


def hand_built(
    kind: str,
    *,
    d_vocab: int = 32,
    n_ctx: int = 64,
    n_heads: int = 2,
    offset: int = 15,
    sharpness: float = 30.0,
    bos_token: int | None = None,
    seed: int = 0,
) -> AttentionOnly:
    """A two-layer model with a known head in it; `hand_built_heads` says where.

    `offset` is how far back the fixed-offset head looks; where there is no such position it attends
    evenly. `sharpness` is the attention score of a match before the softmax: at 30 a match takes
    all the attention. The remaining heads attend uniformly and write nothing. `seed` draws the
    places of the heads and the rotation. Raises ValueError for an unknown kind or an offset that
    does not fit in the context.

    >>> model = hand_built("induction", d_vocab=8, n_ctx=16)
    >>> tokens = torch.tensor([[5, 2, 7, 5, 2]])
    >>> model(tokens).shape
    torch.Size([1, 5, 8])
    >>> model(tokens)[0, -1].argmax().item()  # 2 was followed by 7.
    7
    """
    heads = hand_built_heads(kind, n_heads=n_heads, seed=seed)
    if kind == "fixed_offset" and not 1 <= offset < n_ctx:
        raise ValueError(f"offset={offset} does not fit in a context of {n_ctx}.")
    slot = n_ctx if kind == "q_composition" else d_vocab  # It holds a pointer, or a token.
    extra = d_vocab if kind == "long_prefix" else 0
    d_model, d_head = 2 * d_vocab + n_ctx + slot + extra, d_vocab + n_ctx + 1 + extra
    model = AttentionOnly(
        AttentionOnlyConfig(2, n_heads, d_model, d_head, d_vocab, n_ctx, bos_token=bos_token)
    )
    blocks = _Blocks(*torch.eye(d_model).split([d_vocab, n_ctx, slot, d_vocab, extra], dim=1))
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        model.W_E.copy_(blocks.token.T)
        model.W_pos.copy_(blocks.position.T)
        model.W_U.copy_(10 * blocks.prediction)
        for name, (layer, head) in heads.items():
            weights = model.layers[layer]
            assert isinstance(weights, AttentionLayer)
            reads, (moved, writes) = _reads(name, blocks, offset), _moves(name, blocks)
            query, key = (torch.cat(side, dim=1) for side in zip(*reads, strict=True))
            weights.W_Q[head, :, : query.shape[1]] = sharpness * math.sqrt(d_head) * query
            weights.W_K[head, :, : key.shape[1]] = key
            weights.W_V[head, :, : moved.shape[1]] = moved
            weights.W_O[head, : moved.shape[1]] = writes.T
        _rotate(model, seed)
    return model


def hand_built_suppressor(
    *, strength: float = 0.5, sharpness: float = 30.0, seed: int = 0, **options: Any
) -> AttentionOnly:
    """The hand-built induction model with a third layer, whose head L2H0 suppresses copies.

    L2H0 compares what the layers below predict with the token at each key, attends to those that
    match, and lowers their logit by `strength` times what the induction head gave. `options` go to
    `hand_built`. The other heads of layer 2 write nothing.
    """
    two = hand_built("induction", seed=seed, sharpness=sharpness, **options)
    model = AttentionOnly(AttentionOnlyConfig(**{**vars(two.config), "n_layers": 3}))
    token, prediction = two.W_E.T, two.W_U / two.W_U.norm(dim=0)  # Rows and columns of a rotation.
    size, d_head = token.shape[1], two.config.d_head
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        model.load_state_dict(two.state_dict(), strict=False)
        layer = model.layers[SUPPRESSOR[0]]
        assert isinstance(layer, AttentionLayer)
        layer.W_Q[0, :, :size] = sharpness * math.sqrt(d_head) * prediction
        layer.W_K[0, :, :size] = token
        layer.W_V[0, :, :size] = token
        layer.W_O[0, :size] = -strength * prediction.T
    return model.requires_grad_(False)


def suppressor_heads(*, seed: int = 0, n_heads: int = 2) -> dict[str, tuple[int, int]]:
    """Name → (layer, head) of the working heads of `hand_built_suppressor`."""
    return hand_built_heads("induction", n_heads=n_heads, seed=seed) | {"suppressor": SUPPRESSOR}


def _reads(name: str, blocks: _Blocks, offset: int) -> list[tuple[Tensor, Tensor]]:
    """What a head compares: pairs of what the query reads and what the key reads."""
    n_ctx = blocks.position.shape[1]
    if name == "previous_token":
        return [(blocks.position @ _look_back(n_ctx, 1), blocks.position)]
    if name in _INDUCTION_PATTERN:
        return [(blocks.token, blocks.previous), _never_the_first(blocks)]
    if name == "two_back":
        return [(blocks.position @ _look_back(n_ctx, 2), blocks.position)]
    if name == "long_prefix":
        # One match scores 1 and two score 2. In between are the three nearest positions, where the
        # head rests otherwise: three, so that it does not look like a head of another kind.
        nearest = sum(_look_back(n_ctx, distance) for distance in range(3))
        pairs = (blocks.token, blocks.previous), (blocks.previous, blocks.two_back)
        rest = 1.5 * blocks.position @ nearest, blocks.position
        return [*pairs, rest, _never_the_first(blocks)]
    if name == "q_composition":
        return [(blocks.previous @ _look_back(n_ctx, 1).T, blocks.position)]
    if name in ("duplicate_token", "pointer"):
        # A token also matches itself, so the current position is made unattractive.
        return [(blocks.token, blocks.token), (-2 * blocks.position, blocks.position)]
    if name == "bos_sink":
        return [(blocks.position.sum(dim=1, keepdim=True), blocks.position[:, :1])]
    return [(blocks.position @ _look_back(n_ctx, offset), blocks.position)]


def _moves(name: str, blocks: _Blocks) -> tuple[Tensor, Tensor]:
    """What a head takes from where it attends, and the block it puts that in."""
    if name == "previous_token":
        return blocks.token, blocks.previous
    if name == "two_back":
        return blocks.token, blocks.two_back
    if name == "pointer":
        return blocks.position, blocks.previous
    return blocks.token, _COPY_SIGN.get(name, 1.0) * blocks.prediction


def _look_back(n_ctx: int, distance: int) -> Float[Tensor, "query key"]:
    """Rows that point from each position to the one `distance` before it, where there is one."""
    return torch.ones(n_ctx - distance).diag(-distance)


def _never_the_first(blocks: _Blocks) -> tuple[Tensor, Tensor]:
    """A query that every token has and a key that lowers position 0.

    Position 0 has no token before it, so its previous-token slot holds its own token. Without this
    it would compete with the true match.
    """
    return blocks.token.sum(dim=1, keepdim=True), -2 * blocks.position[:, :1]


def _rotate(model: AttentionOnly, seed: int) -> None:
    """Turn the residual stream by a random orthogonal matrix. The logits stay the same."""
    generator = torch.Generator().manual_seed(seed + 1)
    size = model.config.d_model
    rotation = torch.linalg.qr(torch.randn(size, size, generator=generator)).Q
    for name, weight in model.named_parameters():
        turned = rotation.T @ weight if name.endswith(("Q", "K", "V", "U")) else weight @ rotation
        weight.copy_(turned)
