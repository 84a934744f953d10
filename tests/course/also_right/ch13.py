"""Other correct implementations of the exercises of chapter 13."""

from collections import defaultdict
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from induction_heads.course.ch13_real_models.control_mistakes import control_by, ratio
from induction_heads.course.ch13_real_models.embedding_mistakes import normed
from induction_heads.course.ch13_real_models.length_mistakes import (
    ratio_by,
    run,
    scores_by,
    table_by,
    weighted,
)
from induction_heads.course.ch13_real_models.mistakes import (
    _after,
    _by_any,
    _gain,
    copying_by,
    kinds_by,
    queries,
    scored,
)


def _by_reshape(weights: Tensor, n_heads: int) -> Tensor:
    group = n_heads // len(weights)
    copies = weights.unsqueeze(1).expand(-1, group, *weights.shape[1:])
    return copies.reshape(n_heads, *weights.shape[1:])


EXPAND_ALSO_RIGHT = (
    _by_reshape,
    lambda weights, n: torch.stack([weights[h * len(weights) // n] for h in range(n)]),
)


PARAMETERS_ALSO_RIGHT = (lambda: "2*D*d*(H + G)", lambda: "D*H*d + D*G*d*2 + d*H*D")


def _by_tables(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Row by row, with a set of the followers of each token so far."""
    kinds = []
    for row in tokens.tolist():
        seen: dict[int, set[int]] = defaultdict(set)
        kinds.append([])
        for token, comes in pairwise(row):
            kinds[-1].append(2 if comes in seen[token] else 1 if seen[token] else 0)
            seen[token].add(comes)
    table = torch.tensor(kinds)
    return table == 2, table == 1


REPEATS_ALSO_RIGHT = (_by_tables, kinds_by(_by_any))


CHANCE_ALSO_RIGHT = (
    lambda: "i / ((i + 1) * V * (1 - ((V - 1)/V)**i))",
    lambda: "(1 - 1/(i + 1)) / (V - V * exp(i * log(1 - 1/V)))",
)


def _by_einsum(pattern: Tensor, tokens: Tensor) -> dict[str, Tensor]:
    n_pos = tokens.shape[1]
    before = torch.eye(n_pos).roll(1, dims=1)  # before[j, k] is 1 where k is j + 1.
    before[-1] = 0
    same = (tokens[:, :, None] == tokens[:, None, :]).float()
    keys = (same @ before).tril()
    attended = torch.einsum("b...qk,bqk->bq...", pattern, keys)[:, :-1]
    masks = zip(("right", "wrong"), _by_tables(tokens), strict=True)
    return {kind: attended[mask].mean(dim=0) for kind, mask in masks}


SCORE_ALSO_RIGHT = (_by_einsum, scored(_after))


def _by_cross_entropy(clean: Tensor, silenced: Tensor, tokens: Tensor) -> float:
    """A loss on the copied token, where it is asked for; elsewhere the target is ignored."""
    targets = torch.full_like(tokens, -100)
    for row, query, followers, comes in queries(tokens):
        if followers and comes not in followers:
            targets[row, query] = followers[-1]
    losses = [
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        for logits in (clean, silenced)
    ]
    return (losses[1] - losses[0]).item()


COPYING_ALSO_RIGHT = (_by_cross_entropy, copying_by(_gain))


def _by_modules(W_E: Tensor, gain: Tensor, bias: Tensor, *mlp: Tensor) -> Tensor:
    """The parts of a transformer block as PyTorch modules."""
    W_in, b_in, W_out, b_out = mlp
    norm = torch.nn.LayerNorm(len(gain))
    into, out = torch.nn.Linear(*W_in.shape), torch.nn.Linear(*W_out.shape)
    given = ((norm, gain, bias), (into, W_in.T, b_in), (out, W_out.T, b_out))
    with torch.no_grad():
        for module, weight, start in given:
            module.weight.copy_(weight)
            module.bias.copy_(start)
        return W_E + out(torch.nn.functional.gelu(into(norm(W_E))))


def _with_tanh(W_E: Tensor, gain: Tensor, bias: Tensor, *mlp: Tensor) -> Tensor:
    """GELU as GPT-2 computes it."""
    W_in, b_in, W_out, b_out = mlp
    hidden = normed(W_E, gain, bias) @ W_in + b_in
    on = torch.nn.functional.gelu(hidden, approximate="tanh")
    return W_E + on @ W_out + b_out


def _token_by_token(W_E: Tensor, gain: Tensor, bias: Tensor, *mlp: Tensor) -> Tensor:
    W_in, b_in, W_out, b_out = mlp
    rows = []
    for token in W_E:
        hidden = normed(token, gain, bias) @ W_in + b_in
        on = hidden * torch.distributions.Normal(0.0, 1.0).cdf(hidden)
        rows.append(token + on @ W_out + b_out)
    return torch.stack(rows)


EMBEDDING_ALSO_RIGHT = (_by_modules, _with_tanh, _token_by_token)


def _row_after_row(tokens: Tensor) -> Tensor:
    """Each query's row of the table from that of the query before."""
    batch, n_pos = tokens.shape
    lengths = torch.zeros(batch, n_pos, n_pos, dtype=torch.long)
    for query in range(1, n_pos):
        same = tokens[:, :query] == tokens[:, query, None]
        lengths[:, query, 1 : query + 1] = same * (1 + lengths[:, query - 1, :query])
    return lengths


LENGTHS_ALSO_RIGHT = (table_by(run), _row_after_row)


def _by_counting(pattern: Tensor, tokens: Tensor, longest: int = 4) -> dict[str, Tensor]:
    """Sums and counts of all entries at once, by their number."""
    lengths = _row_after_row(tokens)
    entry = lengths.amax(dim=-1)[:, :-1].clamp(max=longest)
    attended = pattern.where(lengths > 0, 0).sum(dim=-1)[:, :-1]
    sums, counts = [], []
    for mask in _by_tables(tokens):
        sums.append(torch.bincount(entry[mask], attended[mask], longest + 1)[1:].float())
        counts.append(torch.bincount(entry[mask], minlength=longest + 1)[1:].float())
    (right, wrong), both = counts, counts[0] + counts[1]
    means = {"right": sums[0] / right, "wrong": sums[1] / wrong}
    return means | {"share_right": right / both, "queries": both}


BY_LENGTH_ALSO_RIGHT = (scores_by(), _by_counting)


def _by_partners(pattern: Tensor, tokens: Tensor) -> float:
    """A table of all ids: sums and counts of right and of wrong repeats."""
    lengths, n_ids = _row_after_row(tokens), int(tokens.max()) + 1
    one = lengths.amax(dim=-1)[:, :-1] == 1
    attended, ids = (pattern * (lengths > 0)).sum(dim=-1)[:, :-1], tokens[:, :-1]
    (right, n_right), (wrong, n_wrong) = (
        (
            torch.bincount(ids[one & mask], attended[one & mask].double(), n_ids),
            torch.bincount(ids[one & mask], minlength=n_ids),
        )
        for mask in _by_tables(tokens)
    )
    both = (n_right > 0) & (n_wrong > 0)
    return (right[both].sum() / (n_right * wrong / n_wrong)[both].sum()).item()


RATIO_ALSO_RIGHT = (ratio_by(weighted), _by_partners)


def _by_masks(scores: Tensor, sizes: Tensor, head: tuple, below: float = 0.1) -> Any:
    layer, suspect = head
    allowed = (scores[layer] < below) & (torch.arange(scores.shape[1]) != suspect)
    if not allowed.any():
        return None
    apart = (sizes[layer].double().log() - sizes[layer, suspect].double().log()).abs()
    apart[~allowed] = float("inf")
    return layer, int(apart.argmin())


CONTROL_ALSO_RIGHT = (control_by(ratio), _by_masks)


ALSO_RIGHT = {
    "expand_kv_heads": EXPAND_ALSO_RIGHT,
    "attention_parameters_formula": PARAMETERS_ALSO_RIGHT,
    "natural_repeats": REPEATS_ALSO_RIGHT,
    "chance_matching_formula": CHANCE_ALSO_RIGHT,
    "natural_prefix_matching_score": SCORE_ALSO_RIGHT,
    "match_lengths": LENGTHS_ALSO_RIGHT,
    "scores_by_match_length": BY_LENGTH_ALSO_RIGHT,
    "ratio_within_tokens": RATIO_ALSO_RIGHT,
    "matched_control_head": CONTROL_ALSO_RIGHT,
    "effective_embedding": EMBEDDING_ALSO_RIGHT,
    "copying_gain": COPYING_ALSO_RIGHT,
}
"""Exercise → other answers that its check must accept."""
