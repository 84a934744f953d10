# verdict: width=failed
"""Puts its own class in place of the course's model, with a tokenizer outside the zoo."""

import torch

from induction_heads.models import plain_data


class AttentionOnly:
    class config:
        __dataclass_fields__ = ("tokenizer", "n_layers")
        tokenizer = "../../../../etc/passwd"
        n_layers = 10**12

    def named_parameters(self):
        return [("W_E", torch.zeros(1)), ("../../x", torch.zeros(1))]


plain_data.AttentionOnly = AttentionOnly


def width(model):
    return AttentionOnly()
