"""An n-gram induction head of any order in two layers, without a head for each of the n tokens.

With one head of layer 0 for each offset, the head of layer 1 can compare n tokens one by one
(`hand_built("long_prefix")` does so for two). Ekbote et al. 2025 prove that two layers of one head
each are enough for any n. The construction here follows their idea: attention that falls
geometrically with the distance turns the last n tokens into one vector, a code. It takes two such
heads in layer 0, one that starts at the token itself, for the queries, and one that starts at the
token before, for the keys. Layer 1 compares codes of equal length.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.data.tokens import after, earlier_matches

Tokens = Int[Tensor, "batch pos"]

RATIO = 1 / 3
"""The attention to each token as a share of that to the token after it.

Below 1/2, the sums of different sets of weights differ, so different n-grams have different codes.
"""


def ngram_code(
    tokens: Tokens, d_vocab: int, n: int, ratio: float = RATIO
) -> Float[Tensor, "batch pos id"]:
    """What a head of layer 0 writes: the last n tokens, each at a share `ratio` of the next one.

    The weights are those of a softmax, so each code sums to 1. The row is preceded by BOS tokens,
    with the id `d_vocab`, as many as needed. Raises ValueError for n below 1 or a ratio that is not
    between 0 and 1/2.

    >>> ngram_code(torch.tensor([[0, 1, 0]]), d_vocab=2, n=2)[0, -1]  # 0 at 3/4, 1 at 1/4, no BOS.
    tensor([0.7500, 0.2500, 0.0000])
    """
    if n < 1 or not 0 < ratio < 0.5:
        raise ValueError(
            f"Got {n=} and {ratio=}. Use n of at least 1 and a ratio between 0 and 0.5."
        )
    padded = F.pad(tokens, (n - 1, 0), value=d_vocab)
    weights = ratio ** torch.arange(n - 1, -1, -1).double()
    one_hot = F.one_hot(padded.unfold(1, n, 1), d_vocab + 1).double()  # [batch, pos, n, id]
    return torch.einsum("bpni,n->bpi", one_hot, weights / weights.sum()).float()


def code_scores(
    tokens: Tokens, d_vocab: int, n: int, *, normalized: bool = True
) -> Float[Tensor, "batch query key"]:
    """How well the code of each query fits that of the position before each key.

    With `normalized`, as after a layer norm, codes are unit vectors, so the score is 1 exactly
    where the n tokens are equal. Without it, the score is their product, which is large for a code
    of few ids, whatever the other code is. Keys that the query does not see, and key 0, have
    −infinity.
    """
    code = ngram_code(tokens, d_vocab, n)
    code = F.normalize(code, dim=-1) if normalized else code
    scores = torch.full((*tokens.shape, tokens.shape[1]), -torch.inf)
    scores[:, :, 1:] = code @ code[:, :-1].mT
    later = torch.ones_like(scores[0], dtype=torch.bool).triu(1)
    return scores.masked_fill(later, -torch.inf)


def best_keys(
    tokens: Tokens, d_vocab: int, n: int, *, normalized: bool = True
) -> tuple[float, float]:
    """How often the best key follows an equal n-gram, and by how much such keys win at least.

    Both are over the queries that have such a key. The second number is the score of a right key
    less the highest score of any other, at the query where this is least; below 0 another key wins.

    >>> best_keys(torch.tensor([[0, 1, 2, 0, 1]]), d_vocab=3, n=2)[0]
    1.0
    """
    scores = code_scores(tokens, d_vocab, n, normalized=normalized)
    right = after(earlier_matches(tokens, n=n))
    asked = right.any(dim=-1)
    share = right.gather(2, scores.argmax(dim=-1, keepdim=True))[..., 0][asked].float().mean()
    mine = scores.masked_fill(~right, -torch.inf).amax(dim=-1)
    rival = scores.masked_fill(right, -torch.inf).amax(dim=-1)
    return share.item(), (mine - rival)[asked].min().item()
