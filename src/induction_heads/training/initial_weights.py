"""The initial weights of all attention-only models that this package trains."""

import torch

from induction_heads.models.attention_only import (
    AttentionOnly,
    initial_std,
    initialize,
    sinusoids,
)


def initialized(
    model: AttentionOnly, seed: int, *, small_embedding: bool = False, sinusoidal: bool = False
) -> AttentionOnly:
    """The model with new weights drawn from N(0, 0.64 / d_model), the same for the same seed.

    With `small_embedding` the token embedding is drawn from N(0, 0.01). With `sinusoidal` the
    position embedding starts as `sinusoids`.
    """
    config, special = model.config, {}
    if small_embedding:
        generator = torch.Generator().manual_seed(seed)
        special["W_E"] = 0.1 * torch.randn(config.d_vocab, config.d_model, generator=generator)
    if sinusoidal:
        special["W_pos"] = sinusoids(config.n_ctx, config.d_model)
    return initialize(model, std=initial_std(config.d_model), seed=seed, **special)
