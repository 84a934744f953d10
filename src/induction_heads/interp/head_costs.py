"""What a model loses without some of its heads, token by token, and how much each head writes."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.interp.ablation import Head, attention_hook, head_hooks
from induction_heads.interp.circuits import head_weights
from induction_heads.interp.losses import per_token_loss
from induction_heads.models.interface import HookedModel, require_head, require_tokens


def logits_without(
    model: HookedModel, tokens: Int[Tensor, "batch pos"], heads: Sequence[Head]
) -> Float[Tensor, "batch pos d_vocab"]:
    """The logits with these heads, given as (layer, head), set to zero.

    Raises ValueError for a head that the model does not have.

    >>> import torch
    >>> from induction_heads.models.loading import load_model
    >>> model, tokens = load_model("toy-2l"), torch.tensor([[5, 9, 5]])
    >>> torch.equal(logits_without(model, tokens, []), model(tokens))
    True
    """
    require_tokens(model, tokens)
    for layer, head in heads:
        require_head(model, layer, head)
    with torch.inference_mode():
        return model.run_with_hooks(tokens, fwd_hooks=head_hooks(heads))


def loss_rises(
    model: HookedModel, tokens: Int[Tensor, "batch pos"], heads: Sequence[Head]
) -> Float[Tensor, "batch pos-1"]:
    """How far the loss on each next token rises without these heads, in nats.

    Entry i is about the token at i + 1. Raises ValueError for a head that the model does not have.
    """
    after, before = (
        per_token_loss(logits_without(model, tokens, silent), tokens) for silent in (heads, [])
    )
    return after - before


def written_lengths(
    model: HookedModel, tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "layer head"]:
    """The mean length of what each head writes to the residual stream at a position."""
    require_tokens(model, tokens)
    wanted = [attention_hook(layer, "z") for layer in range(model.cfg.n_layers)]
    with torch.inference_mode():
        _, cache = model.run_with_cache(tokens, names_filter=lambda name: name in wanted)
    written = (
        torch.einsum("bphd,hdm->bphm", cache[name].float(), W_O)
        for name, W_O in zip(wanted, head_weights(model)[3], strict=True)
    )
    return torch.stack([each.norm(dim=-1).mean(dim=(0, 1)) for each in written])
