"""Solutions of chapter 14, features and graphs, with a reason for each line that needs one."""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

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
