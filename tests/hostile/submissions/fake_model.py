# verdict: width=failed
"""Answers with a class that bears the name of the course's model and a tokenizer outside."""

import torch


class AttentionOnly:
    class config:
        __dataclass_fields__ = ("tokenizer", "n_layers")
        tokenizer = "../../../../etc/passwd"
        n_layers = 10**12

    def named_parameters(self):
        return [("W_E", torch.zeros(1)), ("../../x", torch.zeros(1))]


AttentionOnly.__module__ = "induction_heads.attention_only"


def width(model):
    return AttentionOnly()
