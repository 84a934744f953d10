"""Solutions of chapter 13, models that read text, with a reason for each line that needs one."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def expand_kv_heads(
    weights: Float[Tensor, "kv_head ..."], n_heads: int
) -> Float[Tensor, "head ..."]:
    """Query head h reads key-value head h // group, so neighbors share."""
    group = n_heads // len(weights)
    # Not `repeat`: that gives 0 1 2 3 0 1 2 3, where heads that share are far apart.
    return weights[torch.arange(n_heads) // group]


def attention_parameters_formula() -> str:
    """W_Q and W_O for every query head, W_K and W_V for every key-value head, each D × d."""
    return "2*D*d*H + 2*D*d*G"


def natural_repeats(
    tokens: Int[Tensor, "batch pos"],
) -> tuple[Bool[Tensor, "batch next_pos"], Bool[Tensor, "batch next_pos"]]:
    """Pairs of a query and an earlier copy, and for each pair whether the followers agree."""
    query, following = tokens[:, :-1], tokens[:, 1:]
    # diagonal=-1: a token is not a copy of itself.
    copies = (query[:, :, None] == query[:, None, :]).tril(diagonal=-1)
    agree = following[:, :, None] == following[:, None, :]
    right = (copies & agree).any(dim=-1)  # One of several copies is enough.
    return right, copies.any(dim=-1) & ~right


def chance_matching_formula() -> str:
    """i/V matches are expected; given at least one, divide by the chance of that.

    The chance that none of i tokens is the query's is (1 − 1/V)^i. Each match gets 1/(i + 1).
    """
    return "(i / V) / (1 - (1 - 1/V)**i) / (i + 1)"


def natural_prefix_matching_score(
    pattern: Float[Tensor, "batch *head query key"], tokens: Int[Tensor, "batch query"]
) -> dict[str, Float[Tensor, "*head"]]:
    """The rows of all queries of a kind are picked first, then summed and averaged."""
    marked = torch.zeros(*tokens.shape, tokens.shape[1], dtype=torch.bool)
    marked[:, :, 1:] = tokens[:, :, None] == tokens[:, None, :-1]
    marked = marked.tril()  # A key after the query is none, and its weight is 0 anyway.
    by_query = pattern.movedim(-2, 1)  # [batch query *head key]: masks [batch query] fit in front.
    scores = {}
    for name, mask in zip(("right", "wrong"), natural_repeats(tokens), strict=True):
        rows, queries = mask.nonzero(as_tuple=True)  # The last position is in neither mask.
        ones = [1] * (by_query.ndim - 3)
        keys = marked[rows, queries].reshape(len(rows), *ones, -1)
        scores[name] = (by_query[rows, queries] * keys).sum(dim=-1).mean(dim=0)
    return scores


def match_lengths(tokens: Int[Tensor, "batch pos"]) -> Int[Tensor, "batch query key"]:
    """A match of k + 1 tokens is a match of one, and one of k a step back on both axes."""
    n_pos = tokens.shape[1]
    one = torch.zeros(len(tokens), n_pos, n_pos, dtype=torch.bool)
    one[:, :, 1:] = tokens[:, :, None] == tokens[:, None, :-1]  # Nothing comes before key 0.
    one = one.tril()
    lengths = torch.zeros_like(one, dtype=torch.long)
    matching = one
    while matching.any():  # Those with at least one token, then two, and so on.
        lengths += matching
        back = torch.zeros_like(one)
        back[:, 1:, 1:] = matching[:, :-1, :-1]
        matching = one & back
    return lengths


def scores_by_match_length(
    pattern: Float[Tensor, "batch query key"], tokens: Int[Tensor, "batch query"], longest: int = 4
) -> dict[str, Float[Tensor, " length"]]:
    """The length sorts the queries; the attention runs over all their matches."""
    lengths = match_lengths(tokens)
    attended = (pattern * (lengths > 0)).sum(dim=-1)[:, :-1]  # Nothing follows the last position.
    entry = lengths.amax(dim=-1)[:, :-1].clamp(max=longest)
    right, wrong = natural_repeats(tokens)
    scores = {name: torch.empty(longest) for name in ("right", "wrong", "share_right", "queries")}
    for k in range(1, longest + 1):
        of_length = entry == k
        # The mean of an empty selection is NaN.
        scores["right"][k - 1] = attended[of_length & right].mean()
        scores["wrong"][k - 1] = attended[of_length & wrong].mean()
        scores["share_right"][k - 1] = right[of_length].float().mean()
        scores["queries"][k - 1] = of_length.sum()
    return scores


def ratio_within_tokens(
    pattern: Float[Tensor, "batch query key"], tokens: Int[Tensor, "batch query"]
) -> float:
    """Every right repeat brings the mean wrong repeat of its own id as its partner."""
    lengths = match_lengths(tokens)
    attended = (pattern * (lengths > 0)).sum(dim=-1)[:, :-1]
    one = lengths.amax(dim=-1)[:, :-1] == 1
    right, wrong = (kind & one for kind in natural_repeats(tokens))
    ids = tokens[:, :-1]
    above, below = 0.0, 0.0
    for token in ids[right].unique():
        here = ids == token
        if (here & wrong).any():  # Otherwise there is nothing to compare with.
            above += attended[here & right].sum().item()
            below += (here & right).sum().item() * attended[here & wrong].mean().item()
    return above / below if below else float("nan")


def matched_control_head(
    scores: Float[Tensor, "layer head"],
    sizes: Float[Tensor, "layer head"],
    head: tuple[int, int],
    below: float = 0.1,
) -> tuple[int, int] | None:
    """Sizes are compared on a log scale, on which a ratio is a distance."""
    layer, suspect = head
    others = [
        other
        for other in range(scores.shape[1])
        if other != suspect and scores[layer, other] < below
    ]
    if not others:
        return None
    logs = sizes[layer].log()
    # min takes the first of equals, so the lower number wins a tie.
    return layer, min(others, key=lambda other: abs(logs[other] - logs[suspect]).item())


def effective_embedding(
    W_E: Float[Tensor, "d_vocab d_model"],
    gain: Float[Tensor, " d_model"],
    bias: Float[Tensor, " d_model"],
    W_in: Float[Tensor, "d_model d_mlp"],
    b_in: Float[Tensor, " d_mlp"],
    W_out: Float[Tensor, "d_mlp d_model"],
    b_out: Float[Tensor, " d_model"],
) -> Float[Tensor, "d_vocab d_model"]:
    """The stream keeps the embedding, and the MLP adds to it what it makes of the normed one."""
    functional = torch.nn.functional
    # Over d_model, token by token. The embedding itself goes on without the norm.
    normed = functional.layer_norm(W_E, gain.shape, gain, bias, eps=1e-5)
    hidden = functional.gelu(normed @ W_in + b_in)
    return W_E + hidden @ W_out + b_out


def copying_gain(
    clean: Float[Tensor, "batch pos d_vocab"],
    silenced: Float[Tensor, "batch pos d_vocab"],
    tokens: Int[Tensor, "batch pos"],
) -> float:
    """Log-probabilities, not logits: adding a constant to all logits is not copying."""
    with_head, without = clean.log_softmax(dim=-1), silenced.log_softmax(dim=-1)
    gains = []
    for row, query in natural_repeats(tokens)[1].nonzero().tolist():
        earlier = (tokens[row, :query] == tokens[row, query]).nonzero()
        copied = tokens[row, int(earlier[-1]) + 1]  # What came after the latest copy.
        gains.append(with_head[row, query, copied] - without[row, query, copied])
    return torch.stack(gains).mean().item()
