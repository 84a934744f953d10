"""How strongly one head reads what an earlier one writes: composition scores from weights alone.

Vectors are rows here, as in TransformerLens: a head turns x into x W_OV, and a later head reads it
with W_QK from the query or the key side, or with its own W_OV.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from induction_heads.circuits import head_weights

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


def composition_scores(model: Any) -> dict[str, Float[Tensor, "layer head layer head"]]:
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
    stacked = torch.stack([reads[side] for side in SIDES], dim=1)  # [layer side head d_model d_head]
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
