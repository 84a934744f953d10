"""The logit lens: the predictions of the residual stream at each layer."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.interp.losses import in_float32
from induction_heads.models.interface import Model, require_tokens
from induction_heads.models.loading import as_hooked


def residual_streams(
    model: Model, tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "depth batch pos d_model"]:
    """The stream before each layer and after the last, without a norm.

    Raises ValueError if the model cannot read these tokens.
    """
    model = as_hooked(model)
    require_tokens(model, tokens)
    n_layers = model.cfg.n_layers
    names = [f"blocks.{layer}.hook_resid_pre" for layer in range(n_layers)]
    names.append(f"blocks.{n_layers - 1}.hook_resid_post")
    with torch.no_grad():
        _, cache = model.run_with_cache(tokens, names_filter=lambda name: name in names)
    return torch.stack([cache[name] for name in names]).detach()


def logit_lens(
    model: Model, tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "depth batch pos d_vocab"]:
    """The stream before each layer and after the last, read as logits (nostalgebraist 2020).

    Entry 0 is the stream that holds the embeddings alone, entry −1 the model's own logits. Each
    passes the model's final layer norm, if it has one, and the unembedding. That norm was learned
    for the last stream: what it makes of earlier ones is part of the lens, not of the model.
    """
    model = as_hooked(model)
    with torch.no_grad():
        return torch.stack(
            [model.unembed(model.ln_final(x)) for x in residual_streams(model, tokens)]
        )


def right_token_probability(
    lens: Float[Tensor, "depth batch pos d_vocab"], tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "depth batch pos-1"]:
    """The probability that each depth gives to the token that comes next."""
    chances = in_float32(lens)[:, :, :-1].softmax(dim=-1)
    following = tokens[:, 1:].expand(len(lens), -1, -1)
    return chances.gather(-1, following[..., None])[..., 0]
