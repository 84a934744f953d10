"""Does a head write what is related to the token it attends to? The relation index."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.models.attention_only import AttentionLayer, AttentionOnly


def raised_logits(model: AttentionOnly, layer: int) -> Float[Tensor, "head id id"]:
    """The OV circuit of each head: `[h, s, t]` is what attending to token s adds to logit t.

    From the weights alone, for a head that reads the token embedding; no norm is applied.
    """
    weights = model.layers[layer]
    assert isinstance(weights, AttentionLayer)
    with torch.inference_mode():
        values = torch.einsum("sm,hmd->hsd", model.W_E, weights.W_V)
        return torch.einsum("hsd,hdm,mt->hst", values, weights.W_O, model.W_U).clone()


def tail_shares(
    raised: Float[Tensor, "head id id"], tail_of: Int[Tensor, " id"]
) -> Float[Tensor, "head id"]:
    """The share of what a head raises, above its mean, that falls on the tail of the attended id.

    What is raised is centered over the vocabulary and its negative part is dropped, as in the
    copying score of Olsson et al. 2022. Zero for ids without a tail (−1), and for a head that
    writes nothing. With `tail_of[s] = s` this is how literally a head copies.

    >>> raised = torch.tensor([[[3.0, 0.0, 1.0, 0.0]] * 4])  # One head, four ids.
    >>> tail_shares(raised, torch.tensor([0, 2, 1, -1]))
    tensor([[1., 0., 0., 0.]])
    """
    above = (raised - raised.mean(dim=-1, keepdim=True)).relu()
    tails = tail_of.clamp_min(0).expand(len(raised), -1)[..., None]
    share = above.gather(-1, tails).squeeze(-1) / above.sum(dim=-1)
    return torch.where(tail_of >= 0, share.nan_to_num(nan=0.0), 0.0)


def relation_index(
    pattern: Float[Tensor, "row head query key"],
    raised: Float[Tensor, "head id id"],
    tokens: Int[Tensor, "row key"],
    subjects: Int[Tensor, "row query"],
    tail_of: Int[Tensor, " id"],
) -> Float[Tensor, " head"]:
    """How much a head attends to the subject of a fact and writes its tail, from 0 to 1.

    `raised` is from `raised_logits`; `subjects[row, query]` is the position of the subject of the
    fact that the query asks for, or −1; `tail_of` maps each id to its tail, or −1. The index is
    the mean, over all queries that ask for a fact, of attention to the subject times the subject's
    `tail_shares`. Raises ValueError if no query asks.

    The idea is that of Ren et al. 2024; the formula is this course's.

    >>> pattern = torch.tensor([[[[1.0, 0.0], [0.75, 0.25]]]])  # One row, one head, two positions.
    >>> raised = torch.tensor([[[0.0, 0.0, 0.0, 8.0]] * 4])  # The head always writes id 3.
    >>> tokens, subjects = torch.tensor([[0, 2]]), torch.tensor([[-1, 0]])
    >>> relation_index(pattern, raised, tokens, subjects, torch.tensor([3, -1, -1, -1]))
    tensor([0.7500])
    """
    row, query = (subjects >= 0).nonzero(as_tuple=True)
    if not len(row):
        raise ValueError("No query asks for a fact: every entry of `subjects` is −1.")
    place = subjects[row, query]
    attention = pattern[row, :, query, place]  # [fact head]
    share = tail_shares(raised, tail_of)[:, tokens[row, place]]  # [head fact]
    return (attention * share.T).mean(dim=0)
