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
