"""Other correct implementations of the exercises of chapter 6."""

import math

import torch
from torch import Tensor

from induction_heads.course.ch06_composition.build_mistakes import k_composed
from induction_heads.course.ch06_composition.inputs import attention_layer
from induction_heads.course.ch06_composition.mistakes import (
    _composed,
    _from_gram_matrices,
    _in_a_row,
    _sampled,
    _thin_pair,
    parts_by,
)
from induction_heads.models.attention_only import AttentionOnly, AttentionOnlyConfig


def _from_singular_values(W_A: Tensor, W_B: Tensor) -> float:
    values = [torch.linalg.svdvals(W).square().sum() for W in (W_A @ W_B, W_A, W_B)]
    return math.sqrt(values[0] / (values[1] * values[2]))


SCORE_ALSO_RIGHT = (_from_gram_matrices, _from_singular_values)


def _without_building_the_matrices(
    d_model: int, d_head: int, *, samples: int = 100, seed: int = 0
) -> float:
    """All samples at once, from d_head × d_head products: ‖D U‖² = tr(DᵀD UUᵀ)."""
    generator = torch.Generator().manual_seed(seed)
    a, b, c, d = torch.randn(4, samples, d_model, d_head, generator=generator).double()

    def square(left: Tensor, right: Tensor) -> Tensor:
        return (left * right).sum(dim=(-2, -1))

    middle = b.mT @ c  # A = a bᵀ and B = c dᵀ, so A B = a (bᵀ c) dᵀ.
    top = square(a.mT @ a, middle @ (d.mT @ d) @ middle.mT)
    below = square(a.mT @ a, b.mT @ b) * square(c.mT @ c, d.mT @ d)
    return (top / below).sqrt().mean().item()


BASELINE_ALSO_RIGHT = (_without_building_the_matrices, _sampled(_thin_pair))


def _composed_from_bilinear_forms(model, previous_head, induction_head):
    QK, OV = model.QK[induction_head], model.OV[previous_head]
    return model.W_E @ (QK @ (model.W_E @ OV).T)


CIRCUIT_ALSO_RIGHT = (_composed, _composed_from_bilinear_forms)


def _through_the_bilinear_form(model, tokens, layer, head):
    _, cache = model.run_with_cache(tokens)
    parts = [cache["hook_embed"], cache["hook_pos_embed"].expand_as(cache["hook_embed"])]
    for earlier in range(layer):
        z = cache[f"blocks.{earlier}.attn.hook_z"]
        parts += torch.einsum("bphd,hdm->hbpm", z, model.W_O[earlier]).unbind()
    rows = torch.stack(parts, dim=1)  # [batch component pos d_model]
    W_QK = model.W_Q[layer, head] @ model.W_K[layer, head].T / math.sqrt(model.cfg.d_head)
    return (rows[:, :, None] @ W_QK) @ rows[:, None].mT


PARTS_ALSO_RIGHT = (_through_the_bilinear_form, parts_by())


def _from_ov_matrices(model, first, second):
    return torch.einsum("am,mb->ab", model.OV[first].AB, model.OV[second].AB)


VIRTUAL_ALSO_RIGHT = (_in_a_row, _from_ov_matrices)


def _with_waves(d_vocab: int, n_ctx: int) -> AttentionOnly:
    """K-composition with sines for positions and two heads a layer, one of which is idle.

    A query turned back by one step matches the position before it. Random orthogonal directions
    hold the tokens. Position 0 is told by a coordinate of its own.
    """
    n_waves = 14
    frequencies = math.pi * 0.75 ** torch.arange(n_waves)
    angles = torch.arange(n_ctx)[:, None] * frequencies
    waves = torch.cat([angles.cos(), angles.sin(), torch.zeros(n_ctx, 1)], dim=1)
    waves[0, -1] = 1
    back = torch.zeros(2 * n_waves, 2 * n_waves)  # A rotation by one step for each frequency.
    for wave, step in enumerate(frequencies.tolist()):
        pair = [wave, n_waves + wave]
        turn = [[math.cos(step), -math.sin(step)], [math.sin(step), math.cos(step)]]
        back[torch.tensor(pair)[:, None], torch.tensor(pair)] = torch.tensor(turn)
    width = 2 * n_waves + 1
    d_model, d_head = width + 3 * d_vocab, max(2 * n_waves, d_vocab + 1)
    generator = torch.Generator().manual_seed(0)
    turned = torch.linalg.qr(torch.randn(d_model, d_model, generator=generator)).Q
    place, token, mark, said = turned.split([width, d_vocab, d_vocab, d_vocab], dim=1)
    model = AttentionOnly(AttentionOnlyConfig(2, 2, d_model, d_head, d_vocab, n_ctx))
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        model.W_E.copy_(token.T)
        model.W_pos.copy_(waves @ place.T)
        model.W_U.copy_(12 * said)
        one, two = (attention_layer(layer) for layer in model.layers)
        one.W_Q[1, :, : 2 * n_waves] = 40 * math.sqrt(d_head) * place[:, :-1] @ back
        one.W_K[1, :, : 2 * n_waves] = place[:, :-1]
        one.W_V[1, :, :d_vocab] = token
        one.W_O[1, :d_vocab] = mark.T
        two.W_Q[0, :, :d_vocab] = 25 * math.sqrt(d_head) * token
        two.W_K[0, :, :d_vocab] = mark
        two.W_Q[0, :, d_vocab] = 50 * math.sqrt(d_head) * token.sum(dim=1)
        two.W_K[0, :, d_vocab] = -place[:, -1]
        two.W_V[0, :, :d_vocab] = token
        two.W_O[0, :d_vocab] = said.T
    return model


def _with_a_pointer(d_vocab: int, n_ctx: int) -> AttentionOnly:
    """Q-composition: layer 0 finds where the token stood before, layer 1 looks one further."""
    d_model, d_head = 2 * d_vocab + 2 * n_ctx, d_vocab + n_ctx
    model = AttentionOnly(AttentionOnlyConfig(2, 1, d_model, d_head, d_vocab, n_ctx))
    token, said, place, found = torch.eye(d_model).split([d_vocab, d_vocab, n_ctx, n_ctx], dim=1)
    sharp = 60 * math.sqrt(d_head)
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        model.W_E.copy_(token.T)
        model.W_pos.copy_(place.T)
        model.W_U.copy_(10 * said)
        one, two = (attention_layer(layer) for layer in model.layers)
        # Each token matches itself too, so the own position is lowered by twice as much.
        one.W_Q[0] = sharp * torch.cat([token, -2 * place], dim=1)
        one.W_K[0] = torch.cat([token, place], dim=1)
        one.W_V[0, :, :n_ctx] = place
        one.W_O[0, :n_ctx] = found.T
        two.W_Q[0, :, :n_ctx] = sharp * found @ torch.ones(n_ctx - 1).diag(1)
        two.W_K[0, :, :n_ctx] = place
        two.W_V[0, :, :d_vocab] = token
        two.W_O[0, :d_vocab] = said.T
    return model


BUILD_ALSO_RIGHT = (_with_waves, _with_a_pointer, k_composed())


ALSO_RIGHT = {
    "composition_score": SCORE_ALSO_RIGHT,
    "random_composition_baseline": BASELINE_ALSO_RIGHT,
    "k_composed_qk_circuit": CIRCUIT_ALSO_RIGHT,
    "decompose_attention_scores": PARTS_ALSO_RIGHT,
    "virtual_head": VIRTUAL_ALSO_RIGHT,
    "build_induction_circuit": BUILD_ALSO_RIGHT,
}
"""Exercise → other answers that its check must accept."""
