"""Other correct implementations of the exercises of chapter 14."""

import math

import torch
from torch import Tensor

from induction_heads.course.ch14_features_and_graphs.graph_mistakes import lens_by, paths_by
from induction_heads.course.ch14_features_and_graphs.lens_mistakes import probe_by
from induction_heads.course.ch14_features_and_graphs.mistakes import (
    _own,
    _squares,
    loss_by,
    numbers,
    scores_by,
)
from induction_heads.course.ch14_features_and_graphs.transcoder_mistakes import (
    contributions_by,
    pairs_by,
    parts_by,
    score_by,
)
from induction_heads.course.plain_forward import forward
from induction_heads.interp.natural_repeats import match_lengths, natural_repeats

LOSS_ALSO_RIGHT = (
    loss_by(_squares, lambda f: f.norm(p=1, dim=-1)),
    lambda x, y, f, penalty: (((x - y) ** 2).sum() + penalty * f.sum()) / len(x),
)


SHRUNK_ALSO_RIGHT = (
    lambda: "max(2*a - c, 0) / 2",
    lambda: "(a - c/2 + sqrt((a - c/2)**2)) / 2",
)


DEAD_ALSO_RIGHT = (
    numbers(lambda f: f.sum(0) == 0),
    lambda f: torch.tensor([j for j in range(f.shape[1]) if f[:, j].max() <= 0], dtype=torch.long),
)


def _by_indices(activations, labels, n_labels, threshold=0.5):
    """The labels of the examples where a feature is on are counted."""
    n_features = activations.shape[1]
    size = torch.bincount(labels, minlength=n_labels).float()
    precision, recall = torch.zeros(n_features, n_labels), torch.zeros(n_features, n_labels)
    for j, column in enumerate(activations.T):
        found = torch.bincount(labels[column > threshold * column.max()], minlength=n_labels)
        if found.sum() > 0:
            precision[j] = found / found.sum()
            recall[j] = torch.where(size > 0, found / size, 0.0)
    return precision, recall


DETECTION_ALSO_RIGHT = (scores_by(_own), _by_indices)


def _backwards(model, tokens, query, direction):
    """Each head's answer is a gradient: what the logit would gain from its input."""
    _, seen, _ = forward(model, tokens[None])
    n_heads, n_pos = model.cfg.n_heads, len(tokens)
    x = model.W_E[tokens] + model.W_pos[:n_pos]
    W_V, W_O = model.W_V, model.W_O
    found = torch.zeros(n_heads + 1, n_heads + 1, n_pos, n_pos)
    for b in range(n_heads + 1):
        for m in range(n_pos):
            if b == n_heads:
                wanted = direction * (m == query)
            else:
                wanted = seen[1, b][0, query, m] * (W_V[1, b] @ (W_O[1, b] @ direction))
            for a in range(n_heads):
                found[a, b, :, m] = seen[0, a][0, m] * (x @ (W_V[0, a] @ (W_O[0, a] @ wanted)))
            found[n_heads, b, m, m] = x[m] @ wanted
    return found.detach()


PATH_ALSO_RIGHT = (paths_by(), _backwards)


COUNT_ALSO_RIGHT = (
    lambda: "1 + H*n*(2 + H*(n + 1)/2)",
    lambda: "(1 + H*n)**2 - H**2 * n*(n - 1)/2",
)


def _by_ranks(flows, share):
    """An edge stays if the larger ones do not suffice."""
    sizes = flows.double().abs()
    larger = sizes[:, None] < sizes
    return (larger.double() @ sizes) < share * sizes.sum()


def _by_bisection(flows, share):
    """The level above which enough flows is searched for."""
    sizes = flows.double().abs()
    levels = [*sorted(sizes.tolist()), math.inf]  # Above the last level, nothing is kept.
    low, high = 0, len(levels) - 1
    while low < high:
        middle = (low + high + 1) // 2
        enough = sizes[sizes >= levels[middle]].sum() >= share * sizes.sum()
        low, high = (middle, high) if enough else (low, middle - 1)
    return sizes >= levels[low]


PRUNE_ALSO_RIGHT = (_by_ranks, _by_bisection)


def _by_hooks(model, tokens):
    """Hooks that collect, one per stream."""
    seen: list[Tensor] = []

    def collect(value, hook):
        seen.append(value.clone())

    last = model.cfg.n_layers - 1
    names = [f"blocks.{layer}.hook_resid_pre" for layer in range(last + 1)]
    names.append(f"blocks.{last}.hook_resid_post")
    model.run_with_hooks(tokens, fwd_hooks=[(name, collect) for name in names])
    return model.unembed(model.ln_final(torch.cat(seen))).unflatten(0, (len(seen), -1)).detach()


LENS_ALSO_RIGHT = (lens_by(), _by_hooks)


def _by_added_examples(stream, labels, n_labels, penalty):
    """Centered streams, and one more example for each dimension that asks for a weight of 0."""
    targets = torch.nn.functional.one_hot(labels, n_labels).float()
    mean, shares = stream.mean(0), targets.mean(0)
    more = (penalty * len(stream)) ** 0.5 * torch.eye(stream.shape[1])
    x = torch.cat([stream - mean, more])
    y = torch.cat([targets, torch.zeros(stream.shape[1], n_labels)])
    weights = torch.linalg.lstsq(x, y).solution
    return weights, shares - mean @ weights


PROBE_ALSO_RIGHT = (probe_by(), _by_added_examples)


def _by_middle_ranks(activations, labels, n_labels):
    """Wins are the sum of ranks, less what the examples with the label win over each other."""
    below = (activations[:, None] > activations[None]).sum(1)
    equal = (activations[:, None] == activations[None]).sum(1)
    ranks = below + (equal + 1) / 2
    has = torch.nn.functional.one_hot(labels, n_labels).float()
    n = has.sum(0)
    pairs = n * (len(labels) - n)
    return (ranks.T @ has - n * (n + 1) / 2) / pairs


def _by_area(activations, labels, n_labels):
    """The curve of hits over false alarms, from the strictest level to the mildest."""
    table = torch.empty(activations.shape[1], n_labels)
    for feature, column in enumerate(activations.T):
        levels = column.unique().flip(0)
        over = torch.cat([torch.zeros(1, len(column)), (column >= levels[:, None]).float()])
        for label in range(n_labels):
            has = labels == label  # The mean of an empty selection is NaN.
            hits, false_alarms = over[:, has].mean(1), over[:, ~has].mean(1)
            table[feature, label] = torch.trapezoid(hits, false_alarms)
    return table


AUC_ALSO_RIGHT = (_by_middle_ranks, _by_area)


def _by_growing_suffixes(activations, tokens, longest=4):
    """The longest match grows as long as the last k tokens occurred earlier."""
    batch, n_pos = tokens.shape
    length = torch.zeros(batch, n_pos, dtype=torch.long)
    right = torch.zeros(batch, n_pos, dtype=torch.bool)
    for b, row in enumerate(tokens.tolist()):
        for q in range(n_pos - 1):
            earlier = [p for p in range(q) if row[p] == row[q]]
            right[b, q] = row[q + 1] in [row[p + 1] for p in earlier]
            k = 1
            while any(row[q - k + 1 : q + 1] == row[p - k + 1 : p + 1] for p in range(k - 1, q)):
                length[b, q] = k
                k += 1
    entry, on = length[:, :-1].clamp(max=longest), (activations[:, :-1] != 0).float()
    onehot = torch.nn.functional.one_hot(entry, longest + 1).float()
    right = right[:, :-1]
    kinds = {"all": right >= 0, "right": right, "wrong": ~right & (entry > 0)}
    tables = {}
    for name, kind in kinds.items():
        chosen = onehot * kind[..., None]
        totals = torch.einsum("bqk,bqf->kf", chosen, on)
        tables[name] = totals / chosen.sum((0, 1))[:, None]
    return tables


def _by_means_without_nan(activations, tokens, longest=4):
    """Queries that do not count become NaN and are left out of the mean."""
    entry = match_lengths(tokens).amax(2)
    right, wrong = natural_repeats(tokens)
    on = (activations.sign()[:, :-1]).float()
    tables = {}
    for name, kind in (("all", right == right), ("right", right), ("wrong", wrong)):
        rows = []
        for k in range(longest + 1):
            counts = kind & ((entry >= k) if k == longest else (entry == k))[:, :-1]
            rows.append(on.masked_fill(~counts[..., None], math.nan).nanmean((0, 1)))
        tables[name] = torch.stack(rows)
    return tables


RATES_ALSO_RIGHT = (_by_growing_suffixes, _by_means_without_nan)


def _by_the_library(model, stream, final_logits, weight, bias):
    """PyTorch's divergence takes the lens first."""
    lens = model.unembed(model.ln_final((stream @ weight + bias)[:, None]))[:, 0]
    return torch.nn.functional.kl_div(
        lens.log_softmax(-1), final_logits.log_softmax(-1), reduction="batchmean", log_target=True
    )


def _less_the_entropy(model, stream, final_logits, weight, bias):
    """The cross-entropy with the model's probabilities, less what the model itself would pay."""
    lens = model.unembed(model.ln_final((stream @ weight + bias)[None]))[0]
    p = final_logits.softmax(-1)
    entropy = torch.distributions.Categorical(logits=final_logits).entropy()
    return torch.nn.functional.cross_entropy(lens, p) - entropy.mean()


TUNED_ALSO_RIGHT = (_by_the_library, _less_the_entropy)


def _parts_one_by_one(inputs, outputs, encoder, encoder_bias, decoder, decoder_bias, k):
    """Feature by feature: one is on if it is among the first k of its example."""
    strengths = (inputs @ encoder + encoder_bias).clamp(min=0)
    rank = strengths.argsort(dim=1, descending=True).argsort(dim=1)
    written = torch.zeros(len(inputs), *decoder.shape)
    for j in range(len(decoder)):
        written[:, j] = (strengths[:, j] * (rank[:, j] < k))[:, None] * decoder[j]
    return written, outputs - decoder_bias - written.sum(1)


PARTS_ALSO_RIGHT = (parts_by(), _parts_one_by_one)


def _read_backwards(sources, pattern, writes, scale_before, scale_after, reads):
    """What the number would gain from each source is a gradient."""
    x = sources.clone().requires_grad_()

    def normed(vectors, scale):
        return (vectors - vectors.mean(-1, keepdim=True)) / scale

    found = []
    with torch.enable_grad():
        for share, matrix in zip(pattern, writes, strict=True):
            read = normed(x.sum(0), scale_before[:, None])
            number = normed(share @ read @ matrix, scale_after) @ reads
            found.append(torch.autograd.grad(number, x)[0] * sources)
        number = normed(x.sum(0)[-1], scale_after) @ reads
        found.append(torch.autograd.grad(number, x)[0] * sources)
    return torch.stack(found).sum(-1).detach()


CONTRIBUTIONS_ALSO_RIGHT = (contributions_by(), _read_backwards)


def _by_the_inverse(edges, is_input, is_error):
    """All walks at once: the sum over their lengths is the inverse of 1 minus the shares."""
    sizes = edges.abs().double()
    total = sizes.sum(dim=1)
    total[total == 0] = 1.0
    shares = sizes / total[:, None]
    reached = torch.linalg.inv(torch.eye(len(edges)).double() - shares)[-1]
    ends = reached @ torch.stack([is_input, is_error], dim=1).double()
    return (ends[0] / ends.sum()).item()


def _chances_forward(edges, is_input, is_error):
    """From the first node on: the chances that a walk from here ends at an input, or an error."""
    chances = torch.stack([is_input, is_error], dim=1).float()
    for node, row in enumerate(edges.abs()):
        if row.any():
            chances[node] = row @ chances / row.sum()
    return float(chances[-1, 0] / chances[-1].sum())


REPLACEMENT_ALSO_RIGHT = (score_by(), _by_the_inverse, _chances_forward)


def _pair_by_pair(query_sources, key_sources, W_Q, W_K, b_Q, b_K):
    """Piece by piece, as dot products."""

    def piece(sources, W, b, index):
        return b if index == len(sources) else sources[index] @ W

    table = torch.zeros(len(query_sources) + 1, len(key_sources) + 1)
    for a in range(len(query_sources) + 1):
        for c in range(len(key_sources) + 1):
            q, k = piece(query_sources, W_Q, b_Q, a), piece(key_sources, W_K, b_K, c)
            table[a, c] = torch.dot(q, k) / math.sqrt(len(b_Q))
    return table


PAIRS_ALSO_RIGHT = (pairs_by(), _pair_by_pair)


ALSO_RIGHT = {
    "sae_loss": LOSS_ALSO_RIGHT,
    "shrunk_activation_formula": SHRUNK_ALSO_RIGHT,
    "dead_features": DEAD_ALSO_RIGHT,
    "feature_detection_scores": DETECTION_ALSO_RIGHT,
    "path_contributions": PATH_ALSO_RIGHT,
    "paths_formula": COUNT_ALSO_RIGHT,
    "pruned_edges": PRUNE_ALSO_RIGHT,
    "logit_lens": LENS_ALSO_RIGHT,
    "ridge_probe": PROBE_ALSO_RIGHT,
    "detection_auc": AUC_ALSO_RIGHT,
    "feature_rates_by_match_length": RATES_ALSO_RIGHT,
    "tuned_lens_loss": TUNED_ALSO_RIGHT,
    "transcoder_parts": PARTS_ALSO_RIGHT,
    "feature_contributions": CONTRIBUTIONS_ALSO_RIGHT,
    "replacement_score": REPLACEMENT_ALSO_RIGHT,
    "score_attributions": PAIRS_ALSO_RIGHT,
}
"""Exercise → other answers that its check must accept."""
