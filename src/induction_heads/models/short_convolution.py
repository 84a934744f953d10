"""The model with a short convolution below its attention layers.

Layers that are meant to replace attention, such as H3, RWKV, Mamba and Based, let neighboring
positions mix before anything is looked up. A convolution over a few positions is enough for a key
to carry the token before it, which is what smeared keys do head by head.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from induction_heads.models.attention_only import AttentionOnly, AttentionOnlyConfig


def short_convolution(
    x: Float[Tensor, "batch pos d_model"], kernel: Float[Tensor, "back d_model"]
) -> Float[Tensor, "batch pos d_model"]:
    """The sum over `back` of kernel[back] · x[pos − back], for each dimension by itself.

    What lies before the first position counts as zero.

    >>> x = torch.tensor([[[1.0], [10.0], [100.0]]])
    >>> short_convolution(x, torch.tensor([[1.0], [2.0]]))[0, :, 0]
    tensor([  1.,  12., 120.])
    """
    back, d_model = kernel.shape
    padded = F.pad(x.mT, (back - 1, 0))
    # conv1d slides the kernel without reversing it, so its last entry is the position itself.
    return F.conv1d(padded, kernel.flip(0).T[:, None], groups=d_model).mT


class ShortConvolution(AttentionOnly):
    """An `AttentionOnly` model that adds a short convolution to its embeddings.

    `width` is the number of positions that it sees: 1 is the position itself. Raises ValueError for
    a width below 1.
    """

    def __init__(self, config: AttentionOnlyConfig, width: int):
        super().__init__(config)
        if width < 1:
            raise ValueError(f"width={width}: a convolution sees at least the position itself.")
        self.W_conv = nn.Parameter(torch.full((width, config.d_model), torch.nan))

    def embed(self, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_model"]:
        """The residual stream before layer 0: the embeddings and their convolution."""
        x = super().embed(tokens)
        return x + short_convolution(x, self.W_conv)
