"""Solutions of chapter 2, attention patterns. One way of several: the check accepts others."""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

if TYPE_CHECKING:  # Importing TransformerLens takes seconds, and these functions only name it.
    from transformer_lens import TransformerBridge


def previous_token_score(pattern: Float[Tensor, "*batch query key"]) -> Float[Tensor, "*batch"]:
    """The mean attention from each token to the one right before it.

    Query i is paired with key i − 1, so all these weights are on one diagonal. Taking the diagonal
    keeps the batch axes. It has n − 1 entries: query 0 has none.
    """
    # Rows are queries: key = query − 1 is one step below the main diagonal, hence offset −1.
    # Without the two dims PyTorch would take the first two axes, which are layers or batches.
    below = pattern.diagonal(offset=-1, dim1=-2, dim2=-1)
    return below.mean(dim=-1)


def first_token_score(pattern: Float[Tensor, "*batch query key"]) -> Float[Tensor, "*batch"]:
    """The mean attention from each token to position 0.

    One column, from its second entry on: that leaves one weight per query.
    """
    # "1:" drops query 0, which gives position 0 weight 1 in every head and would only add noise.
    return pattern[..., 1:, 0].mean(dim=-1)


def current_token_score(pattern: Float[Tensor, "*batch query key"]) -> Float[Tensor, "*batch"]:
    """The mean attention from each token to itself.

    The main diagonal, without its entry for query 0.
    """
    own = pattern.diagonal(dim1=-2, dim2=-1)
    # Query 0 sees only itself: its weight is 1 in every head and says nothing about this one.
    return own[..., 1:].mean(dim=-1)


def attention_patterns(
    model: "TransformerBridge", tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "layer batch head query key"]:
    """The attention pattern of every head of the model, in one tensor.

    One forward pass computes every layer's pattern; the cache only has to keep them.
    """
    names = [f"blocks.{layer}.attn.hook_pattern" for layer in range(model.cfg.n_layers)]
    # The filter keeps only these activations. The logits are returned too; they are not needed.
    _, cache = model.run_with_cache(tokens, names_filter=names)
    # Each entry is [batch, head, query, key]. stack makes a new axis, and in front is its default.
    return torch.stack([cache[name] for name in names])


def detect_head_types(
    scores: dict[str, Float[Tensor, "layer head"]], threshold: float = 0.4
) -> dict[tuple[int, int], str]:
    """The type of each head that has one.

    With all scores in one tensor [name layer head], "the highest score and its name" is a single
    maximum over the first axis. The loop then only visits the heads that reach the threshold.
    """
    names = list(scores)
    # max returns the first of several equal maxima, which settles ties as the exercise asks.
    best, which = torch.stack([scores[name] for name in names]).max(dim=0)
    types = {}
    # "at least" the threshold: >=, so that a head right on it counts.
    for layer, head in (best >= threshold).nonzero().tolist():
        types[layer, head] = names[int(which[layer, head])]
    return types


def uniform_first_token_score(n_pos: int) -> float:
    """The first-token score of a head that attends evenly over all the keys it may see.

    Query i sees the i + 1 keys 0 … i and gives each 1 / (i + 1), key 0 as well. The score is the
    mean over queries 1 … n − 1, so it is (1/2 + 1/3 + … + 1/n) / (n − 1) = (H_n − 1) / (n − 1).
    """
    harmonic = sum(1 / k for k in range(1, n_pos + 1))
    # "− 1" takes out query 0, the only one whose weight is known in advance. n_pos − 1 are left.
    return (harmonic - 1) / (n_pos - 1)
