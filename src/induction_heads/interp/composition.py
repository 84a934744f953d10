"""Composition: how strongly one head reads the output of an earlier one.

Vectors are rows here, as in TransformerLens: a head turns x into x W_OV, and a later head reads it
with W_QK from the query or the key side, or with its own W_OV.

All of it is about the weights W_Q, W_K, W_V and W_O, in float32. Left out are biases, norms and
their gains, MLPs, and rotary positions: in a model that has them, W_QK is turned by the distance
between query and key, and a score here is that at distance 0. Heads that share keys and values get
a copy each.
"""

import math
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.interp.circuits import head_weights
from induction_heads.models.interface import Model, embedding, require_head, require_tokens
from induction_heads.models.loading import as_hooked

if TYPE_CHECKING:  # Importing it takes seconds, and most of this module works without.
    import transformer_lens

Head = tuple[int, int]

SIDES = ("Q", "K", "V")
"""The inputs of the later head through which it can read the earlier one."""


def composition_score(
    W_A: Float[Tensor, "d_model middle"], W_B: Float[Tensor, "middle d_out"]
) -> float:
    """‖W_A W_B‖ / (‖W_A‖ ‖W_B‖) with Frobenius norms (Elhage et al. 2021): from 0 to 1.

    `W_A` is W_OV of the earlier head. `W_B` is what the later head reads with: W_QK for the query
    side, W_QKᵀ for the key side, W_OV for the value side. Raises ValueError if the two cannot be
    multiplied or one of them is zero.
    """
    if W_A.shape[1] != W_B.shape[0]:
        raise ValueError(f"W_A {list(W_A.shape)} and W_B {list(W_B.shape)} cannot be multiplied.")
    norms = W_A.norm() * W_B.norm()
    if norms == 0:
        raise ValueError("One of the matrices is zero: nothing is written, or nothing is read.")
    return ((W_A @ W_B).norm() / norms).item()


def random_composition_baseline(
    d_model: int, d_head: int, *, samples: int = 100, seed: int = 0
) -> float:
    """The mean composition score of random heads of these sizes: what unrelated weights score.

    Both matrices are products of Gaussian d_model × d_head and d_head × d_model factors.
    """
    generator = torch.Generator().manual_seed(seed)
    scores = []
    for _ in range(samples):
        down_a, down_b = torch.randn(2, d_model, d_head, generator=generator)
        up_a, up_b = torch.randn(2, d_head, d_model, generator=generator)
        scores.append(composition_score(down_a @ up_a, down_b @ up_b))
    return sum(scores) / samples


def composition_scores(model: Model) -> dict[str, Float[Tensor, "layer head layer head"]]:
    """All composition scores of a model by side: entry [earlier layer, head, later layer, head].

    Entries whose first layer is not below the second are 0. Equal to `composition_score` of every
    pair. A product of d_model × d_model matrices of rank d_head keeps its norm when orthonormal
    factors are dropped from both ends: what is left to multiply is d_head × d_model by
    d_model × d_head.
    """
    W_Q, W_K, W_V, W_O = (weight.float() for weight in head_weights(model))
    n_layers, n_heads, d_model, d_head = W_Q.shape

    def triangle(weight: Tensor) -> Tensor:
        return torch.linalg.qr(weight, mode="r").R

    writes = triangle(W_V) @ W_O
    reads = {
        "Q": W_Q @ triangle(W_K).mT,
        "K": W_K @ triangle(W_Q).mT,
        "V": W_V @ triangle(W_O.mT).mT,
    }
    scores = {side: torch.zeros(n_layers, n_heads, n_layers, n_heads) for side in SIDES}
    stacked = torch.stack(
        [reads[side] for side in SIDES], dim=1
    )  # [layer side head d_model d_head]
    for later in range(1, n_layers):
        columns = stacked[later].permute(2, 0, 1, 3).reshape(d_model, -1)
        for earlier in range(later):
            products = (writes[earlier].flatten(0, 1) @ columns).square_()
            blocks = products.view(n_heads, d_head, len(SIDES), n_heads, d_head)
            for number, side in enumerate(SIDES):
                scores[side][earlier, :, later] = blocks[:, :, number].sum(dim=(1, 3)).sqrt()
    write_norms = writes.norm(dim=(-2, -1))[:, :, None, None]
    for side in SIDES:
        norms = write_norms * reads[side].norm(dim=(-2, -1))
        scores[side] /= norms.clamp_min(torch.finfo(norms.dtype).tiny)
    return scores


def decompose_attention_scores(
    model: Model, tokens: Int[Tensor, "batch pos"], layer: int, head: int
) -> Float[Tensor, "batch query_component key_component query key"]:
    """A head's attention scores as a sum over pairs: who wrote the query, who wrote the key.

    Components: token embedding, position embedding, then every head of the earlier layers, L0H0
    first. Scaled by 1/√d_head, before mask and softmax; the sum over both component axes is the
    score of every query with every key. Raises ValueError for a model with layer norm, whose
    residual stream is not read as a plain sum, for one with MLPs, and for a head that it does not
    have.

    >>> from induction_heads.models.hand_built import hand_built
    >>> model = hand_built("induction", d_vocab=8, n_ctx=8)
    >>> parts = decompose_attention_scores(model, torch.tensor([[3, 1, 4, 3]]), layer=1, head=0)
    >>> parts.shape  # Four components: tokens, positions, L0H0, L0H1.
    torch.Size([1, 4, 4, 4, 4])
    """
    require_head(model, layer, head)
    require_tokens(model, tokens)
    W_Q, W_K, _, _ = head_weights(model)
    parts = _written(model, tokens, layer)
    queries, keys = parts @ W_Q[layer, head], parts @ W_K[layer, head]
    scores = torch.einsum("cbqd,ebkd->bceqk", queries, keys)
    return scores / math.sqrt(W_Q.shape[-1])


def k_composed_qk_circuit(
    model: Model, previous_head: Head, induction_head: Head
) -> "transformer_lens.FactoredMatrix":
    """How well a token as query matches a token that an earlier head moved to the key.

    W_E W_Q W_Kᵀ (W_E W_V W_O)ᵀ, with W_V W_O of `previous_head` and W_Q W_Kᵀ of `induction_head`
    (Elhage et al. 2021): query token × moved token, unscaled, [d_vocab, d_vocab]. Raises ValueError
    unless the first head is in an earlier layer than the second.
    """
    from transformer_lens import FactoredMatrix

    _check_order(model, previous_head, induction_head)
    W_Q, W_K, W_V, W_O = head_weights(model)
    W_E = embedding(model)
    moved = W_E @ W_V[previous_head] @ W_O[previous_head]
    return FactoredMatrix(W_E @ W_Q[induction_head], (moved @ W_K[induction_head]).mT)


def virtual_head(model: Model, first: Head, second: Head) -> "transformer_lens.FactoredMatrix":
    """The output of two heads one after the other: W_V W_O of `first` times W_V W_O of `second`.

    A virtual attention head (Elhage et al. 2021), d_model × d_model, as a product of thin factors.
    Raises ValueError unless `first` is in an earlier layer.
    """
    from transformer_lens import FactoredMatrix

    _check_order(model, first, second)
    _, _, W_V, W_O = head_weights(model)
    return FactoredMatrix(W_V[first], W_O[first] @ W_V[second] @ W_O[second])


def _written(
    model: Model, tokens: Tensor, layer: int
) -> Float[Tensor, "component batch pos d_model"]:
    """What each component before `layer` wrote to the residual stream."""
    model = as_hooked(model)
    if model.cfg.normalization_type is not None:
        raise ValueError(
            f"The model has layer norm ({model.cfg.normalization_type}), so its scores are not "
            "a sum over components. Use a model without it, such as toy-2l."
        )
    if not getattr(model.cfg, "attn_only", False):
        raise ValueError("The model has MLPs, which are not components here. Try toy-2l.")
    names = [f"blocks.{earlier}.attn.hook_z" for earlier in range(layer)]
    with torch.no_grad():
        _, cache = model.run_with_cache(tokens, names_filter=lambda name: name in names)
    parts = [embedding(model)[tokens]]
    parts.append(model.W_pos.detach().float()[: tokens.shape[1]].expand_as(parts[0]))
    W_O = head_weights(model)[3]
    for earlier, name in enumerate(names):
        parts += torch.einsum("bphd,hdm->hbpm", cache[name].float(), W_O[earlier]).unbind()
    return torch.stack(parts)


def _check_order(model: Model, first: Head, second: Head) -> None:
    for layer, head in (first, second):
        require_head(model, layer, head)
    if first[0] >= second[0]:
        raise ValueError(
            f"L{first[0]}H{first[1]} is not in an earlier layer than L{second[0]}H{second[1]}, so "
            "the second cannot read the first. Pass the earlier head first."
        )
