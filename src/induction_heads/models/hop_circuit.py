"""A circuit for several look-ups, written by hand: one layer more doubles how many it can do.

After the theorem of Sanford, Hsu & Telgarsky 2024 that ⌊log2 k⌋ + 2 layers are enough for k
look-ups. Their proof keeps the width constant; here positions and tokens have a coordinate each.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from induction_heads.models.attention_only import AttentionLayer, AttentionOnly, AttentionOnlyConfig


def hop_layers(k: int) -> list[int]:
    """How many look-ups each layer has behind it: [0, 1, …, k].

    Layer 0 marks each position with the token before it. Each further layer takes one binary digit
    of k, from the left: it doubles the number, and adds one if the digit is 1. Raises ValueError
    for k below 1.

    >>> hop_layers(1), hop_layers(2), hop_layers(6)
    ([0, 1], [0, 1, 2], [0, 1, 3, 6])
    """
    if k < 1:
        raise ValueError(f"k={k}: ask for at least one look-up.")
    done = [0]
    for digit in f"{k:b}":
        done.append(2 * done[-1] + int(digit))
    return done


def hand_built_hops(k: int, *, d_vocab: int = 8, n_ctx: int = 32) -> AttentionOnly:
    """A model with one head a layer that predicts what `k` look-ups find (`k_hop_target`).

    Behind layer l each position holds where, and which token, its first `hop_layers(k)[l]`
    look-ups lead to. The next layer looks at that place, or one look-up further, and takes over
    what is held there. Where a look-up fails the prediction means nothing. Raises ValueError for k
    below 1.

    >>> from induction_heads.data.hop_rows import k_hop_target
    >>> tokens = torch.tensor([["abcde".index(letter) for letter in "baebcabebdea"]])
    >>> model = hand_built_hops(2, d_vocab=5, n_ctx=12)
    >>> model(tokens)[0, -1].argmax().item() == k_hop_target(tokens, 2)[0, -1].item()
    True
    """
    done = hop_layers(k)
    sizes = [d_vocab, n_ctx, d_vocab] + [n_ctx, d_vocab] * (len(done) - 1)
    d_model, d_head = sum(sizes), d_vocab + n_ctx + 1
    model = AttentionOnly(AttentionOnlyConfig(len(done), 1, d_model, d_head, d_vocab, n_ctx))
    token, position, previous, *held = torch.eye(d_model).split(sizes, dim=1)
    places, found = [position, *held[::2]], [token, *held[1::2]]
    before, one_back = torch.ones(n_ctx - 1).diag(-1), 40.0
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        model.W_E.copy_(token.T)
        model.W_pos.copy_(position.T)
        model.W_U.copy_(10 * found[-1])
        _write(model, 0, one_back * position @ before, position, token, previous)
        for layer in range(1, len(done)):
            query, key = places[layer - 1], position
            if done[layer] % 2:  # One look-up more: the latest copy that is not behind the place.
                query, key = _next_hop(places[layer - 1], found[layer - 1], position, previous)
            taken = torch.cat([places[layer - 1], found[layer - 1]], dim=1)
            put = torch.cat([places[layer], found[layer]], dim=1)
            _write(model, layer, _sharpness(n_ctx) * query, key, taken, put)
    return model.requires_grad_(False)


def _sharpness(n_ctx: int) -> float:
    """Neighboring keys differ by 1 / (2 n_ctx) in `_next_hop`; after this factor by 20."""
    return 40.0 * n_ctx


def _next_hop(
    place: Tensor, found: Tensor, position: Tensor, previous: Tensor
) -> tuple[Float[Tensor, "d_model d_head"], Float[Tensor, "d_model d_head"]]:
    """What the query and the key of a look-up read.

    A match scores 1. Keys up to `place` get less than a half, more the later they are; those
    behind it and position 0, which has no token before it, lose 2.
    """
    n_ctx = position.shape[1]
    key = torch.arange(n_ctx)
    bonus = torch.where(key[None] <= key[:, None], key[None] / (2 * n_ctx), -2.0)
    bonus[:, 0] = -2.0
    query = torch.cat([found, place @ bonus], dim=1)
    return query, torch.cat([previous, position], dim=1)


def _write(
    model: AttentionOnly, layer: int, query: Tensor, key: Tensor, taken: Tensor, put: Tensor
) -> None:
    """Set the weights of the head of a layer."""
    weights = model.layers[layer]
    assert isinstance(weights, AttentionLayer)
    weights.W_Q[0, :, : query.shape[1]] = math.sqrt(model.config.d_head) * query
    weights.W_K[0, :, : key.shape[1]] = key
    weights.W_V[0, :, : taken.shape[1]] = taken
    weights.W_O[0, : taken.shape[1]] = put.T
