"""Solutions of chapter 6, composition, with a reason for each line that needs one."""

import math
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens import FactoredMatrix

from induction_heads.models.attention_only import AttentionOnly, AttentionOnlyConfig

if TYPE_CHECKING:
    from transformer_lens import TransformerBridge


def composition_score(
    W_A: Float[Tensor, "d_model middle"], W_B: Float[Tensor, "middle d_out"]
) -> float:
    """Both norms in the denominator, so that neither large writers nor large readers score more."""
    return ((W_A @ W_B).norm() / (W_A.norm() * W_B.norm())).item()


def random_composition_baseline(
    d_model: int, d_head: int, *, samples: int = 100, seed: int = 0
) -> float:
    """One generator for all samples: a new one for each would draw the same pair again."""
    generator = torch.Generator().manual_seed(seed)

    def random_head() -> Tensor:
        # Two thin factors: full Gaussian matrices have the same mean square but less spread.
        down = torch.randn(d_model, d_head, generator=generator)
        return down @ torch.randn(d_head, d_model, generator=generator)

    scores = [composition_score(random_head(), random_head()) for _ in range(samples)]
    return sum(scores) / samples


def k_composed_qk_circuit(
    model: "TransformerBridge", previous_head: tuple[int, int], induction_head: tuple[int, int]
) -> FactoredMatrix:
    """The QK circuit of chapter 5, with moved tokens in place of plain ones on the key side."""
    # What the earlier head leaves at a position when it attends to each token.
    moved = model.W_E @ model.W_V[previous_head] @ model.W_O[previous_head]
    queries = model.W_E @ model.W_Q[induction_head]
    keys = moved @ model.W_K[induction_head]
    return FactoredMatrix(queries, keys.T)  # Two thin factors: rank at most d_head.


def decompose_attention_scores(
    model: "TransformerBridge", tokens: Int[Tensor, "batch pos"], layer: int, head: int
) -> Float[Tensor, "batch query_component key_component query key"]:
    """Queries and keys are linear in the residual stream, so a sum of parts stays a sum."""
    _, cache = model.run_with_cache(tokens)
    embedded = model.W_E[tokens]
    # The positions are the same in every row; the expansion only adds the batch axis.
    parts = [embedded, model.W_pos[: tokens.shape[1]].expand_as(embedded)]
    for earlier in range(layer):
        z = cache[f"blocks.{earlier}.attn.hook_z"]
        for number in range(model.cfg.n_heads):
            parts.append(z[:, :, number] @ model.W_O[earlier, number])
    written = torch.stack(parts)  # [component batch pos d_model]
    queries = written @ model.W_Q[layer, head]
    keys = written @ model.W_K[layer, head]
    # Every pair of parts: (Σ q_c) · (Σ k_e) = Σ Σ q_c · k_e.
    scores = torch.einsum("cbqd,ebkd->bceqk", queries, keys)
    return scores / math.sqrt(model.cfg.d_head)


def virtual_head(
    model: "TransformerBridge", first: tuple[int, int], second: tuple[int, int]
) -> FactoredMatrix:
    """Rows are multiplied from the right, so the head that acts first is on the left."""
    after = model.W_O[first] @ model.W_V[second] @ model.W_O[second]
    return FactoredMatrix(model.W_V[first], after)


def build_induction_circuit(d_vocab: int, n_ctx: int) -> AttentionOnly:
    """Four blocks of coordinates; every head reads some of them and writes one."""
    d_model, d_head = 3 * d_vocab + n_ctx, d_vocab + n_ctx
    model = AttentionOnly(AttentionOnlyConfig(2, 1, d_model, d_head, d_vocab, n_ctx))
    # Each of these is [d_model size] and selects one block.
    sizes = [d_vocab, n_ctx, d_vocab, d_vocab]
    token, position, previous, prediction = torch.eye(d_model).split(sizes, dim=1)
    # A match scores 30 after the division by √d_head: the softmax gives it nearly all.
    sharp = 30 * math.sqrt(d_head)
    first, second = model.layers
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        model.W_E.copy_(token.T)
        model.W_pos.copy_(position.T)
        # 10, because e¹⁰ outweighs a vocabulary of a few thousand tokens in the softmax.
        model.W_U.copy_(10 * prediction)
        # Layer 0. Query i asks for position i − 1, and the token there goes to `previous`.
        first.W_Q[0, :, : n_ctx - 1] = sharp * position[:, 1:]
        first.W_K[0, :, : n_ctx - 1] = position[:, :-1]
        first.W_V[0, :, :d_vocab] = token
        first.W_O[0, :d_vocab] = previous.T
        # Layer 1. The query asks for the position whose `previous` is the query's token.
        second.W_Q[0, :, :d_vocab] = sharp * token
        second.W_K[0, :, :d_vocab] = previous
        # Position 0 can only see itself in layer 0, so its `previous` is its own token. Every
        # query lowers it, by less than two matches so that it stays an ordinary position.
        second.W_Q[0, :, d_vocab] = sharp * token.sum(dim=1)
        second.W_K[0, :, d_vocab] = -2 * position[:, 0]
        second.W_V[0, :, :d_vocab] = token
        second.W_O[0, :d_vocab] = prediction.T
    return model
