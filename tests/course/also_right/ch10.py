"""Other correct implementations of the exercises of chapter 10."""

import torch
from torch import Tensor

from induction_heads.course.ch10_beyond_copying.convolution_mistakes import convolution
from induction_heads.course.ch10_beyond_copying.mistakes import (
    _evenly,
    _like,
    _means,
    _same,
    _stands,
    at,
    layer,
    score,
    shifted,
)
from induction_heads.course.ch10_beyond_copying.posterior_mistakes import posterior


def _fuzzy_by_matmul(pattern, tokens, similar):
    """One-hot rows times the relation times one-hot rows."""
    size = len(similar)
    one_hot = torch.nn.functional.one_hot(tokens, size).float()
    relation = similar.float() * (1 - torch.eye(size))
    related = torch.tril(one_hot @ relation @ one_hot.mT, diagonal=-1)
    after = torch.nn.functional.pad(related[..., :-1], (1, 0))
    heads = pattern if pattern.ndim == 4 else pattern.unsqueeze(1)
    per_query = (heads * after.unsqueeze(1)).sum(dim=-1)
    asked = (after.sum(dim=-1) > 0).unsqueeze(1)
    means = (per_query * asked).sum(dim=-1) / asked.sum(dim=-1)
    return means if pattern.ndim == 4 else means.squeeze(1)


FUZZY_ALSO_RIGHT = (score(at(_like)), _fuzzy_by_matmul)


def _distance_by_sums(pattern, tokens, distance):
    """Sums and counts by distance, added up row by row."""
    number = int(distance.max()) + 1
    heads = pattern.flatten(1, -3) if pattern.ndim == 4 else pattern.unsqueeze(1)
    sums, counts = torch.zeros(heads.shape[1], number), torch.zeros(number)
    for weights, row in zip(heads, tokens, strict=True):
        for query in range(1, len(row)):
            steps = distance[row[query], row[:query]]
            sums.index_add_(1, steps, weights[:, query, 1 : query + 1])
            counts += steps.bincount(minlength=number)
    means = sums / counts
    return means if pattern.ndim == 4 else means[0]


def _distance_by_lists(pattern, tokens, distance):
    """The attention of every pair at a distance in one list."""
    columns = []
    for apart in range(int(distance.max()) + 1):
        attention = [
            pattern[row, ..., query, at + 1]
            for row in range(len(tokens))
            for query in range(tokens.shape[1])
            for at in range(query)
            if distance[tokens[row, query], tokens[row, at]] == apart
        ]
        missing = [torch.full(pattern.shape[1:-2], torch.nan)]
        columns.append(torch.stack(attention or missing).mean(dim=0))
    return torch.stack(columns, dim=-1)


DISTANCE_ALSO_RIGHT = (_distance_by_lists, _distance_by_sums)


def _windows(tokens: Tensor, n: int) -> Tensor:
    """Every n tokens in a row as one number; −1 − position where there are fewer."""
    base = int(tokens.max()) + 1
    codes = sum(tokens.roll(back, dims=1) * base**back for back in range(n))
    early = -1 - torch.arange(tokens.shape[1])
    return torch.where(torch.arange(tokens.shape[1]) >= n - 1, torch.as_tensor(codes), early)


def _prefix_by_codes(pattern, tokens, n):
    codes = _windows(tokens, n)
    equal = (codes[:, :, None] == codes[:, None, :]).tril(-1)
    after = torch.nn.functional.pad(equal[..., :-1], (1, 0)).float()
    number = after.any(dim=-1).sum(dim=-1)
    if pattern.ndim == 3:
        return (pattern * after).sum(dim=(1, 2)) / number
    return (pattern * after[:, None]).sum(dim=(2, 3)) / number[:, None]


PREFIX_ALSO_RIGHT = (score(at(_same)), _prefix_by_codes)


def _longest_by_windows(tokens, d_vocab):
    """For each length, successors under the mask; longer lengths overwrite shorter ones."""
    batch, n_pos = tokens.shape
    followed = torch.nn.functional.one_hot(tokens.roll(-1, dims=1), d_vocab).float()
    result = torch.zeros(batch, n_pos, d_vocab)
    for length in range(1, n_pos):
        codes = _windows(tokens, length)
        mask = (codes[:, :, None] == codes[:, None, :]).float().tril(-1)
        number = mask.sum(dim=-1, keepdim=True)
        result = torch.where(number > 0, mask @ followed / number.clamp_min(1), result)
    return result


def _longest_by_walking_back(tokens, d_vocab):
    """All earlier ends walk back with the query, and those that differ drop out."""
    found = torch.zeros(*tokens.shape, d_vocab)
    for number, row in enumerate(tokens.tolist()):
        for query in range(len(row)):
            ends, size = list(range(query)), 0
            while still := [e for e in ends if e >= size and row[e - size] == row[query - size]]:
                ends, size = still, size + 1
            for end in ends if size else []:
                found[number, query, row[end + 1]] += 1 / len(ends)
    return found


LONGEST_ALSO_RIGHT = (_longest_by_walking_back, _longest_by_windows)


PLATEAU_ALSO_RIGHT = (
    lambda: "log(r) + log(V / r) / c",
    lambda: "log(V**(1/c) * r**(1 - 1/c))",
)


def _layer_by_codes(tokens, n):
    codes = _windows(tokens, n)
    result = torch.zeros(*tokens.shape, tokens.shape[1])
    for number, row in enumerate(codes):
        for query in range(len(row)):
            places = (row[:query] == row[query]).nonzero().flatten()
            if len(places):
                result[number, query, places + 1] = 1 / len(places)
    return result


LAYER_ALSO_RIGHT = (layer(at(_same), _evenly), _layer_by_codes)


def _code_by_recursion(tokens, d_vocab, n, ratio=1 / 3):
    """Each code is the ratio times the one before, plus the new token, minus the oldest."""
    padded = torch.nn.functional.pad(tokens, (n, 0), value=d_vocab)
    one_hot = torch.nn.functional.one_hot(padded, d_vocab + 1).double()
    code = sum(ratio**back * one_hot[:, n - 1 - back] for back in range(n))
    found = []
    for place in range(n, padded.shape[1]):
        code = ratio * code + one_hot[:, place] - ratio**n * one_hot[:, place - n]
        found.append(code)
    return (torch.stack(found, dim=1) * (1 - ratio) / (1 - ratio**n)).float()


def _code_by_windows(tokens, d_vocab, n, ratio=1 / 3):
    """One-hot windows of n tokens, times the weights from the oldest to the last."""
    padded = torch.nn.functional.pad(tokens, (n - 1, 0), value=d_vocab)
    weights = torch.tensor([ratio**back for back in range(n)]).flip(0)
    windows = torch.nn.functional.one_hot(padded.unfold(1, n, 1), d_vocab + 1).float()
    return (weights / weights.sum()) @ windows


CODE_ALSO_RIGHT = (_code_by_windows, _code_by_recursion)


def _by_products(tokens, table, lags=(1, 2)):
    """Chances multiplied as they are, in double precision."""
    result = torch.ones(*tokens.shape, len(lags), dtype=torch.float64)
    for place, lag in enumerate(lags):
        for position in range(max(lags), tokens.shape[1]):
            drawn = table[tokens[:, position - lag], tokens[:, position]].double()
            result[:, position, place] = result[:, position - 1, place] * drawn
    return (result / result.sum(dim=-1, keepdim=True)).float()


LAG_ALSO_RIGHT = (posterior(), _by_products)


def _shifted_by_matmul(pattern, tokens, back, ahead):
    """Matrices that move queries and keys."""
    n_pos = tokens.shape[1]
    copies = (tokens[:, :, None] == tokens[:, None, :]).float().tril(-1)
    moved = torch.eye(n_pos).roll(back, 0).tril() @ copies @ torch.eye(n_pos).roll(ahead, 1).triu()
    keys = moved.tril()
    number = (keys.sum(dim=-1) > 0).sum(dim=-1)
    if pattern.ndim == 3:
        return (pattern * keys).sum(dim=(1, 2)) / number
    return (pattern * keys[:, None]).sum(dim=(2, 3)) / number[:, None]


SHIFTED_ALSO_RIGHT = (shifted(_stands), _shifted_by_matmul)


def _translated_by_table(pattern, tokens, dictionary):
    """A table from each id to the word it translates, or to an id that never occurs."""
    size = int(max(tokens.max(), dictionary.max())) + 1
    word = torch.full((size,), size)
    word[dictionary] = torch.arange(len(dictionary))
    equal = word[tokens][:, :, None] == tokens[:, None, :]
    counted = torch.nn.functional.pad(equal.tril(-1)[..., :-1], (1, 0)).float()
    number = counted.any(dim=-1).sum(dim=-1)
    if pattern.ndim == 3:
        return (pattern * counted).sum(dim=(1, 2)) / number
    return (pattern * counted[:, None]).sum(dim=(2, 3)) / number[:, None]


TRANSLATED_ALSO_RIGHT = (score(at(_means)), _translated_by_table)


def _index_by_one_hot(pattern, raised, tokens, subjects, tail_of):
    """Masks over queries, keys and ids in place of lists."""
    n_ids, n_pos = len(tail_of), tokens.shape[1]
    above = (raised - raised.mean(dim=2, keepdim=True)).clamp_min(0)
    shares = above / above.sum(dim=2, keepdim=True).clamp_min(1e-30)
    is_tail = tail_of[:, None] == torch.arange(n_ids)
    by_id = (shares * is_tail).sum(dim=2)  # [head id]
    is_subject = (subjects[:, :, None] == torch.arange(n_pos)).float()
    written = by_id[:, tokens]  # [head row key]
    sums = torch.einsum("rhqk,rqk,hrk->h", pattern, is_subject, written)
    return sums / is_subject.sum()


def _index_head_by_head(pattern, raised, tokens, subjects, tail_of):
    """The share at every id first, then one fact after the other."""
    means = []
    for head in range(len(raised)):
        above = torch.relu(raised[head] - raised[head].mean(dim=1)[:, None])
        total = above.sum(dim=1)
        terms = []
        for row, query in (subjects > -1).nonzero():
            place = subjects[row, query]
            subject = tokens[row, place]
            share = above[subject, tail_of[subject]] / total[subject] if total[subject] else 0
            terms.append(pattern[row, head, query, place] * share)
        means.append(sum(terms) / len(terms))
    return torch.stack(means)


RELATION_ALSO_RIGHT = (_index_head_by_head, _index_by_one_hot)


def _hops_by_matrices(tokens, k):
    """One look-up as a matrix of zeros and ones, to the power of k."""
    copies = (tokens[:, :, None] == tokens[:, None, :]).float().tril(-1)
    later = copies.flip(-1).cumsum(dim=-1).flip(-1)
    step = torch.nn.functional.pad(copies * (later == 1), (1, -1))
    reached = torch.matrix_power(step, k)
    found = (reached @ (tokens[..., None] + 1).float()).squeeze(-1)  # A row of zeros gives 0.
    return found.long() - 1


def _hops_by_recursion(tokens, k):
    """A function that calls itself with one look-up less, for rows as lists."""

    def token_at(row, place, left):
        if left == 0:
            return row[place]
        for copy in reversed(range(place)):
            if row[copy] == row[place]:
                return token_at(row, copy + 1, left - 1)
        return -1

    rows = tokens.tolist()
    return torch.tensor([[token_at(row, i, k) for i in range(len(row))] for row in rows])


HOP_ALSO_RIGHT = (_hops_by_recursion, _hops_by_matrices)

MOST_HOPS_ALSO_RIGHT = (lambda: "2**L / 2 - 1", lambda: "2 * (2**(L - 2) - 1) + 1")


def _convolution_by_a_matrix(x, kernel):
    """Each dimension has its own lower triangular matrix of positions."""
    n_pos = x.shape[1]
    back = torch.arange(n_pos)[:, None] - torch.arange(n_pos)
    seen = (back >= 0) & (back < len(kernel))
    matrix = kernel[back.clamp(0, len(kernel) - 1)] * seen[..., None]  # [to from d_model]
    return torch.einsum("tfm,bfm->btm", matrix, x)


CONVOLUTION_ALSO_RIGHT = (convolution(), _convolution_by_a_matrix)


def _share_by_prefixes(ours, theirs):
    """The first tokens of every length, compared as a whole."""
    lengths = range(1, ours.shape[1] + 1)
    same = [(ours[:, :length] == theirs[:, :length]).all(dim=1) for length in lengths]
    return torch.stack(same, dim=1).float().mean(dim=0)


def _share_by_counting_differences(ours, theirs):
    """A place agrees as long as it has had no difference."""
    return ((ours != theirs).cumsum(dim=1) == 0).float().mean(dim=0)


STRETCH_ALSO_RIGHT = (_share_by_prefixes, _share_by_counting_differences)


ALSO_RIGHT = {
    "fuzzy_induction_score": FUZZY_ALSO_RIGHT,
    "attention_by_distance": DISTANCE_ALSO_RIGHT,
    "ngram_prefix_score": PREFIX_ALSO_RIGHT,
    "longest_match_prediction": LONGEST_ALSO_RIGHT,
    "plateau_loss_formula": PLATEAU_ALSO_RIGHT,
    "ngram_induction_layer": LAYER_ALSO_RIGHT,
    "ngram_code": CODE_ALSO_RIGHT,
    "lag_posterior": LAG_ALSO_RIGHT,
    "match_and_copy_score": SHIFTED_ALSO_RIGHT,
    "translated_induction_score": TRANSLATED_ALSO_RIGHT,
    "relation_index": RELATION_ALSO_RIGHT,
    "k_hop_target": HOP_ALSO_RIGHT,
    "most_hops_formula": MOST_HOPS_ALSO_RIGHT,
    "share_equal_so_far": STRETCH_ALSO_RIGHT,
    "short_convolution": CONVOLUTION_ALSO_RIGHT,
}
"""Exercise → other answers that its check must accept."""
