"""Solutions of chapter 4, induction heads, with a reason for each line that needs one."""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.interp.activations import attention_patterns

if TYPE_CHECKING:
    from transformer_lens import TransformerBridge


def make_repeated_tokens(
    model: "TransformerBridge", period: int = 16, batch: int = 8, seed: int = 0
) -> Int[Tensor, "batch pos"]:
    """Shuffle the vocabulary once per row and keep the first `period` ids.

    A shuffle draws without replacement, so no token occurs twice in a block and each query has only
    one earlier copy.
    """
    generator = torch.Generator().manual_seed(seed)  # A generator of our own: no global seed.
    bos = model.cfg.bos_token
    # BOS is taken out before the draw: inside a block it would mark a beginning that is none.
    ids = torch.tensor([token for token in range(model.cfg.d_vocab) if token != bos])
    rows = [ids[torch.randperm(len(ids), generator=generator)[:period]] for _ in range(batch)]
    blocks = torch.stack(rows)
    front = blocks[:, :0] if bos is None else torch.full((batch, 1), bos)
    # The same block twice, not two draws: the second copy can be predicted from the first.
    return torch.cat([front, blocks, blocks], dim=1)


def induction_score(
    pattern: Float[Tensor, "*batch query key"], period: int
) -> Float[Tensor, "*batch"]:
    """The stripe is one diagonal; its last `period` entries belong to the last copy."""
    # Key query − period + 1 is period − 1 columns left of the main diagonal: a negative offset.
    diagonal = pattern.diagonal(1 - period, dim1=-2, dim2=-1)
    # Counted from the end, the queries are right with and without BOS. The entries before them are
    # queries of earlier copies.
    return diagonal[..., -period:].mean(dim=-1)


def uniform_induction_score(period: int) -> float:
    """Query i sees i + 1 keys, so the stripe is 1 / (i + 1) in row i, for i = P … 2P − 1.

    The sum is 1/(P + 1) + … + 1/(2P) = H_2P − H_P with H_n = 1 + 1/2 + … + 1/n, and the mean is
    that over P. For long blocks H_2P − H_P comes close to ln 2.
    """
    return sum(1 / (query + 1) for query in range(period, 2 * period)) / period


def stray_stripe_entries(period: int, has_bos: bool) -> list[tuple[int, int]]:
    """All queries of the diagonal that come before the second copy.

    The diagonal begins at key 0, which is query period − 1. The second copy begins at position
    `period`, or one later with BOS. From there on every entry is induction.
    """
    start_of_second_copy = period + int(has_bos)
    return [(query, query - period + 1) for query in range(period - 1, start_of_second_copy)]


def find_induction_heads(
    model: "TransformerBridge", threshold: float = 0.4
) -> list[tuple[int, int, float]]:
    """Score every head at every period and keep the worst score.

    A head with a fixed offset has its keys on the stripe at one period and off it at the others.
    The mean would let it keep part of that one score; the minimum does not.
    """
    at_each_period = []
    for period in (8, 12, 16):
        tokens = make_repeated_tokens(model, period, batch=16)
        scores = induction_score(attention_patterns(model, tokens), period)  # [layer batch head]
        at_each_period.append(scores.mean(dim=1))
    lowest = torch.stack(at_each_period).amin(dim=0)  # [layer head]
    found = [
        (layer, head, lowest[layer, head].item())
        for layer, head in (lowest >= threshold).nonzero().tolist()
    ]
    return sorted(found, key=lambda item: item[2], reverse=True)


def prefix_length_curve(
    model: "TransformerBridge", layer: int, head: int
) -> Float[Tensor, " length"]:
    """Draw rows in which nothing repeats, then make the last k tokens repeat, for each k.

    The rows of all entries have one length, so B is equally far away in each and a change of the
    attention is due to the match.
    """
    longest, n_tokens, generator = 4, 29, torch.Generator().manual_seed(0)
    bos = model.cfg.bos_token
    ids = torch.tensor([token for token in range(model.cfg.d_vocab) if token != bos])
    order = [torch.randperm(len(ids), generator=generator)[:n_tokens] for _ in range(64)]
    fresh = ids[torch.stack(order)]
    front = fresh[:, :0] if bos is None else torch.full((len(fresh), 1), bos)
    # The four tokens up to A are at 0 … 3, or one later with BOS in front: B comes right after.
    place_of_b = front.shape[1] + longest
    curve = []
    for length in range(longest + 1):
        rows = fresh.clone()
        # `-0:` would be the whole row, so the end is counted from the front.
        rows[:, n_tokens - length :] = fresh[:, longest - length : longest]
        patterns = attention_patterns(model, torch.cat([front, rows], dim=1))
        curve.append(patterns[layer, :, head, -1, place_of_b].mean())
    return torch.stack(curve)


def per_token_loss(
    logits: Float[Tensor, "batch pos d_vocab"], tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "batch pos-1"]:
    """Log-softmax, then look up the entry of the token that came next."""
    # The logits at the last position predict a token that we do not have; nothing predicts token 0.
    predictions, following = logits[:, :-1], tokens[:, 1:]
    # log_softmax in one step: softmax first would round small probabilities to 0.
    log_probabilities = predictions.log_softmax(dim=-1)
    # gather needs an index with as many axes as the tensor it reads from.
    return -log_probabilities.gather(-1, following[..., None]).squeeze(-1)
