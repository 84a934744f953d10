"""Solutions of chapter 10, beyond copying, with a reason for each line that needs one."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def fuzzy_induction_score(
    pattern: Float[Tensor, "*batch query key"],
    tokens: Int[Tensor, "row query"],
    similar: Bool[Tensor, "id id"],
) -> Float[Tensor, "*batch"]:
    """A mask of the keys that count, moved by one: the token after the similar one."""
    query, key = tokens[:, :, None], tokens[:, None, :]
    matched = (similar[query, key] & (query != key)).tril(-1)  # Only earlier keys.
    return _mean_attention(pattern, matched)


def attention_by_distance(
    pattern: Float[Tensor, "row *head query key"],
    tokens: Int[Tensor, "row query"],
    distance: Int[Tensor, "id id"],
) -> Float[Tensor, "*head distance"]:
    """One list of pairs (query, earlier token); the key is one place after the earlier token."""
    query, earlier = torch.tril_indices(tokens.shape[1], tokens.shape[1], offset=-1)
    steps = distance[tokens[:, query], tokens[:, earlier]]  # [row, pair]
    attention = pattern[..., query, earlier + 1]  # [row, *head, pair]
    if pattern.ndim == 4:
        attention = attention.movedim(1, 0)  # The axes of `steps` last.
    # The mean of no pair is NaN, as asked.
    found = [attention[..., steps == apart].mean(dim=-1) for apart in range(distance.max() + 1)]
    return torch.stack(found, dim=-1)


def ngram_prefix_score(
    pattern: Float[Tensor, "*batch query key"], tokens: Int[Tensor, "row query"], n: int
) -> Float[Tensor, "*batch"]:
    """Windows of n tokens are compared whole, so that their order counts."""
    return _mean_attention(pattern, _ngram_matches(tokens, n))


def ngram_induction_layer(
    tokens: Int[Tensor, "batch pos"], n: int
) -> Float[Tensor, "batch query key"]:
    """The keys after the matches, each row divided by their number."""
    wanted = torch.zeros(*tokens.shape, tokens.shape[1])
    wanted[:, :, 1:] = _ngram_matches(tokens, n)[:, :, :-1].float()
    # A row without a match is divided by 1, not by 0, and stays zero.
    return wanted / wanted.sum(dim=-1, keepdim=True).clamp_min(1)


def longest_match_prediction(
    tokens: Int[Tensor, "batch pos"], d_vocab: int
) -> Float[Tensor, "batch pos d_vocab"]:
    """A match that ends one place earlier for both is longer by one here."""
    batch, n_pos = tokens.shape
    prediction = torch.zeros(batch, n_pos, d_vocab)
    before = torch.zeros(batch, n_pos)  # Entry j: tokens that match, ending at j and at the query.
    for query in range(n_pos):
        same = (tokens == tokens[:, query, None]) & (torch.arange(n_pos) < query)
        # Shift by one: the match that ended at j − 1 when the query was one place earlier.
        longer = torch.cat([torch.zeros(batch, 1), before[:, :-1]], dim=1)
        before = torch.where(same, longer + 1, 0)
        best = same & (before == before.amax(dim=1, keepdim=True))
        shares = best / best.sum(dim=1, keepdim=True).clamp_min(1)  # No match: zeros, not NaN.
        followed = tokens.roll(-1, dims=1)  # The last token has no successor, and is never best.
        prediction[:, query].scatter_add_(1, followed, shares)
    return prediction


def plateau_loss_formula() -> str:
    """One copy at the logarithm of V, the other c − 1 at that of r, over c copies."""
    return "log(V) / c + log(r) * (1 - 1/c)"


def ngram_code(
    tokens: Int[Tensor, "batch pos"], d_vocab: int, n: int, ratio: float = 1 / 3
) -> Float[Tensor, "batch pos id"]:
    """One step back at a time, with a weight that falls by the same factor."""
    code = torch.zeros(*tokens.shape, d_vocab + 1)
    weights = [ratio**back for back in range(n)]
    for back, weight in enumerate(weights):
        reached = tokens.roll(back, dims=1)
        reached[:, :back] = d_vocab  # What rolled over the start of the row is BOS.
        share = torch.full(reached.shape, weight / sum(weights))
        code.scatter_add_(2, reached[..., None], share[..., None])
    return code


def match_and_copy_score(
    pattern: Float[Tensor, "*batch query key"],
    tokens: Int[Tensor, "row query"],
    back: int,
    ahead: int,
) -> Float[Tensor, "*batch"]:
    """For every pair of a query and a key: does the token at the copy's position match?"""
    keys = torch.zeros(*tokens.shape, tokens.shape[1], dtype=torch.bool)
    for query in range(back, tokens.shape[1]):
        for key in range(ahead, query + 1):  # Later keys are not seen.
            if key - ahead < query - back:  # A token is not a copy of itself.
                keys[:, query, key] = tokens[:, key - ahead] == tokens[:, query - back]
    return _mean_over_queries(pattern, keys)


def translated_induction_score(
    pattern: Float[Tensor, "*batch query key"],
    tokens: Int[Tensor, "row query"],
    dictionary: Int[Tensor, " word"],
) -> Float[Tensor, "*batch"]:
    """Translate the keys, and match the queries with that."""
    has_one = tokens < len(dictionary)
    # -1 is not an id: a key without a translation matches no query.
    translated = torch.where(has_one, dictionary[tokens.clamp(max=len(dictionary) - 1)], -1)
    return _mean_attention(pattern, (tokens[:, :, None] == translated[:, None, :]).tril(-1))


def relation_index(
    pattern: Float[Tensor, "row head query key"],
    raised: Float[Tensor, "head id id"],
    tokens: Int[Tensor, "row key"],
    subjects: Int[Tensor, "row query"],
    tail_of: Int[Tensor, " id"],
) -> Float[Tensor, " head"]:
    """One list of facts: the attention of each to its subject, times the share at that subject."""
    row, query = torch.nonzero(subjects != -1, as_tuple=True)
    place = subjects[row, query]
    attention = pattern[row, :, query, place]  # [fact, head]
    subject = tokens[row, place]
    written = raised[:, subject]  # [head, fact, id]
    above = (written - written.mean(dim=-1, keepdim=True)).relu()
    at_tail = above[:, torch.arange(len(row)), tail_of[subject]]
    # Where nothing is above the mean, 0 / 0 becomes the share 0.
    share = (at_tail / above.sum(dim=-1)).nan_to_num()
    return (attention * share.T).mean(dim=0)  # Multiplied fact by fact, before the mean.


def k_hop_target(tokens: Int[Tensor, "batch pos"], k: int) -> Int[Tensor, "batch pos"]:
    """Where one look-up leads from every position, followed k times."""
    size = tokens.shape[1]
    reached = torch.full_like(tokens, size)  # A place of its own for what fails.
    for place in range(size):
        for copy in range(place):  # In order, so the latest copy is the last to write.
            same = tokens[:, copy] == tokens[:, place]
            reached[same, place] = copy + 1
    # The place for failures leads to itself, and its token is −1.
    step = torch.nn.functional.pad(reached, (0, 1), value=size)
    places = torch.arange(size).expand(len(tokens), -1)
    for _ in range(k):
        places = step.gather(1, places)  # The place matters, not the token: less lies before it.
    return torch.nn.functional.pad(tokens, (0, 1), value=-1).gather(1, places)


def most_hops_formula() -> str:
    """N look-ups become 2 n + 1: one beyond the place that is known, and n that are known there."""
    return "2**(L - 1) - 1"


def _ngram_matches(tokens: Tensor, n: int) -> Tensor:
    """True where the n tokens that end at an earlier key equal those that end at the query."""
    batch, n_pos = tokens.shape
    windows = torch.full((batch, n_pos, n), -1)
    windows[:, n - 1 :] = tokens.unfold(1, n, 1)
    same = (windows[:, :, None] == windows[:, None, :]).all(dim=-1)
    same[:, : n - 1] = False  # Queries with fewer than n tokens have no window.
    return same.tril(-1)


def _mean_attention(pattern: Tensor, matched: Tensor) -> Tensor:
    """Attention to the keys after the matched ones, over the queries that have one."""
    after = torch.zeros_like(matched)
    after[:, :, 1:] = matched[:, :, :-1]
    return _mean_over_queries(pattern, after)


def _mean_over_queries(pattern: Tensor, keys: Tensor) -> Tensor:
    """Attention to the marked keys, as a mean over the queries that have one."""
    queries = keys.any(dim=-1).sum(dim=-1)
    while keys.ndim < pattern.ndim:  # A head axis, if the pattern has one.
        keys, queries = keys.unsqueeze(1), queries.unsqueeze(-1)
    return (pattern * keys).sum(dim=(-2, -1)) / queries


def share_equal_so_far(
    ours: Int[Tensor, "place ahead"], theirs: Int[Tensor, "place ahead"]
) -> Float[Tensor, " ahead"]:
    """A product of ones and zeros stays 1 only until the first zero."""
    so_far = (ours == theirs).cumprod(dim=1)  # For each place; a mean first would mix them.
    return so_far.float().mean(dim=0)


def short_convolution(
    x: Float[Tensor, "batch pos d_model"], kernel: Float[Tensor, "back d_model"]
) -> Float[Tensor, "batch pos d_model"]:
    """One shifted copy of `x` for each entry of the kernel. A position never sees a later one."""
    total = torch.zeros_like(x)
    for back, weights in enumerate(kernel):
        # The last `back` positions have nobody to give to. A kernel may be longer than the row.
        total[:, back:] += weights * x[:, : max(0, x.shape[1] - back)]
    return total


def lag_posterior(
    tokens: Int[Tensor, "batch pos"],
    table: Float[Tensor, "token successor"],
    lags: tuple[int, ...] = (1, 2),
) -> Float[Tensor, "batch pos lag"]:
    """Bayes: chances multiply along the row, so their logarithms add."""
    evidence = torch.zeros(*tokens.shape, len(lags))
    for position in range(max(lags), tokens.shape[1]):  # Earlier tokens favor no lag.
        for place, lag in enumerate(lags):
            chance = table[tokens[:, position - lag], tokens[:, position]]
            evidence[:, position, place] = chance.log()
    # The softmax divides by the sum over the lags; an even prior would cancel.
    return evidence.cumsum(dim=1).softmax(dim=-1)
