"""Exercises of chapter 5, QK and OV circuits: what a head looks for, what it writes.

Replace each `raise NotImplementedError` with your code. Check all of them with
`induction-heads check ch05`, or one with `induction-heads check ov_circuit`.

`model` is a TransformerBridge. `model.W_E` is [d_vocab d_model], `model.W_pos` [pos d_model] and
`model.W_U` [d_model d_vocab]. `model.W_Q`, `W_K`, `W_V` are [layer head d_model d_head] and
`model.W_O` is [layer head d_head d_model]. Layer norm, where there is one, is left out of all
formulas here: use the weights as they are.
"""

from typing import TYPE_CHECKING

import torch  # noqa: F401
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens import FactoredMatrix

if TYPE_CHECKING:
    from transformer_lens import TransformerBridge


def qk_circuit(model: "TransformerBridge", layer: int, head: int) -> FactoredMatrix:
    """How strongly the query at one token matches the key at another: [d_vocab, d_vocab].

    ★ · 8 minutes. Why: it says which token a head looks for, in any sequence.

    W_E W_Q W_Kᵀ W_Eᵀ, without the scale 1/√d_head: query token down, key token across. A dense
    tensor of that shape passes as well, but takes d_vocab² numbers.

    Start here: `FactoredMatrix(A, B)` represents A @ B. Which two factors are [d_vocab d_head] and
    [d_head d_vocab]?
    """
    raise NotImplementedError


def ov_circuit(model: "TransformerBridge", layer: int, head: int) -> FactoredMatrix:
    """What attending to a token does to the logit of every token: [d_vocab, d_vocab].

    ★ · 6 minutes. Why: a pattern says where a head looks; this says what it does there.

    W_E W_V W_O W_U: attended token down, predicted token across. A dense tensor passes as well.
    """
    raise NotImplementedError


def eigenvalue_copying_score(circuit: FactoredMatrix) -> float:
    """Σλ / Σ|λ| over the eigenvalues λ of a circuit: from −1 to 1 (Elhage et al. 2021).

    ★★ · 10 minutes. Why: one number for "each token raises itself".

    Eigenvalues can be complex; |λ| is the modulus, and the sum of all of them is real. Return 0.0
    for a circuit of zeros. The circuit may be [1024 1024] of rank 32: its eigenvalues are those of
    a 32 × 32 matrix, and zeros.

    Start here: `circuit.A`, `circuit.B`, and `circuit.eigenvalues`.
    """
    raise NotImplementedError


def logit_copying_score(
    model: "TransformerBridge", layer: int, head: int, tokens: Int[Tensor, "batch pos"]
) -> float:
    """How much of what a head raises is the token it attends to, from −1 to 1.

    ★★★ · 20 minutes. Why: it is the second definition of copying, and it disagrees with the
    first.

    For each position j of each row: (1) the logits that the head would write if it attended to j
    alone, v_j W_O W_U, with its value v_j in a real forward pass; (2) minus their mean over the
    vocabulary; (3) negative ones set to 0; (4) keep the entries of the row's own tokens, one for
    each position of the row; (5) share = a / (a + S), where a is the entry of the token at j and S
    the sum of all kept entries, a among them. A share is 0 where nothing is raised. (6) Return
    4 · (mean share over all positions and rows) − 1.

    Start here: `model.run_with_cache(tokens)` gives (logits, cache), and the values of a layer are
    `cache[f"blocks.{layer}.attn.hook_v"]`, [batch pos head d_head].
    """
    raise NotImplementedError


def logit_attribution(
    model: "TransformerBridge", tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "component batch pos-1"]:
    """What each component adds to the logit of the token that comes next.

    ★★★ · 20 minutes. Why: the logit is a sum, so each part's share can be read off.

    Components in this order: token embedding, position embedding, L0H0, L0H1, …, L1H0, L1H1, …
    Entry i of the last axis is about the token at i + 1, predicted at position i; what the last
    position predicts is not known. A component's part is what it wrote at i, times W_U, at that
    token. The final layer norm is left out; on models without one the components sum to the logit.

    Start here: a head wrote z W_O, and z is `cache[f"blocks.{layer}.attn.hook_z"]`,
    [batch pos head d_head].
    """
    raise NotImplementedError


def induction_circuit_parameters(config: dict[str, int]) -> int:
    """How many weights a previous-token head and an induction head have together.

    ★ · 5 minutes, with pen and paper. Why: a circuit is small compared with its model.

    `config` has the sizes "n_layers", "n_heads", "d_model", "d_head", "d_vocab" and "n_ctx". Count
    W_Q, W_K, W_V and W_O of the two heads. Embeddings and biases are not counted. d_model need not
    be n_heads · d_head.
    """
    raise NotImplementedError
