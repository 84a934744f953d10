"""Solutions of chapter 14, features and graphs, with a reason for each line that needs one."""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from induction_heads.interp.natural_repeats import match_lengths, natural_repeats
from induction_heads.models.attention import attention_pattern

if TYPE_CHECKING:
    from transformer_lens import TransformerBridge


def sae_loss(
    stream: Float[Tensor, "example d_model"],
    reconstruction: Float[Tensor, "example d_model"],
    activations: Float[Tensor, "example feature"],
    penalty: float,
) -> Float[Tensor, ""]:
    """Both parts are sums within an example: a wider dictionary must not make it cheaper."""
    squared = ((stream - reconstruction) ** 2).sum(dim=1)
    strength = activations.sum(dim=1)  # No absolute value: a ReLU made them.
    return torch.mean(squared + penalty * strength)


def shrunk_activation_formula() -> str:
    """The slope of the loss is 2 (f − a) + c: it is zero at f = a − c/2, unless that is negative.

    Below zero the loss still falls toward that point, so the best allowed f is 0.
    """
    return "max(0, a - c/2)"


def dead_features(activations: Float[Tensor, "example feature"]) -> Int[Tensor, " dead"]:
    """A feature that is on once, however weakly, is alive."""
    ever_on = (activations > 0).any(dim=0)
    return torch.nonzero(~ever_on)[:, 0]


def feature_detection_scores(
    activations: Float[Tensor, "example feature"],
    labels: Int[Tensor, " example"],
    n_labels: int,
    threshold: float = 0.5,
) -> tuple[Float[Tensor, "feature label"], Float[Tensor, "feature label"]]:
    """Both scores count the same examples, those that are on and have the label."""
    largest = activations.max(dim=0).values  # Of each feature: features have scales of their own.
    on = (activations > threshold * largest).float()
    has = (labels[:, None] == torch.arange(n_labels)).float()  # [example label]
    both = on.T @ has
    # Where a count is 0, `both` is 0 too, so dividing by 1 instead gives the 0 that is asked for.
    precision = both / on.sum(dim=0).clamp(min=1)[:, None]
    recall = both / has.sum(dim=0).clamp(min=1)
    return precision, recall


def path_contributions(
    model: "TransformerBridge",
    tokens: Int[Tensor, " pos"],
    query: int,
    direction: Float[Tensor, " d_model"],
) -> Float[Tensor, "first second source middle"]:
    """Treat "no head" as one more head, with identity matrices: one formula covers all paths."""
    W_Q, W_K, writes = model.W_Q, model.W_K, model.W_V @ model.W_O
    start = model.W_E[tokens] + model.W_pos[: len(tokens)]
    stay, same = torch.eye(len(tokens))[None], torch.eye(len(direction))[None]
    patterns, maps, stream = [], [], start
    for layer in range(2):
        pattern = attention_pattern(stream @ W_Q[layer], stream @ W_K[layer])
        patterns.append(torch.cat([pattern, stay]))
        maps.append(torch.cat([writes[layer], same]))
        # Layer 1 looks at what layer 0 left, or its pattern would be another one.
        stream = stream + (pattern @ stream @ writes[layer]).sum(dim=0)
    # a, b: heads; s, m: positions; x, y, z: dimensions of the stream before, between and after.
    return torch.einsum(
        "sx,axy,byz,z,ams,bm->absm",
        start,
        maps[0],
        maps[1],
        direction,
        patterns[0],
        patterns[1][:, query],
    )


def paths_formula() -> str:
    """No head: 1. One head: H n in layer 0 (it ends at the query), H n in layer 1. Two heads: H²
    times the pairs of positions s ≤ m, of which there are n (n + 1) / 2.
    """
    return "1 + 2*H*n + H**2 * n * (n + 1) / 2"


def pruned_edges(flows: Float[Tensor, " edge"], share: float) -> Bool[Tensor, " edge"]:
    """Taking the largest first is the way to need the fewest."""
    sizes, order = flows.double().abs().sort(descending=True)
    before = sizes.cumsum(dim=0) - sizes
    kept = torch.zeros(len(flows), dtype=torch.bool)
    # An edge is needed if the larger ones do not reach the share. A share of 0 needs none.
    kept[order] = before < share * sizes.sum()
    return kept


def logit_lens(
    model: "TransformerBridge", tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "depth batch pos d_vocab"]:
    """The stream before layer l + 1 is the one after layer l, so one more hook is enough."""
    _, cache = model.run_with_cache(tokens)
    last = model.cfg.n_layers - 1
    streams = [cache[f"blocks.{layer}.hook_resid_pre"] for layer in range(last + 1)]
    streams.append(cache[f"blocks.{last}.hook_resid_post"])
    # The norm depends on the vector, so it must be applied to each stream anew.
    return torch.stack([model.unembed(model.ln_final(stream)) for stream in streams])


def ridge_probe(
    stream: Float[Tensor, "example d_model"],
    labels: Int[Tensor, " example"],
    n_labels: int,
    penalty: float,
) -> tuple[Float[Tensor, "d_model label"], Float[Tensor, " label"]]:
    """With the mean stream removed, the gradient is zero at (C + penalty) W = M."""
    targets = (labels[:, None] == torch.arange(n_labels)).to(stream.dtype)
    x = stream - stream.mean(dim=0)
    # Means over examples, like the error: with sums the penalty would weigh less in longer data.
    # The targets may keep their means, because x has none.
    C, M = x.T @ x / len(x), x.T @ targets / len(x)
    weights = torch.linalg.solve(C + penalty * torch.eye(len(C)), M)
    # The bias puts the mean stream on the mean target.
    return weights, targets.mean(dim=0) - stream.mean(dim=0) @ weights


def detection_auc(
    activations: Float[Tensor, "example feature"],
    labels: Int[Tensor, " example"],
    n_labels: int,
) -> Float[Tensor, "feature label"]:
    """All pairs at once for one feature; the sign of a difference is 1, 0 or −1."""
    has = (labels[:, None] == torch.arange(n_labels)).to(activations.dtype)
    lacks = 1 - has
    rows = []
    for column in activations.T:
        order = (column[:, None] - column).sign()  # [with without]
        wins = (1 + order) / 2  # 1 for a win, 1/2 for a tie, 0 for a loss.
        rows.append(torch.einsum("ix,ij,jx->x", has, wins, lacks))
    # Without a pair this is 0 / 0, which is NaN.
    return torch.stack(rows) / (has.sum(dim=0) * lacks.sum(dim=0))


def feature_rates_by_match_length(
    activations: Float[Tensor, "batch pos feature"],
    tokens: Int[Tensor, "batch pos"],
    longest: int = 4,
) -> dict[str, Float[Tensor, "length feature"]]:
    """The longest match sorts the queries; the kinds are masks over the same queries."""
    on = (activations > 0)[:, :-1].float()  # Nothing follows the last position.
    entry = match_lengths(tokens)[:, :-1].amax(dim=-1).clamp(max=longest)
    right, wrong = natural_repeats(tokens)
    rates = {}
    for name, kind in {"all": right | ~right, "right": right, "wrong": wrong}.items():
        # The mean of an empty selection is NaN.
        rates[name] = torch.stack([on[kind & (entry == k)].mean(dim=0) for k in range(longest + 1)])
    return rates


def tuned_lens_loss(
    model: "TransformerBridge",
    stream: Float[Tensor, "example d_model"],
    final_logits: Float[Tensor, "example d_vocab"],
    weight: Float[Tensor, "d_model d_model"],
    bias: Float[Tensor, " d_model"],
) -> Float[Tensor, ""]:
    """The model's probabilities weigh the difference: it is the model that is to be matched."""
    translated = (stream @ weight + bias)[None]  # One row of a batch: the parts expect three axes.
    # Logarithms first: a softmax may round to 0, and log 0 is infinite.
    log_q = torch.log_softmax(model.unembed(model.ln_final(translated))[0], dim=-1)
    log_p = torch.log_softmax(final_logits, dim=-1)
    divergence = (log_p.exp() * (log_p - log_q)).sum(dim=-1)
    return divergence.mean()


def transcoder_parts(
    inputs: Float[Tensor, "example d_model"],
    outputs: Float[Tensor, "example d_out"],
    encoder: Float[Tensor, "d_model feature"],
    encoder_bias: Float[Tensor, " feature"],
    decoder: Float[Tensor, "feature d_out"],
    decoder_bias: Float[Tensor, " d_out"],
    k: int,
) -> tuple[Float[Tensor, "example feature d_out"], Float[Tensor, "example d_out"]]:
    """First the ReLU, then the k largest: a feature below zero must not take up a place."""
    strengths = torch.relu(inputs @ encoder + encoder_bias)
    largest = torch.topk(strengths, k, dim=1)
    activations = torch.zeros_like(strengths).scatter(1, largest.indices, largest.values)
    written = activations[:, :, None] * decoder  # One vector for each feature.
    # The transcoder writes the bias in every example, so it does not belong to the error.
    error = outputs - (written.sum(dim=1) + decoder_bias)
    return written, error


def feature_contributions(
    sources: Float[Tensor, "source pos d_model"],
    pattern: Float[Tensor, "head pos"],
    writes: Float[Tensor, "head d_model d_model"],
    scale_before: Float[Tensor, " pos"],
    scale_after: float,
    reads: Float[Tensor, " d_model"],
) -> Float[Tensor, "via source pos"]:
    """With patterns and scales fixed every step is linear, so each source is followed by itself."""
    read = (sources - sources.mean(dim=-1, keepdim=True)) / scale_before[:, None]
    # h: head, s: source, p: position, x and y: dimensions before and after the head.
    moved = torch.einsum("hp,spx,hxy->hspy", pattern, read, writes)
    stays = torch.zeros_like(sources)
    stays[:, -1] = sources[:, -1]  # Only what is at the last position already is there.
    arrived = torch.cat([moved, stays[None]])
    centered = arrived - arrived.mean(dim=-1, keepdim=True)
    return centered / scale_after @ reads


def replacement_score(
    edges: Float[Tensor, "node node"],
    is_input: Bool[Tensor, " node"],
    is_error: Bool[Tensor, " node"],
) -> float:
    """From the logit back: when a node's turn comes, all that read it have had theirs."""
    # Sizes: two edges that cancel are both read.
    sizes = edges.abs()
    influence = torch.zeros(len(edges))
    influence[-1] = 1.0
    for node in reversed(range(len(edges))):
        total = sizes[node].sum()
        if total > 0:  # A node that reads nothing keeps its influence.
            influence += influence[node] * sizes[node] / total
    inputs, errors = influence[is_input].sum(), influence[is_error].sum()
    # Not 1 − errors: some influence may end at a feature that reads nothing.
    return (inputs / (inputs + errors)).item()


def score_attributions(
    query_sources: Float[Tensor, "source d_model"],
    key_sources: Float[Tensor, "other d_model"],
    W_Q: Float[Tensor, "d_model d_head"],
    W_K: Float[Tensor, "d_model d_head"],
    b_Q: Float[Tensor, " d_head"],
    b_K: Float[Tensor, " d_head"],
) -> Float[Tensor, "query_source key_source"]:
    """A bias is one more source: then the product of two sums is the sum over all pairs."""
    queries = torch.cat([query_sources @ W_Q, b_Q[None]])
    keys = torch.cat([key_sources @ W_K, b_K[None]])
    return queries @ keys.T / W_Q.shape[1] ** 0.5
