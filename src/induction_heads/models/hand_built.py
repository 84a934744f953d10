"""Models written by hand: an exact induction circuit, and decoys that only resemble one.

The residual stream is cut into four blocks of coordinates: the current token, the position, a slot
for the token before this one, and a slot for the prediction. Every head reads some blocks and
writes one, so what it does can be read off its weights. A random rotation then hides the blocks.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from induction_heads.attention_only import AttentionLayer, AttentionOnly, AttentionOnlyConfig

KINDS = {
    "induction": "a previous-token head in layer 0 that feeds an induction head in layer 1",
    "previous_token": "the previous-token head alone: layer 1 does nothing",
    "fixed_offset": "a layer-1 head that looks a fixed distance back, whatever the tokens are",
    "duplicate_token": "a layer-1 head that looks at the earlier copies of the current token",
    "bos_sink": "a layer-1 head that always looks at the first position",
    "anti_induction": "the induction pattern, with an OV circuit that lowers what it attends to",
    "no_copying": "the induction pattern, with an OV circuit that writes nothing",
    "q_composition": "induction through the query: layer 0 writes where the earlier copy stood",
}
"""What each kind of hand-built model is."""

_INDUCTION_PATTERN = ("induction", "anti_induction", "no_copying")
_COPY_SIGN = {"anti_induction": -1.0, "no_copying": 0.0}


@dataclass(frozen=True)
class _Blocks:
    """The coordinates of the residual stream, as matrices that select one block of them."""

    token: Float[Tensor, "d_model d_vocab"]
    position: Float[Tensor, "d_model n_ctx"]
    previous: Float[Tensor, "d_model slot"]
    prediction: Float[Tensor, "d_model d_vocab"]


def hand_built_heads(kind: str, *, n_heads: int = 2, seed: int = 0) -> dict[str, tuple[int, int]]:
    """Where the heads of `hand_built(kind, n_heads=…, seed=…)` are: name → (layer, head).

    `previous_token` and `pointer` are in layer 0. The layer-1 head goes by the name of its kind.
    Raises ValueError for an unknown kind.
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} is not known. Choose one of: {', '.join(KINDS)}.")
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.randint(n_heads, (2,), generator=generator).tolist()
    heads = {}
    if kind == "previous_token" or kind in _INDUCTION_PATTERN:
        heads["previous_token"] = (0, first)
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
    """
    heads = hand_built_heads(kind, n_heads=n_heads, seed=seed)
    if kind == "fixed_offset" and not 1 <= offset < n_ctx:
        raise ValueError(f"offset={offset} does not fit in a context of {n_ctx}.")
    slot = n_ctx if kind == "q_composition" else d_vocab  # It holds a pointer, or a token.
    d_model, d_head = 2 * d_vocab + n_ctx + slot, d_vocab + n_ctx + 1
    model = AttentionOnly(
        AttentionOnlyConfig(2, n_heads, d_model, d_head, d_vocab, n_ctx, bos_token=bos_token)
    )
    blocks = _Blocks(*torch.eye(d_model).split([d_vocab, n_ctx, slot, d_vocab], dim=1))
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


def _reads(name: str, blocks: _Blocks, offset: int) -> list[tuple[Tensor, Tensor]]:
    """What a head compares: pairs of what the query reads and what the key reads."""
    n_ctx = blocks.position.shape[1]
    if name == "previous_token":
        return [(blocks.position @ _look_back(n_ctx, 1), blocks.position)]
    if name in _INDUCTION_PATTERN:
        return [(blocks.token, blocks.previous), _never_the_first(blocks)]
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
