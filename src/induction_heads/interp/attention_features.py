"""Features of attention outputs: which heads they belong to, and at which repeats they are on.

Kissane et al. 2024 train sparse autoencoders on the outputs of all heads of a layer, side by side
and before W_O, and attribute each feature to heads by the norms of its decoder weights.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.data.tokens import follows_earlier_copy
from induction_heads.interp.natural_repeats import match_lengths, natural_repeats
from induction_heads.models.interface import Model, require_head, require_tokens
from induction_heads.models.loading import as_hooked


def mixed_values(
    model: Model, tokens: Int[Tensor, "batch pos"], layer: int
) -> Float[Tensor, "batch pos head d_head"]:
    """What the heads of a layer hand to W_O: each head's values, weighted by its pattern.

    Raises ValueError if the model has no such layer or cannot read these tokens.
    """
    model = as_hooked(model)
    require_head(model, layer, 0)
    require_tokens(model, tokens)
    name = f"blocks.{layer}.attn.hook_z"
    with torch.no_grad():
        _, cache = model.run_with_cache(tokens, names_filter=lambda hook: hook == name)
    return cache[name].detach()


def head_shares(
    decoder: Float[Tensor, "feature width"], n_heads: int
) -> Float[Tensor, "feature head"]:
    """The share of each head in the directions of features of all heads side by side.

    The norm of a head's part of the direction over the sum of these norms (Kissane et al. 2024).
    Raises ValueError if the heads do not divide the width.

    >>> import torch
    >>> head_shares(torch.tensor([[3.0, 4.0, 0.0, 5.0]]), n_heads=2)
    tensor([[0.5000, 0.5000]])
    """
    if decoder.shape[1] % n_heads:
        raise ValueError(
            f"Directions of {decoder.shape[1]} numbers cannot be divided among {n_heads} heads."
        )
    norms = decoder.unflatten(1, (n_heads, -1)).norm(dim=-1)
    return norms / norms.sum(dim=-1, keepdim=True)


def copied_tokens(tokens: Int[Tensor, "batch pos"]) -> Int[Tensor, "batch next_pos"]:
    """The token after the latest earlier copy of each query's token, −1 where there is none.

    The last position is left out, as in `natural_repeats`.

    >>> import torch
    >>> copied_tokens(torch.tensor([[4, 5, 4, 6, 4, 9]]))
    tensor([[-1, -1,  5, -1,  6]])
    """
    keys = follows_earlier_copy(tokens)[:, :-1]
    latest = torch.where(keys, torch.arange(tokens.shape[1]), 0).amax(dim=-1)
    return torch.where(keys.any(dim=-1), tokens.gather(1, latest), -1)


def feature_rates_by_match_length(
    activations: Float[Tensor, "batch pos feature"],
    tokens: Int[Tensor, "batch pos"],
    longest: int = 4,
) -> dict[str, Float[Tensor, "length feature"]]:
    """How often each feature is on, for queries of equal longest match.

    A feature is on where its activation is above 0. Entry k is of the queries whose longest match
    (`match_lengths`) has k tokens: entry 0 of those without a match, the last entry of those with
    `longest` or more. `all` counts all of these queries, `right` those at right repeats, `wrong`
    those at wrong ones (`natural_repeats`; without a match neither). The last position is left out,
    since nothing follows it. NaN where there is no query.
    """
    on = (activations[:, :-1] > 0).float()
    entry = match_lengths(tokens).amax(dim=-1)[:, :-1].clamp(max=longest)
    right, wrong = natural_repeats(tokens)
    kinds = {"all": torch.ones_like(right), "right": right, "wrong": wrong}
    lengths = range(longest + 1)
    return {
        name: torch.stack([on[kind & (entry == k)].mean(dim=0) for k in lengths])
        for name, kind in kinds.items()
    }


def equally_often(
    projections: Float[Tensor, "example feature"], rates: Float[Tensor, " feature"]
) -> Float[Tensor, "example feature"]:
    """What is left of each column above a level that leaves a given share of the examples on.

    The control for sparse features: directions of any origin, each on as often as the feature
    that it replaces. Raises ValueError unless the rates are between 0 and 1.
    """
    if bool(((rates < 0) | (rates > 1)).any()):
        raise ValueError("A rate is a share of the examples: use numbers from 0 to 1.")
    n_on = (rates * len(projections)).round().long()
    in_order = projections.sort(dim=0, descending=True).values
    below = torch.cat([in_order, torch.full_like(in_order[:1], -torch.inf)])
    levels = below.gather(0, n_on[None])
    # Where every example is on there is no level: the smallest value must stay above 0.
    lowest = in_order[-1:] - 1.0
    return (projections - torch.where(levels.isinf(), lowest, levels)).relu()
