"""Solutions of chapter 5, QK and OV circuits, with a reason for each line that needs one."""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens import FactoredMatrix

if TYPE_CHECKING:
    from transformer_lens import TransformerBridge


def qk_circuit(model: "TransformerBridge", layer: int, head: int) -> FactoredMatrix:
    """The queries of all tokens times the keys of all tokens.

    Row a of the left factor is the query of token a, column b of the right one the key of token b.
    """
    queries = model.W_E @ model.W_Q[layer, head]
    keys = model.W_E @ model.W_K[layer, head]
    # The product is never formed: 2 · d_vocab · d_head numbers instead of d_vocab².
    return FactoredMatrix(queries, keys.T)


def ov_circuit(model: "TransformerBridge", layer: int, head: int) -> FactoredMatrix:
    """The values of all tokens, and what a value does to the logits."""
    values = model.W_E @ model.W_V[layer, head]
    logits_of_a_value = model.W_O[layer, head] @ model.W_U
    return FactoredMatrix(values, logits_of_a_value)


def eigenvalue_copying_score(circuit: FactoredMatrix) -> float:
    """`FactoredMatrix.eigenvalues` are those of B A, which is only d_head × d_head.

    If A B x = λ x with λ ≠ 0, then B x ≠ 0 and B A (B x) = λ (B x): the nonzero ones are the same.
    """
    eigenvalues = circuit.eigenvalues
    # Complex ones come in conjugate pairs, so the imaginary parts of the sum cancel.
    total = eigenvalues.real.sum()
    # The clamp turns 0 / 0 into 0 and is far below any eigenvalue that matters.
    return (total / eigenvalues.abs().sum().clamp_min(1e-9)).item()


def logit_copying_score(
    model: "TransformerBridge", layer: int, head: int, tokens: Int[Tensor, "batch pos"]
) -> float:
    """Take the values from one forward pass, so that everything at a position counts."""
    _, cache = model.run_with_cache(tokens)
    # hook_v, not hook_z: z is already mixed by the pattern, and here each position is on its own.
    values = cache[f"blocks.{layer}.attn.hook_v"][:, :, head]
    logits = values @ model.W_O[layer, head] @ model.W_U
    # A softmax ignores what is added to every logit, so only what is above the mean is raised.
    raised = (logits - logits.mean(dim=-1, keepdim=True)).relu()
    # One row of indices for every position: entry [b, j, k] is the token at k, raised from j.
    columns = tokens[:, None, :].expand(-1, tokens.shape[1], -1)
    on_row = raised.gather(-1, columns)
    own = on_row.diagonal(dim1=-2, dim2=-1)
    share = own / (own + on_row.sum(dim=-1)).clamp_min(1e-9)
    return 4 * share.mean().item() - 1


def logit_attribution(
    model: "TransformerBridge", tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "component batch pos-1"]:
    """List what every component wrote, then take the product with one column of W_U each."""
    _, cache = model.run_with_cache(tokens)
    positions = model.W_pos[: tokens.shape[1]].expand(tokens.shape[0], -1, -1)
    written = [model.W_E[tokens], positions]  # Each [batch pos d_model].
    for layer in range(model.cfg.n_layers):
        z = cache[f"blocks.{layer}.attn.hook_z"]
        written += [z[:, :, head] @ model.W_O[layer, head] for head in range(model.cfg.n_heads)]
    # Column t of W_U is the direction that raises token t. Only the true next token is needed, so
    # no [… d_vocab] tensor is formed.
    directions = model.W_U.T[tokens[:, 1:]]
    return (torch.stack(written)[:, :, :-1] * directions).sum(dim=-1)


def induction_circuit_parameters(config: dict[str, int]) -> int:
    """Two heads of four matrices, each d_model × d_head or its transpose."""
    heads, matrices = 2, 4
    return heads * matrices * config["d_model"] * config["d_head"]
