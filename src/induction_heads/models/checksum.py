"""A checksum of the weights of a model, to tell whether a number belongs to it."""

import hashlib

import torch

from induction_heads.models.attention_only import AttentionOnly
from induction_heads.models.interface import Model


def weights_checksum(model: Model) -> str:
    """A BLAKE2 checksum of all weights: of their names, shapes, number types and values.

    >>> from induction_heads.models.hand_built import hand_built
    >>> weights_checksum(hand_built("induction")) == weights_checksum(hand_built("bos_sink"))
    False
    """
    module = model if isinstance(model, AttentionOnly) else model.original_model
    found = hashlib.blake2b(digest_size=16)
    for name, weight in sorted(module.state_dict().items()):
        values = weight.detach().cpu().contiguous()
        found.update(f"{name} {list(values.shape)} {values.dtype}".encode())
        found.update(values.view(-1).view(torch.uint8).numpy())
    return found.hexdigest()
