"""Solutions of chapter 3, previous-token heads, with a reason for each line that needs one."""

import math
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from induction_heads.data.tokens import distinct_tokens
from induction_heads.interp.activations import attention_patterns
from induction_heads.interp.scores import previous_token_score
from induction_heads.models.attention import attention_pattern

if TYPE_CHECKING:
    from transformer_lens import TransformerBridge


def score_gap_needed(weight: float, n_keys: int) -> float:
    """The softmax, solved for the score.

    weight = e^g / (e^g + n_keys − 1). Multiply out, collect e^g on one side, take the logarithm.
    Only differences of scores matter to a softmax, so setting the others to 0 loses nothing.
    """
    others = n_keys - 1  # Each of them contributes e^0 = 1 to the sum.
    return math.log(weight * others / (1 - weight))


def positional_pattern(
    model: "TransformerBridge", layer: int, head: int
) -> Float[Tensor, "query key"]:
    """An ordinary head, given W_pos where the residual stream would be.

    Scores are bilinear in the residual stream, so without the tokens exactly the three terms of the
    score that contain a token are missing.
    """
    positions = model.W_pos
    # The function of chapter 1 masks, scales by sqrt(d_head) and takes the softmax over the keys.
    return attention_pattern(positions @ model.W_Q[layer, head], positions @ model.W_K[layer, head])


def find_previous_token_heads(
    model: "TransformerBridge", threshold: float = 0.4
) -> list[tuple[int, int, float]]:
    """Score every head of every layer, filter, sort.

    Tokens that do not repeat leave an induction head nothing to match, so that it cannot pass for a
    previous-token head. Every layer is searched: where the heads are is part of the result.
    """
    # A head may do something else at late positions, so the rows are as long as they can be.
    n_pos = min(model.cfg.n_ctx, model.cfg.d_vocab)
    tokens = distinct_tokens(model.cfg.d_vocab, n_pos, batch=8, seed=0)
    scores = previous_token_score(attention_patterns(model, tokens)).mean(dim=1)  # over the batch
    # tolist turns tensors into plain ints and floats, which is what a list of results should hold.
    kept = (scores >= threshold).nonzero().tolist()
    found = [(layer, head, scores[layer, head].item()) for layer, head in kept]
    return sorted(found, key=lambda item: item[2], reverse=True)


def previous_token_readout(model: "TransformerBridge", layer: int, head: int) -> float:
    """Compare what the head wrote with what each token would have made it write.

    The head has its real pattern, with all the weight it gives other keys, so the readout falls if
    it does not look one back, writes nothing, or writes the same for many tokens.
    """
    W_Q, W_K, W_V, W_O = (w[layer, head] for w in (model.W_Q, model.W_K, model.W_V, model.W_O))
    n_pos = min(model.cfg.n_ctx, model.cfg.d_vocab)
    tokens = distinct_tokens(model.cfg.d_vocab, n_pos, batch=8, seed=0)
    # In layer 0 the residual stream is token plus position and nothing else.
    residual = model.W_E[tokens] + model.W_pos[:n_pos]
    pattern = attention_pattern(residual @ W_Q, residual @ W_K)
    written = pattern @ residual @ W_V @ W_O
    right = []
    for i in range(1, n_pos):  # Nothing comes before position 0.
        candidates = (model.W_E + model.W_pos[i - 1]) @ W_V @ W_O
        nearest = torch.cdist(written[:, i], candidates).argmin(dim=-1)
        right.append(nearest == tokens[:, i - 1])
    return torch.stack(right).float().mean().item()
